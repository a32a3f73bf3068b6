/* Attempts: connecting, sending, and what follows from the results. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/varint.h"
#include "outputs/output_internal.h"
#include "record/envelope.h"
#include "record/fields.h"

/* A failure that lasts is logged this often. */
#define LOG_EACH_NS (60 * NS_PER_S)

/* While the output ends, attempts follow each other this fast at least. */
#define STOP_PAUSE_NS (100 * NS_PER_MS)

void output_set_state(struct output *o, enum output_state state)
{
    pthread_mutex_lock(&o->lock);
    if (o->stop)
        state = OUTPUT_STATE_STOPPING;
    else if (o->paused)
        state = OUTPUT_STATE_PAUSED;
    bool news = o->state != state;
    o->state = state;
    pthread_mutex_unlock(&o->lock);
    if (news && o->changed)
        o->changed(o->changed_arg);
}

/* ---- Results ---- */

/* Lets those who wait for the first attempt know of it. */
static void note_attempt(struct output *o, bool connected)
{
    pthread_mutex_lock(&o->lock);
    o->tried = true;
    o->connected = connected;
    pthread_cond_broadcast(&o->settled);
    pthread_mutex_unlock(&o->lock);
}

/* An attempt has failed: the next one is made after a pause. */
static void attempt_failed(struct output *o, const struct err *e)
{
    int64_t now = clock_mono_ns(), pause = backoff_next(&o->backoff);
    output_note_error(o, e);
    if (!o->logged_ns || now - o->logged_ns >= LOG_EACH_NS) {
        log_warn("output", "%s: %s; trying again", o->config.name, e->text);
        o->logged_ns = now;
    }
    pthread_mutex_lock(&o->lock);
    if (o->stop && pause > STOP_PAUSE_NS)
        pause = STOP_PAUSE_NS;
    o->counts.retries++;
    o->counts.next_attempt_ns = clock_wall_ns() + pause;
    pthread_mutex_unlock(&o->lock);
    o->next_attempt_ns = now + pause;
    note_attempt(o, false);
    output_set_state(o, OUTPUT_STATE_RETRYING);
}

static void attempt_succeeded(struct output *o)
{
    backoff_reset(&o->backoff);
    o->next_attempt_ns = 0;
    if (o->logged_ns)
        log_info("output", "%s: it works again", o->config.name);
    o->logged_ns = 0;
    pthread_mutex_lock(&o->lock);
    o->counts.next_attempt_ns = 0;
    pthread_mutex_unlock(&o->lock);
    output_set_state(o, OUTPUT_STATE_RUNNING);
}

/* ---- What is sent again ---- */

/* The rows of |c| that have just been delivered, by messages of |bytes|, are kept as long as the sink is not sure of them. Without
 * memory for that they are not sent again. */
static void remember(struct output *o, const struct chunk *c, size_t bytes)
{
    size_t unsure = o->ops->unsure && bytes ? o->ops->unsure(o->sink) : 0;
    struct history_entry *entry = unsure ? calloc(1, sizeof(*entry)) : NULL;
    if (!entry)
        return;
    chunk_reset(&entry->chunk);
    entry->chunk.n = packer_delivered(o->packer, &entry->chunk.rows);
    entry->chunk.poll_id = c->poll_id;
    entry->chunk.complete = true;
    entry->bytes = bytes;
    bool failed = entry->chunk.rows.failed;
    history_add(&o->history, entry, unsure);
    if (failed)
        history_clear(&o->history);
}

/* The connection is gone: what its peer may not have read is sent again. */
static void recall(struct output *o)
{
    if (o->ops->unsure)
        history_recall(&o->history, o->ops->unsure(o->sink), &o->again);
}

/* ---- One attempt ---- */

/* Connects. Returns whether messages can be sent now. */
static bool connect_sink(struct output *o, struct err *e)
{
    bool fresh = false;
    *e = (struct err){0};
    enum sink_result r = o->ops->connect(o->sink, &fresh, e);
    o->header = o->header || fresh;
    if (r == SINK_DONE)
        note_attempt(o, true);
    if (r == SINK_BROKEN) /* it may have noticed only now that the connection is gone */
        recall(o);
    return r == SINK_DONE;
}

/* Makes messages of |c|. Rows that cannot be read are counted in |*bad|. Returns 0, ERR_MALFORMED when they are not those that it
 * is said to have, or -ENOMEM. */
