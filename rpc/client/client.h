/* The client's side of the gRPC core API: a channel to one target, calls as plain blocking functions, bytes
 * in and out.
 *
 * One thread uses a channel and its streams; rpc_channel_interrupt may come from any other (a signal thread). */
#ifndef XTCP_RPC_CLIENT_CLIENT_H
#define XTCP_RPC_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "rpc/status.h"

struct rpc_channel;
struct rpc_stream;

/* Starts and ends gRPC; rpc_client_init before anything else, with all signals blocked. */
void rpc_client_init(void);
void rpc_client_fini(void);

/* A message as it came off the wire; free with rpc_bytes_free. */
struct rpc_bytes {
    uint8_t *data;
    size_t len;
};
void rpc_bytes_free(struct rpc_bytes *b);

/* The end of a call. */
struct rpc_status {
    int code;                /* grpc_status_code: 0 OK, 14 UNAVAILABLE, … */
    char text[ERR_TEXT_MAX]; /* the server's message, made printable */
};

/* How a channel identifies itself, and which daemon it talks to. Zero and NULL: not given. TLS is used when
 * |tls|, |ca|, |cert|, |server_name| or |insecure| say so, unless |plaintext| is set. */
struct rpc_channel_options {
    bool plaintext;   /* no TLS, whatever else is given */
    bool tls;         /* TLS; without |ca| with the CAs that the system trusts */
    bool insecure;    /* TLS with whatever certificate the daemon shows */
    const char *ca;   /* path: CAs that sign the daemon's certificate (PEM) */
    const char *cert; /* paths: the client's own certificate and its key (PEM) */
    const char *key;
    const char *server_name;    /* name that the daemon's certificate must have, if not that of the target */
    const char *authority;      /* the host that calls are for (:authority) */
    const char *token_file;     /* path: its first line is sent with every call: authorization: Bearer … */
    const char *const *headers; /* "name: value", sent with every call */
    size_t n_headers;
    int64_t connect_timeout_ns; /* for one attempt to connect; 0: RPC_CONNECT_TIMEOUT_NS */
    uint64_t message_max;       /* bytes of one answer; 0: RPC_MESSAGE_MAX */
};

#define RPC_CONNECT_TIMEOUT_NS (10 * NS_PER_S)
#define RPC_MESSAGE_MAX        (64 * 1024 * 1024)

/* Whether a channel with |options| uses TLS. */
bool rpc_channel_uses_tls(const struct rpc_channel_options *options);

/* A channel to |target|: HOST:PORT, [V6]:PORT, or unix:/path. Does not connect yet. Returns 0, or
 * ERR_USAGE, ERR_MALFORMED or -errno (files that cannot be read) with a text. */
int rpc_channel_new(const char *target, const struct rpc_channel_options *options, struct rpc_channel **out,
                    struct err *e);
void rpc_channel_free(struct rpc_channel *c);

/* Begins to connect, without waiting for it; a first call does so by itself. */
void rpc_channel_connect(struct rpc_channel *c);

/* Makes every call that is under way or comes later on this channel end with CANCELLED at once. Any thread. */
void rpc_channel_interrupt(struct rpc_channel *c);

/* Options of a call. */
struct rpc_call_options {
    int64_t timeout_ns; /* whole call; 0: none */
    bool
        wait_for_ready; /* keep trying to connect until the timeout instead of failing at the first refusal */
};

/* One request, one reply. Returns 0 when the call ended with OK (|reply| is filled), else ERR_UNAVAILABLE or
 * another code by the status (see rpc_status_error), with the details in |status|. |reply| may be NULL. */
int rpc_unary(struct rpc_channel *c, const char *method, const void *request, size_t len,
              const struct rpc_call_options *options, struct rpc_bytes *reply, struct rpc_status *status);

/* Opens a streaming call: server streaming (send one request, then rpc_stream_half_close) or bidirectional. */
int rpc_stream_open(struct rpc_channel *c, const char *method, const struct rpc_call_options *options,
                    struct rpc_stream **out, struct err *e);
int rpc_stream_send(struct rpc_stream *s, const void *message, size_t len);
int rpc_stream_half_close(struct rpc_stream *s);

/* Waits for the next message until |deadline_ns| (monotonic; 0: for ever). Returns 1 with the message in
 * |out|; 0 when the server has ended the call (rpc_stream_status tells how); ERR_TIMEOUT when the deadline
 * came first (the stream goes on). */
int rpc_stream_recv(struct rpc_stream *s, int64_t deadline_ns, struct rpc_bytes *out);

/* Whether the server has answered at all (its initial metadata came): the connection stands. */
bool rpc_stream_connected(const struct rpc_stream *s);

/* The status of a stream whose rpc_stream_recv returned 0. */
void rpc_stream_status(struct rpc_stream *s, struct rpc_status *status);

/* Cancels pending operations and frees the stream. */
void rpc_stream_free(struct rpc_stream *s);

#endif
