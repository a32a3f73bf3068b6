/* Answers of a peer: the bytes of them that have come and have not been used yet. */
#ifndef XTCP_OUTPUTS_SINK_NET_ANSWER_H
#define XTCP_OUTPUTS_SINK_NET_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "outputs/sink/net_stream.h"
#include "outputs/sink/sink.h"

/* The longest answer. */
#define NET_ANSWER_MAX 16384

/* Zero at the begin of a connection. */
struct net_answer {
    uint8_t bytes[NET_ANSWER_MAX];
    size_t n;
};

/* Reads more bytes from |s|, 1 or more. Returns 0; ERR_LIMIT with |e| when there is no room for them; or as
 * net_stream_read. */
int net_answer_more(struct net_answer *a, struct net_stream *s, int64_t deadline_ns, struct err *e);

/* The first |n| bytes have been used. */
void net_answer_use(struct net_answer *a, size_t n);

/* The fate of a connection that was made, and logged in at, with the result |rc|: it stays, or it is closed, and is made with
 * another host next time unless that was given up for a stop. */
enum sink_result net_answer_connected(struct net_stream *s, int rc);

/* The same of a connection between messages, after |rc| was the result of looking for an answer that nobody has asked
 * for, without a wait: ERR_TIMEOUT when there is none. |news| tells of it, and becomes |e| (may be NULL). */
enum sink_result net_answer_unasked(struct net_stream *s, int rc, const struct err *news, struct err *e);

#define NET_ANSWER_TEXT 200

/* Writes the |n| bytes |text|, which a peer says, into |out| as they may stand in an error: cut, with question
 * marks for what is no printable ASCII. Nothing of it is written when |secret| (NULL: none) is in it. */
void net_answer_text(const void *text, size_t n, const char *secret, char out[NET_ANSWER_TEXT]);

#endif
