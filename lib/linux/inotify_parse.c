#include "lib/linux/inotify_parse.h"

#include "lib/err.h"

#include <string.h>
#include <sys/inotify.h>

int inotify_next(struct cursor *c, struct inotify_item *item)
{
    if (!c->failed && cursor_left(c) == 0)
        return 0;
    struct inotify_event head;
    cursor_copy(c, &head, sizeof(head));
    const char *name = (const char *)cursor_take(c, head.len);
    if (c->failed)
        return ERR_TRUNCATED;
    *item = (struct inotify_item){.wd = head.wd, .mask = head.mask, .name = head.len ? name : NULL};
    if (!item->name)
        return 1;
    if (!memchr(name, '\0', head.len) || !*name || strchr(name, '/') || !strcmp(name, ".") ||
        !strcmp(name, ".."))
        return ERR_MALFORMED;
    return 1;
}
