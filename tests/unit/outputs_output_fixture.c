#include "outputs_output_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/inet_diag.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "outputs_rows.h"
#include "record/batch.h"
#include "record/record.h"

struct script script = {.lock = PTHREAD_MUTEX_INITIALIZER};
struct output_fixture fix;
struct view now;

static struct batch_pool *pool;
static struct record_frame frame;

void nap(int64_t ns)
{
    const struct timespec time = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    nanosleep(&time, NULL);
}

/* ---- The script ---- */

void script_connect(enum sink_result r)
{
    pthread_mutex_lock(&script.lock);
    assert_true(script.n_connects < SCRIPT_STEPS);
    script.connects[script.n_connects++] = r;
    pthread_mutex_unlock(&script.lock);
}

void script_send(enum sink_result r)
{
    pthread_mutex_lock(&script.lock);
    assert_true(script.n_sends < SCRIPT_STEPS);
    script.sends[script.n_sends++] = r;
    pthread_mutex_unlock(&script.lock);
}

void script_defaults(enum sink_result connects, enum sink_result sends)
{
    pthread_mutex_lock(&script.lock);
    script.connects_default = connects;
    script.sends_default = sends;
    pthread_mutex_unlock(&script.lock);
}

void script_hang(bool hangs)
{
    pthread_mutex_lock(&script.lock);
    script.hangs = hangs;
    pthread_mutex_unlock(&script.lock);
}

/* The next result of a list; the lock is held. */
static enum sink_result next_step(enum sink_result *list, size_t *n, enum sink_result otherwise)
{
    if (*n == 0)
        return otherwise;
    enum sink_result r = list[0];
    memmove(list, list + 1, --*n * sizeof(list[0]));
    return r;
}

