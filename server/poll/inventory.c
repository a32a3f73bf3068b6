#include "server/poll/inventory_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/netns_pattern.h"

/* Interval at which a stop looks at a collector that is still busy. */
#define STOP_LOOK_NS NS_PER_MS

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
    for (size_t i = 0; i < r->n; i++)
        entry_free(r->entries[i]);
    free(r->entries);
    free(r->refusals);
    config_unref(r->wanted);
    config_unref(r->next);
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

/* The entry of a forgotten namespace whose collector is still busy; NULL: none. */
static struct entry *find_leaving(const struct inventory *r, uint64_t id)
{
    for (const struct leaver *l = r->leavers; l; l = l->next) {
        if (l->entry && l->entry->id == id)
            return l->entry;
    }
    return NULL;
}

/* ---- The selection ---- */

/* Whether |ns| is to be collected. */
static bool is_selected(const struct inventory *r, const struct nswatch_ns *ns)
{
    const char *names[INVENTORY_NAMES_MAX + 1];
    const char *paths[INVENTORY_NAMES_MAX];
    struct netns_facts f = {.names = names,
                            .paths = paths,
                            .kind = nswatch_kind_names[ns->kind],
                            .cookie = ns->cookie,
                            .inode = ns->inode};
    if (!r->wanted)
        return true;
    names[f.n_names++] = ns->netns;
    for (size_t i = 0; i < ns->name_count && i < INVENTORY_NAMES_MAX; i++) {
        names[f.n_names++] = inventory_name(ns, i);
        paths[f.n_paths++] = ns->names[i].text;
    }
    const struct config_strings *in = &r->wanted->netns_include;
    const struct config_strings *out = &r->wanted->netns_exclude;
    return netns_selected(&f, in->items, in->n, out->items, out->n);
}

static void set_excluded(struct inventory *r, struct entry *en, bool excluded)
{
    r->n_excluded += excluded;
    r->n_excluded -= en->excluded;
    en->excluded = excluded;
}

/* ---- Collectors come and go ---- */

static struct entry *entry_add(struct inventory *r, uint64_t id)
{
    size_t size = r->size; /* of both */
    if (array_room(&r->entries, r->n + 1, &size, sizeof(struct entry *)) ||
        array_room(&r->refusals, r->n + 1, &r->size, sizeof(*r->refusals)))
        return NULL;
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
    struct netns_ref what = {.id = ns->id,
                             .cookie = ns->cookie,
                             .inode = ns->inode,
                             .own = ns->kind == NSWATCH_OWN,
                             .name = ns->netns,
                             .path = ns->path};
    struct err e = {0};
    en->farewell = calloc(1, sizeof(*en->farewell));
    if (!en->farewell)
        err_set(&e, -ENOMEM, "out of memory");
    else if (collector_start(r->collectors, &what, &en->collector, &e) == 0) {
        en->error[0] = '\0';
        return;
    }
    free(en->farewell);
    en->farewell = NULL;
    en->collector = NULL;
    en->errors++;
    snprintf(en->error, sizeof(en->error), "%s", e.text);
    log_limited(LOG_ERROR, "inventory", "ns=%s: no collector, trying again at the next poll: %s", ns->netns,
                e.text);
}

/* Takes the collector away from |en| and tells it to stop. Returns the leaver that stands for it from now on,
 * NULL when there was no collector. The lock is held. */
static struct leaver *retire(struct inventory *r, struct entry *en)
{
    struct leaver *l = en->farewell;
    if (!en->collector)
        return NULL;
    *l = (struct leaver){.collector = en->collector, .next = r->leavers};
    r->leavers = l;
    en->collector = NULL;
    en->farewell = NULL;
    collector_stop(l->collector);
    return l;
}

/* Joins the collectors that have ended. Nobody waits for the others: a dump may hang in the kernel for any
 * time. Not from a collector. Returns how many are left. */
static size_t reap(struct inventory *r)
{
    size_t left = 0;
    struct leaver *ended = NULL;
    pthread_mutex_lock(&r->lock);
    for (struct leaver **at = &r->leavers; *at;) {
        struct leaver *l = *at;
        if (collector_ended(l->collector)) {
            *at = l->next;
            l->next = ended;
            ended = l;
        } else {
            at = &l->next;
            left++;
        }
    }
    pthread_mutex_unlock(&r->lock);
    while (ended) {
        struct leaver *l = ended;
        ended = l->next;
        collector_join(l->collector);
        if (l->entry)
            entry_free(l->entry);
        free(l);
    }
    return left;
}

