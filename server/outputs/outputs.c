#include "server/outputs/outputs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/thread.h"
#include "outputs/sink/sink.h"

/* How long a start waits for an output that is required. */
#define REQUIRED_WAIT_NS (10 * NS_PER_S)

/* An output and its subscriber. The list and the subscriber hold it. */
struct member {
    _Atomic unsigned refs;
    struct output *output;
    struct subscriber *subscriber; /* NULL: not subscribed */
    struct output_config config;   /* what it was made of, or follows */
};

/* Those that are configured, in their order. */
struct member_list {
    struct member **list;
    size_t n;
};

struct outputs {
    struct hub *hub;
    pthread_mutex_t lock; /* guards all below; locks of outputs are taken under it */
    struct member_list members;
    struct member_list leaving;  /* they send what they still have */
    pthread_mutex_t listen_lock; /* a leaf; guards the listener */
    void (*changed)(void *arg);
    void *changed_arg;
};

/* The members that are to be, and which of them are new. */
struct outputs_change {
    struct member_list members;
    bool *is_new;
    struct output_config *configs; /* of those that stay: what they are to follow */
};

/* ---- Members ---- */

/* An output has changed its state. On its thread. */
static void on_changed(void *arg)
{
    struct outputs *o = arg;
    pthread_mutex_lock(&o->listen_lock);
    if (o->changed)
        o->changed(o->changed_arg);
    pthread_mutex_unlock(&o->listen_lock);
}

static void member_unref(struct member *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    output_free(m->output);
    output_config_free(&m->config);
    free(m);
}

static int member_new(struct outputs *o, const struct output_config *c, const struct config *config,
                      struct member **out, struct err *e)
{
    struct member *m = calloc(1, sizeof(*m));
    if (!m || output_config_copy(&m->config, c)) {
        free(m);
        return err_set(e, -ENOMEM, "out of memory");
    }
    atomic_init(&m->refs, 1);
    const struct output_env env = {
        .hostname = config->hostname, .spool_dir = config->spool_dir, .changed = on_changed, .arg = o};
    int rc = output_new(c, &env, &m->output, e);
    if (rc) {
        err_prefix(e, "outputs: %s", c->name);
        member_unref(m);
        return rc;
    }
    *out = m;
    return 0;
}

static struct member *find(const struct member_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->list[i]->config.name, name) == 0)
            return l->list[i];
    return NULL;
}

/* ---- The subscriber ---- */

/* Takes what is there: an output waits for nobody, so the hub's thread may do it. */
static bool take(void *arg, const struct subscriber_item *item, bool more)
{
    struct member *m = arg;
    (void)more;
    if (item->kind == SUBSCRIBER_ROWS) {
        output_rows(m->output, item->rows.batch->batch, item->rows.row, item->rows.end);
    } else if (item->kind == SUBSCRIBER_END) {
        if (item->end->rows_lost)
            output_lost(m->output, item->end->rows_lost);
        output_poll_end(m->output, item->end->poll_id);
    }
    return true;
}

static void on_kick(void *arg)
{
    struct member *m = arg;
    while (subscriber_next(m->subscriber, take, m))
        ;
}

static void on_unref(void *arg)
{
    member_unref(arg);
}

/* The request that an output makes. Its strings are those of |c|. */
static struct subscription subscription_of(const struct output_config *c)
{
    return (struct subscription){.markers = true,
                                 .batch_rows = UINT32_MAX,
                                 .filter = *c->filter ? c->filter : NULL,
                                 .columns = c->columns.items,
                                 .n_columns = c->columns.n,
                                 .netns = c->netns.items,
                                 .n_netns = c->netns.n};
}

