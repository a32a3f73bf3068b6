/* One instance of librdkafka. Its own threads connect and send; what they have to tell waits in a queue until the output's
 * thread takes it out. The log alone is written by them. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/thread.h"
#include "outputs/sink/kafka_internal.h"

enum { LIBRARY_WARNING = 4, LIBRARY_INFO = 6 }; /* its levels are those of syslog(3) */

#define LIBRARY_TEXT_MAX 256               /* of an error of librdkafka */
#define LINE_MAX_BYTES   1024              /* of its log */
#define LOG_INTERVAL_NS  (10 * NS_PER_S)   /* between two lines of one instance */
#define PURGE_MS         200               /* for the reports on what is taken back */
#define END_NS           (500 * NS_PER_MS) /* for the end of an instance */
#define ENDING_MAX       8 /* instances that take longer; at this number no further one is made */

/* ---- What the library tells ---- */

static void log_line(struct kafka_client *c, enum log_level level, const char *text)
{
    uint64_t left_out = 0;
    if (!log_enabled(level) || (level < LOG_DEBUG && !log_rate_allow(&c->rate, LOG_INTERVAL_NS, &left_out)))
        return;
    if (left_out)
        log_write(level, "output", "%s: %s (%" PRIu64 " other lines before)", c->output, text, left_out);
    else
        log_write(level, "output", "%s: %s", c->output, text);
}

/* An error of the library is none of the daemon: it tries again. What is wrong with a connection ("FAIL") comes to on_error
 * as well. */
static enum log_level level_of(int syslog_level, const char *facility)
{
    if (syslog_level > LIBRARY_INFO || strcmp(facility, "FAIL") == 0)
        return LOG_DEBUG;
    return syslog_level <= LIBRARY_WARNING ? LOG_WARN : LOG_INFO;
}

/* On any thread of the library. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct kafka_client *c = rd_kafka_opaque(rk);
    char shown[LINE_MAX_BYTES], line[sizeof(shown) + 64];
    kafka_shown(&c->secrets, text, shown, sizeof(shown));
    snprintf(line, sizeof(line), "librdkafka: %.40s: %s", facility, shown);
    log_line(c, level_of(level, facility), line);
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
    struct kafka_client *c = opaque;
    (void)rk;
    c->down |= code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    c->denied |= code == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && c->trouble[0])
        return; /* the error before says why */
    kafka_shown(&c->secrets, text, c->trouble, sizeof(c->trouble));
    if (c->reports && c->reports->pending) /* else a result tells it soon enough */
        log_line(c, LOG_WARN, c->trouble);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_client *c = opaque;
    struct kafka_reports *r = c->reports;
    size_t i = (size_t)m->_private;
    (void)rk;
    if (!r || i >= r->n || r->codes[i] != KAFKA_PENDING)
        return;
    r->codes[i] = m->err;
    r->pending--;
    r->stuck |= m->err < 0;
    if (!m->err)
        c->down = false;
}

/* ---- Life ---- */

static _Atomic unsigned ending; /* threads that have been left behind */

static void client_free(struct kafka_client *c)
{
    if (c->topic)
        rd_kafka_topic_destroy(c->topic);
    if (c->queue)
        rd_kafka_queue_destroy(c->queue);
    if (c->rk)
        rd_kafka_destroy(c->rk);
    if (c->event_fd >= 0)
        close(c->event_fd);
    kafka_secrets_free(&c->secrets);
    free(c);
}

/* Makes the instance; |rd| is used up. */
static int start(struct kafka_client *c, rd_kafka_conf_t *rd, const char *target, struct err *e)
{
    char why[LIBRARY_TEXT_MAX], shown[LIBRARY_TEXT_MAX];
    rd_kafka_conf_set_opaque(rd, c);
    rd_kafka_conf_set_log_cb(rd, on_log);
    rd_kafka_conf_set_error_cb(rd, on_error);
    rd_kafka_conf_set_dr_msg_cb(rd, on_report);
    c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd, why, sizeof(why));
    if (c->rk)
        return 0;
    rd_kafka_conf_destroy(rd);
    return err_set(e, ERR_UNAVAILABLE, "%s: %s", target, kafka_shown(&c->secrets, why, shown, sizeof(shown)));
}

/* Connects the library's queue with the descriptor that the output waits for. Asking for the topic is the first thing that
 * the instance does. */
static int attach(struct kafka_client *c, const struct kafka_conf *conf, struct err *e)
{
    static const uint64_t one = 1;
    c->queue = rd_kafka_queue_get_main(c->rk);
    rd_kafka_queue_io_event_enable(c->queue, c->event_fd, &one, sizeof(one));
    c->topic = rd_kafka_topic_new(c->rk, conf->topic, NULL);
    return c->topic ? 0
                    : err_set(e, ERR_UNAVAILABLE, "%s: topic %s: %s", conf->target, conf->topic,
                              rd_kafka_err2str(rd_kafka_last_error()));
}

