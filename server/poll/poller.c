#include "server/poll/poller.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/log.h"

/* Collectors watch their deadline themselves. One that has not reported this long after it hangs in the
 * kernel. */
#define STUCK_NS (200 * NS_PER_MS)

#define HINT_MAX 512

/* Counts over all polls. */
enum count {
    COUNT_GONE,
    COUNT_TIMEOUT,
    COUNT_INTERRUPTED,
    COUNT_TRUNCATED,
    COUNT_OVERRUN,
    COUNT_BUSY,
    COUNT_OTHER,
    COUNT_DUPLICATE,
    COUNT_MALFORMED,
    COUNT_UNKNOWN_ATTR,
    COUNTS,
};

static const char *const count_names[COUNTS] = {
    [COUNT_GONE] = "namespace gone during its poll",
    [COUNT_TIMEOUT] = "namespace timed out",
    [COUNT_INTERRUPTED] = "dump interrupted",
    [COUNT_TRUNCATED] = "answer truncated",
    [COUNT_OVERRUN] = "receive buffer overrun",
    [COUNT_BUSY] = "namespace still busy with an earlier poll",
    [COUNT_OTHER] = "other error",
    [COUNT_DUPLICATE] = "socket sent twice",
    [COUNT_MALFORMED] = "malformed message",
    [COUNT_UNKNOWN_ATTR] = "unknown attribute skipped",
};

struct failure {
    char name[INVENTORY_NAME_MAX];
    char text[ERR_TEXT_MAX];
    uint64_t inode;
    uint64_t cookie;
    int code;
};

struct summary {
    struct poll_begin begin;
    struct poll_end end;                      /* without errors, rows_sent and rows_lost */
    struct failure failures[POLL_ERRORS_MAX]; /* the unseen fill it from the end, last one first */
    size_t n_failures;
    size_t n_unseen;    /* of the failures; failed namespaces come first and may take their place */
    uint32_t timeouts;  /* of the failed ones */
    uint32_t no_turn;   /* of the timeouts, those whose dump did not even begin */
    int64_t timeout_ns; /* the timeout that they had */
    bool filtered;      /* all subscribers that take part want some sockets only */
    bool partial;       /* not all namespaces were asked, or not for all of their sockets */
    char hint[HINT_MAX];
};

struct poller {
    struct poller_ops ops;
    struct inventory *inventory; /* of the running poll */
    int64_t start_ns;
    pthread_mutex_t lock; /* guards all below; the inventory's lock is taken before it, never under it */
    struct poll_request *request; /* of the running poll, NULL between polls */
    bool issued;                  /* |pending| counts all requests that were given */
    int64_t pending;  /* requests not reported yet; below zero while reports come faster than counting */
    uint32_t capture; /* polls that are still to be recorded */
    struct summary *now;
    struct summary *last;
    struct status_poll full; /* the last poll that was not partial; without errors and hint */
    uint64_t polls;
    uint64_t sockets;
    uint64_t cpu_ns; /* of the collectors */
    uint64_t kernel_ns;
    uint64_t counts[COUNTS];
};

int poller_new(const struct poller_ops *ops, struct poller **out, struct err *e)
{
    struct poller *p = calloc(1, sizeof(*p));
    if (p) {
        p->now = calloc(1, sizeof(*p->now));
        p->last = calloc(1, sizeof(*p->last));
    }
    if (!p || !p->now || !p->last) {
        poller_free(p);
        return err_set(e, -ENOMEM, "out of memory");
    }
    p->ops = *ops;
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return 0;
}

void poller_free(struct poller *p)
{
    if (!p)
        return;
    if (p->request)
        poll_request_unref(p->request);
    pthread_mutex_destroy(&p->lock);
    free(p->now);
    free(p->last);
    free(p);
}

/* ---- Results ---- */

