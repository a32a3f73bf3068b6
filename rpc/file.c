#include "rpc/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rpc_file_read(const char *path, char **out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, err_name(-errno));
    char *text = malloc(RPC_FILE_MAX);
    if (!text) {
        close(fd);
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    }
    size_t n = 0;
    ssize_t got = 1;
    while (got > 0 && n < RPC_FILE_MAX) {
        got = read(fd, text + n, RPC_FILE_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    int rc = got < 0 ? -errno : n == RPC_FILE_MAX ? ERR_RANGE : 0;
    close(fd);
    if (rc == 0) {
        text[n] = '\0';
        *out = strdup(text); /* which is as long as it has to be */
        rc = *out ? 0 : -ENOMEM;
    }
    explicit_bzero(text, n);
    free(text);
    return rc ? err_set(e, rc, "%s: %s", path, rc == ERR_RANGE ? "is too long" : err_name(rc)) : 0;
}

void rpc_file_forget(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
