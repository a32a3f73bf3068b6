/* The protocol of NSQ (https://nsq.io/clients/tcp_protocol_spec.html), as far as a producer needs it. Pure; any
 * thread. */
#ifndef XTCP_OUTPUTS_SINK_NSQ_FRAME_H
#define XTCP_OUTPUTS_SINK_NSQ_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest frame to a producer, its length not included. */
#define NSQ_FRAME_MAX 16000

enum nsq_frame_type { NSQ_RESPONSE, NSQ_ERROR };

/* A frame that nsqd sends. */
struct nsq_frame {
    enum nsq_frame_type type;
    const uint8_t *data; /* in the bytes that were parsed */
    size_t len;
    size_t size; /* of the whole frame */
};

/* Takes the frame at the begin of the |n| bytes |in|. Returns 1 and |out|, 0 when it is not complete, or
 * ERR_MALFORMED for one that is too long or of a type that producers do not get. */
int nsq_frame_parse(const uint8_t *in, size_t n, struct nsq_frame *out);

/* Whether the data of |f| are |text|; whether they begin with it, as a word. */
bool nsq_frame_is(const struct nsq_frame *f, const char *text);
bool nsq_frame_begins(const struct nsq_frame *f, const char *word);

/* Whether the JSON object that IDENTIFY is answered with has the member |name| with the value true. nsqd writes it
 * without spaces, and no member has a text in which that could stand. */
bool nsq_frame_has(const struct nsq_frame *f, const char *name);

/* Whether nsqd takes |topic|. One with a space in it would be cut there without an error. */
bool nsq_topic_valid(const char *topic);

#endif
