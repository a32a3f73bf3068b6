#include "server/watch/focus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inet_diag/dump.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "server/watch/focus_internal.h"

/* ---- The threads focus and focus/other ---- */

/* The watch of |t| whose tick is due first, or NULL. The lock is held. */
static struct focus_watch *first_due(const struct focus_ticker *t)
{
    const struct focus *f = t->focus;
    struct focus_watch *first = NULL;
    for (size_t i = 0; i < f->n; i++) {
        struct focus_watch *w = f->watches[i];
        if (w->other_netns == t->other_netns && w->due_ns != INT64_MAX &&
            (!first || w->due_ns < first->due_ns))
            first = w;
    }
    return first;
}

/* Waits for the next watch that is due and returns a reference to it; NULL when the daemon stops. |due_ns|
 * receives when its tick was due, and its next tick is already set. */
static struct focus_watch *next_watch(struct focus_ticker *t, int64_t *due_ns)
{
    struct focus *f = t->focus;
    struct focus_watch *w = NULL;
    pthread_mutex_lock(&f->lock);
    while (!atomic_load(&f->stopping)) {
        w = first_due(t);
        if (w && w->due_ns <= clock_mono_ns())
            break;
        thread_cond_wait(&f->tick_changed, &f->lock, w ? w->due_ns : INT64_MAX);
        w = NULL;
    }
    if (w) {
        *due_ns = w->due_ns;
        w->due_ns = INT64_MAX;
        focus_watch_ref(w);
    }
    pthread_mutex_unlock(&f->lock);
    return w;
}

/* Takes in the requests and the search results since the last tick. Returns whether the watch can tick. */
static bool catch_up(struct focus *f, struct focus_watch *w)
{
    pthread_mutex_lock(&f->lock);
    struct focus_selection *fresh = w->asked && w->asked != w->current ? focus_selection_ref(w->asked) : NULL;
    struct focus_found *found = w->found;
    w->found = NULL;
    pthread_mutex_unlock(&f->lock);
    if (fresh)
        focus_watch_begin(w, fresh, f->options.inventory);
    if (found)
        focus_watch_merge(w, found);
    bool ready = w->current && (w->started || found || !w->current->filter);
    if (ready && !w->started)
        focus_watch_start(w, found);
    focus_found_free(found);
    return ready;
}

/* Holds back the ticks of |w| until its search is over, unless it is over already. */
static void wait_for_search(struct focus *f, struct focus_watch *w)
{
    pthread_mutex_lock(&f->lock);
    if (w->found || w->asked != w->current)
        w->due_ns = 0;
    else
        w->waiting = true;
    pthread_mutex_unlock(&f->lock);
}

/* When the tick after the one that was due at |due_ns| is due; ticks whose time has passed by |now| are left
 * out and counted. The first tick (|due_ns| 0) is due when it is made. */
static int64_t next_due(int64_t due_ns, int64_t interval_ns, int64_t now, uint64_t *skipped)
{
    *skipped = 0;
    if (due_ns == 0)
        return now + interval_ns;
    *skipped = now > due_ns ? (uint64_t)((now - due_ns) / interval_ns) : 0;
    return due_ns + (int64_t)(*skipped + 1) * interval_ns;
}

/* Whether |w| is for the other ticker, which then gets it. */
static bool hand_over(const struct focus_ticker *t, struct focus_watch *w, int64_t due_ns)
{
    struct focus *f = t->focus;
    bool other_netns = focus_watch_in_other_netns(w);
    if (other_netns == t->other_netns)
        return false;
    pthread_mutex_lock(&f->lock);
    w->other_netns = other_netns;
    if (w->due_ns == INT64_MAX) /* else something new was asked for meanwhile */
        w->due_ns = due_ns;
    pthread_cond_broadcast(&f->tick_changed);
    pthread_mutex_unlock(&f->lock);
    return true;
}

