/* The destination file:/PATH.
 *
 * The file is opened when there is something to send, and again when it is not at its path any more: somebody has moved
 * or removed it. It is put aside (outputs/sink/rotate.h) in front of a message, when it is long enough or of
 * another interval of the clock than the message; so is one of an earlier run of the program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "outputs/sink/append.h"
#include "outputs/sink/compress.h"
#include "outputs/sink/rotate.h"
#include "outputs/sink/sink.h"

/* Attempts to open a file that others make and remove meanwhile. */
#define OPEN_TRIES 8

struct file_sink {
    const struct output_file_options *options;
    const char *path; /* lives as long as the sink */
    const char *base; /* its last name */
    char *folder;
    char *name; /* for errors and the log: "file:/PATH" */
    mode_t mode;
    struct append file; /* .fd is -1 while it is closed */
    dev_t dev;          /* of the open file */
    ino_t ino;
    bool regular;                  /* it is not /dev/null */
    bool fresh;                    /* /dev/null has just been opened */
    bool tidy;                     /* leftovers of an earlier run have been looked for */
    off_t size;                    /* when it was looked at last */
    int64_t interval;              /* that its contents are of */
    struct compressor *compressor; /* NULL: rotated files are not compressed */
};

static bool rotates(const struct file_sink *s)
{
    return s->options->rotate_size || s->options->rotate_interval;
}

/* The interval of |wall_ns|; always the same without intervals. */
static int64_t interval_of(const struct file_sink *s, int64_t wall_ns)
{
    return s->options->rotate_interval ? rotate_interval(wall_ns, s->options->rotate_interval) : 0;
}

/* ---- Life ---- */

static void file_free(struct file_sink *s)
{
    compressor_free(s->compressor);
    free(s->folder);
    free(s->name);
    free(s);
}

static int read_mode(const char *text, mode_t *out, struct err *e)
{
    unsigned mode = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '7' || mode > 0777)
            mode = 01000;
        else
            mode = mode * 8 + (unsigned)(*c - '0');
    }
    if (mode > 0777 || !(mode & S_IWUSR))
        return err_set(e, ERR_RANGE,
                       "mode: value \"%s\", allowed 0200 to 0777, such that the owner may write", text);
    *out = mode;
    return 0;
}

/* Takes |path| apart. Returns 0, ERR_MALFORMED when it cannot be that of a file, or -ENOMEM. */
static int read_path(struct file_sink *s, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    size_t room = NAME_MAX - (rotates(s) ? ROTATE_ADDS_MAX : 0);
    if (!slash || slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
        return err_set(e, ERR_MALFORMED, "to: value \"file:%s\" is a folder, not a file", path);
    if (strlen(slash + 1) > room)
        return err_set(e, ERR_RANGE,
                       "to: value \"file:%s\", allowed a name of up to %zu bytes in its folder%s", path, room,
                       rotates(s) ? ", so that rotated files can have longer ones" : "");
    s->path = path;
    s->base = slash + 1;
    s->folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!s->folder || asprintf(&s->name, "file:%s", path) < 0) {
        s->name = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    return 0;
}

static int file_open(const struct sink_env *env, void **out, struct err *e)
{
    struct file_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->options = env->options;
    append_init(&s->file, -1, NULL);
    int rc = read_mode(s->options->mode, &s->mode, e);
    if (rc == 0)
        rc = read_path(s, env->url->path, e);
    if (rc == 0 && rotates(s) && s->options->compress != OUTPUT_COMPRESS_NONE) {
        s->compressor = compressor_new(s->path, s->options->compress);
        rc = s->compressor ? 0 : err_set(e, -ENOMEM, "out of memory");
    }
    if (rc) {
        file_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* The open file is done: nothing more will be written to it. */
static void finish(struct file_sink *s)
{
    int fd = s->file.fd;
    if (fd < 0)
        return;
    int rc = append_mend(&s->file);
    if (rc)
        log_limited(LOG_WARN, "output", "%s: a part of a message stays in it: %s", s->name, err_name(rc));
    if (s->options->fsync != OUTPUT_FSYNC_NONE && s->regular && fdatasync(fd) != 0)
        log_limited(LOG_ERROR, "output", "%s: may not be on disk completely: %s", s->name, err_name(-errno));
    if (close(fd) != 0)
        log_limited(LOG_ERROR, "output", "%s: may not be written completely: %s", s->name, err_name(-errno));
    append_init(&s->file, -1, s->name);
}

static void file_close(void *sink)
{
    struct file_sink *s = sink;
    finish(s);
    file_free(s);
}

static void file_reopen(void *sink)
{
    finish(sink);
}

/* ---- Opening ---- */

static int check_type(const struct file_sink *s, const struct stat *st, struct err *e)
{
    bool null =
        S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3); /* Documentation/admin-guide/devices.txt */
    if (S_ISREG(st->st_mode) || null)
        return 0;
    return err_set(e, ERR_TYPE, "%s: is %s; allowed is a regular file or /dev/null", s->name,
                   file_type(st->st_mode));
}

/* Makes the file. Returns its descriptor, -EEXIST when there is one already, or -errno. */
static int make_file(const struct file_sink *s, int folder)
{
    int fd =
        openat(folder, s->base, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, s->mode);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, s->mode) != 0) /* whatever the umask says */
        log_limited(LOG_WARN, "output", "%s: its mode is not that of the option: %s", s->name,
                    err_name(-errno));
    if (s->options->fsync != OUTPUT_FSYNC_NONE) {
        int names = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (names < 0 || fsync(names) != 0)
            log_limited(LOG_WARN, "output", "%s: its name may not be on disk: %s", s->name, err_name(-errno));
        if (names >= 0)
            close(names);
    }
    return fd;
}

