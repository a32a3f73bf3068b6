/* The server's side of the gRPC core API: a table of methods, unary handlers as plain functions, streams that
 * are pulled.
 *
 * A stream never queues in here. When it can take a message, its `next` is asked for one; the queue, its
 * bound and its policy are the subscriber's. So a slow client costs the content of its own queue and nothing
 * else.
 *
 * Threads: "rpc/N" run all handlers, one completion queue each ("rpc/callback" those of the streams with
 * `inline_send`); `next` also runs on the thread that calls rpc_call_kick. No thread that has ever been in
 * another network namespace may call anything here: gRPC starts threads from the thread that calls it. */
#ifndef XTCP_RPC_SERVER_SERVER_H
#define XTCP_RPC_SERVER_SERVER_H

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/quota.h"
#include "model/role.h"

struct rpc_server;
struct rpc_call;

/* A message to send. The slices' references pass to rpc. */
#define RPC_MESSAGE_SLICES 2
struct rpc_message {
    grpc_slice slices[RPC_MESSAGE_SLICES];
    size_t n;
    bool
        more; /* another message stands behind this one: gRPC may hold it back a moment to write both at once */
};

/* The functions of a stream. Calls come in the order open, then any of message, half_closed and next, then closed,
 * which is the last one; `message` and `half_closed` never run at the same time for one call, `next` may run
 * beside them. */
struct rpc_stream_ops {
    /* A call has begun. |request| is the first message of a server-streaming call, empty for a bidirectional
     * one. May end the call at once with rpc_call_finish. */
    void (*open)(void *app, struct rpc_call *call, const uint8_t *request, size_t len);
    /* A further request (bidirectional calls only). */
    void (*message)(void *app, struct rpc_call *call, const uint8_t *request, size_t len);
    /* The client will send nothing more (bidirectional calls only). */
    void (*half_closed)(void *app, struct rpc_call *call);
    /* The call can take a message: fill |out| and return true, or return false; rpc_call_kick later asks
     * again. Runs under the call's lock: do not call rpc_* in it. */
    bool (*next)(void *app, struct rpc_call *call, struct rpc_message *out);
    /* The call is over (finished, cancelled, connection lost). rpc_call_user's object is the stream's to
     * release. */
    void (*closed)(void *app, struct rpc_call *call);
    /* Requests are questions (bidirectional calls only): the next one is read when the answers to the last
     * one have been sent, so nothing is read of a client that does not read. */
    bool answers;
    /* Its messages are few and stand alone: the thread that calls rpc_call_kick also handles the end of the
     * send if that comes at once; all other events are handled on the thread rpc/callback. */
    bool inline_send;
};

enum rpc_kind { RPC_UNARY, RPC_SERVER_STREAM, RPC_BIDI };

/* The request of a unary call. Valid while it is being answered. */
struct rpc_request {
    const uint8_t *data; /* the message */
    size_t len;
    struct rpc_call *call; /* for rpc_call_method and rpc_call_peer */
};

struct rpc_method {
    const char *path; /* "/package.Service/Method" */
    enum rpc_kind kind;
    /* Unary: answers |request| into |reply|. Returns 0, or a code with its text in |e|. Must not block. */
    int (*unary)(void *app, const struct rpc_request *request, struct buf *reply, struct err *e);
    const struct rpc_stream_ops *stream;
    enum rpc_role needs; /* a caller with less gets PERMISSION_DENIED, and no function above runs */
};

/* The rights of a caller, and the token that gave them. */
struct rpc_grant {
    enum rpc_role role;
    unsigned token; /* the place of its token among those of the token file, from 1; 0: it has shown none that
                       counts */
};

/* The facts about a caller that its connection alone does not settle. Valid during the call of |role|. */
struct rpc_caller {
    enum rpc_role role; /* the role of the connection; with TLS: RPC_ROLE_HEALTH */
    bool secure;        /* TLS */
    bool verified;      /* TLS with a certificate of the client that our CA has signed */
    /* The subject alternative names of that certificate, and then its common name. */
    const char *const *names;
    size_t n_names;
    const char *token; /* of the metadata "authorization: Bearer TOKEN"; NULL when there is none */
};

struct rpc_server_options {
    const struct rpc_method *methods; /* lives as long as the server */
    size_t n_methods;
    void *app;            /* given to every handler */
    unsigned threads;     /* completion queues and their threads, at least 1 */
    size_t request_max;   /* bytes of one request message */
    unsigned streams_max; /* concurrent calls on one connection */
    struct quota *quota;  /* of the users that calls are accounted to; lives longer than the server */
    /* The bound of calls under way (QUOTA_CALLS). Any thread, must not block. */
    void (*calls_bound)(void *app, struct quota_bound *out);
    /* The role of a call; asked only where it does not follow from the connection: with TLS and where a token
     * was sent. Returns 0 and the role in |out|, or a code with |e| that the call is ended with. Any thread,
     * must not block. */
    int (*role)(void *app, const struct rpc_caller *caller, struct rpc_grant *out, struct err *e);
    /* Whether a call that needs RPC_ROLE_CONTROL, and may be made, comes too soon after others from |peer|
     * (as rpc_call_peer tells). Returns 0, or a code with |e|. May be NULL. Any thread, must not block. */
    int (*admit)(void *app, const char *peer, struct err *e);
    /* Half of the stop's grace is over and calls are still open: streams should drop what is queued, so that
     * their status gets through. May be NULL. On the thread that stops the server. */
    void (*hurry)(void *app);
};

