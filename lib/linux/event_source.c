#include "lib/linux/event_source.h"

#include <errno.h>
#include <sys/epoll.h>

#define EVENTS_MAX 16 /* taken from epoll at a time */

static int control(int epoll, int operation, int fd, uint32_t events, const struct event_source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = (void *)source};
    return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

int event_source_add(int epoll, int fd, uint32_t events, const struct event_source *source)
{
    return control(epoll, EPOLL_CTL_ADD, fd, events, source);
}

int event_source_change(int epoll, int fd, uint32_t events, const struct event_source *source)
{
    return control(epoll, EPOLL_CTL_MOD, fd, events, source);
}

void event_source_wait(int epoll)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
        const struct event_source *source = events[i].data.ptr;
        source->ready(source->arg, events[i].events);
    }
}