/* The tick that was due at |due_ns|; sets the next one. */
static int tick(struct focus_ticker *t, struct focus_watch *w, int64_t due_ns)
{
    struct focus *f = t->focus;
    uint64_t skipped;
    int64_t now = clock_mono_ns();
    int64_t interval = w->current->request.interval_ns;
    int64_t next = next_due(due_ns, interval, now, &skipped);
    int64_t late = due_ns ? now - due_ns - (int64_t)skipped * interval : 0;
    const struct config *config = f->options.config(f->options.arg);
    size_t sockets = w->n_sockets;
    int rc = focus_watch_tick(w, t, f->options.inventory, config, late, skipped);
    config_unref(config);
    atomic_fetch_add(&f->ticks, 1);
    atomic_fetch_add(&f->lookups, sockets);
    atomic_fetch_add(&f->skipped, skipped);
    pthread_mutex_lock(&f->lock);
    w->sockets = (uint32_t)w->n_sockets;
    if (w->due_ns == INT64_MAX) /* else something new was asked for meanwhile */
        w->due_ns = w->closed ? INT64_MAX : next;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

/* Ends the call of |w| on the hub's thread. */
static void abort_call(struct focus *f, const struct focus_watch *w, int code, const char *text)
{
    struct rpc_abort *abort = rpc_abort_new(w->call, code, text);
    if (abort)
        hub_run(f->options.hub, rpc_abort_later, abort);
}

/* Makes the call of |w|, if it still exists, take the message that waits in the slot; or ends it, for
 * |code|. */
static void call_up(const struct focus_ticker *t, struct focus_watch *w, int code)
{
    struct focus *f = t->focus;
    struct rpc_call *call = NULL;
    pthread_mutex_lock(&f->lock);
    if (w->call && code)
        abort_call(f, w, ERR_LIMIT, "the client reads too slowly: too many ended sockets wait for it");
    else if (w->call && t->other_netns)
        hub_run(f->options.hub, rpc_call_kick_later, rpc_call_ref(w->call));
    else if (w->call)
        call = rpc_call_ref(w->call);
    pthread_mutex_unlock(&f->lock);
    if (!call)
        return;
    rpc_call_kick(call); /* gRPC, on the thread that never leaves home, and without the lock */
    rpc_call_unref(call);
}

/* Returns 0, or ERR_CANCELLED: the thread is not at home any more. */
static int serve(struct focus_ticker *t, struct focus_watch *w, int64_t due_ns)
{
    struct focus *f = t->focus;
    if (!catch_up(f, w)) {
        wait_for_search(f, w);
        return 0;
    }
    if (w->tick == 0)
        due_ns = 0;
    if (hand_over(t, w, due_ns))
        return 0;
    int rc = tick(t, w, due_ns);
    if (rc == ERR_CANCELLED)
        return rc;
    call_up(t, w, rc);
    return 0;
}

/* The thread is in a wrong namespace and must not do anything any more. */
static void give_up(struct focus *f)
{
    log_error("focus", "the thread cannot go back to the daemon's namespace: no sockets can be watched until "
                       "the daemon is started again");
    pthread_mutex_lock(&f->lock);
    f->lost = true;
    for (size_t i = 0; i < f->n; i++)
        abort_call(f, f->watches[i], ERR_UNAVAILABLE, "focus is out of order: restart the daemon");
    pthread_mutex_unlock(&f->lock);
}

static void *focus_run(void *arg)
{
    struct focus_ticker *t = arg;
    int64_t due_ns;
    int rc = 0;
    for (struct focus_watch *w; rc == 0 && (w = next_watch(t, &due_ns));) {
        rc = serve(t, w, due_ns);
        focus_watch_unref(w);
    }
    if (rc)
        give_up(t->focus);
    return NULL;
}

/* ---- The threads focus/find ---- */

static struct focus_watch *first_search(const struct focus *f)
{
    struct focus_watch *first = NULL;
    for (size_t i = 0; i < f->n; i++) {
        struct focus_watch *w = f->watches[i];
        if (!w->searching && w->search_ns != INT64_MAX && (!first || w->search_ns < first->search_ns))
            first = w;
    }
    return first;
}

/* The next watch whose search is due, and the selection, with references. */
static struct focus_watch *next_search(struct focus *f, struct focus_selection **out)
{
    struct focus_watch *w = NULL;
    pthread_mutex_lock(&f->lock);
    while (!atomic_load(&f->stopping)) {
        w = first_search(f);
        if (w && w->search_ns <= clock_mono_ns())
            break;
        thread_cond_wait(&f->search_changed, &f->lock, w ? w->search_ns : INT64_MAX);
        w = NULL;
    }
    if (w) {
        w->searching = true;
        w->search_ns = INT64_MAX;
        *out = focus_selection_ref(w->asked);
        focus_watch_ref(w);
    }
    pthread_mutex_unlock(&f->lock);
    return w;
}

/* Hands the result of a search, which took |cpu_ns|, to the tickers, unless the watch asks for something else
 * by now. */
static void deliver(struct focus *f, struct focus_watch *w, const struct focus_selection *s,
                    struct focus_found *found, int64_t cpu_ns)
{
    int64_t now = clock_mono_ns();
    struct focus_found *old = found;
    pthread_mutex_lock(&f->lock);
    w->searching = false;
    w->rested_ns = focus_search_rest(now, cpu_ns, 0);
    if (w->asked == s) {
        w->search_ns = focus_search_rest(now, cpu_ns, s->request.lookup_interval_ns);
        if (found) {
            old = w->found;
            w->found = found;
        }
        if (w->waiting) {
            w->waiting = false;
            w->due_ns = 0;
            pthread_cond_broadcast(&f->tick_changed);
        }
    } else if (w->search_ns < w->rested_ns) {
        w->search_ns = w->rested_ns;
    }
    pthread_cond_signal(&f->search_changed);
    pthread_mutex_unlock(&f->lock);
    focus_found_free(old);
}

static void *finder_run(void *arg)
{
    struct focus_finder *finder = arg;
    struct focus *f = finder->focus;
    struct focus_selection *s;
    for (struct focus_watch *w; !finder->lost && (w = next_search(f, &s));) {
        const struct config *config = f->options.config(f->options.arg);
        int64_t cpu = clock_thread_cpu_ns();
        struct focus_found *found = focus_search(finder, s, config);
        config_unref(config);
        atomic_fetch_add(&f->searches, 1);
        deliver(f, w, s, found, clock_thread_cpu_ns() - cpu);
        focus_selection_unref(s);
        focus_watch_unref(w);
    }
    if (finder->lost)
        log_error("focus", "a thread cannot go back to the daemon's namespace and ends");
    return NULL;
}

/* ---- Life ---- */

static int make_ticker(struct focus *f, struct focus_ticker *t, bool other_netns)
{
    *t = (struct focus_ticker){.focus = f, .other_netns = other_netns, .row = malloc(RECORD_ROW_MAX)};
    buf_init(&t->rows);
    return t->row ? lookup_new(f->own_netns_fd, &t->lookup) : -ENOMEM;
}

static int make_finder(struct focus *f, struct focus_finder *finder)
{
    *finder = (struct focus_finder){.focus = f, .buffer = malloc(DUMP_BUFFER_SIZE)};
    u64set_init(&finder->seen);
    finder->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return finder->wake < 0 ? -errno : finder->buffer ? 0 : -ENOMEM;
}

int focus_new(const struct focus_options *options, struct focus **out, struct err *e)
{
    struct focus *f = calloc(1, sizeof(*f));
    if (!f)
        return err_set(e, -ENOMEM, "out of memory");
    f->options = *options;
    for (size_t i = 0; i < FOCUS_FINDERS; i++)
        f->finders[i].wake = -1;
    pthread_mutex_init(&f->lock, NULL);
    thread_cond_init(&f->tick_changed);
    thread_cond_init(&f->search_changed);
    f->own_netns_fd = netns_open_self();
    int rc = f->own_netns_fd < 0 ? f->own_netns_fd : 0;
    for (size_t i = 0; i < FOCUS_TICKERS && rc == 0; i++)
        rc = make_ticker(f, &f->tickers[i], i == FOCUS_OTHER_NETNS);
    for (size_t i = 0; i < FOCUS_FINDERS && rc == 0; i++)
        rc = make_finder(f, &f->finders[i]);
    if (rc) {
        focus_free(f);
        return err_set(e, rc, "focus: %s", err_name(rc));
    }
    *out = f;
    return 0;
}

int focus_start(struct focus *f)
{
    static const char *const names[FOCUS_TICKERS] = {"focus", "focus/other"};
    int rc = 0;
    for (size_t i = 0; i < FOCUS_TICKERS && rc == 0; i++)
        rc = thread_start(&f->tickers[i].thread, names[i], 0, focus_run, &f->tickers[i]);
    for (size_t i = 0; i < FOCUS_FINDERS && rc == 0; i++)
        rc = thread_start(&f->finders[i].thread, "focus/find", 0, finder_run, &f->finders[i]);
    return rc;
}

void focus_stop(struct focus *f)
{
    pthread_mutex_lock(&f->lock);
    atomic_store(&f->stopping, true);
    pthread_cond_broadcast(&f->tick_changed);
    pthread_cond_broadcast(&f->search_changed);
    pthread_mutex_unlock(&f->lock);
    for (size_t i = 0; i < FOCUS_FINDERS; i++)
        eventfd_write(f->finders[i].wake, 1);
    for (size_t i = 0; i < FOCUS_TICKERS; i++)
        thread_join(&f->tickers[i].thread);
    for (size_t i = 0; i < FOCUS_FINDERS; i++)
        thread_join(&f->finders[i].thread);
}

void focus_free(struct focus *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < FOCUS_FINDERS; i++) {
        if (f->finders[i].wake >= 0)
            close(f->finders[i].wake);
        free(f->finders[i].buffer);
        u64set_free(&f->finders[i].seen);
    }
    for (size_t i = 0; i < FOCUS_TICKERS; i++) {
        lookup_free(f->tickers[i].lookup);
        buf_free(&f->tickers[i].rows);
        free(f->tickers[i].row);
    }
    free(f->watches);
    if (f->own_netns_fd >= 0)
        close(f->own_netns_fd);
    pthread_cond_destroy(&f->tick_changed);
    pthread_cond_destroy(&f->search_changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void focus_stats(struct focus *f, struct focus_stats *out)
{
    *out = (struct focus_stats){.lookups = atomic_load(&f->lookups),
                                .ticks = atomic_load(&f->ticks),
                                .skipped = atomic_load(&f->skipped),
                                .searches = atomic_load(&f->searches)};
    pthread_mutex_lock(&f->lock);
    out->streams = (uint32_t)f->n;
    for (size_t i = 0; i < f->n; i++)
        out->sockets += f->watches[i]->sockets;
    pthread_mutex_unlock(&f->lock);
}