static int pack(struct output *o, const struct chunk *c, uint32_t *bad)
{
    const struct packer_rules rules = {
        .key = o->ops->key ? o->ops->key(o->sink) : OUTPUT_KEY_NONE,
        .largest = o->ops->largest ? o->ops->largest(o->sink) : 0,
        .header = o->header,
        .headers = (o->kind->flags & OUTPUT_ONE_OBJECT) != 0,
        .poll_id = c->poll_id,
    };
    int64_t n = packer_load(o->packer, (const uint8_t *)c->rows.data, c->rows.len);
    if (n == -ENOMEM)
        return -ENOMEM;
    return n == c->n ? packer_pack(o->packer, &rules, bad) : ERR_MALFORMED;
}

/* The outcome of an attempt, in rows. */
struct tally {
    uint64_t rows, bytes, messages; /* delivered */
    uint64_t dropped[OUTPUT_DROPS]; /* rows */
    bool broken;                    /* one of the others is SINK_BROKEN */
};

static void count_results(struct output *o, struct tally *t)
{
    size_t n;
    const struct sink_message *list = packer_messages(o->packer, &n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].result == SINK_DONE) {
            t->rows += list[i].rows;
            t->bytes += list[i].len;
            t->messages++;
        } else if (list[i].result == SINK_REFUSED) {
            t->dropped[OUTPUT_DROP_REFUSED] += list[i].rows;
        }
        t->broken = t->broken || list[i].result == SINK_BROKEN;
    }
}

/* Counts what is no longer in |c|. Rows that are sent again have been counted before, as sent. */
static void settle(struct output *o, const struct chunk *c, const struct tally *t)
{
    uint64_t gone = t->rows;
    pthread_mutex_lock(&o->lock);
    o->counts.bytes_sent += t->bytes;
    o->counts.messages_sent += t->messages;
    if (t->messages)
        o->counts.last_success_ns = clock_wall_ns();
    if (c != &o->chunk) {
        o->counts.rows_resent += t->rows;
        pthread_mutex_unlock(&o->lock);
        return;
    }
    o->counts.rows_sent += t->rows;
    for (unsigned i = 0; i < OUTPUT_DROPS; i++) {
        o->dropped[i] += t->dropped[i];
        gone += t->dropped[i];
    }
    if (c->spooled)
        o->spooled_sent += gone;
    else
        o->held_rows -= gone;
    pthread_mutex_unlock(&o->lock);
}

/* The entry at hand is delivered, or will never be. */
static void take_spooled(struct output *o)
{
    struct spool_stats stats;
    spool_take(o->spool);
    spool_stats(o->spool, &stats);
    pthread_mutex_lock(&o->lock);
    o->spooled = stats;
    o->spooled_sent = 0;
    pthread_mutex_unlock(&o->lock);
}

/* All of |c| is delivered, or will never be. */
static void finish_chunk(struct output *o, struct chunk *c)
{
    if (c != &o->chunk) {
        history_forget_first(&o->again);
        return;
    }
    if (c->poll_end && o->ops->poll_end)
        o->ops->poll_end(o->sink);
    if (c->spooled)
        take_spooled(o);
    chunk_reset(c);
    output_tell_waiting(o);
}

/* No messages could be made of |c|. */
static void give_up(struct output *o, struct chunk *c, int rc)
{
    struct err e;
    struct tally t = {0};
    t.dropped[rc == -ENOMEM ? OUTPUT_DROP_MEMORY : OUTPUT_DROP_DAMAGED] = c->n;
    err_set(&e, rc, "%" PRIu32 " records are lost: %s", c->n,
            rc == -ENOMEM ? "out of memory" : "they cannot be read");
    log_limited(LOG_ERROR, "output", "%s: %s", o->config.name, e.text);
    output_note_error(o, &e);
    settle(o, c, &t);
    finish_chunk(o, c);
}

/* Tells of rows that are lost, though all may have gone well otherwise. |e|: why they were refused. */
static void tell_lost(struct output *o, const struct tally *t, const struct err *e)
{
    if (t->dropped[OUTPUT_DROP_REFUSED]) {
        output_note_error(o, e);
        log_limited(LOG_WARN, "output", "%s: records are refused: %s", o->config.name, e->text);
    }
    if (t->dropped[OUTPUT_DROP_DAMAGED])
        log_limited(LOG_WARN, "output", "%s: %" PRIu64 " records cannot be read", o->config.name,
                    t->dropped[OUTPUT_DROP_DAMAGED]);
}

