#include "outputs/sink/http_dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "outputs/sink/append.h"

/* Checks that |fd| is a regular file with room for |len| bytes. */
static int check(int fd, const char *path, size_t len, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(e, -errno, "%s: %s", path, err_name(-errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_TYPE, "%s: is %s, not a regular file", path, file_type(st.st_mode));
    if (st.st_size > HTTP_DEAD_LETTER_MAX || (long long)len > HTTP_DEAD_LETTER_MAX - st.st_size)
        return err_set(e, ERR_LIMIT, "%s: is full: it may have %lld MiB", path, HTTP_DEAD_LETTER_MAX >> 20);
    return 0;
}

int http_dead_letter(const char *path, const void *data, size_t len, struct err *e)
{
    struct append a;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0)
        return err_set(e, -errno, "%s: cannot open: %s", path,
                       errno == ELOOP ? "it is a symbolic link" : err_name(-errno));
    int rc = check(fd, path, len, e);
    if (rc == 0) {
        append_init(&a, fd, path);
        rc = append_write(&a, data, len);
        if (rc)
            err_set(e, rc, "%s: cannot write: %s", path, err_name(rc));
    }
    close(fd);
    return rc;
}