/* Starts gRPC. In main, before the first thread, with all signals blocked, in the host's namespace. */
void rpc_server_init(void);

/* Ends gRPC, after the last server has been stopped. */
void rpc_server_fini(void);

int rpc_server_new(const struct rpc_server_options *options, struct rpc_server **out, struct err *e);

/* Gives the server a connected stream socket, non-blocking and close-on-exec, whose calls have the role
 * |role|; the server owns it from now on, in any case. One thread at a time adopts connections, opens and
 * closes listeners with TLS and stops the server: its owner sees to that. */
void rpc_server_adopt(struct rpc_server *s, int fd, enum rpc_role role);

/* The same for a peer about which nothing is known and which cannot get more than RPC_ROLE_HEALTH. */
void rpc_server_adopt_probe(struct rpc_server *s, int fd);

/* Stops: no new calls, running unary calls are answered, streams that have not been finished yet are finished
 * with UNAVAILABLE or the status of rpc_call_set_goodbye, and calls left after |grace_ns| are cancelled.
 * Returns 0 when everything has ended within |deadline_ns| from now; the server is then freed. Otherwise
 * ERR_TIMEOUT: a peer holds the transport open; nothing is freed and the caller should _exit. Main thread. */
int rpc_server_stop(struct rpc_server *s, int64_t grace_ns, int64_t deadline_ns);

/* CPU time of the server's own threads, in ns. Main thread. */
int64_t rpc_server_cpu_ns(struct rpc_server *s);

/* Calls that were refused because their caller did not have the role for them. Any thread. */
uint64_t rpc_server_denied(const struct rpc_server *s);

/* ---- calls; any thread ---- */

struct rpc_call *rpc_call_ref(struct rpc_call *call);
void rpc_call_unref(struct rpc_call *call);

/* An object of the stream's; set it in `open`. */
void rpc_call_set_user(struct rpc_call *call, void *user);
void *rpc_call_user(const struct rpc_call *call);

const char *rpc_call_method(const struct rpc_call *call);

/* The peer as text for people ("127.0.0.1:4711", "unix pid=12 uid=0"), taken when the call began. For a
 * method that needs RPC_ROLE_CONTROL it also names the user: "127.0.0.1:4711 uid=0", "ipv4:10.0.0.7:4711
 * name=ops.example token". Never an identity. */
const char *rpc_call_peer(const struct rpc_call *call);

/* The user that |call| is accounted to, and in |rank| (may be NULL) the rank that it has there. The reference
 * is the call's. By a unix socket and from a loopback address it is the user of this machine ("uid 1000"),
 * with a certificate its first name ("name ops.example"), with a token its place in the token file ("token
 * 2"), otherwise the address ("address 192.0.2.7"; of IPv6 the network: "network 2001:db8::/64"). */
struct quota_user *rpc_call_quota(const struct rpc_call *call, enum quota_rank *rank);

/* The role of the caller: that of the connection, or the one that its certificate or token gives. */
enum rpc_role rpc_call_role(const struct rpc_call *call);

/* There may be something for `next`: sends it if the call can take it. Not from within `next`; for a stream
 * with `inline_send` not beside rpc_server_stop. */
void rpc_call_kick(struct rpc_call *call);

/* Ends the call with |code| (0 or one of lib/err.h) once `next` has nothing more. The first finish counts. */
void rpc_call_finish(struct rpc_call *call, int code, const char *text);

/* How the stream ends when the server stops before anybody finishes it: |code| and |text|, which lives on,
 * rather than UNAVAILABLE. */
void rpc_call_set_goodbye(struct rpc_call *call, int code, const char *text);

/* Ends the call now, whatever the client does: it sees |code| and |text|. */
void rpc_call_abort(struct rpc_call *call, int code, const char *text);

/* For threads that may not call gRPC, to be handed to one that may. |call| is a call with a reference, which is given
 * back; it is kicked before only if |run| is set. */
void rpc_call_kick_later(void *call, bool run);

/* The same for rpc_call_abort: |abort| was made by rpc_abort_new, with a reference of its own to the call; NULL
 * without memory. |text| lives on. */
struct rpc_abort *rpc_abort_new(struct rpc_call *call, int code, const char *text);
void rpc_abort_later(void *abort, bool run);

/* A message of one slice with a copy of |data|. */
struct rpc_message rpc_message_copy(const void *data, size_t len, bool more);

#endif