static int subscribe(struct outputs *o, struct member *m, struct err *e)
{
    const struct subscription request = subscription_of(&m->config);
    const struct bounds bounds = {0};
    const struct subscriber_sink sink = {
        .kick = on_kick, .unref = on_unref, .arg = m, .peer = output_name(m->output), .method = "output"};
    struct subscriber_options options = {.batch_rows = UINT32_MAX, .markers = true, .queue_rows = UINT32_MAX};
    int rc = selection_new(&request, &options.selection, e);
    if (rc)
        return rc;
    struct subscriber *s = subscriber_new(&sink, &options);
    selection_unref(options.selection);
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    atomic_fetch_add(&m->refs, 1); /* the subscriber's */
    m->subscriber = s;
    rc = hub_subscribe(o->hub, s, &bounds, e);
    if (rc) {
        m->subscriber = NULL;
        subscriber_unref(s);
    }
    return rc;
}

static void unsubscribe(struct outputs *o, struct member *m)
{
    if (!m->subscriber)
        return;
    hub_unsubscribe(o->hub, m->subscriber);
    subscriber_close(m->subscriber);
    subscriber_unref(m->subscriber);
}

/* ---- Those that leave ---- */

/* Frees those that have ended. The lock is held. */
static void reap(struct outputs *o)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->leaving.n; i++) {
        if (output_join(o->leaving.list[i]->output, 0))
            member_unref(o->leaving.list[i]);
        else
            o->leaving.list[kept++] = o->leaving.list[i];
    }
    o->leaving.n = kept;
}

/* |m| gets nothing more; takes over the list's reference. The lock is held. */
static void leave(struct outputs *o, struct member *m, int64_t deadline_ns)
{
    unsubscribe(o, m);
    output_stop(m->output, deadline_ns);
    struct member **list = realloc(o->leaving.list, (o->leaving.n + 1) * sizeof(*list));
    if (!list)
        return; /* without memory it is never freed */
    o->leaving.list = list;
    list[o->leaving.n++] = m;
}

/* ---- Changes ---- */

/* The outputs of |c|: those of the list, and the one that dest makes, in |out|, an array of OUTPUTS_MAX + 1; the last may be
 * the caller's to free: |*made|. */
static int outputs_of(const struct config *c, const struct output_config *out[OUTPUTS_MAX + 1], size_t *n,
                      struct output_config *made, bool *is_made, struct err *e)
{
    int rc;
    *n = 0;
    for (size_t i = 0; i < c->outputs.n && i < OUTPUTS_MAX; i++)
        out[(*n)++] = &c->outputs.items[i];
    *is_made = output_config_default(c, made, &rc, e);
    if (*is_made)
        out[(*n)++] = made;
    return rc;
}

size_t outputs_check_modules(const struct config *c, bool (*told)(void *arg, const struct err *e), void *arg)
{
    const struct output_config *list[OUTPUTS_MAX + 1];
    struct output_config made;
    struct err e;
    bool is_made;
    size_t n, missing = 0;
    if (outputs_of(c, list, &n, &made, &is_made, &e)) {
        told(arg, &e);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        const struct output_kind *kind = output_kind_of(list[i]->to);
        if (!kind || sink_find(kind, &e))
            continue;
        err_prefix(&e, "outputs: %s", list[i]->name);
        told(arg, &e);
        missing++;
    }
    if (is_made)
        output_config_free(&made);
    return missing;
}

/* Whether |m| can go on as an output of |c|. */
static bool can_stay(const struct member *m, const struct output_config *c)
{
    return output_config_equal(&m->config, c) || output_can_change(m->output, c);
}

static int plan_member(struct outputs *o, const struct output_config *c, const struct config *config,
                       struct outputs_change *change, struct err *e)
{
    size_t i = change->members.n;
    struct member *m = find(&o->members, c->name);
    if (m && can_stay(m, c)) {
        if (output_config_copy(&change->configs[i], c))
            return err_set(e, -ENOMEM, "out of memory");
        atomic_fetch_add(&m->refs, 1);
    } else {
        int rc = member_new(o, c, config, &m, e);
        if (rc)
            return rc;
        change->is_new[i] = true;
    }
    change->members.list[i] = m;
    change->members.n++;
    return 0;
}

