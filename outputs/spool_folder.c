#include "outputs/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/ascii.h"

#define LOCK_FILE "lock"

/* Names of segments are numbers with leading zeros and a suffix. */
#define DIGITS 16
#define SUFFIX ".spool"

/* ---- Opening ---- */

static int check_owner(const char *path, int dir, struct err *e)
{
    struct stat st;
    if (fstat(dir, &st) != 0)
        return err_set(e, -errno, "%s: %s", path, err_name(-errno));
    if (st.st_uid != geteuid())
        return err_set(e, ERR_PERMISSION,
                       "%s: belongs to user %u; a spool has to belong to user %u, who writes it", path,
                       (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(e, ERR_PERMISSION, "%s: has mode %04o; nobody but its owner may write to a spool",
                       path, (unsigned)st.st_mode & 07777u);
    return 0;
}

/* Puts the name of the new folder |dir| on the disk. */
static void sync_parent(int dir)
{
    int fd = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* it may be passed through, and no more */
    (void)fsync(fd);
    close(fd);
}

static int open_dir(const char *path, int *dir, struct err *e)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return err_set(e, -errno, "%s: cannot be made: %s", path, err_name(-errno));
    *dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*dir < 0 && (errno == ENOTDIR || errno == ELOOP))
        return err_set(e, ERR_TYPE, "%s: is a file or a link; a spool is a folder", path);
    if (*dir < 0)
        return err_set(e, -errno, "%s: cannot be opened: %s", path, err_name(-errno));
    if (made)
        sync_parent(*dir);
    return check_owner(path, *dir, e);
}

static int lock_dir(const char *path, struct spool_folder *f, struct err *e)
{
    f->lock = openat(f->dir, LOCK_FILE, O_RDWR | O_CREAT | SPOOL_OPEN_FLAGS, 0600);
    if (f->lock < 0)
        return err_set(e, -errno, "%s/%s: cannot be opened: %s", path, LOCK_FILE, err_name(-errno));
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_PRECONDITION, "%s: is in use; a spool belongs to one output of one process",
                       path);
    return err_set(e, -errno, "%s/%s: cannot be locked: %s", path, LOCK_FILE, err_name(-errno));
}

int spool_folder_open(const char *path, struct spool_folder *out, struct err *e)
{
    *out = (struct spool_folder){.dir = -1, .lock = -1};
    int rc = open_dir(path, &out->dir, e);
    return rc ? rc : lock_dir(path, out, e);
}

void spool_folder_close(struct spool_folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    if (f->dir >= 0)
        close(f->dir);
    *f = (struct spool_folder){.dir = -1, .lock = -1};
}

/* ---- Names ---- */

void spool_segment_name(uint64_t number, char out[SPOOL_NAME_SIZE])
{
    snprintf(out, SPOOL_NAME_SIZE, "%0*llu%s", DIGITS, (unsigned long long)number, SUFFIX);
}

/* The number of the segment that is called |name|; 0: it is no such name. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (!ascii_is_digit(name[i]))
            return 0;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    return strcmp(name + DIGITS, SUFFIX) == 0 ? number : 0;
}

static int read_names(DIR *dir, uint64_t **list, size_t *n)
{
    size_t room = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        uint64_t number = number_of(entry->d_name);
        if (number == 0)
            continue;
        if (array_room(list, *n + 1, &room, sizeof(**list)))
            return -ENOMEM;
        (*list)[(*n)++] = number;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int spool_folder_segments(int dir, uint64_t **list, size_t *n)
{
    *list = NULL;
    *n = 0;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        close(fd);
        return -ENOMEM;
    }
    int rc = read_names(stream, list, n);
    closedir(stream);
    if (*n)
        qsort(*list, *n, sizeof(**list), compare);
    return rc;
}
