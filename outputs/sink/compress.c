#include "outputs/sink/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "outputs/sink/rotate.h"

/* The longest time that the end may take. */
#define END_NS (2 * NS_PER_S)

/* What is read and written at a time; between two reads a stop is noticed. */
#define READ_BLOCK  (128 * 1024)
#define WRITE_BLOCK (32 * 1024)

#define GZIP_LEVEL  6
#define GZIP_WINDOW (15 + 16) /* of 32 KiB, with the head and the end of a gzip file: zlib.h, deflateInit2 */
#define GZIP_MEMORY 8         /* the default there */
#define ZSTD_LEVEL  3
#define NICE        10

struct compressor {
    char *path;       /* of the file whose rotated files are compressed */
    const char *base; /* its last name */
    char *folder;
    enum output_compress how;
    struct thread thread; /* the owner's */
    _Atomic bool stop;
    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t changed;
    bool running;   /* the thread */
    bool wanted;    /* it is to look again */
    bool abandoned; /* it frees all of this at its end */
};

/* ---- Bytes ---- */

/* A file on its way from |in| to |out|. */
struct packing {
    const _Atomic bool *stop;
    int in;
    int out;
    uint64_t read; /* bytes so far */
    uint8_t input[READ_BLOCK];
    uint8_t output[WRITE_BLOCK];
};

/* Reads the next bytes. Returns how many, 0 at the end, -errno or ERR_CANCELLED. */
static ssize_t fill(struct packing *p)
{
    ssize_t n;
    if (*p->stop)
        return ERR_CANCELLED;
    do
        n = read(p->in, p->input, READ_BLOCK);
    while (n < 0 && errno == EINTR);
    p->read += n > 0 ? (uint64_t)n : 0;
    return n < 0 ? -errno : n;
}

/* Writes the first |n| bytes of the output. Returns 0 or -errno. */
static int drain(const struct packing *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t written = write(p->out, p->output + done, n - done);
        if (written < 0 && errno != EINTR)
            return -errno;
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int deflate_block(struct packing *p, z_stream *z, size_t n)
{
    int rc;
    z->next_in = p->input;
    z->avail_in = (uInt)n;
    do {
        z->next_out = p->output;
        z->avail_out = WRITE_BLOCK;
        (void)deflate(z, n ? Z_NO_FLUSH : Z_FINISH); /* cannot fail with room for output */
        rc = drain(p, WRITE_BLOCK - z->avail_out);
    } while (rc == 0 && z->avail_out == 0);
    return rc;
}

static int pack_gzip(struct packing *p)
{
    z_stream z = {.zalloc = Z_NULL};
    ssize_t n;
    int rc = 0;
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    do {
        n = fill(p);
        rc = n < 0 ? (int)n : deflate_block(p, &z, (size_t)n);
    } while (rc == 0 && n > 0);
    deflateEnd(&z);
    return rc;
}

/* The last block has no bytes. */
static int zstd_block(struct packing *p, ZSTD_CCtx *z, size_t n)
{
    ZSTD_inBuffer in = {.src = p->input, .size = n};
    size_t left;
    do {
        ZSTD_outBuffer out = {.dst = p->output, .size = WRITE_BLOCK};
        left = ZSTD_compressStream2(z, &out, &in, n ? ZSTD_e_continue : ZSTD_e_end);
        if (ZSTD_isError(left))
            return -ENOMEM; /* nothing else can be wrong */
        int rc = drain(p, out.pos);
        if (rc)
            return rc;
    } while (n ? in.pos < in.size : left > 0);
    return 0;
}

static int pack_zstd(struct packing *p)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ssize_t n;
    int rc;
    if (!z)
        return -ENOMEM;
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    do {
        n = fill(p);
        rc = n < 0 ? (int)n : zstd_block(p, z, (size_t)n);
    } while (rc == 0 && n > 0);
    ZSTD_freeCCtx(z);
    return rc;
}

/* ---- One file ---- */

/* Compresses all of |in| into the empty file |out|, which is on disk then. Returns 0, -errno, ERR_CANCELLED, or ERR_STALE when
 * |in| is still written to. */
static int pack(const struct compressor *c, int in, int out)
{
    struct stat st = {.st_size = 0};
    struct packing *p = malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->stop = &c->stop;
    p->in = in;
    p->out = out;
    p->read = 0;
    int rc = c->how == OUTPUT_COMPRESS_GZIP ? pack_gzip(p) : pack_zstd(p);
    uint64_t bytes = p->read;
    free(p);
    if (rc == 0 && (fdatasync(out) != 0 || fstat(in, &st) != 0))
        rc = -errno;
    if (rc)
        return rc;
    struct timespec times[] = {st.st_atim, st.st_mtim};
    (void)futimens(out, times); /* for people who look at the folder */
    return (uint64_t)st.st_size == bytes ? 0 : ERR_STALE;
}

/* The names that a file has on its way. */
struct names {
    char source[NAME_MAX + 1];
    char part[NAME_MAX + 1];
    char done[NAME_MAX + 1];
};

static void make_names(const struct compressor *c, struct rotated r, struct names *names)
{
    rotate_name(c->base, &r, names->source);
    r.compress = c->how;
    rotate_name(c->base, &r, names->done);
    r.part = true;
    rotate_name(c->base, &r, names->part);
}