static struct outputs_change *change_new(size_t n)
{
    struct outputs_change *change = calloc(1, sizeof(*change));
    if (!change)
        return NULL;
    change->members.list = calloc(n + 1, sizeof(*change->members.list));
    change->is_new = calloc(n + 1, sizeof(*change->is_new));
    change->configs = calloc(n + 1, sizeof(*change->configs));
    if (change->members.list && change->is_new && change->configs)
        return change;
    outputs_abort(change);
    return NULL;
}

/* Frees all but the list of members. */
static void change_free(struct outputs_change *change)
{
    for (size_t i = 0; change->configs && i < change->members.n; i++)
        output_config_free(&change->configs[i]);
    free(change->configs);
    free(change->is_new);
    free(change);
}

void outputs_abort(struct outputs_change *change)
{
    if (!change)
        return;
    for (size_t i = 0; i < change->members.n; i++)
        member_unref(change->members.list[i]);
    free(change->members.list);
    change_free(change);
}

int outputs_prepare(struct outputs *o, const struct config *c, struct outputs_change **out, struct err *e)
{
    const struct output_config *list[OUTPUTS_MAX + 1];
    struct output_config made;
    bool is_made;
    size_t n;
    int rc = outputs_of(c, list, &n, &made, &is_made, e);
    struct outputs_change *change = rc ? NULL : change_new(n);
    if (rc == 0 && !change)
        rc = err_set(e, -ENOMEM, "out of memory");
    pthread_mutex_lock(&o->lock);
    reap(o);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = plan_member(o, list[i], c, change, e);
    pthread_mutex_unlock(&o->lock);
    if (is_made)
        output_config_free(&made);
    if (rc)
        outputs_abort(change);
    else
        *out = change;
    return rc;
}

int outputs_check(struct outputs *o, const struct config *c, struct err *e)
{
    struct outputs_change *change;
    int rc = outputs_prepare(o, c, &change, e);
    if (rc == 0)
        outputs_abort(change);
    return rc;
}

/* A new output begins. The lock is held. */
static void begin(struct outputs *o, struct member *m)
{
    struct err e;
    int rc = output_start(m->output);
    if (rc)
        log_error("output", "%s: no thread: %s", m->config.name, thread_error(rc));
    else if (subscribe(o, m, &e))
        log_error("output", "%s: gets nothing: %s", m->config.name, e.text);
}

/* Whether |m| is in |l|. */
static bool has(const struct member_list *l, const struct member *m)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->list[i] == m)
            return true;
    return false;
}

static void follow(struct member *m, struct output_config *c)
{
    if (output_config_equal(&m->config, c))
        return;
    output_change(m->output, c);
    struct output_config old = m->config;
    m->config = *c;
    *c = old;
}

void outputs_commit(struct outputs *o, struct outputs_change *change)
{
    pthread_mutex_lock(&o->lock);
    struct member_list old = o->members;
    o->members = change->members;
    for (size_t i = 0; i < old.n; i++) {
        if (has(&o->members, old.list[i]))
            member_unref(old.list[i]); /* the new list has one of its own */
        else
            leave(o, old.list[i], clock_mono_ns() + OUTPUTS_HANDOVER_NS);
    }
    for (size_t i = 0; i < o->members.n; i++) {
        if (change->is_new[i])
            begin(o, o->members.list[i]);
        else
            follow(o->members.list[i], &change->configs[i]);
    }
    pthread_mutex_unlock(&o->lock);
    free(old.list);
    change_free(change);
    on_changed(o);
}

int outputs_start(struct outputs *o, const struct config *c, struct err *e)
{
    struct outputs_change *change;
    int rc = outputs_prepare(o, c, &change, e);
    if (rc)
        return rc;
    outputs_commit(o, change);
    for (size_t i = 0; i < o->members.n && rc == 0; i++) { /* nobody changes them yet */
        struct member *m = o->members.list[i];
        if (m->config.start != OUTPUT_REQUIRED)
            continue;
        rc = output_wait_connected(m->output, REQUIRED_WAIT_NS, e);
        if (rc)
            err_prefix(e, "outputs: %s, which is required", m->config.name);
    }
    return rc;
}

