#include "rpc/server/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/linux/users.h"

/* Other processes may remove the folder or the lock file that we are about to use. They do so only when they
 * end at that very moment, so a few attempts are enough. */
#define ATTEMPTS 8

static void lock_path(const struct rpc_socket_file *f, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s.lock", f->address.sun_path);
}

/* The folder that |f| is in; "/" for a file directly below it. */
static void folder_path(const struct rpc_socket_file *f, char out[PATH_MAX])
{
    const char *slash = strrchr(f->address.sun_path, '/');
    size_t n = (size_t)(slash - f->address.sun_path);
    memcpy(out, f->address.sun_path, n);
    snprintf(out + n, PATH_MAX - n, "%s", n ? "" : "/");
}

/* Whether |fd| is still the file at |path|. */
static bool is_at(int fd, const char *path)
{
    struct stat a;
    struct stat b;
    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Lets others enter the folder that was just made, whatever the umask is; anything that somebody has put
 * there instead is left alone. */
static bool open_folder(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool done = fstat(fd, &st) == 0 && st.st_uid == geteuid() && fchmod(fd, 0755) == 0;
    close(fd);
    return done;
}

static int take_lock(struct rpc_socket_file *f)
{
    char path[PATH_MAX];
    char folder[PATH_MAX];
    lock_path(f, path);
    folder_path(f, folder);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0 && errno == ENOENT) {
            if (mkdir(folder, 0755) == 0)
                f->made_folder = open_folder(folder);
            else if (errno != EEXIST)
                return -errno;
            continue;
        }
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int rc = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
            close(fd);
            return rc;
        }
        if (is_at(fd, path)) {
            f->lock = fd;
            return 0;
        }
        close(fd); /* its last holder has removed it meanwhile */
    }
    return -EADDRINUSE;
}

/* Whether it is a socket of our own user that was bound, and that nobody may connect to yet. */
static bool is_unfinished(const struct stat *st)
{
    return S_ISSOCK(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 0777) == 0;
}

/* Removes the socket of a process that is gone. Returns 0 when the path is free now. */
static int clear_stale(const struct rpc_socket_file *f)
{
    struct stat st;
    if (lstat(f->address.sun_path, &st) != 0)
        return 0; /* bind says what is wrong, if anything is */
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return -errno;
    const struct sockaddr *address = (const struct sockaddr *)&f->address;
    int rc = connect(probe, address, sizeof(f->address)) == 0 ? 0 : -errno;
    close(probe);
    /* A socket that was bound and never finished lets nobody connect; a process that is about to finish one has
     * the lock. */
    bool unfinished = rc == -EACCES && is_unfinished(&st);
    if (rc != -ECONNREFUSED &&
        !unfinished) /* connected, or its backlog is full: it lives, with a lock or without */
        return rc == -ENOENT ? 0 : -EADDRINUSE;
    return unlink(f->address.sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

int rpc_socket_file_claim(struct rpc_socket_file *f, const char *path)
{
    *f = (struct rpc_socket_file){.address.sun_family = AF_UNIX, .lock = -1, .file = -1};
    if (path[0] != '/' || strlen(path) >= sizeof(f->address.sun_path))
        return -EINVAL;
    memcpy(f->address.sun_path, path, strlen(path) + 1);
    int rc = take_lock(f);
    if (rc == 0)
        rc = clear_stale(f);
    if (rc)
        rpc_socket_file_release(f);
    return rc;
}

int rpc_socket_file_claim_again(struct rpc_socket_file *f)
{
    char path[PATH_MAX];
    int before = f->lock;
    lock_path(f, path);
    if (before < 0 || !is_at(before, path)) {
        int rc = take_lock(f);
        if (rc)
            return rc;
        if (before >= 0)
            close(before);
    }
    return clear_stale(f);
}

int rpc_socket_file_group(const char *name, gid_t *out, struct err *e)
{
    *out = (gid_t)-1;
    if (!*name)
        return 0;
    int rc = users_group(name, out, e);
    if (rc == ERR_RANGE)
        return err_set(e, rc, "unix_socket_group: %s is no number of a group", name);
    if (rc == ERR_UNKNOWN)
        return err_set(e, rc, "unix_socket_group: there is no group %s", name);
    return rc;
}

/* Keeps a descriptor of the file that has just been bound to. A user that may write to the folder can have put
 * something else there since: a link, or a file that is not a new socket of ours, which nobody may connect to
 * yet. */
static int take_file(struct rpc_socket_file *f)
{
    struct stat st;
    int fd = open(f->address.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int rc = errno == ENOENT ? ERR_GONE : -errno;
        if (lstat(f->address.sun_path, &st) == 0 && is_unfinished(&st))
            unlink(f->address.sun_path);
        return rc;
    }
    if (fstat(fd, &st) == 0 && is_unfinished(&st)) {
        f->file = fd;
        return 0;
    }
    close(fd);
    return ERR_GONE;
}

/* The mode of the file itself, whatever its name leads to by now: proc(5), /proc/PID/fd. */
static int set_mode(const struct rpc_socket_file *f, mode_t mode)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", f->file);
    return chmod(path, mode) == 0 ? 0 : -errno;
}

static int set_group(const struct rpc_socket_file *f, gid_t group)
{
    return fchownat(f->file, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0 ? 0 : -errno;
}

int rpc_socket_file_bind(struct rpc_socket_file *f, int fd, mode_t mode, gid_t group)
{
    /* Linux takes the mode of the file from that of the socket: nobody gets in before the mode is set as
     * wanted. */
    if (fchmod(fd, 0) != 0 || bind(fd, (const struct sockaddr *)&f->address, sizeof(f->address)) != 0)
        return -errno;
    int rc = take_file(f);
    if (rc == 0 && group != (gid_t)-1)
        rc = set_group(f, group);
    return rc ? rc : set_mode(f, mode);
}

bool rpc_socket_file_is_there(const struct rpc_socket_file *f)
{
    return f->file >= 0 && is_at(f->file, f->address.sun_path);
}

int rpc_socket_file_permit(const struct rpc_socket_file *f, mode_t mode, gid_t group)
{
    struct stat st;
    if (!rpc_socket_file_is_there(f))
        return 0;
    if (fstat(f->file, &st) != 0)
        return -errno;
    if (group == (gid_t)-1)
        group = getegid();
    int rc = set_mode(f, st.st_mode & mode);
    if (rc == 0 && group != st.st_gid)
        rc = set_group(f, group);
    return rc ? rc : set_mode(f, mode);
}

void rpc_socket_file_unbind(struct rpc_socket_file *f)
{
    if (rpc_socket_file_is_there(f))
        unlink(f->address.sun_path);
    if (f->file >= 0)
        close(f->file);
    f->file = -1;
}

void rpc_socket_file_release(struct rpc_socket_file *f)
{
    char path[PATH_MAX];
    rpc_socket_file_unbind(f);
    if (f->lock >= 0) {
        lock_path(f, path);
        if (is_at(f->lock, path))
            unlink(path); /* before it is unlocked: a process that has opened it sees that it is gone */
        close(f->lock);
    }
    if (f->made_folder) {
        folder_path(f, path);
        rmdir(path); /* if it is empty */
    }
    *f = (struct rpc_socket_file){.lock = -1, .file = -1};
}