/* Starts, renames or retires the collector of |en|, as its state and the selection require. One that is still
 * at a poll finishes it: a collector no longer selected is retired when the next poll starts. */
static void settle(struct inventory *r, struct entry *en)
{
    const struct nswatch_ns *ns = en->info;
    set_excluded(r, en, ns->state != NSWATCH_PENDING && !is_selected(r, ns));
    if (ns->state != NSWATCH_LIVE || (en->excluded && !en->busy_poll))
        retire(r, en);
    else if (en->collector)
        collector_rename(en->collector, ns->netns, ns->path);
    else if (!en->excluded && !r->stopping)
        start_collector(r, en);
}

/* ---- Events of nswatch ---- */

/* The lock is held. */
static void update(struct inventory *r, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct entry *en = find(r, ns->id);
    struct nswatch_ns *info = nswatch_ns_copy(ns);
    if (!en && info)
        en = entry_add(r, ns->id);
    if (!en || !info) {
        free(info);
        log_error("inventory", "ns=%s: out of memory: not collected", ns->netns);
        return;
    }
    free(en->info);
    en->info = info;
    settle(r, en);
    if (event == NSWATCH_FAILED) {
        en->errors++;
        snprintf(en->error, sizeof(en->error), "%s", info->error.text);
    }
    inventory_tell(r, en, inventory_present_event(en));
}

/* A collector that is still at a poll keeps the entry, to say whose rows are missing. The lock is held. */
static void forget(struct inventory *r, const struct nswatch_ns *ns)
{
    struct entry *en = find(r, ns->id);
    if (!en)
        return;
    size_t at = position(r, ns->id);
    struct leaver *l = retire(r, en);
    set_excluded(r, en, false);
    inventory_tell(r, en, NAMESPACE_EVENT_REMOVED);
    memmove(&r->entries[at], &r->entries[at + 1], (r->n - at - 1) * sizeof(struct entry *));
    r->n--;
    if (l)
        l->entry = en;
    else
        entry_free(en);
}

void inventory_event(struct inventory *r, enum nswatch_event event, const struct nswatch_ns *ns)
{
    if (!ns)
        return;
    pthread_mutex_lock(&r->lock);
    if (event == NSWATCH_REMOVED)
        forget(r, ns);
    else if (!r->stopping)
        update(r, event, ns);
    pthread_mutex_unlock(&r->lock);
    reap(r);
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

/* Puts the selection of |config| in force, and takes over the reference. The lock is held. */
static void select_by(struct inventory *r, const struct config *config)
{
    const struct config *before = r->wanted;
    r->wanted = config;
    bool same = before && same_strings(&before->netns_include, &config->netns_include) &&
                same_strings(&before->netns_exclude, &config->netns_exclude);
    config_unref(before);
    for (size_t i = 0; i < r->n && !same; i++) {
        struct entry *en = r->entries[i];
        bool was = en->excluded;
        settle(r, en);
        if (en->excluded != was)
            inventory_tell(r, en, inventory_present_event(en));
    }
}

void inventory_select(struct inventory *r, const struct config *config)
{
    config_ref(config);
    pthread_mutex_lock(&r->lock);
    if (r->starting) { /* the poll has announced their number, so it stays the same */
        config_unref(r->next);
        r->next = config;
    } else {
        select_by(r, config);
    }
    pthread_mutex_unlock(&r->lock);
    reap(r);
}

bool inventory_stop(struct inventory *r, int64_t deadline_ns)
{
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    for (size_t i = 0; i < r->n; i++)
        retire(r, r->entries[i]);
    pthread_mutex_unlock(&r->lock);
    while (reap(r) > 0) {
        if (clock_mono_ns() >= deadline_ns)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = STOP_LOOK_NS}, NULL);
    }
    return true;
}

/* ---- Polls ---- */

static bool is_in(const struct entry *en, const struct inventory_scope *scope)
{
    return !en->excluded && (!scope || scope->wants(scope->arg, en->info->netns, en->info->inode));
}

static bool takes_part(const struct entry *en, const struct inventory_scope *scope)
{
    return en->collector && is_in(en, scope);
}

void inventory_visit(struct inventory *r, inventory_visitor *fn, void *arg)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        if (takes_part(r->entries[i], NULL) && !fn(arg, r->entries[i]->info))
            break;
    }
    pthread_mutex_unlock(&r->lock);
}

