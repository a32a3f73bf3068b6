/* Watches: the list of them, their requests, and their limits. */
#include <errno.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "server/live/bounds.h"
#include "server/watch/focus_internal.h"

/* A tick costs at least as much as this many lookups: entering the namespace, the message. */
#define UNITS_OF_TICK 20

void focus_watch_unref(struct focus_watch *w)
{
    if (atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    focus_watch_clear(w);
    free(w->places);
    free(w->gone);
    focus_selection_unref(w->asked);
    focus_selection_unref(w->current);
    focus_found_free(w->found);
    focus_slot_fini(&w->slot);
    if (w->call)
        rpc_call_unref(w->call);
    quota_user_unref(w->user);
    free(w);
}

struct focus_watch *focus_watch_ref(struct focus_watch *w)
{
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    return w;
}

/* The lock is held. */
static int enter(struct focus *f, struct focus_watch *w, const struct quota_bound *bound, struct err *e)
{
    if (f->lost)
        return err_set(e, ERR_UNAVAILABLE, "focus is out of order: restart the daemon");
    if (!w->user || array_room(&f->watches, f->n + 1, &f->cap, sizeof(*f->watches)))
        return err_set(e, -ENOMEM, "out of memory");
    int rc = quota_take(w->user, w->rank, QUOTA_FOCUS_STREAMS, 1, 1, bound, e);
    if (rc == 0)
        f->watches[f->n++] = focus_watch_ref(w);
    return rc;
}

/* The bounds in force. */
static void read_bounds(const struct focus *f, struct bounds *out)
{
    const struct config *config = f->options.config(f->options.arg);
    bounds_read(config, out);
    config_unref(config);
}

int focus_open(struct focus *f, struct rpc_call *call, struct focus_watch **out, struct err *e)
{
    struct focus_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return err_set(e, -ENOMEM, "out of memory");
    w->refs = 1;
    w->focus = f;
    w->call = rpc_call_ref(call);
    struct quota_user *user = rpc_call_quota(call, &w->rank);
    w->user = user ? quota_user_ref(user) : NULL;
    w->due_ns = w->search_ns = INT64_MAX;
    focus_slot_init(&w->slot);
    struct bounds bounds;
    read_bounds(f, &bounds);
    pthread_mutex_lock(&f->lock);
    int rc = enter(f, w, &bounds.of[QUOTA_FOCUS_STREAMS], e);
    pthread_mutex_unlock(&f->lock);
    if (rc) {
        focus_watch_unref(w);
        return rc;
    }
    *out = w;
    return 0;
}

void focus_dismiss(struct focus_watch *w)
{
    struct focus *f = w->focus;
    bool found = false;
    pthread_mutex_lock(&f->lock);
    struct rpc_call *call = w->call;
    w->call = NULL;
    w->closed = true;
    quota_give(w->user, QUOTA_FOCUS_RATE, w->units, w->units);
    w->units = 0;
    for (size_t i = 0; i < f->n && !found; i++) {
        found = f->watches[i] == w;
        if (found)
            f->watches[i] = f->watches[--f->n];
    }
    if (found)
        quota_give(w->user, QUOTA_FOCUS_STREAMS, 1, 1);
    pthread_mutex_unlock(&f->lock);
    if (call)
        rpc_call_unref(call);
    if (found)
        focus_watch_unref(w);
}

void focus_close(struct focus_watch *w)
{
    focus_dismiss(w);
    focus_watch_unref(w);
}

/* Lookups a second that |r| may come to. */
static uint64_t units_of(const struct focus_request *r)
{
    uint64_t each = r->max_sockets > UNITS_OF_TICK ? r->max_sockets : UNITS_OF_TICK;
    return (each * NS_PER_S + (uint64_t)r->interval_ns - 1) / (uint64_t)r->interval_ns;
}

/* Accounts |r| to |w| in place of its old request. Only the difference is taken or given back, so that the
 * old request stays when the new one is refused. The lock is held. */
static int change_rate(struct focus_watch *w, const struct focus_request *r, const struct quota_bound *bound,
                       struct err *e)
{
    uint64_t units = units_of(r);
    if (units > w->units) {
        uint64_t more = units - w->units;
        int rc = quota_take(w->user, w->rank, QUOTA_FOCUS_RATE, more, more, bound, e);
        if (rc) {
            err_prefix(e, "%u sockets every %lld ms may be %llu lookups a second", r->max_sockets,
                       (long long)(r->interval_ns / NS_PER_MS), (unsigned long long)units);
            return rc;
        }
    } else {
        quota_give(w->user, QUOTA_FOCUS_RATE, w->units - units, w->units - units);
    }
    w->units = units;
    return 0;
}

/* When the first search for the present request is due: searches that were due earlier come first, also
 * repeated ones. */
static int64_t first_search_ns(const struct focus_watch *w)
{
    int64_t now = clock_mono_ns();
    return w->rested_ns > now ? w->rested_ns : now;
}

/* Puts |s| in place of the selection that |w| had. The reference becomes the watch's when it returns 0. */
static int put_selection(struct focus *f, struct focus_watch *w, struct focus_selection *s, struct err *e)
{
    struct focus_selection *old = NULL;
    struct focus_found *found = NULL;
    struct bounds bounds;
    read_bounds(f, &bounds);
    pthread_mutex_lock(&f->lock);
    int rc = w->closed ? err_set(e, ERR_CANCELLED, "the stream is about to end")
                       : change_rate(w, &s->request, &bounds.of[QUOTA_FOCUS_RATE], e);
    if (rc == 0) {
        old = w->asked;
        found = w->found;
        w->asked = s;
        w->found = NULL;
        w->waiting = false;
        w->due_ns = 0;
        w->search_ns = s->filter ? first_search_ns(w) : INT64_MAX;
        pthread_cond_broadcast(&f->tick_changed);
        pthread_cond_signal(&f->search_changed);
    }
    pthread_mutex_unlock(&f->lock);
    focus_selection_unref(old);
    focus_found_free(found);
    return rc;
}

int focus_select(struct focus_watch *w, struct focus_request *request, struct err *e)
{
    struct focus_selection *s;
    struct focus *f = w->focus;
    int rc = focus_selection_new(request, &s, e);
    if (rc)
        return rc;
    const struct config *config = f->options.config(f->options.arg);
    if (s->request.max_sockets > config->focus_sockets_max)
        rc = err_set(e, ERR_LIMIT, "max_sockets: %u, allowed are %u (focus_sockets_max)",
                     s->request.max_sockets, config->focus_sockets_max);
    if (rc == 0)
        rc = put_selection(f, w, s, e);
    config_unref(config);
    if (rc)
        focus_selection_unref(s);
    return rc;
}

bool focus_selected(struct focus_watch *w)
{
    pthread_mutex_lock(&w->focus->lock);
    bool any = w->asked != NULL;
    pthread_mutex_unlock(&w->focus->lock);
    return any;
}

bool focus_next(struct focus_watch *w, struct rpc_message *out)
{
    return focus_slot_next(&w->slot, out);
}