static enum count kind_of(int code)
{
    switch (code) {
    case ERR_GONE:
    case ERR_CANCELLED:
        return COUNT_GONE;
    case ERR_TIMEOUT:
        return COUNT_TIMEOUT;
    case ERR_INTERRUPTED:
        return COUNT_INTERRUPTED;
    case ERR_TRUNCATED:
        return COUNT_TRUNCATED;
    case -ENOBUFS:
        return COUNT_OVERRUN;
    case -EBUSY:
        return COUNT_BUSY;
    default:
        return COUNT_OTHER;
    }
}

static void fill_failure(struct failure *f, const struct poll_error *e)
{
    *f = (struct failure){.inode = e->inode, .cookie = e->cookie, .code = e->code};
    strncpy(f->name, e->name, sizeof(f->name) - 1);
    strncpy(f->text, e->text, sizeof(f->text) - 1);
}

/* The lock is held. */
static void note_failure(struct poller *p, const char *name, uint64_t inode, uint64_t cookie, int code,
                         const char *text)
{
    struct summary *s = p->now;
    s->end.namespaces_failed++;
    p->counts[kind_of(code)]++;
    s->partial |= s->filtered; /* it was not asked for all of its sockets */
    if (s->n_failures == POLL_ERRORS_MAX)
        return;
    if (s->n_failures + s->n_unseen == POLL_ERRORS_MAX)
        s->n_unseen--;
    fill_failure(
        &s->failures[s->n_failures++],
        &(struct poll_error){.name = name, .inode = inode, .cookie = cookie, .code = code, .text = text});
}

/* A namespace that ought to be part of the poll that has begun. */
static void note_unseen(void *arg, const struct poll_error *error)
{
    struct poller *p = arg;
    pthread_mutex_lock(&p->lock);
    struct summary *s = p->now;
    s->end.namespaces_unseen++;
    if (s->n_failures + s->n_unseen < POLL_ERRORS_MAX)
        fill_failure(&s->failures[POLL_ERRORS_MAX - ++s->n_unseen], error);
    pthread_mutex_unlock(&p->lock);
}

/* Lists the failures that |s| has noted in |errors| (room for POLL_ERRORS_MAX), which refer to the texts of
 * |s|. Returns their number. */
static size_t list_errors(const struct summary *s, struct poll_error *errors)
{
    size_t n = s->n_failures + s->n_unseen;
    for (size_t i = 0; i < n; i++) {
        const struct failure *f =
            &s->failures[i < s->n_failures ? i : POLL_ERRORS_MAX - 1 - (i - s->n_failures)];
        errors[i] = (struct poll_error){
            .name = f->name, .inode = f->inode, .cookie = f->cookie, .code = f->code, .text = f->text};
    }
    return n;
}

static void note_result(struct poller *p, const struct collector_result *result, const char *name,
                        uint64_t inode, uint64_t cookie)
{
    struct summary *s = p->now;
    s->partial |= result->partial;
    s->end.sockets += result->sockets;
    s->end.cpu_ns += (uint64_t)result->cpu_ns;
    p->cpu_ns += (uint64_t)result->cpu_ns;
    p->kernel_ns += (uint64_t)result->kernel_ns;
    p->counts[COUNT_DUPLICATE] += result->duplicates;
    p->counts[COUNT_MALFORMED] += result->malformed;
    p->counts[COUNT_UNKNOWN_ATTR] += result->unknown_attrs;
    if (result->interrupted) {
        s->end.dumps_interrupted++;
        if (result->err.code != ERR_INTERRUPTED)
            p->counts[COUNT_INTERRUPTED]++;
    }
    p->now->timeouts += result->err.code == ERR_TIMEOUT;
    p->now->no_turn += result->err.code == ERR_TIMEOUT && result->dump_ns == 0;
    if (result->err.code == ERR_CANCELLED)
        note_failure(p, name, inode, cookie, ERR_GONE, "the namespace was removed during the poll");
    else if (result->err.code)
        note_failure(p, name, inode, cookie, result->err.code, result->err.text);
    else
        s->end.namespaces++;
    if (result->empty)
        s->end.namespaces_empty++;
}

