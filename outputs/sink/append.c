#include "outputs/sink/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"

void append_init(struct append *a, int fd, const char *name)
{
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    *a = (struct append){.fd = fd, .name = name, .at_end = flags != -1 && (flags & O_APPEND)};
}

off_t append_place(const struct append *a)
{
    struct stat st;
    if (!a->at_end) {
        off_t at = lseek(a->fd, 0, SEEK_CUR);
        return at < 0 ? -errno : at;
    }
    return fstat(a->fd, &st) == 0 ? st.st_size : -errno;
}

/* Returns 0, ERR_STALE when somebody else has written behind it, or -errno. */
static int cut_off(const struct append *a)
{
    struct stat st;
    if (fstat(a->fd, &st) != 0)
        return -errno;
    if (st.st_size != a->torn_end)
        return ERR_STALE;
    if (ftruncate(a->fd, a->torn) != 0 || (!a->at_end && lseek(a->fd, a->torn, SEEK_SET) < 0))
        return -errno;
    return 0;
}

int append_mend(struct append *a)
{
    int rc = a->torn == a->torn_end ? 0 : cut_off(a);
    if (rc == ERR_STALE || rc == -EPERM) { /* the latter: chattr +a */
        log_limited(LOG_WARN, "output", "%s: a part of a message stays in it: %s", a->name,
                    rc == ERR_STALE ? "somebody else has written behind it" : err_name(rc));
        rc = 0;
    }
    if (rc == 0)
        a->torn = a->torn_end = 0;
    return rc;
}

int append_take_back(struct append *a, off_t begin, off_t end)
{
    a->torn = begin;
    a->torn_end = end;
    return append_mend(a);
}

/* Writes until everything is written or an error comes. Returns 0 or -errno, and in |done| the bytes written. */
static int write_all(int fd, const uint8_t *data, size_t len, size_t *done)
{
    *done = 0;
    while (*done < len) {
        ssize_t n = write(fd, data + *done, len - *done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        *done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int append_write(struct append *a, const void *data, size_t len)
{
    size_t done;
    int rc = append_mend(a);
    if (rc)
        return rc;
    off_t begin = append_place(a);
    if (begin < 0)
        return (int)begin;
    rc = write_all(a->fd, data, len, &done);
    if (rc && done)
        (void)append_take_back(a, begin, begin + (off_t)done); /* if it fails, the next call tries again */
    return rc;
}
