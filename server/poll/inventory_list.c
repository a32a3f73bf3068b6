/* The inventory as NamespaceService tells it. */
#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "server/poll/inventory_internal.h"

/* ---- Messages ---- */

struct info_storage {
    const char *names[INVENTORY_NAMES_MAX + 1];
    const char *found_at[INVENTORY_NAMES_MAX + 1];
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
                 : en->excluded                 ? NAMESPACE_STATE_EXCLUDED
                 : failed                       ? NAMESPACE_STATE_FAILED
                                                : NAMESPACE_STATE_READY,
        .sockets = en->sockets,
        .full_poll_id = en->full_poll_id,
        .last_error = en->error,
        .last_poll_ns = en->last_poll_ns,
        .last_poll_id = en->last_poll_id,
        .last_poll_duration_ns = en->last_duration_ns,
        .errors = en->errors,
    };
    st->names[out->n_names++] = ns->netns;
    st->found_at[out->n_found_at++] = ns->found_at;
    for (size_t i = 0;
         i < ns->name_count && out->n_names < INVENTORY_NAMES_MAX && out->n_found_at < INVENTORY_NAMES_MAX;
         i++) {
        const char *base = inventory_name(ns, i);
        if (strcmp(base, ns->netns) != 0)
            st->names[out->n_names++] = base;
        if (strcmp(ns->names[i].text, ns->found_at) != 0)
            st->found_at[out->n_found_at++] = ns->names[i].text;
    }
}

/* Tells |fn| of an event of |en|, or of all entries when |en| is NULL. */
static void tell(const struct entry *en, uint32_t type, inventory_listener *fn, void *arg)
{
    struct info_storage st;
    struct namespace_info info;
    if (en)
        fill_info(en, type == NAMESPACE_EVENT_REMOVED, &st, &info);
    struct namespace_event event = {.type = type, .timestamp_ns = clock_wall_ns(), .ns = en ? &info : NULL};
    fn(arg, &event);
}

void inventory_tell(struct inventory *r, const struct entry *en, uint32_t type)
{
    for (struct listener *l = r->listeners; l; l = l->next)
        tell(en, type, l->fn, l->arg);
}

uint32_t inventory_present_event(const struct entry *en)
{
    if (en->info->state == NSWATCH_PENDING)
        return NAMESPACE_EVENT_ADDED;
    if (en->excluded)
        return NAMESPACE_EVENT_EXCLUDED;
    return en->collector ? NAMESPACE_EVENT_READY : NAMESPACE_EVENT_FAILED;
}

/* ---- List and Watch ---- */

static int by_name(const void *a, const void *b)
{
    const struct nswatch_ns *x = (*(struct entry *const *)a)->info;
    const struct nswatch_ns *y = (*(struct entry *const *)b)->info;
    if ((x->kind == NSWATCH_OWN) != (y->kind == NSWATCH_OWN))
        return x->kind == NSWATCH_OWN ? -1 : 1;
    int order = strcmp(x->netns, y->netns);
    return order ? order : x->id < y->id ? -1 : 1;
}

int inventory_list(struct inventory *r, int (*fn)(void *arg, const struct namespace_info *list, size_t n),
                   void *arg)
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
        rc = fn(arg, infos, r->n);
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
    if (!l)
        return -ENOMEM;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n; i++)
        tell(r->entries[i], inventory_present_event(r->entries[i]), listener, arg);
    tell(NULL, NAMESPACE_EVENT_SYNCED, listener, arg);
    *l = (struct listener){.fn = listener, .arg = arg, .next = r->listeners};
    r->listeners = l;
    pthread_mutex_unlock(&r->lock);
    return 0;
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
