/* Inside rpc: what server.c and call.c know of each other. */
#ifndef XTCP_RPC_SERVER_INT_H
#define XTCP_RPC_SERVER_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/thread.h"
#include "rpc/core.h"
#include "rpc/server.h"

/* A tag of the completion queue: what to do with the event. |ok| is gRPC's success flag. */
struct rpc_event {
    void (*fn)(struct rpc_event *event, bool ok);
    struct rpc_call *call; /* the reference that this operation holds; NULL for the server's own tags */
};

struct rpc_queue {
    struct rpc_server *server;
    grpc_completion_queue *cq;
    struct thread thread;
};

/* A registered method; the last slot of a server, with spec NULL, takes the calls of unknown ones. */
struct rpc_slot {
    const struct rpc_method *spec;
    void *registered;
};

struct rpc_server {
    struct rpc_server_options options;
    grpc_server *server;
    grpc_server_credentials *insecure;
    struct rpc_slot *slots; /* n_methods + 1 */
    struct rpc_queue *queues;
    unsigned n_queues;
    _Atomic bool stopping;
    struct rpc_event shut; /* the tag of the shutdown */
    pthread_mutex_t lock;  /* guards what follows; a leaf */
    pthread_cond_t changed;
    bool down;    /* the shutdown tag has come */
    size_t calls; /* that have come and are not over */
};

struct rpc_call {
    _Atomic uint32_t refs;
    struct rpc_server *server;
    struct rpc_slot *slot;
    struct rpc_queue *queue;
    grpc_call *call;
    grpc_call_details details; /* of unknown methods */
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *received;
    _Atomic(void *) user;
    char peer[112];
    int cancelled; /* from RECV_CLOSE */

    pthread_mutex_t lock; /* guards what follows and serialises the sending batches */
    bool opened;          /* the stream's open has returned */
    bool sending;         /* a message is on its way */
    bool dead;            /* a send failed: nothing can be sent any more */
    bool closed;
    bool finishing; /* a status waits for the queue to empty */
    bool finished;  /* the status is on its way */
    int finish_code;
    char finish_text[ERR_TEXT_MAX];

    struct rpc_event on_new;
    struct rpc_event on_initial;
    struct rpc_event on_close;
    struct rpc_event on_recv;
    struct rpc_event on_send;
    struct rpc_event on_status;
};

/* Posts a request for one more call of |slot| on |queue|. */
void rpc_call_post(struct rpc_server *s, struct rpc_slot *slot, struct rpc_queue *queue);

/* A call has come (+1) or is over (-1). */
void rpc_server_count_call(struct rpc_server *s, int change);

#endif
