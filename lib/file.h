/* Reads whole files whose names come from people. Reading holds the caller for two seconds at most, whatever
 * the path leads to: anything but a regular file is refused without a wait, and a file system that does not
 * answer is given up. That applies to reading alone: a stat of the path, with which callers find out whether
 * it has changed, waits for the file system. Standard input has a function of its own. */
#ifndef XTCP_LIB_FILE_H
#define XTCP_LIB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/err.h"

/* Certificates, keys and tokens are no longer than this, in bytes. */
#define FILE_SECRET_MAX (1024 * 1024)

/* Reads the regular file |path|, or /dev/null, |max| bytes at most, into |*data|, with a NUL behind its
 * |*len| bytes (|len| may be NULL); free it, or wipe it with file_forget. |st| (may be NULL) receives the
 * result of fstat. Returns 0, or a code with |e| saying what is wrong, after "PATH: ": ERR_TYPE when it is no
 * regular file, ERR_LIMIT for one that is too long, ERR_TIMEOUT after 2 seconds without an answer, or -errno.
 * A thread that hangs in the file system is left behind, and ends with its system call; while 8 of them hang,
 * everything is ERR_TIMEOUT at once. Any thread. */
int file_read(const char *path, size_t max, char **data, size_t *len, struct stat *st, struct err *e);

/* Whether the error |rc| of file_read, or of the use of its bytes, may pass while the file stays as it is:
 * the system failed, and the contents are not at fault. A missing file does not count. */
bool file_error_passes(int rc);

/* A stamp distinguishes one state of a file from another; it is all zero when there is no file. A file that
 * is linked to by name, as Kubernetes does with secrets, is another inode when the link changes. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

/* The present stamp of |path|; zero for NULL and "". stat(2) may take as long as the file system likes. Any
 * thread. */
struct file_stamp file_stamp(const char *path);
bool file_stamp_same(const struct file_stamp *a, const struct file_stamp *b);

/* The outcome of the last attempt to read files that are followed. Zero: it went well. */
struct file_attempt {
    int failed;       /* the error; 0: the contents of the files are in use */
    int64_t retry_ns; /* monotonic: they are tried again, though they have not changed; 0: they are not */
};

/* Whether it is time to try again. */
bool file_attempt_due(const struct file_attempt *a);
/* Notes |rc| of another attempt: an error that may pass is tried again after a second. Returns whether the
 * outcome is another than that of the attempt before. */
bool file_attempt_note(struct file_attempt *a, int rc);

/* The same as file_read, but "-", "/dev/stdin" and "/dev/fd/N" may also be pipes, terminals and sockets:
 * those are read to their end, however long that takes. Meanwhile SIGINT and SIGTERM have their default
 * effect on the process, even when they are blocked; with |stop_fd| (-1: none), by which the caller notices
 * these signals, ERR_CANCELLED is returned as soon as that is readable. One thread. */
int file_read_input(const char *path, size_t max, int stop_fd, char **data, size_t *len, struct err *e);

/* Whether |path| is a name of standard input or of another descriptor of this process, as file_read_input
 * knows them, and its bytes can be read only once: "-" always, another name unless it leads to a regular
 * file. */
bool file_is_input(const char *path);
bool file_is_stream(const char *path);

/* Frees |text|, which is NUL-terminated, and leaves nothing of it in memory. NULL is allowed. */
void file_forget(char *text);

/* The kind of file by |mode| of a struct stat: "a directory", "a FIFO". */
const char *file_type(mode_t mode);

#endif
