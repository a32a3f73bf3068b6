#include "server/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inet_diag/replay.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "nswatch/nswatch.h"
#include "outputs/format/format.h"
#include "server/poll/inventory.h"
#include "server/poll/poller.h"
#include "server/stream/hub.h"

#define FLUSH_BYTES  65536
#define SYNC_WAIT_NS (5 * NS_PER_S)
#define CAPTURE_MAX  ((size_t)1 << 30) /* bytes of a recording */
#define POOL_KEEP    4

/* A collector that has not ended this long after it was told to hangs in the kernel. */
#define STOP_WAIT_NS (2 * NS_PER_S)

static const char *const format_names[] = {"jsonl", "protojson", "protobuf-list"};

int offline_check_format(const char *name, struct err *e)
{
    const struct format *f = format_by_name(name);
    for (size_t i = 0; f && i < sizeof(format_names) / sizeof(format_names[0]); i++) {
        if (strcmp(format_names[i], f->name) == 0)
            return 0;
    }
    return err_set(e, ERR_UNKNOWN, "allowed are jsonl, protojson and protobuf-list");
}

/* ---- Standard output ---- */

struct printer {
    struct format_writer *writer;
    struct buf out;
    int rc; /* of the first thing that went wrong */
};

static int printer_init(struct printer *p, const char *format)
{
    *p = (struct printer){0};
    return format_writer_new(format_by_name(format ? format : "jsonl"), NULL, 0, &p->writer);
}

