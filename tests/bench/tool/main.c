#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/tool/tool.h"

static const struct {
    const char *name;
    int arguments;
    int (*run)(int argc, char **argv);
    const char *usage;
} jobs[] = {
    {"sockets", 1, job_sockets, "sockets COUNT"},
    {"namespaces", 3, job_namespaces, "namespaces DIRECTORY COUNT SOCKETS"},
    {"bare", 0, job_bare, "bare"},
    {"bare-all", 1, job_bare_all, "bare-all DIRECTORY"},
    {"bare-lookups", 2, job_bare_lookups, "bare-lookups INTERVAL_MS PORTS"},
    {"stages", 0, job_stages, "stages"},
    {"control", 1, job_control, "control TARGET"},
    {"readers", 3, job_readers, "readers TARGET COUNT BATCH_ROWS"},
    {"watch", 3, job_watch, "watch TARGET INTERVAL_MS FILTER"},
};

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int rc = vprintf(format, list);
    va_end(list);
    if (rc < 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        exit(1);
}

bool next_line(char *line, size_t size)
{
    if (!fgets(line, (int)size, stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

uint64_t number(const char *text, uint64_t least)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end || n < least) {
        fprintf(stderr, "bench_tool: \"%s\": expected a number, %llu or more\n", text,
                (unsigned long long)least);
        exit(2);
    }
    return n;
}

void die_text(const char *what, const char *why)
{
    fprintf(stderr, "bench_tool: %s: %s\n", what, why);
    exit(1);
}

void die(const char *what)
{
    die_text(what, strerror(errno));
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        if (!strcmp(argv[1], jobs[i].name) && argc - 2 == jobs[i].arguments)
            return jobs[i].run(argc - 2, argv + 2);
    }
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
        fprintf(stderr, "%s bench_tool %s\n", i ? "      " : "usage:", jobs[i].usage);
    return 2;
}
