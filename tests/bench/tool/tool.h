/* bench_tool: what the benchmark needs that is not the daemon itself. A process for each job; every one
 * speaks the same way: it prints "ready ..." once, then answers each line of its standard input with one
 * line, and ends, leaving nothing behind, when its standard input does. */
#ifndef XTCP_TESTS_BENCH_TOOL_H
#define XTCP_TESTS_BENCH_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The jobs; the arguments are those behind the job's name. Each returns the exit code of the process. */
int job_sockets(int argc, char **argv);
int job_namespaces(int argc, char **argv);
int job_bare(int argc, char **argv);
int job_bare_all(int argc, char **argv);
int job_bare_lookups(int argc, char **argv);
int job_stages(int argc, char **argv);
int job_control(int argc, char **argv);
int job_readers(int argc, char **argv);
int job_watch(int argc, char **argv);

/* Prints a formatted line that the other side sees at once. Ends the process when nobody reads it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads the next line, without its newline, into |line| (|size| bytes, cut). Returns false at the end of the
 * input. */
bool next_line(char *line, size_t size);

/* A number from the command line or a line of input, |least| or more; anything else ends the process. */
uint64_t number(const char *text, uint64_t least);

/* Ends the process: |what|, and errno in words. */
_Noreturn void die(const char *what);
_Noreturn void die_text(const char *what, const char *why);

#endif