/* Makes the file in which |in| is compressed, with the same mode. Returns its descriptor or -errno. */
static int make_part(int folder, const char *name, int in)
{
    struct stat st;
    if (fstat(in, &st) != 0 || (unlinkat(folder, name, 0) != 0 && errno != ENOENT))
        return -errno;
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)fchmod(fd, st.st_mode & 0777); /* some file systems have no modes */
    return fd < 0 ? -errno : fd;
}

/* The source stays when it is not there under its name any more: it was one too many meanwhile. */
static int replace_source(int folder, const struct names *names, int in)
{
    if (!rotate_leads_to(folder, names->source, in))
        return -ENOENT;
    if (renameat(folder, names->part, folder, names->done) != 0)
        return -errno;
    return unlinkat(folder, names->source, 0) == 0 ? 0 : -errno;
}

static int compress_claimed(const struct compressor *c, int folder, const struct names *names, int in)
{
    int out = make_part(folder, names->part, in);
    if (out < 0)
        return out;
    int rc = pack(c, in, out);
    if (close(out) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        rc = replace_source(folder, names, in);
    if (rc)
        (void)unlinkat(folder, names->part, 0);
    return rc;
}

static void compress_file(const struct compressor *c, int folder, const struct rotated *r)
{
    struct names names;
    make_names(c, *r, &names);
    int in = rotate_claim(folder, names.source);
    int rc = in < 0 ? in : compress_claimed(c, folder, &names, in);
    if (in >= 0)
        close(in);
    bool nobody_minds = rc == -ENOENT || rc == ERR_PRECONDITION || rc == ERR_CANCELLED;
    if (rc && !nobody_minds)
        log_warn("output", "file:%s: %s stays as it is: cannot compress it: %s", c->path, names.source,
                 rc == ERR_STALE ? "somebody is writing to it" : err_name(rc));
}

/* ---- The thread ---- */

/* Compresses what is there now. Returns 0 or -errno. */
static int compress_folder(const struct compressor *c, int folder)
{
    struct rotated *list;
    size_t n;
    int rc = rotate_list(folder, c->base, &list, &n);
    for (size_t i = 0; i < n && !c->stop; i++) {
        if (list[i].compress == OUTPUT_COMPRESS_NONE)
            compress_file(c, folder, &list[i]);
    }
    free(list);
    return rc;
}

static void compress_all(const struct compressor *c)
{
    int folder = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = folder < 0 ? -errno : compress_folder(c, folder);
    if (rc)
        log_limited(LOG_WARN, "output", "file:%s: cannot look for files to compress: %s", c->path,
                    err_name(rc));
    if (folder >= 0)
        close(folder);
}

static void compressor_release(struct compressor *c)
{
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->path);
    free(c->folder);
    free(c);
}

static void *compressor_run(void *arg)
{
    struct compressor *c = arg;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* of this thread; collecting goes first */
    pthread_mutex_lock(&c->lock);
    while (c->wanted && !c->stop) {
        c->wanted = false;
        pthread_mutex_unlock(&c->lock);
        compress_all(c);
        pthread_mutex_lock(&c->lock);
    }
    c->running = false;
    bool abandoned = c->abandoned;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (abandoned)
        compressor_release(c);
    return NULL;
}

struct compressor *compressor_new(const char *path, enum output_compress how)
{
    struct compressor *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    thread_cond_init(&c->changed);
    pthread_mutex_init(&c->lock, NULL);
    c->how = how;
    c->path = strdup(path);
    c->folder = strdup(path);
    if (!c->path || !c->folder) {
        compressor_release(c);
        return NULL;
    }
    size_t n = (size_t)(strrchr(path, '/') + 1 - path); /* the folder, with its slash */
    c->base = c->path + n;
    c->folder[n] = '\0';
    return c;
}

void compressor_wake(struct compressor *c)
{
    pthread_mutex_lock(&c->lock);
    bool start = !c->running;
    c->wanted = true;
    c->running = true;
    pthread_mutex_unlock(&c->lock);
    if (!start)
        return;
    thread_join(&c->thread); /* the one before, which has ended */
    int rc = thread_start(&c->thread, "compress", 0, compressor_run, c);
    if (rc) {
        log_limited(LOG_WARN, "output", "file:%s: cannot compress: %s", c->path, thread_error(rc));
        c->running = false; /* there is no other thread */
    }
}

/* Returns whether the thread came to its end in time; if not, |c| is no longer the caller's. */
static bool wait_for_end(struct compressor *c)
{
    int64_t deadline_ns = clock_mono_ns() + END_NS;
    pthread_mutex_lock(&c->lock);
    while (c->running && thread_cond_wait(&c->changed, &c->lock, deadline_ns))
        continue;
    bool ended = !c->running;
    c->abandoned = !ended;
    pthread_mutex_unlock(&c->lock);
    return ended;
}

void compressor_free(struct compressor *c)
{
    if (!c)
        return;
    c->stop = true;
    struct thread thread = c->thread;
    if (!wait_for_end(c)) {
        thread_abandon(&thread);
        return;
    }
    thread_join(&c->thread);
    compressor_release(c);
}