static uint64_t draw(void)
{
    static uint64_t state = 88172645463325252U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int64_t __wrap_backoff_next(struct backoff *b)
{
    (void)b;
    pthread_mutex_lock(&script.lock);
    int64_t pause = script.pause_ns;
    script.pauses++;
    pthread_mutex_unlock(&script.lock);
    return pause;
}

/* ---- The sink: on the thread of the output. A failed assertion there ends the program. ---- */

struct scripted {
    const struct sink_env *env;
};

static int scripted_open(const struct sink_env *env, void **out, struct err *e)
{
    (void)e;
    struct scripted *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    k->env = env;
    *out = k;
    pthread_mutex_lock(&script.lock);
    script.opened++;
    pthread_mutex_unlock(&script.lock);
    return 0;
}

/* Waits as |flag| of the script says. Returns 0 or ERR_CANCELLED. */
static int hang(const struct scripted *k, const bool *flag)
{
    int rc = 0;
    pthread_mutex_lock(&script.lock);
    while (*flag && rc == 0) {
        script.in_wait = true;
        pthread_mutex_unlock(&script.lock);
        rc = k->env->host->wait(k->env->host->arg, NULL, 0, clock_mono_ns() + 5 * NS_PER_MS);
        pthread_mutex_lock(&script.lock);
    }
    script.in_wait = false;
    pthread_mutex_unlock(&script.lock);
    return rc;
}

static enum sink_result scripted_connect(void *sink, bool *fresh, struct err *e)
{
    struct scripted *k = sink;
    if (hang(k, &script.hangs_connect)) {
        err_set(e, ERR_CANCELLED, "cancelled");
        return SINK_AGAIN;
    }
    pthread_mutex_lock(&script.lock);
    bool was_connected = script.connected;
    enum sink_result r = next_step(script.connects, &script.n_connects,
                                   script.draws && draw() % 8 == 0 ? SINK_BROKEN : script.connects_default);
    if (r == SINK_BROKEN && !was_connected)
        script.written = 0; /* nothing of the last connection is in doubt any more */
    if (r == SINK_BROKEN)
        script.connected = false;
    if (r == SINK_DONE && !was_connected) {
        script.connected = true;
        script.connected_times++;
        script.written = 0;
    }
    *fresh = script.written == 0;
    pthread_mutex_unlock(&script.lock);
    if (r != SINK_DONE)
        err_set(e, ERR_UNAVAILABLE, "not connected: by the script");
    return r;
}

static size_t scripted_unsure(const void *sink)
{
    (void)sink;
    pthread_mutex_lock(&script.lock);
    size_t n = script.connected || script.written > script.resend ? script.resend : script.written;
    pthread_mutex_unlock(&script.lock);
    return n;
}

static enum sink_result drawn_result(void)
{
    static const enum sink_result failures[] = {SINK_AGAIN, SINK_REFUSED, SINK_BROKEN};
    return draw() % 6 ? SINK_DONE : failures[draw() % COUNT(failures)];
}

/* |m| is delivered; the lock is held. */
static void receive(const struct scripted *k, const struct sink_message *m)
{
    static uint64_t ids[1 << 16];
    struct script_message told = {.rows = m->rows, .poll_id = m->poll_id, .len = m->len};
    size_t n = rows_of_message(k->env->format, m->data, m->len, ids, COUNT(ids), &told.header);
    script.written += m->len;
    script.rows += m->rows;
    if (m->rows == 1 && n == 0) { /* its record has no id */
        script.tests++;
        return;
    }
    assert_int_equal(n, m->rows);
    for (size_t i = 0; i < n; i++) {
        script.tests += ids[i] == 0;
        assert_true(ids[i] < SCRIPT_IDS);
        script.delivered[ids[i]]++;
    }
    told.first = ids[0];
    told.last = ids[n - 1];
    assert_true(script.n_log < SCRIPT_LOG);
    if (told.first)
        script.log[script.n_log++] = told;
}

static void scripted_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct scripted *k = sink;
    pthread_mutex_lock(&script.lock);
    script.sends_begun++;
    int64_t slow_ns = script.slow_ns;
    pthread_mutex_unlock(&script.lock);
    int rc = hang(k, &script.hangs);
    if (rc == 0 && slow_ns)
        rc = k->env->host->wait(k->env->host->arg, NULL, 0, clock_mono_ns() + slow_ns);
    enum sink_result result = rc ? SINK_AGAIN : SINK_DONE;
    pthread_mutex_lock(&script.lock);
    for (size_t i = 0; i < n; i++) {
        if (result != SINK_AGAIN && result != SINK_BROKEN)
            result = script.draws ? drawn_result()
                                  : next_step(script.sends, &script.n_sends, script.sends_default);
        list[i].result = result;
        if (result == SINK_DONE)
            receive(k, &list[i]);
        else if (!e->code)
            err_set(e, ERR_UNAVAILABLE, "not sent: by the script");
    }
    if (result == SINK_BROKEN)
        script.connected = false;
    pthread_mutex_unlock(&script.lock);
}

static void scripted_poll_end(void *sink)
{
    (void)sink;
    pthread_mutex_lock(&script.lock);
    script.poll_ends++;
    pthread_mutex_unlock(&script.lock);
}

static void scripted_reopen(void *sink)
{
    (void)sink;
    pthread_mutex_lock(&script.lock);
    script.reopened++;
    pthread_mutex_unlock(&script.lock);
}

static size_t scripted_largest(const void *sink)
{
    (void)sink;
    return SCRIPT(largest);
}

static enum output_key scripted_key(const void *sink)
{
    (void)sink;
    return SCRIPT(key);
}

static void scripted_close(void *sink)
{
    pthread_mutex_lock(&script.lock);
    script.closed++;
    script.connected = false;
    pthread_mutex_unlock(&script.lock);
    free(sink);
}

#define OPS                                                                                                  \
    .abi = SINK_ABI, .open = scripted_open, .connect = scripted_connect, .send = scripted_send,              \
    .poll_end = scripted_poll_end, .reopen = scripted_reopen, .largest = scripted_largest,                   \
    .key = scripted_key, .close = scripted_close

