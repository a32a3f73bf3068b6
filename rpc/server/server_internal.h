/* Inside the server: declarations that its files share. Each calls those behind it only:
 *
 *     server.c         life, queues and their threads, adoption of connections, the stop
 *     core_server.c    a gRPC server on the queues of ours
 *     call.c           a call, from its coming to its end; call_access.c: whether it may be made
 *     inline_send.c    the queue of inline sends
 *     server_calls.c   what the server knows of its calls */
#ifndef XTCP_RPC_SERVER_SERVER_INTERNAL_H
#define XTCP_RPC_SERVER_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/thread.h"
#include "rpc/core.h"
#include "rpc/server/peer.h"
#include "rpc/server/server.h"

/* A tag of a completion queue: what to do with the event. |ok| is gRPC's success flag. */
struct rpc_event {
    grpc_completion_queue_functor functor; /* first; called by gRPC for the queue of callbacks */
    struct rpc_event *next;                /* in the list that waits for the thread rpc/callback, */
    bool ok;                               /* gRPC's success flag */
    void (*fn)(struct rpc_event *event, bool ok);
    struct rpc_call *call; /* the reference that this operation holds; NULL for the server's own tags */
};

/* Two kinds. One queue, the poller, has the sockets and no events: its thread does the reading. The events
 * come on the others, which have no sockets, so an event wakes the one thread that handles it: a thread that
 * waits for both would have to be interrupted, and would hand the sockets over to another each time, which
 * costs two wake-ups more. */
struct rpc_queue {
    struct rpc_server *server;
    grpc_completion_queue *cq;
    struct thread thread;
};

/* The completion queue of the streams that send inline. gRPC does not hand its events to a thread that
 * waits, it calls the event's functor, at the end of whatever call of its API it is in, on whatever thread,
 * and perhaps with locks of ours held (the poller's thread leaves it to one of gRPC's executor). So the
 * functor only puts the event into a list, for a thread of our own; except for an event that the thread
 * itself waits for: the end of the send that it has started (rpc_call_kick). Then no thread is woken. */
struct rpc_callbacks {
    struct rpc_server *server;
    grpc_completion_queue *cq;
    grpc_completion_queue_functor shut;
    struct thread thread;
    pthread_mutex_t lock; /* a leaf; guards all below */
    pthread_cond_t changed;
    struct rpc_event *first;
    struct rpc_event **last;
    bool down;
};

/* Returns 0 or an error with |e|; ends it, once all its operations have ended. */
int rpc_callbacks_start(struct rpc_callbacks *b, struct rpc_server *s, struct err *e);
void rpc_callbacks_stop(struct rpc_callbacks *b);

/* An event of |call| that |fn| handles; its tag can be given to a queue of either kind. */
struct rpc_event rpc_call_event(struct rpc_call *call, void (*fn)(struct rpc_event *event, bool ok));

/* From now on this thread takes the completion of |event| itself, if it comes on this thread; NULL ends that. */
void rpc_callbacks_expect(const struct rpc_event *event);

/* Whether it has come since: |event|.ok is gRPC's success flag. */
bool rpc_callbacks_arrived(void);

/* A registered method; the last slot of a core server, with spec NULL, takes the calls of unknown ones. */
struct rpc_slot {
    struct core_server *core_server;
    const struct rpc_method *spec;
    void *registered;
    unsigned owed; /* requests that could not be posted for want of memory; under the server's lock */
    struct rpc_slot *next_owed;
};

/* One side that the server shows: a gRPC server of its own on the common queues, for all connections that
 * have the same rights. gRPC tells nothing about a connection that it was handed except which server a call
 * came in on, so the server carries the role. Lives as long as the server, or, once it has been shut down, as
 * long as calls point into it. */
struct core_server {
    struct core_server *next;
    struct rpc_server *server;
    grpc_server *core;
    enum rpc_role role;
    bool fixed;             /* no token raises the role */
    bool secure;            /* TLS */
    bool verified;          /* TLS, and clients must have shown a certificate */
    void *tls_state;        /* for rpc_tls_release */
    struct rpc_slot *slots; /* n_methods + 1 */
    _Atomic size_t calls;   /* that exist: posted, under way, or still referred to */
    bool closing;           /* the shutdown has been started; of the thread that handles core servers */
    bool down;              /* the shutdown is complete; under the server's lock */
    struct rpc_event shut;  /* its tag */
};

#define RPC_PLAIN_SERVERS (RPC_ROLES + 1) /* one core server for each role, and the one of the probes */

struct rpc_server {
    struct rpc_server_options options;
    grpc_server_credentials *insecure;
    struct rpc_queue poller;
    struct rpc_queue *queues;
    unsigned n_queues;
    struct rpc_callbacks callbacks;
    struct core_server *core_servers; /* of the thread that handles them, as are the next members */
    struct core_server *
        *plain;              /* |n_queues| of each kind, made when the first connection comes that needs it */
    unsigned turn;           /* the queue that comes first for the next connection or listener */
    _Atomic uint64_t denied; /* calls whose caller did not have the role for them */
    _Atomic unsigned streams;  /* requests posted for streams: they take the queues in turn */
    _Atomic size_t operations; /* of calls: started, with handlers that have not returned */
    _Atomic unsigned expected; /* calls whose request is not there */
    _Atomic int64_t look_ns;   /* when to look for calls that wait too long, monotonic */
    pthread_mutex_t lock;      /* guards all below; taken before a call's lock */
    pthread_cond_t changed;
    struct thread poller_too; /* the second one that reads */
    bool stopping;
    size_t up;              /* core servers whose shutdown tag has not come */
    struct rpc_slot *owed;  /* those with requests to be posted again */
    _Atomic bool owing;     /* there are some; read without the lock */
    struct rpc_call *calls; /* calls that have come and are not over */
};