static void printer_flush(struct printer *p)
{
    for (size_t done = 0; done < p->out.len && p->rc == 0;) {
        ssize_t n = write(STDOUT_FILENO, p->out.data + done, p->out.len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            p->rc = -errno;
    }
    buf_reset(&p->out);
}

/* Rows |row| up to |end| of |b|. */
static void printer_rows(struct printer *p, const struct batch *b, uint32_t row, uint32_t end)
{
    uint32_t from = batch_offset(b, row);
    int64_t n = format_envelope(p->writer, &p->out, b->bytes + from, batch_offset(b, end) - from);
    if (p->rc == 0 && (n < 0 || p->out.failed))
        p->rc = n < 0 ? (int)n : -ENOMEM;
    if (p->out.len >= FLUSH_BYTES)
        printer_flush(p);
}

static void printer_batch(struct printer *p, const struct batch *b)
{
    printer_rows(p, b, 0, b->rows);
}

/* Returns 0, or the first error, which is logged. */
static int printer_end(struct printer *p)
{
    printer_flush(p);
    format_writer_free(p->writer);
    buf_free(&p->out);
    if (p->rc)
        log_error("output", "standard output: %s", err_name(p->rc));
    return p->rc;
}

/* ---- --once ---- */

/* A poll made as the daemon makes it, with one subscriber, whose sink is main. */
struct once {
    struct batch_pool *pool;
    struct hub *hub;
    struct poller *poller;
    struct collectors *collectors;
    struct inventory *inventory;
    struct nswatch *nswatch;
    struct subscriber *subscriber;
    struct printer printer;
    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t changed;
    bool synced;      /* all existing namespaces are known */
    bool woken;       /* there is something to print, or to look at */
    unsigned missing; /* namespaces that were not polled completely; main's */
};

static void on_wake(void *arg)
{
    struct once *o = arg;
    pthread_mutex_lock(&o->lock);
    o->woken = true;
    pthread_cond_signal(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static void on_namespace(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct once *o = arg;
    inventory_event(o->inventory, event, ns);
    if (event != NSWATCH_SYNCED)
        return;
    pthread_mutex_lock(&o->lock);
    o->synced = true;
    pthread_cond_signal(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

static struct plan *on_plan(void *arg, uint64_t poll_id)
{
    return hub_plan(((struct once *)arg)->hub, poll_id);
}

static void on_begin(void *arg, const struct poll_begin *begin, struct plan *plan)
{
    hub_begin(((struct once *)arg)->hub, begin, plan);
}

static void on_batch(void *arg, struct batch *b)
{
    hub_batch(((struct once *)arg)->hub, b);
}

static void on_end(void *arg, const struct poll_end *end)
{
    struct once *o = arg;
    hub_end(o->hub, end);
    o->missing = end->namespaces_failed + end->namespaces_unseen;
    for (size_t i = 0; i < end->n_errors; i++)
        log_error("once", "ns=%s: %s", end->errors[i].name, end->errors[i].text);
    if (o->missing > end->n_errors)
        log_error("once", "%zu more namespaces were not polled completely", o->missing - end->n_errors);
}

struct taken_rows {
    struct shared_batch *batch; /* a reference; NULL: no rows */
    uint32_t row, end;
};

static bool take_rows(void *arg, const struct subscriber_item *item, bool more)
{
    (void)more;
    struct taken_rows *t = arg;
    if (item->kind == SUBSCRIBER_ROWS)
        *t = (struct taken_rows){shared_batch_ref(item->rows.batch), item->rows.row, item->rows.end};
    return true;
}

static void print_waiting(struct once *o)
{
    for (struct taken_rows t = {0}; subscriber_next(o->subscriber, take_rows, &t); t.batch = NULL) {
        if (!t.batch)
            continue;
        printer_rows(&o->printer, t.batch->batch, t.row, t.end);
        shared_batch_unref(t.batch);
    }
}

static void run_poll(struct once *o, const struct config *config)
{
    pthread_mutex_lock(&o->lock);
    int64_t deadline = clock_mono_ns() + SYNC_WAIT_NS;
    while (!o->synced && clock_mono_ns() < deadline)
        thread_cond_wait(&o->changed, &o->lock, deadline);
    pthread_mutex_unlock(&o->lock);
    const struct poll_begin begin = {.poll_id = 1, .trigger = POLL_TRIGGER_START};
    int rc = poller_start(o->poller, o->inventory, &begin, config);
    if (rc) {
        o->printer.rc = rc;
        return;
    }
    while (!poller_check(o->poller, o->inventory)) {
        print_waiting(o);
        pthread_mutex_lock(&o->lock);
        while (!o->woken && clock_mono_ns() < poller_deadline(o->poller))
            thread_cond_wait(&o->changed, &o->lock, poller_deadline(o->poller));
        o->woken = false;
        pthread_mutex_unlock(&o->lock);
    }
}

static int subscribe(struct once *o, struct err *e)
{
    const struct subscription all = {0};
    const struct subscriber_sink sink = {.kick = on_wake, .arg = o, .peer = "", .method = "once"};
    struct subscriber_options options = {.batch_rows = UINT32_MAX, .queue_rows = UINT32_MAX};
    const struct bounds bounds = {0};
    int rc = selection_new(&all, &options.selection, e);
    if (rc)
        return rc;
    o->subscriber = subscriber_new(&sink, &options);
    selection_unref(options.selection);
    return o->subscriber ? hub_subscribe(o->hub, o->subscriber, &bounds, e)
                         : err_set(e, -ENOMEM, "out of memory");
}

static int make_parts(struct once *o, const struct config *config, struct err *e)
{
    struct poller_ops ops = {
        .plan = on_plan, .begin = on_begin, .batch = on_batch, .end = on_end, .wake = on_wake, .arg = o};
    int rc = hub_new(SIZE_MAX, &o->hub, e);
    if (rc == 0)
        rc = poller_new(&ops, &o->poller, e);
    if (rc == 0) {
        struct collectors_options options = {
            .threads_max = config->collector_threads_max, .sink = poller_sink(o->poller), .pool = o->pool};
        rc = collectors_new(&options, &o->collectors, e);
    }
    if (rc == 0)
        rc = inventory_new(o->collectors, &o->inventory, e);
    if (rc)
        return rc;
    inventory_select(o->inventory, config);
    struct nswatch_options options = {.dirs = (const char *const *)config->netns_dirs.items,
                                      .dir_count = config->netns_dirs.n,
                                      .proc_interval_ns = config->proc_scan_interval};
    o->nswatch = nswatch_new(&options, on_namespace, o, e);
    return o->nswatch ? subscribe(o, e) : e->code;
}

static int once_open(struct once *o, const struct config *config, const char *format, struct err *e)
{
    *o = (struct once){.pool = batch_pool_new(POOL_KEEP)};
    pthread_mutex_init(&o->lock, NULL);
    thread_cond_init(&o->changed);
    if (printer_init(&o->printer, format) || !o->pool)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = make_parts(o, config, e);
    if (rc == 0)
        rc = hub_start(o->hub);
    return rc ? rc : nswatch_start(o->nswatch);
}

/* Rows that were never printed. */
static uint64_t rows_lost(struct once *o)
{
    struct hub_stats hub;
    struct subscriber_stats own = {0};
    hub_stats(o->hub, &hub);
    subscriber_stats(o->subscriber, &own);
    return hub.rows_dropped + own.lost;
}

/* Ends all threads and prints the rows that they have left. Returns the number of lost rows. */
static uint64_t once_end(struct once *o)
{
    uint64_t lost = 0;
    nswatch_free(o->nswatch);
    bool stopped = !o->inventory || inventory_stop(o->inventory, clock_mono_ns() + STOP_WAIT_NS);
    if (o->hub)
        hub_stop(o->hub);
    if (o->subscriber) {
        print_waiting(o);
        lost = rows_lost(o);
    }
    if (!stopped) {
        printer_flush(&o->printer);
        _exit(1); /* it has been logged as a namespace that did not answer */
    }
    return lost;
}

static void once_free(struct once *o)
{
    inventory_free(o->inventory);
    if (o->collectors)
        collectors_free(o->collectors);
    poller_free(o->poller);
    if (o->subscriber) {
        hub_unsubscribe(o->hub, o->subscriber);
        subscriber_unref(o->subscriber);
    }
    hub_free(o->hub);
    batch_pool_free(o->pool);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
}

int offline_once(const struct config *config, const char *format)
{
    struct once o;
    struct err e = {0};
    int rc = once_open(&o, config, format, &e);
    if (rc == 0)
        run_poll(&o, config);
    else
        log_error("once", "%s", e.text[0] ? e.text : err_name(rc));
    uint64_t lost = once_end(&o);
    if (lost)
        log_error("once", "out of memory: %llu records are lost", (unsigned long long)lost);
    int print_rc = printer_end(&o.printer);
    unsigned missing = o.missing;
    once_free(&o);
    return rc || print_rc || missing || lost ? 1 : 0;
}

/* ---- --replay ---- */

struct replay {
    struct printer printer;
    struct batch_pool *pool;
    struct batch *batch;
    struct record_frame frame;
    uint64_t counter;
};

static int on_socket(void *arg, const struct record_source *s)
{
    struct replay *r = arg;
    if (!r->batch && !(r->batch = batch_new(r->pool)))
        return -ENOMEM;
    if (batch_append(r->batch, &r->frame, s, r->counter)) {
        r->counter++;
        return 0;
    }
    r->batch = batch_seal(r->batch);
    printer_batch(&r->printer, r->batch);
    batch_unref(r->batch);
    r->batch = batch_new(r->pool);
    if (!r->batch)
        return -ENOMEM;
    batch_append(r->batch, &r->frame, s, r->counter++);
    return r->printer.rc;
}

/* The whole file |path| in |out|. */
static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, err_name(-errno));
    int rc = 0;
    for (;;) {
        char *to = buf_reserve(out, FLUSH_BYTES);
        ssize_t n = to ? read(fd, to, FLUSH_BYTES) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = err_set(e, -errno, "%s: %s", path, err_name(-errno));
        else if (!to || out->len + (size_t)n > CAPTURE_MAX)
            rc = err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, CAPTURE_MAX);
        if (n <= 0 || rc)
            break;
        out->len += (size_t)n;
    }
    if (fd != STDIN_FILENO)
        close(fd);
    return rc;
}

int offline_replay(const struct config *config, const char *path, const char *format)
{
    struct replay r = {.pool = batch_pool_new(POOL_KEEP)};
    struct record_context context = {
        .daemon_version = XTCP_VERSION, .label = config->label, .tag = config->tag, .groups = config->groups};
    struct replay_result result = {0};
    struct buf file;
    struct err e = {0};
    buf_init(&file);
    int rc = printer_init(&r.printer, format);
    if (rc || !r.pool)
        rc = err_set(&e, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = record_frame_init(&r.frame, &context);
    if (rc == 0)
        rc = read_file(path, &file, &e);
    if (rc == 0) {
        rc = replay_pcap((const uint8_t *)file.data, file.len, on_socket, &r, &result, &e);
        if (rc)
            err_prefix(&e, "%s", path);
    }
    if (r.batch) {
        r.batch = batch_seal(r.batch);
        printer_batch(&r.printer, r.batch);
        batch_unref(r.batch);
    }
    int print_rc = printer_end(&r.printer);
    if (rc && !print_rc)
        log_error("replay", "%s", e.text[0] ? e.text : err_name(rc));
    if (result.malformed)
        log_warn("replay", "%s: %llu malformed messages left out", path,
                 (unsigned long long)result.malformed);
    batch_pool_free(r.pool);
    buf_free(&file);
    return rc || print_rc ? 1 : 0;
}