/* A report, from a collector's thread or (refused requests) from main. */
static void on_result(void *arg, const struct collector_result *result)
{
    struct poller *p = arg;
    char name[INVENTORY_NAME_MAX];
    uint64_t inode;
    uint64_t cookie;
    pthread_mutex_lock(&p->lock);
    bool current = p->request && p->request->poll_id == result->poll_id;
    int64_t timestamp = current ? p->request->timestamp_ns : clock_wall_ns();
    struct inventory *r = p->inventory;
    pthread_mutex_unlock(&p->lock);
    inventory_result(r, result, timestamp, name, &inode, &cookie);
    if (result->err.code)
        log_limited(LOG_DEBUG, "poll", "ns=%s: poll %" PRIu64 ": %s", name, result->poll_id,
                    result->err.text);
    if (result->err.code == ERR_GONE && p->ops.gone)
        p->ops.gone(p->ops.arg);
    bool complete = false;
    pthread_mutex_lock(&p->lock);
    if (p->request && p->request->poll_id == result->poll_id) { /* else it was given up long ago */
        note_result(p, result, name, inode, cookie);
        p->pending--;
        complete = p->issued && p->pending == 0;
    }
    pthread_mutex_unlock(&p->lock);
    if (complete)
        p->ops.wake(p->ops.arg);
}

static void on_batch(void *arg, struct batch *b)
{
    struct poller *p = arg;
    p->ops.batch(p->ops.arg, b);
}

struct collector_sink poller_sink(struct poller *p)
{
    return (struct collector_sink){.batch = on_batch, .done = on_result, .arg = p};
}

/* ---- A poll ---- */

void poller_capture(struct poller *p, uint32_t polls)
{
    pthread_mutex_lock(&p->lock);
    p->capture = polls;
    pthread_mutex_unlock(&p->lock);
}

/* Whether the poll that begins is one of those to be recorded. */
static bool take_capture(struct poller *p)
{
    pthread_mutex_lock(&p->lock);
    bool take = p->capture > 0;
    p->capture -= take;
    pthread_mutex_unlock(&p->lock);
    return take;
}

static struct poll_request *make_request(uint64_t id, const struct config *config, bool capture)
{
    struct poll_request *o = poll_request_new();
    if (!o)
        return NULL;
    o->poll_id = id;
    o->timestamp_ns = clock_wall_ns();
    o->deadline_ns = clock_mono_ns() + config->poll_timeout;
    o->groups = config->groups;
    o->modulus = config->modulus;
    o->packet_size = config->packet_size;
    o->silence_ns = config->nl_timeout_milliseconds * NS_PER_MS;
    o->populate_nsid = config->populate_nsid;
    capture = capture && *config->capture_path;
    o->capture_path = capture ? strdup(config->capture_path) : NULL;
    o->daemon_version = strdup(XTCP_VERSION);
    o->hostname = strdup(config->hostname);
    o->location = strdup(config->location);
    o->label = strdup(config->label);
    o->tag = strdup(config->tag);
    bool captured = o->capture_path || !capture;
    if (captured && o->daemon_version && o->hostname && o->location && o->label && o->tag)
        return o;
    poll_request_unref(o);
    return NULL;
}

/* Adds the filters of |plan|. A recording takes all sockets. */
static int add_filters(struct poll_request *request, const struct plan *plan)
{
    if (plan->n_filters == 0)
        return 0;
    return poll_request_filters(request, plan->filters, plan->n_filters,
                                plan->want_all || request->capture_path);
}

static bool plan_has(const void *plan, const char *name, uint64_t inode)
{
    return plan_wants_netns(plan, name, inode);
}

