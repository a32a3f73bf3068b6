/* Event sources: the descriptors that a loop over an epoll instance waits for, each with the function that it
 * calls.
 *
 * A module that has a descriptor to wait for owns a source and adds it to the epoll instance of the loop. The loop
 * knows no module: it takes the events of epoll and calls the source's function.
 *
 * Life: epoll gives back the address of the source, and several events at a time. So an event may still be on its way
 * when its descriptor has been closed, by the function of another source or by another thread. A source therefore
 * stays in memory as long as the loop runs. The object that its function works on may end earlier: then the function has to
 * find that out by itself. */
#ifndef XTCP_LIB_LINUX_EVENT_SOURCE_H
#define XTCP_LIB_LINUX_EVENT_SOURCE_H

#include <stdint.h>

struct event_source {
    /* Called on the thread of the loop; |events| are those of epoll(7): EPOLLIN and others. */
    void (*ready)(void *arg, uint32_t events);
    void *arg;
};

/* Makes |epoll| wait for |events| (EPOLLIN and others; 0: for errors alone) of |fd|, for |source|. Closing |fd|
 * ends that, too, as described in epoll(7). Returns 0 or -errno. Any thread. */
int event_source_add(int epoll, int fd, uint32_t events, const struct event_source *source);

/* The same for an |fd| that |epoll| knows already: from now on for these |events| and this |source|. */
int event_source_change(int epoll, int fd, uint32_t events, const struct event_source *source);

/* Waits until something has happened, and calls the functions of the sources concerned, some at a time. Returns
 * early, without a call, when a signal has interrupted it. The thread of the loop. */
void event_source_wait(int epoll);

#endif