/* Opens the file that exists. A FIFO is not waited for, a terminal does not become ours; what is no file is not opened at
 * all, since that alone can have an effect. Returns its descriptor, -ENOENT when there is none, or another code. */
static int open_file(const struct file_sink *s, int folder, struct err *e)
{
    struct stat st;
    if (fstatat(folder, s->base, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    int rc = check_type(s, &st, e);
    if (rc)
        return rc;
    int fd = openat(folder, s->base, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Opens the file or makes it. Returns its descriptor or a code, with |e|. */
static int open_or_make(const struct file_sink *s, int folder, struct err *e)
{
    int fd = -ENOENT;
    for (int i = 0; i < OPEN_TRIES && (fd == -ENOENT || fd == -EEXIST); i++) {
        fd = open_file(s, folder, e);
        if (fd == -ENOENT)
            fd = make_file(s, folder);
    }
    if (fd < 0 && fd != ERR_TYPE)
        return err_set(e, fd, "%s: cannot open: %s", s->name, err_name(fd));
    return fd;
}

/* |fd| is the file from now on. */
static int take_file(struct file_sink *s, int fd, struct err *e)
{
    struct stat st;
    int rc =
        fstat(fd, &st) != 0 ? err_set(e, -errno, "%s: %s", s->name, err_name(-errno)) : check_type(s, &st, e);
    if (rc)
        return rc;
    append_init(&s->file, fd, s->name);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->regular = S_ISREG(st.st_mode);
    s->fresh = true;
    s->interval = interval_of(s, st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec);
    return 0;
}

/* Looks for what an earlier run has left half compressed, and for what it has not compressed. */
static void tidy(struct file_sink *s, int folder)
{
    if (s->tidy || !rotates(s) || !s->regular)
        return;
    s->tidy = true;
    rotate_tidy(folder, s->base);
    if (s->compressor)
        compressor_wake(s->compressor);
}

static int open_folder(const struct file_sink *s)
{
    int fd = open(s->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Opens the file at its path. Returns 0, or a code with |e|. */
static int open_anew(struct file_sink *s, struct err *e)
{
    int folder = open_folder(s);
    if (folder < 0)
        return err_set(e, folder, "%s: cannot open its folder: %s", s->name, err_name(folder));
    int fd = open_or_make(s, folder, e);
    int rc = fd < 0 ? fd : take_file(s, fd, e);
    if (rc == 0)
        tidy(s, folder);
    else if (fd >= 0)
        close(fd);
    close(folder);
    return rc;
}

/* ---- Rotation ---- */

/* Whether the open file is not at its path any more; it is when that cannot be told. */
static bool is_elsewhere(const struct file_sink *s)
{
    struct stat st;
    if (lstat(s->path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR;
    return st.st_dev != s->dev || st.st_ino != s->ino;
}

/* Looks at the open file. Returns 0 or -errno. */
static int look(struct file_sink *s)
{
    struct stat st;
    if (fstat(s->file.fd, &st) != 0)
        return -errno;
    s->size = st.st_size;
    if (s->size == 0)
        s->interval = interval_of(s, clock_wall_ns()); /* that of what will be in it */
    return 0;
}

static bool is_due(const struct file_sink *s)
{
    const struct output_file_options *o = s->options;
    if (!s->regular || s->size == 0)
        return false;
    return (o->rotate_size && (uint64_t)s->size >= o->rotate_size) ||
           interval_of(s, clock_wall_ns()) != s->interval;
}

/* Puts the file aside and closes it. Returns 0 or a code, then it stays the file. */
static int put_aside(struct file_sink *s, int folder)
{
    struct rotated r;
    int rc = rotate_put_aside(folder, s->base, clock_wall_ns(), &r);
    if (rc)
        return rc;
    finish(s);
    rc = rotate_prune(folder, s->base, s->options->rotate_keep, &r);
    if (rc)
        log_limited(LOG_WARN, "output", "%s: cannot remove rotated files: %s", s->name, err_name(rc));
    if (s->compressor)
        compressor_wake(s->compressor);
    return 0;
}

/* A file that cannot be put aside is written to as before, which is better than not at all. */
static void rotate(struct file_sink *s)
{
    int folder = open_folder(s);
    int rc = folder < 0 ? folder : put_aside(s, folder);
    if (rc)
        log_limited(LOG_WARN, "output", "%s: cannot put it aside, it grows on: %s", s->name, err_name(rc));
    if (folder >= 0)
        close(folder);
}

/* ---- Sending ---- */

/* Opens the file unless it is open, and looks at it. Returns 0, or a code with |e|. */
static int be_open(struct file_sink *s, struct err *e)
{
    int rc = s->file.fd < 0 ? open_anew(s, e) : 0;
    if (rc)
        return rc;
    rc = look(s);
    if (rc)
        finish(s); /* the file system has forgotten it, as NFS does */
    else
        rc = append_mend(&s->file);
    return rc ? err_set(e, rc, "%s: %s", s->name, err_name(rc)) : 0;
}

static enum sink_result file_connect(void *sink, bool *fresh, struct err *e)
{
    struct file_sink *s = sink;
    if (s->file.fd >= 0 && is_elsewhere(s))
        finish(s);
    int rc = be_open(s, e);
    if (rc == 0 && is_due(s)) {
        rotate(s);
        rc = be_open(s, e);
    }
    if (rc)
        return SINK_BROKEN;
    *fresh = s->regular ? s->size == 0 : s->fresh;
    return SINK_DONE;
}

/* Writes the messages one after the other until one fails. Returns how many are written; then |rc| is 0 or -errno. */
static size_t write_messages(struct file_sink *s, const struct sink_message *list, size_t n, int *rc)
{
    *rc = 0;
    for (size_t i = 0; i < n; i++) {
        *rc = append_write(&s->file, list[i].data, list[i].len);
        if (*rc)
            return i;
    }
    return n;
}

/* Waits until the first |n| messages are on disk, which were written from |begin| on. Returns 0; or -errno, and they are not in
 * the file any more, as far as that can be: what the system did not write it may have forgotten. */
static int wait_for_disk(struct file_sink *s, const struct sink_message *list, size_t n, off_t begin)
{
    if (n == 0 || !s->regular || s->options->fsync != OUTPUT_FSYNC_BATCH || fdatasync(s->file.fd) == 0)
        return 0;
    int rc = -errno;
    off_t end = begin;
    for (size_t i = 0; i < n; i++)
        end += (off_t)list[i].len;
    if (s->file.torn != s->file.torn_end)
        end = s->file.torn_end;
    (void)append_take_back(&s->file, begin, end); /* if it fails, connect tries again */
    return rc;
}

static void file_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct file_sink *s = sink;
    int rc, failed;
    off_t begin = append_place(&s->file);
    size_t done = write_messages(s, list, n, &rc);
    failed = begin < 0 ? 0 : wait_for_disk(s, list, done, begin);
    if (failed)
        done = 0;
    for (size_t i = 0; i < n; i++)
        list[i].result = i < done ? SINK_DONE : SINK_AGAIN;
    if (done < n)
        err_set(e, failed ? failed : rc, "%s: %s", s->name, err_name(failed ? failed : rc));
    else if (n)
        s->fresh = false;
}

const struct sink_ops xtcp_sink_file = {
    .abi = SINK_ABI,
    .open = file_open,
    .connect = file_connect,
    .send = file_send,
    .reopen = file_reopen,
    .close = file_close,
};
