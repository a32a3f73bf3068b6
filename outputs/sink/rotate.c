#include "outputs/sink/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/decimal.h"

/* ---- Names ---- */

static const char *const compress_suffix[] = {
    [OUTPUT_COMPRESS_NONE] = "", [OUTPUT_COMPRESS_GZIP] = ".gz", [OUTPUT_COMPRESS_ZSTD] = ".zst"};

void rotate_name(const char *base, const struct rotated *r, char out[NAME_MAX + 1])
{
    char number[8] = "";
    if (r->number)
        snprintf(number, sizeof(number), ".%u", r->number);
    snprintf(out, NAME_MAX + 1, "%s.%s%s%s%s", base, r->stamp, number, compress_suffix[r->compress],
             r->part ? ".part" : "");
}

static bool write_stamp(time_t t, char out[ROTATE_STAMP + 1])
{
    struct tm tm;
    return gmtime_r(&t, &tm) && strftime(out, ROTATE_STAMP + 1, "%Y%m%dT%H%M%S", &tm) == ROTATE_STAMP;
}

/* The number that the |n| digits at |text| are; -1 when they are not all digits. */
static int digits(const char *text, size_t n)
{
    uint64_t value;
    return decimal_read(text, n, 9999, &value) ? -1 : (int)value;
}

/* Takes the moment at the begin of |text|, and writes it as it would be written by us: in another way than it stands there,
 * if there is no such day or time. Returns whether there are characters enough. */
static bool read_stamp(const char *text, char out[ROTATE_STAMP + 1])
{
    if (strnlen(text, ROTATE_STAMP) < ROTATE_STAMP)
        return false;
    struct tm tm = {
        .tm_year = digits(text, 4) - 1900,
        .tm_mon = digits(text + 4, 2) - 1,
        .tm_mday = digits(text + 6, 2),
        .tm_hour = digits(text + 9, 2),
        .tm_min = digits(text + 11, 2),
        .tm_sec = digits(text + 13, 2),
    };
    return write_stamp(timegm(&tm), out);
}

static bool take_suffix(const char **rest, const char *suffix)
{
    size_t n = strlen(suffix);
    if (strncmp(*rest, suffix, n) != 0)
        return false;
    *rest += n;
    return true;
}

bool rotate_parse(const char *base, const char *name, struct rotated *out)
{
    char again[NAME_MAX + 1];
    struct rotated r = {.number = 0};
    size_t n = strlen(base);
    if (strncmp(name, base, n) != 0 || name[n] != '.' || !read_stamp(name + n + 1, r.stamp))
        return false;
    const char *rest = name + n + 1 + ROTATE_STAMP;
    size_t n_digits = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
    if (n_digits) {
        uint64_t number;
        if (decimal_read(rest + 1, n_digits, ROTATE_NUMBER_MAX, &number))
            return false;
        r.number = (uint16_t)number;
        rest += 1 + n_digits;
    }
    if (take_suffix(&rest, ".gz"))
        r.compress = OUTPUT_COMPRESS_GZIP;
    else if (take_suffix(&rest, ".zst"))
        r.compress = OUTPUT_COMPRESS_ZSTD;
    r.part = take_suffix(&rest, ".part");
    if (r.part && r.compress == OUTPUT_COMPRESS_NONE)
        return false;
    rotate_name(base, &r, again); /* there is one way only to write it */
    *out = r;
    return strcmp(name, again) == 0;
}

int rotate_order(const struct rotated *a, const struct rotated *b)
{
    int order = strcmp(a->stamp, b->stamp);
    return order ? order : (int)a->number - (int)b->number;
}

int64_t rotate_interval(int64_t wall_ns, int64_t interval_ns)
{
    int64_t n = wall_ns / interval_ns;
    return n - (wall_ns % interval_ns < 0); /* before 1970 the division rounds up */
}

/* ---- Files ---- */

