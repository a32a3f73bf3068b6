/* A stream of bytes to a destination: TCP, with TLS if wanted, or a unix socket.
 *
 * All waiting is done by sink_host.wait, until a deadline or until the output cancels it. Errors begin with the name of
 * the destination: "tcp:collector:9000: Connection refused". A dead peer of TCP is noticed within |timeout|, or
 * when nothing is sent within 3 seconds if that is more.
 *
 * After an error the connection is closed, except where a function says otherwise. One thread, that of the sink. */
#ifndef XTCP_OUTPUTS_SINK_NET_STREAM_H
#define XTCP_OUTPUTS_SINK_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"
#include "lib/err.h"
#include "lib/url.h"
#include "outputs/sink/sink.h"

struct net_stream;

/* What is pointed to must live as long as the stream. */
struct net_stream_options {
    const struct sink_host *host;
    const struct url *url; /* of its hosts one is chosen; with a path: a unix socket */
    uint16_t port;         /* of a host without one */
    /* ns: to connect to a host, with its name and TLS; and how long writing may make no progress. */
    int64_t timeout;
    const struct output_tls *tls; /* NULL: none */
    bool tls_later;               /* not before net_stream_start_tls */
    bool discard;                 /* whatever the peer sends is dropped */
};

/* Makes a stream, not connected. Returns 0 and |out|, for net_stream_free; or -ENOMEM, or ERR_RANGE for a
 * path that is too long, with |e|. */
int net_stream_new(const struct net_stream_options *o, struct net_stream **out, struct err *e);
/* Closes the connection as net_stream_close does. NULL is allowed. */
void net_stream_free(struct net_stream *s);

/* Connects to the first host that can be reached, beginning with the one of the last connection unless that failed.
 * All addresses of a host are tried in turn. Not while it is connected. Returns 0; ERR_CANCELLED; or a code with
 * |e|, of the host tried last. */
int net_stream_connect(struct net_stream *s, struct err *e);
bool net_stream_connected(const struct net_stream *s);

/* The name of the present or the next host, as errors have it. Changes with net_stream_connect. */
const char *net_stream_name(const struct net_stream *s);

/* Writes all of |data|; 0: all of it is in the send buffer of the socket. |more|: other bytes follow at once, so it
 * need not leave yet. Returns 0; ERR_TIMEOUT when nothing at all was taken for |timeout|; ERR_GONE when the peer
 * has closed the connection; or another code. After two of them the connection is still there: ERR_CANCELLED, when
 * a part of |data| may be written; and without |discard| -ECONNRESET, to read the last words of the peer, who has
 * gone. */
int net_stream_write(struct net_stream *s, const void *data, size_t len, bool more, struct err *e);

/* How many bytes of this connection have been written, or begun to be written. */
uint64_t net_stream_written(const struct net_stream *s);

/* Reads |*n| bytes, 1 up to |max|, as soon as there are some. Returns 0; ERR_TIMEOUT when there are none until
 * |deadline_ns| (clock_mono_ns; 0: now) or ERR_CANCELLED, and the connection is still there; ERR_GONE at the end;
 * or another code. */
int net_stream_read(struct net_stream *s, void *data, size_t max, size_t *n, int64_t deadline_ns,
                    struct err *e);

/* With |discard|: drops what the peer has sent. Returns 0, ERR_GONE when the peer has closed the connection, or another
 * code. To be called before something is written, since the first write to a peer that has gone seems to go well. */
int net_stream_check(struct net_stream *s, struct err *e);

/* Begins with TLS on a connection with |tls_later|: the peer has agreed to it, and has sent nothing since. Returns as
 * net_stream_connect does; after an error the connection is closed. */
int net_stream_start_tls(struct net_stream *s, struct err *e);

/* Closes the connection, if there is one, because the peer cannot be used: the next one is with another host, if there
 * are several. */
void net_stream_give_up(struct net_stream *s);

/* Closes the connection, if there is one. What is in the send buffer is still delivered, if the peer takes it. */
void net_stream_close(struct net_stream *s);

/* How many bytes of the last connection, counted from its end, the peer may never have seen; TLS and a part of a
 * message included. Those are the bytes that the peer's system had not taken yet when the peer closed the connection in
 * order, having read all before, or when net_stream_close did; otherwise all that was written. 0 from the next
 * net_stream_connect on. */
uint64_t net_stream_doubt(const struct net_stream *s);

#endif