const struct sink_ops *__wrap_sink_find(const struct output_kind *kind, struct err *e)
{
    static const struct sink_ops sure = {OPS};
    static const struct sink_ops unsure = {OPS, .unsure = scripted_unsure};
    (void)kind;
    (void)e;
    return script.resends ? &unsure : &sure;
}

/* ---- What came of it ---- */

struct deliveries deliveries(uint64_t first, uint64_t end)
{
    struct deliveries d = {0};
    pthread_mutex_lock(&script.lock);
    for (uint64_t id = first; id < end; id++) {
        d.rows += script.delivered[id] > 0;
        d.twice += script.delivered[id] > 1;
    }
    pthread_mutex_unlock(&script.lock);
    return d;
}

void expect_all_once(uint64_t first, uint64_t end)
{
    struct deliveries d = deliveries(first, end);
    assert_int_equal(d.rows, end - first);
    assert_int_equal(d.twice, 0);
}

void expect_in_order(void)
{
    uint64_t last = 0;
    pthread_mutex_lock(&script.lock);
    for (size_t i = 0; i < script.n_log; i++) {
        assert_true(script.log[i].first > last);
        assert_int_equal(script.log[i].last - script.log[i].first + 1, script.log[i].rows);
        last = script.log[i].last;
    }
    pthread_mutex_unlock(&script.lock);
}

/* ---- The output ---- */

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
    assert_non_null(*text);
}

void config_to(const char *to)
{
    set_text(&fix.config.to, to);
}

void config_format(const char *format)
{
    set_text(&fix.config.format, format);
}

static void on_changed(void *arg)
{
    (void)arg;
    fix.changes++;
}

void make(void)
{
    struct err e = {0};
    const struct output_env env = {
        .hostname = "host-1", .spool_dir = fix.spool_dir, .changed = on_changed, .arg = &fix};
    assert_null(fix.o);
    if (output_new(&fix.config, &env, &fix.o, &e))
        fail_msg("%s", e.text);
    assert_string_equal(output_name(fix.o), "test");
}

void start(void)
{
    make();
    assert_int_equal(output_start(fix.o), 0);
}

static struct batch *make_batch(uint32_t rows)
{
    struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&msg, .len[PART_MSG] = sizeof(msg)};
    struct batch *b = batch_new(pool);
    assert_non_null(b);
    b->poll_id = fix.poll_id;
    for (uint32_t i = 0; i < rows; i++) {
        msg.id.idiag_cookie[0] = (uint32_t)fix.id % 7;
        assert_true(fix.id < SCRIPT_IDS && batch_append(b, &frame, &s, fix.id++));
    }
    return batch_seal(b);
}

/* Not all of a batch is always for the output: the first rows of some are not. */
void put(uint32_t rows)
{
    while (rows) {
        uint32_t n = rows < 100 ? rows : 100;
        struct batch *b = make_batch(n);
        output_rows(fix.o, b, 0, n / 2);
        output_rows(fix.o, b, n / 2, n);
        batch_unref(b);
        rows -= n;
    }
}

void end_poll(void)
{
    output_poll_end(fix.o, fix.poll_id++);
}

void poll_of(uint32_t rows)
{
    put(rows);
    end_poll();
}

uint64_t queue_bytes(uint32_t rows)
{
    struct batch *b = make_batch(rows);
    fix.id -= rows;
    uint64_t bytes = sizeof(*b) + (uint64_t)b->rows_cap * sizeof(b->index[0]) + b->bytes_cap;
    batch_unref(b);
    return bytes;
}

