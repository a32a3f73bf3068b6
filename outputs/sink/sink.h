/* Sinks: what outputs send to. One file for each kind of destination.
 *
 * A sink belongs to the thread of its output, which calls it from nowhere else. It may wait, but only by
 * sink_host.wait, so that the output can do other things meanwhile and a stop is never held up; what it does without
 * waiting takes a moment. Names are resolved by lib/resolve.h.
 *
 * Life: open (reads its options, reaches for nothing), then connect and send, as often as there is something, then close.
 * After SINK_BROKEN the next call is connect.
 *
 * A sink may be a module: a shared object that is loaded when it is first needed (outputs/module.h). It has one symbol,
 * const struct sink_ops xtcp_sink_NAME. */
#ifndef XTCP_OUTPUTS_SINK_SINK_H
#define XTCP_OUTPUTS_SINK_SINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"
#include "lib/err.h"
#include "lib/log.h"
#include "outputs/format/format.h"

#define SINK_ABI 1 /* changes with every change of this header */

enum sink_result {
    SINK_DONE,    /* delivered, as far as the destination tells */
    SINK_AGAIN,   /* not now: the connection stays; the same is tried later */
    SINK_REFUSED, /* it will never be taken: trying again is of no use */
    SINK_BROKEN,  /* the destination is not reached: connect anew, then try again */
};

/* A message, and what became of it. */
struct sink_message {
    const uint8_t *data;
    size_t len;
    uint32_t rows;
    uint64_t poll_id; /* of its rows */
    const void *key;  /* NULL: none, see sink_ops.key */
    size_t key_len;
    enum sink_result result; /* out */
};

/* The output, as its sink sees it. All strings live as long as the sink. */
struct sink_host {
    void *arg;
    /* Waits until one of the |n| (0 to 8) descriptors is ready, as poll(2) does with their |events| and |revents|, or
     * |deadline_ns| (clock_mono_ns; INT64_MAX: none) has passed. Returns how many are ready, 0 when the time is over, or
     * ERR_CANCELLED when the sink is to give up what it does and return SINK_AGAIN or SINK_BROKEN. */
    int (*wait)(void *arg, struct pollfd *fds, unsigned n, int64_t deadline_ns);
    const char *output;   /* its name, for the log */
    const char *hostname; /* of this machine, as records carry it */
};

/* The settings of a sink; they live as long as it does. */
struct sink_env {
    const struct sink_host *host;
    const struct output_config *config;
    const struct output_kind *kind;
    const struct url *url; /* config->to */
    const void *options;   /* the kind's struct of config/output.h */
    const struct format *format;
};

struct sink_ops {
    unsigned abi; /* SINK_ABI */

    /* A module: its copy of log_use (lib/log.h), so that it writes to the log of the program. */
    void (*use_log)(struct log_state *state);

    /* Makes a sink in |out|. Returns 0, or a code with |e| when the options cannot be right whatever the destination does. */
    int (*open)(const struct sink_env *env, void **out, struct err *e);

    /* Sees to it that messages can be sent: SINK_DONE, SINK_AGAIN or SINK_BROKEN, the last two with |e| naming the
     * destination without secrets, and what is wrong. |*fresh| is set when what is sent next is the beginning of a file or
     * a connection, so a header line belongs in front of it. Called before every send; cheap when there is nothing to do. */
    enum sink_result (*connect)(void *sink, bool *fresh, struct err *e);

    /* Sends |n| messages in their order and sets the result of each. Where one is not SINK_DONE, |e| tells why (of the
     * first). After SINK_AGAIN or SINK_BROKEN those behind it have the same result unless they are known to be
     * delivered. */
    void (*send)(void *sink, struct sink_message *list, size_t n, struct err *e);

    /* A poll is over and all of it has been sent. NULL: nothing to do. */
    void (*poll_end)(void *sink);

    /* SIGHUP: opens files again. NULL: nothing to do. */
    void (*reopen)(void *sink);

    /* The largest message, in bytes, that the destination takes; 0: any. A row that is longer on its own is in a message of its
     * own. Asked after each connect. NULL: any. */
    size_t (*largest)(const void *sink);

    /* How many bytes of the messages sent last may be lost after SINK_BROKEN, though they were SINK_DONE: they are sent
     * again. NULL: none. */
    size_t (*unsure)(const void *sink);

    /* The key by which rows are grouped, so that all of a message have the same. NULL: they are not. */
    enum output_key (*key)(const void *sink);

    /* Ends it, whatever is under way; frees it. */
    void (*close)(void *sink);
};

/* The sink of |kind|, a module if need be, or NULL with |e| naming what to install. Any thread. */
const struct sink_ops *sink_find(const struct output_kind *kind, struct err *e);

#endif