bool rotate_leads_to(int folder, const char *name, int fd)
{
    struct stat a, b;
    return fstatat(folder, name, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool is_regular(int folder, const struct dirent *d)
{
    struct stat st;
    if (d->d_type != DT_UNKNOWN)
        return d->d_type == DT_REG;
    return fstatat(folder, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int compare(const void *a, const void *b)
{
    return rotate_order(a, b);
}

/* Reads |dir| to its end. Returns 0 or -errno. */
static int read_names(DIR *dir, const char *base, struct rotated **list, size_t *n)
{
    size_t room = 0;
    const struct dirent *d;
    struct rotated r;
    while (errno = 0, (d = readdir(dir))) {
        if (!rotate_parse(base, d->d_name, &r) || !is_regular(dirfd(dir), d))
            continue;
        if (array_room(list, *n + 1, &room, sizeof(**list)))
            return -ENOMEM;
        (*list)[(*n)++] = r;
    }
    return -errno;
}

int rotate_list(int folder, const char *base, struct rotated **list, size_t *n)
{
    *list = NULL;
    *n = 0;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = read_names(dir, base, list, n);
    closedir(dir);
    if (rc) {
        free(*list);
        *list = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*list, *n, sizeof(**list), compare);
    }
    return rc;
}

/* Renames |base| to |name|, which must not exist. Returns 0 or -errno. */
static int rename_new(int folder, const char *base, const char *name)
{
    if (renameat2(folder, base, folder, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* this file system cannot do both at once */
        return -EEXIST;
    return renameat(folder, base, folder, name) == 0 ? 0 : -errno;
}

int rotate_put_aside(int folder, const char *base, int64_t wall_ns, struct rotated *out)
{
    char name[NAME_MAX + 1];
    struct rotated *list, r = {.number = 0};
    size_t n;
    if (!write_stamp((time_t)(wall_ns / NS_PER_S), r.stamp))
        return ERR_RANGE;
    int rc = rotate_list(folder, base, &list, &n);
    if (rc)
        return rc;
    unsigned number = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].stamp, r.stamp) == 0)
            number = list[i].number + 1U; /* they are in order */
    }
    free(list);
    rc = -EEXIST;
    for (; rc == -EEXIST && number <= ROTATE_NUMBER_MAX; number++) {
        r.number = (uint16_t)number;
        rotate_name(base, &r, name);
        rc = rename_new(folder, base, name);
    }
    *out = r;
    return rc;
}

int rotate_prune(int folder, const char *base, uint32_t keep, const struct rotated *newest)
{
    char name[NAME_MAX + 1];
    struct rotated *list;
    size_t n;
    if (keep == 0)
        return 0;
    int rc = rotate_list(folder, base, &list, &n);
    const struct rotated *last = newest;
    uint32_t kept = 1;
    while (n-- > 0) {
        const struct rotated *r = &list[n];
        if (r->part || rotate_order(r, newest) == 0) /* who compresses the former removes it */
            continue;
        kept += rotate_order(r, last) != 0;
        last = r;
        if (kept <= keep)
            continue;
        rotate_name(base, r, name);
        if (unlinkat(folder, name, 0) != 0 && errno != ENOENT && rc == 0)
            rc = -errno;
    }
    free(list);
    return rc;
}

int rotate_claim(int folder, const char *name)
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = ERR_TYPE;
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) /* some file systems have no locks */
        rc = ERR_PRECONDITION;
    else if (!rotate_leads_to(folder, name, fd))
        rc = -ENOENT; /* the one who had claimed it is done with it */
    if (rc)
        close(fd);
    return rc ? rc : fd;
}

void rotate_tidy(int folder, const char *base)
{
    char name[NAME_MAX + 1];
    struct rotated *list;
    size_t n;
    if (rotate_list(folder, base, &list, &n))
        return; /* rotating will tell why */
    for (size_t i = 0; i < n; i++) {
        struct rotated source = list[i];
        if (!source.part)
            continue;
        source.part = false;
        source.compress = OUTPUT_COMPRESS_NONE;
        rotate_name(base, &source, name);
        int fd = rotate_claim(folder, name);
        if (fd == ERR_PRECONDITION)
            continue;
        rotate_name(base, &list[i], name);
        (void)unlinkat(folder, name, 0);
        if (fd >= 0)
            close(fd);
    }
    free(list);
}
