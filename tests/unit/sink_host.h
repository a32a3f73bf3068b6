/* What an output gives its sink, for tests of sinks alone: a wait by poll(2) that can be cut short. */
#ifndef XTCP_TESTS_SINK_HOST_H
#define XTCP_TESTS_SINK_HOST_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "outputs/sink/sink.h"

/* Fill it with sink_host_init; |host| is for struct sink_env. */
struct sink_host_fake {
    struct sink_host host;
    /* any thread */
    _Atomic int64_t cancel_ns;   /* clock_mono_ns from which every wait is ERR_CANCELLED; INT64_MAX: never */
    _Atomic int64_t ahead_ns;    /* deadlines are this much earlier: long timeouts without the time */
    _Atomic int64_t deadline_ns; /* of the last wait */
    _Atomic unsigned waits;      /* calls of wait so far */
};

/* A wait looks this often whether it is cancelled. */
#define SINK_HOST_STEP_NS (5 * NS_PER_MS)

static inline int sink_host_fake_wait(void *arg, struct pollfd *fds, unsigned n, int64_t deadline_ns)
{
    struct sink_host_fake *h = arg;
    atomic_fetch_add(&h->waits, 1);
    h->deadline_ns = deadline_ns;
    for (;;) {
        int64_t now_ns = clock_mono_ns();
        if (now_ns >= h->cancel_ns)
            return ERR_CANCELLED;
        int64_t end_ns = deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns - h->ahead_ns;
        int64_t step_ns = clock_earlier(end_ns - now_ns, SINK_HOST_STEP_NS);
        struct timespec step = {.tv_nsec = step_ns > 0 ? (long)step_ns : 0};
        int ready = ppoll(fds, n, &step, NULL);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0 ? ready : -errno;
        if (step_ns <= 0)
            return 0;
    }
}

static inline void sink_host_init(struct sink_host_fake *h)
{
    memset(h, 0, sizeof(*h));
    h->cancel_ns = INT64_MAX;
    h->host =
        (struct sink_host){.arg = h, .wait = sink_host_fake_wait, .output = "test", .hostname = "test-host"};
}

/* Sends one message of |len| bytes. Returns its result. */
static inline enum sink_result sink_send_one(const struct sink_ops *ops, void *sink, const void *data,
                                             size_t len, struct err *e)
{
    struct sink_message m = {.data = data, .len = len, .rows = 1, .poll_id = 1, .result = SINK_BROKEN};
    ops->send(sink, &m, 1, e);
    return m.result;
}

#endif
