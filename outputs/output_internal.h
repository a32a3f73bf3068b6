/* An output, for the files that make it: output.c (from outside), output_run.c (its thread), output_send.c (attempts),
 * output_wait.c (rows that wait). */
#ifndef XTCP_OUTPUTS_OUTPUT_INTERNAL_H
#define XTCP_OUTPUTS_OUTPUT_INTERNAL_H

#include <pthread.h>

#include "lib/backoff.h"
#include "lib/buf.h"
#include "lib/thread.h"
#include "outputs/chunk.h"
#include "outputs/history.h"
#include "outputs/output.h"
#include "outputs/packer.h"
#include "outputs/queue.h"
#include "outputs/sink/sink.h"
#include "outputs/spool.h"

/* The settings that a running output follows. */
struct output_bounds {
    uint32_t batch_rows;
    uint64_t batch_bytes;
    int64_t batch_interval;
    uint64_t queue;
    enum output_on_full on_full;
    uint64_t spool_bytes;
    int64_t spool_age;
    enum output_start start;
};

struct output {
    struct output_config config; /* its bounds are changed by the thread, under the lock */
    const struct output_kind *kind;
    const struct format *format;
    struct url url;
    void *options;
    char *hostname;
    char *to;        /* without secrets */
    char *spool_dir; /* NULL: it has no spool */
    void (*changed)(void *arg);
    void *changed_arg;
    struct thread thread;
    int wake; /* an eventfd */

    const struct sink_ops *ops;
    void *sink;
    struct sink_host host;
    struct sink_env env;

    pthread_mutex_t lock;   /* a leaf, but for the queue's */
    pthread_cond_t settled; /* the first attempt has been made, or the thread has ended */
    struct output_queue *queue;
    uint64_t unseen_bytes; /* of rows put in since the thread was woken for rows */
    enum output_state state;
    bool tried;     /* an attempt has been made */
    bool connected; /* the last one reached the destination */
    bool paused;
    bool flush;
    bool reopen;
    bool rebound; /* |next| is to be followed */
    struct output_bounds next;
    bool stop;
    bool ended; /* the thread does no more */
    int64_t stop_ns;
    output_test_fn *test; /* NULL: none waits */
    void *test_arg;
    struct output_status
        counts; /* sums and times; the texts and what follows from others are filled by output_status */
    uint64_t dropped[OUTPUT_DROPS];
    uint64_t held_rows; /* taken out of the queue, and neither delivered nor spooled nor dropped */
    uint64_t held_bytes;
    int64_t held_since_ns;
    struct spool_stats spooled; /* as of the last look */
    uint64_t spooled_sent;      /* rows of the entry at hand that are delivered */
    uint64_t full_sent;         /* rows that were delivered before their entry had to make room */
    char last_error[ERR_TEXT_MAX];

    /* The thread's own. */
    struct packer *packer;
    struct spool *spool;   /* NULL: it has none, or it could not be opened yet */
    int64_t next_spool_ns; /* monotonic: when that is tried again */
    bool woken;            /* while the sink waited: there may be requests that were not there before */
    struct backoff backoff;
    int64_t next_attempt_ns; /* monotonic; 0: at once */
    bool header;             /* the next message begins a file or a connection */
    bool probe;              /* connect, though there is nothing to send yet */
    struct queue_item item;  /* the part that is being taken apart; no batch: none */
    struct chunk chunk;      /* to be sent next */
    struct chunk moving;     /* to be put into the spool */
    struct history history;  /* what was delivered last */
    struct history again;    /* delivered once, and to be sent again, before the chunk */
    bool flushing;           /* chunks are complete as they are, until nothing waits any more */
    int64_t logged_ns;       /* monotonic: when a failure was logged last */
};

/* ---- output_run.c ---- */

void *output_run(void *arg);

/* sink_host.wait. */
int output_host_wait(void *arg, struct pollfd *fds, unsigned n, int64_t deadline_ns);

/* ---- output_wait.c: rows that wait. The thread. ---- */

/* Fills o->chunk from the spool, or else from the queue. It is complete when there is something to send. */
void output_gather(struct output *o);

/* Opens the spool, if there is to be one and it is time to try. */
void output_open_spool(struct output *o);

/* Moves what the queue has too much of into the spool. */
void output_relieve(struct output *o);

/* Everything that waits goes to the spool, or is dropped. At the end. */
void output_leave(struct output *o);

/* Brings the status of what is held and spooled up to date. */
void output_tell_waiting(struct output *o);

/* |e| is the last error of the status. */
void output_note_error(struct output *o, const struct err *e);

/* ---- output_send.c: attempts. The thread. ---- */

/* Connects, and sends what is to be sent again, or else the chunk, as far as that goes. */
void output_attempt(struct output *o);

/* Does the test that waits, if one does. */
void output_run_test(struct output *o);

/* The state is |state| now, unless the output is paused or ends; tells the listener when that is another. */
void output_set_state(struct output *o, enum output_state state);

#endif
