#include "server/inventory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

struct entry {
    uint64_t id;
    bool leaving;                /* its namespace is gone: no collector is to be started any more */
    struct nswatch_ns *info;     /* as nswatch told it last */
    struct collector *collector; /* NULL while it cannot be collected */
    uint64_t busy_poll;          /* poll whose order it has not reported yet, 0: none */
    uint64_t sockets;
    uint64_t last_poll_id;
    int64_t last_poll_ns;
    uint64_t last_duration_ns;
    uint64_t errors;
    char error[ERR_TEXT_MAX];
};

struct listener {
    inventory_listener *fn;
    void *arg;
    struct listener *next;
};

/* A collector that did not take its order. */
struct refusal {
    uint64_t id;
    int code;
    uint64_t earlier; /* -EBUSY: the poll that it is still at */
};

struct inventory {
    struct collectors *collectors;
    pthread_mutex_t lock;     /* taken before a listener's own locks */
    struct entry **entries;   /* ascending by id: ids only grow, so a new one goes to the end */
    struct refusal *refusals; /* room for one of each entry, so that a poll needs no memory */
    size_t n;
    size_t size;
    size_t n_collectors;
    struct listener *listeners;
    bool stopping;
};

int inventory_new(struct collectors *collectors, struct inventory **out, struct err *e)
{
    struct inventory *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(e, -ENOMEM, "out of memory");
    r->collectors = collectors;
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return 0;
}

static void entry_free(struct entry *en)
{
    free(en->info);
    free(en);
}