static void send_chunk(struct output *o, struct chunk *c)
{
    uint32_t bad = 0;
    size_t n;
    struct err e = {0};
    struct tally t = {0};
    int rc = pack(o, c, &bad);
    if (rc) {
        give_up(o, c, rc);
        return;
    }
    struct sink_message *list = packer_messages(o->packer, &n);
    if (n)
        o->ops->send(o->sink, list, n, &e);
    count_results(o, &t);
    t.dropped[OUTPUT_DROP_DAMAGED] = bad;
    remember(o, c, t.bytes);
    tell_lost(o, &t, &e);
    settle(o, c, &t);
    c->n = packer_rest(o->packer, &c->rows);
    if (t.messages) {
        o->header = false;
        backoff_reset(&o->backoff);
    }
    if (c->n == 0) {
        finish_chunk(o, c);
        attempt_succeeded(o);
        return;
    }
    if (t.broken)
        recall(o);
    attempt_failed(o, &e);
}

void output_attempt(struct output *o)
{
    struct err e;
    if (!connect_sink(o, &e)) {
        attempt_failed(o, &e);
        return;
    }
    o->probe = false;
    struct chunk *c = o->again.first ? &o->again.first->chunk : &o->chunk;
    if (c->complete && c->n) {
        send_chunk(o, c);
        return;
    }
    if (c->complete)
        finish_chunk(o, c);
    attempt_succeeded(o);
}

/* ---- Test ---- */

static void put_number(struct buf *out, const struct record_field *f, uint64_t v)
{
    uint8_t bytes[2 * VARINT_MAX];
    uint8_t *end = varint_put(varint_put(bytes, WIRE_TAG(f->number, WIRE_VARINT)), v);
    buf_bytes(out, bytes, (size_t)(end - bytes));
}

static void put_text(struct buf *out, const struct record_field *f, const char *text)
{
    uint8_t bytes[2 * VARINT_MAX];
    uint8_t *end = varint_put(varint_put(bytes, WIRE_TAG(f->number, WIRE_LEN)), strlen(text));
    buf_bytes(out, bytes, (size_t)(end - bytes));
    buf_str(out, text);
}

/* An Envelope with one record, which nobody takes for that of a socket. */
static void synthetic(const struct output *o, struct buf *out)
{
    struct buf record;
    buf_init(&record);
    put_number(&record, &record_fields[FIELD_timestamp_ns], (uint64_t)clock_wall_ns());
    put_text(&record, &record_fields[FIELD_hostname], o->hostname);
    put_text(&record, &record_fields[FIELD_netns], "xtcp2-test");
    envelope_put_row(out, (const uint8_t *)record.data, record.len);
    out->failed |= record.failed;
    buf_free(&record);
}

static void test_sink(struct output *o, struct output_test *test, struct err *e)
{
    struct chunk c = {.n = 1, .due_ns = INT64_MAX};
    uint32_t bad;
    size_t n = 0;
    synthetic(o, &c.rows);
    if (connect_sink(o, e)) {
        int rc = c.rows.failed ? -ENOMEM : pack(o, &c, &bad);
        struct sink_message *list = packer_messages(o->packer, &n);
        if (rc)
            err_set(e, rc, "%s", err_name(rc));
        else if (n)
            o->ops->send(o->sink, list, n, e);
        test->delivered = rc == 0 && n == 1 && list[0].result == SINK_DONE;
        test->bytes = rc == 0 && n ? list[0].len : 0;
        if (test->delivered)
            o->header = false;
        else if (rc == 0 && n && list[0].result == SINK_BROKEN)
            recall(o);
    }
    buf_free(&c.rows);
}

void output_run_test(struct output *o)
{
    struct err e = {0};
    struct output_test test = {.error = e.text};
    pthread_mutex_lock(&o->lock);
    output_test_fn *done = o->test;
    void *arg = o->test_arg;
    pthread_mutex_unlock(&o->lock);
    if (!done)
        return;
    int64_t start = clock_mono_ns();
    test_sink(o, &test, &e);
    test.duration_ns = (uint64_t)(clock_mono_ns() - start);
    pthread_mutex_lock(&o->lock);
    o->test = NULL;
    pthread_mutex_unlock(&o->lock);
    done(arg, &test);
}
