/* Runs a fuzz target over recorded inputs: every file named on the command line, and every file in a
 * directory named there. The stand-in for libFuzzer's main, so that corpora are replayed by the ordinary test
 * run. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    /* An exact heap copy, so that a sanitizer sees the first byte read past the end. */
    struct stat st;
    uint8_t *data = fstat(fileno(f), &st) == 0 ? malloc(st.st_size ? (size_t)st.st_size : 1) : NULL;
    size_t n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (data)
        LLVMFuzzerTestOneInput(data, n);
    free(data);
    inputs++;
    return data ? 0 : -1;
}

static int run_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    int rc = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char file[PATH_MAX];
        if (e->d_name[0] == '.')
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        rc |= run_file(file);
    }
    closedir(dir);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        rc |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_directory(argv[i]) : run_file(argv[i]);
    }
    if (inputs == 0) {
        fprintf(stderr, "no inputs\n");
        return 1;
    }
    printf("%u inputs replayed\n", inputs);
    return rc ? 1 : 0;
}