/* Makes all that |c| needs. Returns 0 or a code with |e|. */
static int client_init(struct kafka_client *c, const struct kafka_conf *conf, const struct sink_env *env,
                       struct err *e)
{
    rd_kafka_conf_t *rd;
    snprintf(c->output, sizeof(c->output), "%s", env->host->output);
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->event_fd < 0)
        return err_set(e, -errno, "%s: eventfd: %s", conf->target, err_name(-errno));
    int rc = kafka_conf_complete(conf, env, &rd, &c->secrets, e);
    if (!rc)
        rc = start(c, rd, conf->target, e);
    return rc ? rc : attach(c, conf, e);
}

struct kafka_client *kafka_client_new(const struct kafka_conf *conf, const struct sink_env *env,
                                      struct err *e)
{
    if (atomic_load(&ending) >= ENDING_MAX) {
        err_set(e, ERR_TIMEOUT, "%s: %d earlier connections have not ended yet, perhaps for a name server",
                conf->target, ENDING_MAX);
        return NULL;
    }
    struct kafka_client *c = calloc(1, sizeof(*c));
    if (!c)
        err_set(e, -ENOMEM, "out of memory");
    else if (client_init(c, conf, env, e)) {
        client_free(c);
        c = NULL;
    }
    return c;
}

/* An instance that ends, in a thread that may take as long as a name server does. */
struct end {
    pthread_mutex_t lock; /* guards the rest; a leaf */
    pthread_cond_t changed;
    bool done;
    bool abandoned; /* the thread frees it */
    struct kafka_client *client;
};

static void end_free(struct end *n)
{
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static void *end_run(void *arg)
{
    struct end *n = arg;
    client_free(n->client);
    pthread_mutex_lock(&n->lock);
    n->done = true;
    bool abandoned = n->abandoned;
    pthread_cond_signal(&n->changed);
    pthread_mutex_unlock(&n->lock);
    if (abandoned) {
        atomic_fetch_sub(&ending, 1);
        end_free(n);
    }
    return NULL;
}

/* Returns whether the thread came back in time; if not, |n| is its own. */
static bool end_wait(struct end *n)
{
    int64_t deadline_ns = clock_mono_ns() + END_NS;
    pthread_mutex_lock(&n->lock);
    while (!n->done && thread_cond_wait(&n->changed, &n->lock, deadline_ns))
        continue;
    bool done = n->done;
    n->abandoned = !done;
    if (!done)
        atomic_fetch_add(&ending, 1);
    pthread_mutex_unlock(&n->lock);
    return done;
}

void kafka_client_end(struct kafka_client *c)
{
    struct thread thread;
    struct end *n = calloc(1, sizeof(*n));
    if (!n) {
        client_free(c);
        return;
    }
    n->client = c;
    pthread_mutex_init(&n->lock, NULL);
    thread_cond_init(&n->changed);
    if (thread_start(&thread, "out/kafka-end", 0, end_run, n)) {
        client_free(c); /* no thread can be started: it ends here, however long that takes */
    } else if (end_wait(n)) {
        thread_join(&thread);
    } else {
        thread_abandon(&thread);
        return;
    }
    end_free(n);
}

/* ---- Use ---- */

void kafka_client_serve(struct kafka_client *c)
{
    uint64_t count;
    ssize_t n =
        read(c->event_fd, &count, sizeof(count)); /* first, so that nothing that comes now goes unnoticed */
    (void)n;
    while (rd_kafka_poll(c->rk, 0) > 0)
        continue;
}

int kafka_client_wait(struct kafka_client *c, const struct sink_host *host, int64_t deadline_ns)
{
    struct pollfd fd = {.fd = c->event_fd, .events = POLLIN};
    int rc = host->wait(host->arg, &fd, 1, deadline_ns);
    kafka_client_serve(c);
    return rc;
}

bool kafka_client_knows_cluster(struct kafka_client *c)
{
    if (c->known)
        return true;
    char *id = rd_kafka_clusterid(c->rk, 0);
    c->known = id != NULL || rd_kafka_controllerid(c->rk, 0) >= 0;
    if (id)
        rd_kafka_mem_free(c->rk, id);
    return c->known;
}

bool kafka_client_is_fatal(const struct kafka_client *c)
{
    return rd_kafka_fatal_error(c->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

void kafka_client_purge(struct kafka_client *c)
{
    int64_t end_ns = clock_mono_ns() + PURGE_MS * NS_PER_MS;
    rd_kafka_purge(c->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    while (c->reports->pending && clock_mono_ns() < end_ns)
        rd_kafka_poll(c->rk, PURGE_MS / 10);
}
