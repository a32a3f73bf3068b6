/* Shared by the tests of sinks that write files: a folder, a sink, and a system that fails on demand. All of it asserts.
 *
 * The program is linked with --wrap=open,--wrap=write,--wrap=ftruncate,--wrap=fdatasync,--wrap=renameat2,--wrap=clock_wall_ns. */
#ifndef XTCP_TESTS_SINK_FIXTURE_H
#define XTCP_TESTS_SINK_FIXTURE_H

#include "lib_test.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "outputs/sink/rotate.h"
#include "sink_host.h"

extern const struct sink_ops xtcp_sink_file, xtcp_sink_stdout, xtcp_sink_stderr, xtcp_sink_null;

/* ---- What the system does, instead of what it would do ---- */

struct sink_fixture_fake {
    _Atomic int64_t wall_ahead_ns; /* of the clock */
    _Atomic int write_some;        /* bytes that the next write takes; -1: all */
    _Atomic int write_errno;       /* of the write behind that; 0: none */
    const char *intruder;          /* a path that somebody else appends to between the two; NULL: none */
    _Atomic int rename_errno;      /* of every attempt to rename without replacing; 0: none */
    _Atomic int truncate_errno;    /* of every attempt to cut a file; 0: none */
    _Atomic int sync_errno;        /* of every attempt to wait for the disk; 0: none */
    _Atomic unsigned syncs;        /* such attempts */
    _Atomic bool sync_hangs;
    bool no_own; /* the descriptors of the process cannot be opened anew */
};
extern struct sink_fixture_fake fake;

extern sem_t disk_answers; /* posted: a call that hangs comes back */

/* Everything is as it is. */
void fake_nothing(void);

/* The next message is written up to |some| bytes, then |error| occurs. */
void fake_full_disk(int some, int error);

int64_t __real_clock_wall_ns(void);
int64_t __wrap_clock_wall_ns(void);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

/* ---- Files in the folder of the test, which is emptied behind each ---- */

/* The path of |name|, for the next seven calls. */
const char *in_folder(const char *name);
void make_file(const char *name, const char *text);
void assert_contents(const char *path, const char *text);
bool exists(const char *name);
mode_t mode_of(const char *name);

/* The names that are those of rotated files of "log", in the order of names, |max| at most. Returns how many. */
size_t rotated_names(char names[][NAME_MAX + 1], size_t max);

/* ---- The sink ---- */

struct sink_fixture {
    char folder[32];
    struct sink_host_fake host;
    struct output_file_options options;
    struct url url;
    char path[PATH_MAX]; /* of the URL */
    struct sink_env env;
    const struct sink_ops *ops;
    void *sink;       /* NULL: none */
    struct err error; /* the last one */
};
extern struct sink_fixture fix;

void set_path(const char *path);

/* Opens the sink of the test with |fix.options|; its end also comes with that of the test. */
void sink_begin(const struct sink_ops *which);
void sink_end(void);

/* That of the file "log". */
void file_begin(void);

enum sink_result connect_sink(bool *fresh);
void assert_connects(bool fresh);
void assert_does_not_connect(int code, const char *words);
void assert_sends(const char *text);
void assert_does_not_send(const char *text, enum sink_result result, const char *words);

/* Connects and sends. */
void assert_writes(bool fresh, const char *text);

/* ---- For cmocka ---- */

int fixture_setup(void **state);
int fixture_teardown(void **state);
int fixture_setup_all(void **state);
int fixture_teardown_all(void **state);

#endif