/* Returns whether each reason is known, and there once. */
static bool sort_drops(const struct output_status *s, struct view *v)
{
    for (size_t i = 0; i < s->n_dropped; i++) {
        unsigned reason = 0;
        while (reason < OUTPUT_DROPS && strcmp(s->dropped[i].reason, output_drop_name(reason)) != 0)
            reason++;
        if (reason == OUTPUT_DROPS || s->dropped[i].rows == 0 || v->dropped[reason])
            return false;
        v->dropped[reason] = s->dropped[i].rows;
        v->dropped_all += s->dropped[i].rows;
    }
    return true;
}

bool view_of(struct output *o, struct view *out)
{
    void *memory;
    *out = (struct view){0};
    if (output_status(o, &out->s, &memory))
        return false;
    bool known = sort_drops(&out->s, out);
    snprintf(out->error, sizeof(out->error), "%s", out->s.last_error);
    free(memory);
    uint64_t in = out->s.rows_taken + out->s.rows_found;
    return known && out->s.rows_queued <= in && out->s.rows_spooled <= in &&
           in == out->s.rows_sent + out->dropped_all + out->s.rows_queued + out->s.rows_spooled;
}

struct view look_at(struct output *o)
{
    struct view v;
    if (!view_of(o, &v))
        fail_msg("%llu taken + %llu found, but %llu sent + %llu dropped + %llu queued + %llu spooled",
                 (unsigned long long)v.s.rows_taken, (unsigned long long)v.s.rows_found,
                 (unsigned long long)v.s.rows_sent, (unsigned long long)v.dropped_all,
                 (unsigned long long)v.s.rows_queued, (unsigned long long)v.s.rows_spooled);
    return v;
}

void look(void)
{
    now = look_at(fix.o);
}

void wait_until_sent(void)
{
    WAIT_UNTIL(now.s.rows_queued == 0 && now.s.rows_spooled == 0);
}

void finish(int64_t time_ns)
{
    int64_t deadline_ns = clock_mono_ns() + time_ns;
    output_stop(fix.o, deadline_ns);
    if (!output_join(fix.o, deadline_ns + 20 * NS_PER_S))
        fail_msg("the output does not end");
    look();
    assert_int_equal(now.s.rows_queued, 0);
    output_free(fix.o);
    fix.o = NULL;
}

/* ---- For cmocka ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level ? remove(path) : 0;
}

static void empty_spool_dir(void)
{
    nftw(fix.spool_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int output_setup(void **state)
{
    (void)state;
    pthread_mutex_lock(&script.lock);
    memset((char *)&script + sizeof(script.lock), 0, sizeof(script) - sizeof(script.lock));
    script.pause_ns = NS_PER_MS;
    pthread_mutex_unlock(&script.lock);
    fix.id = fix.poll_id = 1;
    fix.changes = 0;
    if (output_config_init(&fix.config))
        return -1;
    set_text(&fix.config.name, "test");
    config_to("tcp:127.0.0.1:9");
    config_format("protobuf-list");
    return 0;
}

int output_teardown(void **state)
{
    (void)state;
    struct batch_pool_stats stats;
    if (fix.o) { /* the test has failed */
        output_stop(fix.o, 0);
        if (output_join(fix.o, clock_mono_ns() + 5 * NS_PER_S))
            output_free(fix.o);
        fix.o = NULL;
    }
    output_config_free(&fix.config);
    empty_spool_dir();
    batch_pool_stats(pool, &stats);
    return stats.out == 0 ? 0 : -1; /* each reference has been given back */
}

int output_group_setup(void **state)
{
    (void)state;
    const struct record_context c = {
        .netns = "blue", .hostname = "host-1", .daemon_version = "1.0", .groups = GROUPS_DEFAULT};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* as the daemon does */
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    snprintf(fix.spool_dir, sizeof(fix.spool_dir), "/dev/shm/xt_output_XXXXXX");
    pool = batch_pool_new(4);
    return pool && mkdtemp(fix.spool_dir) ? record_frame_init(&frame, &c) : -1;
}

int output_group_teardown(void **state)
{
    (void)state;
    batch_pool_free(pool);
    return rmdir(fix.spool_dir);
}