size_t inventory_collectors(struct inventory *r, const struct inventory_scope *scope)
{
    pthread_mutex_lock(&r->lock);
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += takes_part(r->entries[i], scope);
    r->starting = true;
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t inventory_count(struct inventory *r, size_t *excluded)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->n;
    *excluded = r->n_excluded;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* Reports refusal |i|. Its memory moves when an entry is added, so it is copied under the lock. */
static void refuse(struct inventory *r, const struct poll_request *request, size_t i,
                   void (*refused)(void *arg, const struct collector_result *result), void *arg)
{
    pthread_mutex_lock(&r->lock);
    struct refusal what = r->refusals[i];
    pthread_mutex_unlock(&r->lock);
    struct collector_result result = {.poll_id = request->poll_id, .netns_id = what.id};
    if (what.code == -EBUSY)
        err_set(&result.err, -EBUSY, "still busy with poll %llu", (unsigned long long)what.earlier);
    else
        err_set(&result.err, what.code, "%s", err_name(what.code));
    refused(arg, &result);
}

size_t inventory_poll(struct inventory *r, struct poll_request *request, const struct inventory_scope *scope,
                      void (*refused)(void *arg, const struct collector_result *result), void *arg)
{
    size_t n = 0;
    size_t n_refused = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        struct entry *en = r->entries[i];
        if (en->excluded && !en->busy_poll)
            retire(r, en); /* it was busy when it was excluded */
        if (!en->collector && en->info->state == NSWATCH_LIVE && !en->excluded && !r->stopping)
            start_collector(r, en); /* it could not be started before */
        if (!takes_part(en, scope))
            continue;
        n++;
        uint64_t earlier = en->busy_poll;
        en->busy_poll = request->poll_id; /* before the request: its result may come at once */
        int rc = collector_poll(en->collector, request);
        if (rc == 0)
            continue;
        en->busy_poll = earlier;
        r->refusals[n_refused++] = (struct refusal){.id = en->id, .code = rc, .earlier = earlier};
    }
    r->starting = false;
    if (r->next)
        select_by(r, r->next);
    r->next = NULL;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < n_refused; i++)
        refuse(r, request, i, refused, arg);
    reap(r);
    return n;
}

void inventory_result(struct inventory *r, const struct collector_result *result, int64_t timestamp_ns,
                      char *name, uint64_t *inode, uint64_t *cookie)
{
    name[0] = '\0';
    *inode = *cookie = 0;
    pthread_mutex_lock(&r->lock);
    struct entry *en = find(r, result->netns_id);
    if (!en)
        en = find_leaving(r, result->netns_id);
    if (en) {
        snprintf(name, INVENTORY_NAME_MAX, "%s", en->info->netns);
        *inode = en->info->inode;
        *cookie = en->info->cookie;
        if (en->busy_poll == result->poll_id) /* else it is late, after the next request */
            en->busy_poll = 0;
        if (result->err.code != -EBUSY) {
            en->last_poll_id = result->poll_id;
            en->last_poll_ns = timestamp_ns;
            en->last_duration_ns = (uint64_t)result->dump_ns;
        }
        if (result->err.code == 0 && !result->partial) {
            en->sockets = result->sockets;
            en->full_poll_id = result->poll_id;
        }
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
    for (const struct leaver *l = r->leavers; l; l = l->next) {
        if (l->entry && l->entry->busy_poll == poll_id)
            fn(arg, l->entry->info->netns, l->entry->info->inode, l->entry->info->cookie);
    }
    pthread_mutex_unlock(&r->lock);
}

/* The reason why the namespace of |en| is not collected; code 0: it is collected, or is no namespace. */
static struct poll_error why_unseen(const struct entry *en)
{
    const struct nswatch_ns *ns = en->info;
    struct poll_error e = {.name = ns->netns, .inode = ns->inode, .cookie = ns->cookie, .text = en->error};
    if (ns->state == NSWATCH_LIVE && !en->collector)
        e.code = ERR_UNAVAILABLE;
    else if (ns->state == NSWATCH_BROKEN && ns->error.code != ERR_TYPE && ns->error.code != ERR_TIMEOUT)
        e.code = ns->error.code;
    return e;
}

void inventory_unseen(struct inventory *r, const struct inventory_scope *scope,
                      void (*fn)(void *arg, const struct poll_error *error), void *arg)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *en = r->entries[i];
        struct poll_error e = is_in(en, scope) ? why_unseen(en) : (struct poll_error){0};
        if (e.code)
            fn(arg, &e);
    }
    pthread_mutex_unlock(&r->lock);
}
