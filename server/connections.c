#include "server/connections.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

struct connection {
    int fd;
    uint64_t cookie; /* SO_COOKIE */
};

struct connections {
    struct connection *items;
    size_t n;
    size_t room;
};

int connections_new(struct connections **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : -ENOMEM;
}

void connections_free(struct connections *c)
{
    if (!c)
        return;
    free(c->items);
    free(c);
}

/* The cookie of the socket |fd|; 0 when it is none. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

size_t connections_count(struct connections *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (cookie_of(c->items[i].fd) == c->items[i].cookie)
            c->items[n++] = c->items[i];
    }
    c->n = n;
    return n;
}

/* Makes room for one more: by forgetting those that are gone, or by growing, so that it is done rarely. */
static bool make_room(struct connections *c)
{
    if (c->n < c->room || connections_count(c) < c->room / 2)
        return true;
    size_t room = c->room ? 2 * c->room : 64;
    struct connection *items = reallocarray(c->items, room, sizeof(*items));
    if (!items)
        return c->n < c->room;
    c->items = items;
    c->room = room;
    return true;
}

bool connections_add(struct connections *c, int fd, size_t max)
{
    if ((c->n >= max && connections_count(c) >= max) || !make_room(c))
        return false;
    c->items[c->n++] = (struct connection){.fd = fd, .cookie = cookie_of(fd)};
    return true;
}