struct rpc_call {
    _Atomic uint32_t refs;
    struct rpc_server *server;
    struct rpc_slot *slot; /* of the core server that it came in on */
    struct rpc_queue *queue;
    grpc_call *call;
    grpc_call_details details; /* of unknown methods */
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *received;
    _Atomic(void *) user;
    char peer[112];
    int fd;                        /* of the connection, when it came; -1 by TLS, */
    char address[RPC_ADDRESS_MAX]; /* then its address as rpc_peer has it */
    struct quota_user *quota;      /* a reference; NULL: not known */
    enum quota_rank rank;
    bool counted;           /* in QUOTA_CALLS */
    bool entered;           /* the stream's open has been called; of the thread that handles its events */
    _Atomic int64_t due_ns; /* when its request must have come, monotonic; 0: none is waited for */
    enum rpc_role role;     /* from rpc_call_check */
    int cancelled;          /* from RECV_CLOSE */
    struct rpc_call *next;  /* in the server's list of calls; under the server's lock */
    struct rpc_call *previous;

    pthread_mutex_t lock; /* guards all below and serialises the sending batches */
    bool opened;          /* the stream's open has returned */
    bool sending;         /* a message is on its way */
    bool recv_waits;      /* the next request is read when there is nothing to send */
    bool dead;            /* a send failed: nothing can be sent any more */
    bool closed;
    bool finishing;   /* a status waits for the queue to empty */
    bool finished;    /* the status is on its way */
    int goodbye_code; /* how it ends when the server stops */
    const char *goodbye_text;
    int finish_code;
    char finish_text[ERR_TEXT_MAX];

    struct rpc_event on_new;
    struct rpc_event on_initial;
    struct rpc_event on_close;
    struct rpc_event on_recv;
    struct rpc_event on_send;
    struct rpc_event on_status;
};

/* ---- server_calls.c: the server's list of calls; any thread ---- */

/* |call| has come (before its handler runs); |call| is over. */
void rpc_server_enter(struct rpc_call *call);
void rpc_server_leave(struct rpc_call *call);

/* Whether rpc_server_stop has begun: if so, it has told all calls that had come before. */
bool rpc_server_is_stopping(struct rpc_server *s);

/* The handler of an operation's event has returned. */
void rpc_server_operation_done(struct rpc_server *s);

/* |call| waits for its request from now on, for a limited time; |call| does not wait any more. */
void rpc_server_expect(struct rpc_call *call);
void rpc_server_expect_no_more(struct rpc_call *call);

/* There was no memory to post a request for one more call of |slot|: it is posted later, on any queue. */
void rpc_server_owe(struct rpc_server *s, struct rpc_slot *slot);

/* Takes the slot |*at|, for which no request is owed any more, off the list of owed ones. The lock is held. */
void rpc_server_settle(struct rpc_server *s, struct rpc_slot **at);

/* Forgets the owed requests of |core_server|, which ends. */
void rpc_server_forgive(struct rpc_server *s, const struct core_server *core_server);

/* ---- call.c ---- */

/* Posts a request for one more call of |slot| on |queue|, or notes that it is owed. */
void rpc_call_post(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue);

/* Posts a request for one more call. Returns 0 or -ENOMEM. */
int rpc_call_try_post(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue);

/* Ends a stream because the server stops, if it is open, and a call whose request has not come; does nothing
 * for other calls, which end by themselves. */
void rpc_call_goodbye(struct rpc_call *call);

/* ---- server.c ---- */

/* The number of the queue that comes first for the next object made: each in turn. Of the thread that handles
 * core servers. */
unsigned rpc_server_turn(struct rpc_server *s);

/* Starts a second thread that reads, if there is none: gRPC makes TLS handshakes, with the reading of files,
 * in the thread that reads, and other connections are not to wait for that. Two threads cost a wake-up more
 * each time. Returns 0 or an error with |e|. Of the thread that handles core servers. */
int rpc_server_poll_too(struct rpc_server *s, struct err *e);

/* ---- core_server.c ---- */

/* Makes a core server without starting it; |beside|: ports that it is given may have listeners of ours already (see
 * rpc/server/listen_socket.h); |first|: the queue that its calls come by, as long as a request is posted there.
 * Returns 0 and it in |out|, or a code with |e|. This and the next functions of core servers: one thread at a
 * time. */
int core_server_new(struct rpc_server *s, enum rpc_role role, bool beside, unsigned first,
                    struct core_server **out, struct err *e);

/* Starts it: calls come from now on. */
void core_server_start(struct core_server *f);

/* Starts its shutdown, if that has not been done; rpc_server.up decreases when it is complete. */
void core_server_shutdown(struct core_server *f);

/* Frees it, after the shutdown. */
void core_server_free(struct core_server *f);

/* Frees core servers that have been shut down and are not needed any more. */
void core_server_reap(struct rpc_server *s);

/* ---- call_access.c ---- */

/* Sets |c|'s peer. */
void rpc_call_describe_peer(struct rpc_call *c);

/* Whether the call may be made. Returns 0, or the code to end it with, with the reason in |e|. */
int rpc_call_check(struct rpc_call *c, const struct rpc_method *m, struct err *e);

#endif
