/* Finds a reason why a name never becomes a namespace: in a container, the host's bind mounts reach a
 * directory only if the mount that it is on receives them. */
#include "nswatch/watcher.h"

#include "lib/clock.h"
#include "nswatch/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEP_NS      (10 * NS_PER_S)
#define TEXT_MAX     (16 << 20) /* 100,000 mounts, the kernel's default limit */
#define TEXT_INITIAL 65536

/* The contents of |path|, for free(3); NULL when it cannot be read or is too long. */
static char *read_all(const char *path, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t used = 0, size = TEXT_INITIAL;
    bool done = false;
    while (fd >= 0 && !done && size <= TEXT_MAX) {
        char *grown = realloc(text, size);
        if (!grown)
            break;
        text = grown;
        ssize_t n;
        while ((n = read(fd, text + used, size - used)) > 0 || (n < 0 && errno == EINTR))
            used += n > 0 ? (size_t)n : 0;
        if (n < 0 && used < size)
            break;
        done = used < size;
        size *= 2;
    }
    if (fd >= 0)
        close(fd);
    if (!done) {
        free(text);
        return NULL;
    }
    *length = used;
    return text;
}

void propagation_learn(struct watcher *w, struct ns_dir *dir, int64_t now_ns)
{
    if (now_ns < dir->known_until_ns)
        return;
    dir->known_until_ns = now_ns + KEEP_NS;
    size_t length;
    char *text = read_all(w->mountinfo_path, &length);
    if (!text)
        return;
    struct mountinfo_entry entry;
    dir->private_mount = mountinfo_find(text, length, dir->path, &entry) && !entry.shared && !entry.slave;
    free(text);
}