int poller_start(struct poller *p, struct inventory *r, const struct poll_begin *begin,
                 const struct config *config)
{
    struct plan *plan = p->ops.plan(p->ops.arg, begin->poll_id);
    if (!plan)
        return -ENOMEM;
    struct poll_request *request = make_request(begin->poll_id, config, take_capture(p));
    if (request && add_filters(request, plan) < 0) {
        poll_request_unref(request);
        request = NULL;
    }
    if (!request) {
        plan_revoke(plan);
        plan_unref(plan);
        return -ENOMEM;
    }
    const struct inventory_scope some = {.wants = plan_has, .arg = plan};
    const struct inventory_scope *scope = plan->n_scope && !request->capture_path ? &some : NULL;
    size_t expected = inventory_collectors(r, scope);
    p->start_ns = clock_mono_ns();
    pthread_mutex_lock(&p->lock);
    memset(p->now, 0, offsetof(struct summary, failures));
    p->now->n_failures = p->now->n_unseen = 0;
    p->now->timeouts = p->now->no_turn = 0;
    p->now->timeout_ns = config->poll_timeout;
    p->now->filtered = !request->want_all;
    p->now->partial = scope != NULL;
    p->now->begin = *begin;
    p->now->begin.timestamp_ns = request->timestamp_ns;
    p->now->begin.namespaces = (uint32_t)expected;
    p->now->end.poll_id = begin->poll_id;
    p->inventory = r;
    p->request = request;
    p->issued = false;
    p->pending = 0;
    pthread_mutex_unlock(&p->lock);
    p->ops.begin(p->ops.arg, &p->now->begin, plan_ref(plan));
    size_t n = inventory_poll(r, request, scope, on_result, p);
    inventory_unseen(r, scope, note_unseen, p);
    plan_unref(plan);
    pthread_mutex_lock(&p->lock);
    p->pending += (int64_t)n;
    p->issued = true;
    bool complete = p->pending == 0;
    pthread_mutex_unlock(&p->lock);
    if (complete)
        p->ops.wake(p->ops.arg);
    return 0;
}

static void note_missing(void *arg, const char *name, uint64_t inode, uint64_t cookie)
{
    struct poller *p = arg;
    pthread_mutex_lock(&p->lock);
    note_failure(p, name, inode, cookie, ERR_TIMEOUT,
                 "no answer within the poll timeout, and the collector is stuck");
    pthread_mutex_unlock(&p->lock);
}

/* Advises on namespaces that ran into the timeout. A dump goes through the table of the whole host, wherever
 * it is made: with many namespaces that adds up, and the last ones get no turn. */
static void advise(struct summary *s)
{
    char timeout[DURATION_TEXT_MAX];
    char needed[DURATION_TEXT_MAX];
    s->hint[0] = '\0';
    if (s->timeouts == 0)
        return;
    duration_format(s->timeout_ns, timeout);
    uint32_t all = s->end.namespaces + s->end.namespaces_failed;
    if (s->no_turn == 0 || s->end.namespaces == 0) {
        snprintf(
            s->hint, sizeof(s->hint),
            "%u of %u namespaces were not finished within poll_timeout (%s): raise it, with poll_frequency if need be",
            s->timeouts, all, timeout);
        return;
    }
    double whole = (double)s->timeout_ns * all / s->end.namespaces;
    duration_format((int64_t)(whole / NS_PER_MS) * NS_PER_MS, needed);
    snprintf(
        s->hint, sizeof(s->hint),
        "%u of %u namespaces had no turn within poll_timeout (%s); all of them take about %s, since each "
        "dump goes through the TCP sockets of the whole host: raise poll_timeout and poll_frequency, leave "
        "namespaces out (netns_exclude), or have new ones get a table of their own (sysctl "
        "net.ipv4.tcp_child_ehash_entries, Linux 6.1)",
        s->no_turn, all, timeout, needed);
}