void inventory_free(struct inventory *r)
{
    if (!r)
        return;
    inventory_stop(r);
    for (size_t i = 0; i < r->n; i++)
        entry_free(r->entries[i]);
    free(r->entries);
    free(r->refusals);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* The index of |id|, or of the place where it would be. The lock is held. */
static size_t position(const struct inventory *r, uint64_t id)
{
    size_t from = 0;
    size_t to = r->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (r->entries[middle]->id < id)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct entry *find(const struct inventory *r, uint64_t id)
{
    size_t i = position(r, id);
    return i < r->n && r->entries[i]->id == id ? r->entries[i] : NULL;
}

/* ---- Messages ---- */

#define NAMES_MAX 64 /* names of one namespace that are told */

struct info_storage {
    const char *names[NAMES_MAX + 1];
    const char *found_at[NAMES_MAX + 1];
};

static void fill_info(const struct entry *en, bool removed, struct info_storage *st,
                      struct namespace_info *out)
{
    static const uint32_t kinds[NSWATCH_KINDS] = {
        [NSWATCH_OWN] = NAMESPACE_KIND_OWN,
        [NSWATCH_NAMED] = NAMESPACE_KIND_NAMED,
        [NSWATCH_ANONYMOUS] = NAMESPACE_KIND_ANONYMOUS,
    };
    const struct nswatch_ns *ns = en->info;
    bool failed = ns->state == NSWATCH_BROKEN || (ns->state == NSWATCH_LIVE && !en->collector);
    *out = (struct namespace_info){
        .names = st->names,
        .found_at = st->found_at,
        .inode = ns->inode,
        .cookie = ns->cookie,
        .kind = kinds[ns->kind],
        .state = removed                        ? NAMESPACE_STATE_REMOVED
                 : ns->state == NSWATCH_PENDING ? NAMESPACE_STATE_PENDING
                 : failed                       ? NAMESPACE_STATE_FAILED
                                                : NAMESPACE_STATE_READY,
        .sockets = en->sockets,
        .last_error = en->error,
        .last_poll_ns = en->last_poll_ns,
        .last_poll_id = en->last_poll_id,
        .last_poll_duration_ns = en->last_duration_ns,
        .errors = en->errors,
    };
    st->names[out->n_names++] = ns->netns;
    st->found_at[out->n_found_at++] = ns->found_at;
    for (size_t i = 0; i < ns->name_count && out->n_names < NAMES_MAX && out->n_found_at < NAMES_MAX; i++) {
        const char *slash = strrchr(ns->names[i].text, '/');
        const char *base = slash ? slash + 1 : ns->names[i].text;
        if (strcmp(base, ns->netns) != 0)
            st->names[out->n_names++] = base;
        if (strcmp(ns->names[i].text, ns->found_at) != 0)
            st->found_at[out->n_found_at++] = ns->names[i].text;
    }
}

static int encode_event(const struct entry *en, uint32_t type, struct buf *out)
{
    struct info_storage st;
    struct namespace_info info;
    if (en)
        fill_info(en, type == NAMESPACE_EVENT_REMOVED, &st, &info);
    struct namespace_event event = {.type = type, .timestamp_ns = clock_wall_ns(), .ns = en ? &info : NULL};
    return namespace_event_encode(&event, out);
}

/* Tells every listener. The lock is held. */
static void tell(struct inventory *r, const struct entry *en, uint32_t type)
{
    if (!r->listeners)
        return;
    struct buf b;
    buf_init(&b);
    if (encode_event(en, type, &b) == 0) {
        for (struct listener *l = r->listeners; l; l = l->next)
            l->fn(l->arg, b.data, b.len);
    }
    buf_free(&b);
}

static uint32_t present_event(const struct entry *en)
{
    if (en->info->state == NSWATCH_PENDING)
        return NAMESPACE_EVENT_ADDED;
    return en->collector ? NAMESPACE_EVENT_READY : NAMESPACE_EVENT_FAILED;
}

/* ---- Events of nswatch ---- */

static struct entry *entry_add(struct inventory *r, uint64_t id)
{
    if (r->n == r->size) {
        size_t size = r->size ? 2 * r->size : 64;
        struct entry **entries = realloc(r->entries, size * sizeof(struct entry *));
        if (!entries)
            return NULL;
        r->entries = entries;
        struct refusal *refusals = realloc(r->refusals, size * sizeof(*refusals));
        if (!refusals)
            return NULL;
        r->refusals = refusals;
        r->size = size;
    }
    struct entry *en = calloc(1, sizeof(*en));
    if (!en)
        return NULL;
    en->id = id;
    size_t at = position(r, id);
    memmove(&r->entries[at + 1], &r->entries[at], (r->n - at) * sizeof(struct entry *));
    r->entries[at] = en;
    r->n++;
    return en;
}

static void start_collector(struct inventory *r, struct entry *en)
{
    const struct nswatch_ns *ns = en->info;
    struct collector_ns what = {.id = ns->id,
                                .cookie = ns->cookie,
                                .inode = ns->inode,
                                .own = ns->kind == NSWATCH_OWN,
                                .name = ns->netns,
                                .path = ns->path};
    struct err e = {0};
    if (collector_start(r->collectors, &what, &en->collector, &e) == 0) {
        r->n_collectors++;
        en->error[0] = '\0';
        return;
    }
    en->collector = NULL;
    en->errors++;
    snprintf(en->error, sizeof(en->error), "%s", e.text);
    log_limited(LOG_ERROR, "inventory", "ns=%s: no collector, trying again at the next poll: %s", ns->netns,
                e.text);
}

/* Takes the collector away from |en|; the caller stops and joins it without the lock. */
static struct collector *detach_collector(struct inventory *r, struct entry *en)
{
    struct collector *c = en->collector;
    en->collector = NULL;
    if (c)
        r->n_collectors--;
    return c;
}

/* The lock is held. Returns a collector to stop and join, or NULL. */
static struct collector *update(struct inventory *r, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct entry *en = find(r, ns->id);
    struct nswatch_ns *info = nswatch_ns_copy(ns);
    if (!en && info)
        en = entry_add(r, ns->id);
    if (!en || !info) {
        free(info);
        log_error("inventory", "ns=%s: out of memory: not collected", ns->netns);
        return NULL;
    }
    free(en->info);
    en->info = info;
    struct collector *gone = NULL;
    if (info->state == NSWATCH_LIVE && !en->collector)
        start_collector(r, en);
    else if (info->state == NSWATCH_LIVE)
        collector_rename(en->collector, info->netns, info->path);
    else
        gone = detach_collector(r, en);
    if (event == NSWATCH_FAILED) {
        en->errors++;
        snprintf(en->error, sizeof(en->error), "%s", info->error.text);
    }
    tell(r, en, present_event(en));
    return gone;
}

static void retire(struct collector *c)
{
    if (!c)
        return;
    collector_stop(c);
    collector_join(c);
}

/* The collector first, the entry after it: a poll that is cut short by this can still say whose it was. Only
 * this thread adds and removes entries, so |en| stays where it is in between. */
static void forget(struct inventory *r, const struct nswatch_ns *ns)
{
    pthread_mutex_lock(&r->lock);
    struct entry *en = find(r, ns->id);
    struct collector *gone = en ? detach_collector(r, en) : NULL;
    if (en)
        en->leaving = true;
    pthread_mutex_unlock(&r->lock);
    retire(gone);
    if (!en)
        return;
    pthread_mutex_lock(&r->lock);
    size_t at = position(r, ns->id);
    tell(r, en, NAMESPACE_EVENT_REMOVED);
    memmove(&r->entries[at], &r->entries[at + 1], (r->n - at - 1) * sizeof(struct entry *));
    r->n--;
    pthread_mutex_unlock(&r->lock);
    entry_free(en);
}

void inventory_event(struct inventory *r, enum nswatch_event event, const struct nswatch_ns *ns)
{
    if (!ns)
        return;
    if (event == NSWATCH_REMOVED) {
        forget(r, ns);
        return;
    }
    pthread_mutex_lock(&r->lock);
    struct collector *gone = r->stopping ? NULL : update(r, event, ns);
    pthread_mutex_unlock(&r->lock);
    retire(gone);
}

void inventory_stop(struct inventory *r)
{
    struct collector *gone;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    for (size_t i = 0; i < r->n; i++) {
        if (r->entries[i]->collector)
            collector_stop(r->entries[i]->collector);
    }
    /* Joined without the lock: a collector takes it to report. */
    for (size_t i = 0; i < r->n;) {
        gone = detach_collector(r, r->entries[i++]);
        if (!gone)
            continue;
        pthread_mutex_unlock(&r->lock);
        collector_join(gone);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void inventory_visit(struct inventory *r, inventory_visitor *fn, void *arg)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        if (r->entries[i]->collector && !fn(arg, r->entries[i]->info))
            break;
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- Polls ---- */

static bool in_scope(const struct entry *en, const struct inventory_scope *scope)
{
    return !scope || scope->wants(scope->arg, en->info->netns, en->info->inode);
}

size_t inventory_collectors(struct inventory *r, const struct inventory_scope *scope)
{
    pthread_mutex_lock(&r->lock);
    size_t n = scope ? 0 : r->n_collectors;
    for (size_t i = 0; scope && i < r->n; i++)
        n += r->entries[i]->collector && in_scope(r->entries[i], scope);
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t inventory_count(struct inventory *r)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->n;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* Reports refusal |i|. Its memory stays where it is as long as no entry is added; so it is copied under the
 * lock. */
static void refuse(struct inventory *r, const struct collector_order *order, size_t i,
                   void (*refused)(void *arg, const struct collector_result *result), void *arg)
{
    pthread_mutex_lock(&r->lock);
    struct refusal what = r->refusals[i];
    pthread_mutex_unlock(&r->lock);
    struct collector_result result = {.poll_id = order->poll_id, .netns_id = what.id};
    if (what.code == -EBUSY)
        err_set(&result.err, -EBUSY, "still busy with poll %llu", (unsigned long long)what.earlier);
    else
        err_set(&result.err, what.code, "%s", err_name(what.code));
    refused(arg, &result);
}

size_t inventory_poll(struct inventory *r, struct collector_order *order, const struct inventory_scope *scope,
                      void (*refused)(void *arg, const struct collector_result *result), void *arg)
{
    size_t n = 0;
    size_t n_refused = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        struct entry *en = r->entries[i];
        if (!en->collector && en->info->state == NSWATCH_LIVE && !en->leaving && !r->stopping)
            start_collector(r, en); /* it could not be started before */
        if (!en->collector || !in_scope(en, scope))
            continue;
        n++;
        uint64_t earlier = en->busy_poll;
        en->busy_poll = order->poll_id; /* before the order: its result may come at once */
        int rc = collector_poll(en->collector, order);
        if (rc == 0)
            continue;
        en->busy_poll = earlier;
        r->refusals[n_refused++] = (struct refusal){.id = en->id, .code = rc, .earlier = earlier};
    }
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < n_refused; i++)
        refuse(r, order, i, refused, arg);
    return n;
}

void inventory_result(struct inventory *r, const struct collector_result *result, int64_t timestamp_ns,
                      char *name, uint64_t *inode, uint64_t *cookie)
{
    name[0] = '\0';
    *inode = *cookie = 0;
    pthread_mutex_lock(&r->lock);
    struct entry *en = find(r, result->netns_id);
    if (en) {
        snprintf(name, INVENTORY_NAME_MAX, "%s", en->info->netns);
        *inode = en->info->inode;
        *cookie = en->info->cookie;
        if (en->busy_poll == result->poll_id) /* else it comes late, and the next order is out already */
            en->busy_poll = 0;
        if (result->err.code != -EBUSY) {
            en->last_poll_id = result->poll_id;
            en->last_poll_ns = timestamp_ns;
            en->last_duration_ns = (uint64_t)result->dump_ns;
        }
        if (result->err.code == 0 && !result->partial)
            en->sockets = result->sockets;
        en->errors += result->err.code != 0;
        snprintf(en->error, sizeof(en->error), "%s", result->err.code ? result->err.text : "");
    }
    pthread_mutex_unlock(&r->lock);
}

void inventory_missing(struct inventory *r, uint64_t poll_id,
                       void (*fn)(void *arg, const char *name, uint64_t inode, uint64_t cookie), void *arg)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *en = r->entries[i];
        if (en->busy_poll == poll_id)
            fn(arg, en->info->netns, en->info->inode, en->info->cookie);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- NamespaceService ---- */

static int by_name(const void *a, const void *b)
{
    const struct nswatch_ns *x = (*(struct entry *const *)a)->info;
    const struct nswatch_ns *y = (*(struct entry *const *)b)->info;
    if ((x->kind == NSWATCH_OWN) != (y->kind == NSWATCH_OWN))
        return x->kind == NSWATCH_OWN ? -1 : 1;
    int order = strcmp(x->netns, y->netns);
    return order ? order : x->id < y->id ? -1 : 1;
}

int inventory_list(struct inventory *r, struct buf *out)
{
    int rc = -ENOMEM;
    pthread_mutex_lock(&r->lock);
    size_t n = r->n ? r->n : 1;
    struct entry **sorted = calloc(n, sizeof(struct entry *));
    struct namespace_info *infos = calloc(n, sizeof(*infos));
    struct info_storage *storage = calloc(n, sizeof(*storage));
    if (sorted && infos && storage) {
        for (size_t i = 0; i < r->n; i++)
            sorted[i] = r->entries[i];
        qsort(sorted, r->n, sizeof(*sorted), by_name);
        for (size_t i = 0; i < r->n; i++)
            fill_info(sorted[i], false, &storage[i], &infos[i]);
        rc = namespace_list_encode(infos, r->n, out);
    }
    pthread_mutex_unlock(&r->lock);
    free(storage);
    free(infos);
    free(sorted);
    return rc;
}

int inventory_listen(struct inventory *r, inventory_listener *listener, void *arg)
{
    struct listener *l = malloc(sizeof(*l));
    struct buf b;
    if (!l)
        return -ENOMEM;
    buf_init(&b);
    pthread_mutex_lock(&r->lock);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i <= r->n; i++) { /* the last one is SYNCED, without a namespace */
        const struct entry *en = i < r->n ? r->entries[i] : NULL;
        buf_reset(&b);
        rc = encode_event(en, en ? present_event(en) : NAMESPACE_EVENT_SYNCED, &b);
        if (rc == 0)
            listener(arg, b.data, b.len);
    }
    if (rc == 0) {
        *l = (struct listener){.fn = listener, .arg = arg, .next = r->listeners};
        r->listeners = l;
        l = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    free(l);
    buf_free(&b);
    return rc;
}

void inventory_unlisten(struct inventory *r, void *arg)
{
    pthread_mutex_lock(&r->lock);
    for (struct listener **at = &r->listeners; *at; at = &(*at)->next) {
        if ((*at)->arg == arg) {
            struct listener *l = *at;
            *at = l->next;
            free(l);
            break;
        }
    }
    pthread_mutex_unlock(&r->lock);
}