void outputs_reopen(struct outputs *o)
{
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->members.n; i++)
        output_reopen(o->members.list[i]->output);
    pthread_mutex_unlock(&o->lock);
}

/* ---- For the service ---- */

int outputs_list(struct outputs *o, int (*fn)(void *arg, const struct output_status *list, size_t n),
                 void *arg)
{
    struct output_status list[OUTPUTS_MAX + 1];
    void *memory[OUTPUTS_MAX + 1];
    size_t n = 0;
    int rc = 0;
    pthread_mutex_lock(&o->lock);
    for (; n < o->members.n && n <= OUTPUTS_MAX; n++) {
        rc = output_status(o->members.list[n]->output, &list[n], &memory[n]);
        if (rc)
            break;
    }
    pthread_mutex_unlock(&o->lock);
    if (rc == 0)
        rc = fn(arg, list, n);
    while (n)
        free(memory[--n]);
    return rc;
}

/* The member |name|, with a reference; NULL with |e| when there is none. */
static struct member *get(struct outputs *o, const char *name, struct err *e)
{
    pthread_mutex_lock(&o->lock);
    struct member *m = find(&o->members, name);
    if (m)
        atomic_fetch_add(&m->refs, 1);
    pthread_mutex_unlock(&o->lock);
    if (!m)
        err_set(e, ERR_GONE, "name: there is no output \"%.60s\"", name);
    return m;
}

int outputs_pause(struct outputs *o, const char *name, bool pause, struct err *e)
{
    struct member *m = get(o, name, e);
    if (!m)
        return e->code;
    output_pause(m->output, pause);
    member_unref(m);
    return 0;
}

int outputs_flush(struct outputs *o, const char *name, struct err *e)
{
    struct member *m = get(o, name, e);
    if (!m)
        return e->code;
    output_flush(m->output);
    member_unref(m);
    return 0;
}

int outputs_test(struct outputs *o, const char *name, output_test_fn *done, void *arg, struct err *e)
{
    struct member *m = get(o, name, e);
    if (!m)
        return e->code;
    output_test(m->output, done, arg);
    member_unref(m);
    return 0;
}

void outputs_listen(struct outputs *o, void (*changed)(void *arg), void *arg)
{
    pthread_mutex_lock(&o->listen_lock);
    o->changed = changed;
    o->changed_arg = arg;
    pthread_mutex_unlock(&o->listen_lock);
}

/* ---- Life ---- */

int outputs_new(struct hub *hub, struct outputs **out)
{
    struct outputs *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->hub = hub;
    pthread_mutex_init(&o->lock, NULL);
    pthread_mutex_init(&o->listen_lock, NULL);
    *out = o;
    return 0;
}

void outputs_stop(struct outputs *o, int64_t deadline_ns)
{
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    for (size_t i = 0; i < o->leaving.n; i++)
        output_stop(o->leaving.list[i]->output, deadline_ns);
    for (size_t i = 0; i < o->members.n; i++)
        leave(o, o->members.list[i], deadline_ns);
    o->members.n = 0;
    pthread_mutex_unlock(&o->lock);
}

bool outputs_join(struct outputs *o, int64_t deadline_ns)
{
    bool joined = true;
    for (size_t i = 0; o && i < o->leaving.n; i++) {
        if (output_join(o->leaving.list[i]->output, deadline_ns))
            continue;
        log_warn("output", "%s: does not end, and is left behind", o->leaving.list[i]->config.name);
        joined = false;
    }
    return joined;
}

void outputs_free(struct outputs *o)
{
    if (!o)
        return;
    reap(o);
    free(o->leaving.list);
    free(o->members.list);
    pthread_mutex_destroy(&o->lock);
    pthread_mutex_destroy(&o->listen_lock);
    free(o);
}