static void pass_end(struct poller *p)
{
    struct poll_error errors[POLL_ERRORS_MAX];
    const struct summary *s = p->last;
    if (*s->hint)
        log_limited(LOG_INFO, "poll", "%s", s->hint);
    struct poll_end end = s->end;
    end.errors = errors;
    end.n_errors = list_errors(s, errors);
    p->ops.end(p->ops.arg, &end);
    log_at(end.namespaces_failed ? LOG_INFO : LOG_DEBUG, "poll",
           "%" PRIu64 ": %" PRIu64 " sockets in %u namespaces, %u failed, %u unseen, %" PRIu64 " us, %" PRIu64
           " us of CPU",
           end.poll_id, end.sockets, end.namespaces, end.namespaces_failed, end.namespaces_unseen,
           end.duration_ns / 1000, end.cpu_ns / 1000);
}

/* The figures of the poll of |s|, without errors and hint. */
static struct status_poll figures(const struct summary *s)
{
    return (struct status_poll){.poll_id = s->end.poll_id,
                                .trigger = s->begin.trigger,
                                .timestamp_ns = s->begin.timestamp_ns,
                                .duration_ns = s->end.duration_ns,
                                .namespaces = s->end.namespaces,
                                .namespaces_empty = s->end.namespaces_empty,
                                .namespaces_failed = s->end.namespaces_failed,
                                .namespaces_unseen = s->end.namespaces_unseen,
                                .dumps_interrupted = s->end.dumps_interrupted,
                                .sockets = s->end.sockets,
                                .partial = s->partial};
}

bool poller_check(struct poller *p, struct inventory *r)
{
    pthread_mutex_lock(&p->lock);
    bool running = p->request != NULL;
    bool complete = running && p->issued && p->pending == 0;
    bool stuck = running && !complete && clock_mono_ns() >= p->request->deadline_ns + STUCK_NS;
    pthread_mutex_unlock(&p->lock);
    if (!complete && !stuck)
        return false;
    if (stuck)
        inventory_missing(r, p->request->poll_id, note_missing, p);
    pthread_mutex_lock(&p->lock);
    struct poll_request *request = p->request;
    p->request = NULL;
    p->now->end.timestamp_ns = clock_wall_ns();
    p->now->end.duration_ns = (uint64_t)(clock_mono_ns() - p->start_ns);
    p->polls++;
    p->sockets += p->now->end.sockets;
    advise(p->now);
    struct summary *finished = p->now;
    p->now = p->last;
    p->last = finished;
    if (!finished->partial)
        p->full = figures(finished);
    pthread_mutex_unlock(&p->lock);
    if (stuck)
        poll_request_cancel(request);
    poll_request_unref(request);
    pass_end(p); /* |last| changes on this thread only */
    return true;
}

int64_t poller_deadline(const struct poller *p)
{
    return p->request ? p->request->deadline_ns + STUCK_NS : INT64_MAX;
}

void poller_cancel(struct poller *p)
{
    if (p->request)
        poll_request_cancel(p->request);
}

/* ---- Status ---- */

int poller_stats(struct poller *p, struct poller_stats *out)
{
    struct memory {
        struct summary summary;
        struct poll_error errors[POLL_ERRORS_MAX];
        struct status_error_count counts[COUNTS];
    } *m = malloc(sizeof(*m));
    *out = (struct poller_stats){0};
    if (!m)
        return -ENOMEM;
    pthread_mutex_lock(&p->lock);
    m->summary = *p->last;
    out->polls = p->polls;
    out->sockets = p->sockets;
    out->cpu_ns = p->cpu_ns;
    out->kernel_ns = p->kernel_ns;
    out->last_cpu_ns = p->last->end.cpu_ns;
    out->full = p->full;
    for (int i = 0; i < COUNTS; i++) {
        if (p->counts[i])
            m->counts[out->n_errors++] =
                (struct status_error_count){.kind = count_names[i], .count = p->counts[i]};
    }
    pthread_mutex_unlock(&p->lock);
    const struct summary *s = &m->summary;
    size_t n_errors = list_errors(s, m->errors);
    out->memory = m;
    out->errors = m->counts;
    out->last = figures(s);
    out->last.errors = m->errors;
    out->last.n_errors = n_errors;
    out->last.hint = s->hint;
    return 0;
}
