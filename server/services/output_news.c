#include "server/services/output_news.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outputs that a watcher is told of: those of the list outputs, and the one that dest makes. */
#define TOLD_MAX ((size_t)OUTPUTS_MAX + 1)

/* What a watcher has been told last of one output. */
struct told {
    char name[OUTPUT_NAME_MAX + 1];
    uint32_t state;
    int64_t since_ns;
};

struct watcher {
    output_news_fn *fn;
    void *arg;
    struct told told[TOLD_MAX];
    size_t n;
    struct watcher *next;
};

/* A test that its output has not ended. */
struct test {
    struct output_news *news;
    output_test_fn *fn; /* NULL: nobody waits for it any more */
    void *arg;
    int64_t due_ns;
    struct test *next;
};

struct output_news {
    struct outputs *outputs;
    void (*wake)(void *arg);
    void *wake_arg;
    int64_t look_ns;      /* the next look is not before; main's */
    _Atomic bool changed; /* there may be something new since the last look */
    _Atomic unsigned n_watchers;
    /* Held from the look at the outputs until what was seen has been told, so that nobody is told something older than what
     * he knows. Locks of the outputs are taken under it. */
    pthread_mutex_t look_lock;
    pthread_mutex_t
        lock; /* guards the lists; taken where outputs call back, so nothing of them is called under it */
    struct watcher *watchers;
    struct test *tests;
};

/* ---- Changes ---- */

/* The outputs may have changed. On any thread, with locks of theirs held. */
static void on_changed(void *arg)
{
    struct output_news *n = arg;
    if (!atomic_exchange(&n->changed, true) && atomic_load(&n->n_watchers))
        n->wake(n->wake_arg);
}

static bool is_listed(const struct output_status *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Tells which outputs have gone. */
static void tell_removed(struct watcher *w, const struct output_status *list, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (is_listed(list, n, w->told[i].name)) {
            w->told[left++] = w->told[i];
            continue;
        }
        const struct output_status gone = {.name = w->told[i].name};
        const struct output_event event = {.output = &gone, .removed = true};
        w->fn(w->arg, &event);
    }
    w->n = left;
}

/* What |w| has been told of the output |name|; a new entry if that is nothing, NULL if there is no room for one. */
static struct told *told_of(struct watcher *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->told[i].name, name) == 0)
            return &w->told[i];
    }
    if (w->n == TOLD_MAX)
        return NULL;
    struct told *t = &w->told[w->n++];
    *t = (struct told){.state = OUTPUT_STATES}; /* none: unlike any */
    snprintf(t->name, sizeof(t->name), "%s", name);
    return t;
}

/* Tells |w| in what the |n| outputs of |list| differ from what it knows. */
static void tell(struct watcher *w, const struct output_status *list, size_t n, bool initial)
{
    tell_removed(w, list, n);
    for (size_t i = 0; i < n; i++) {
        struct told *t = told_of(w, list[i].name);
        if (!t || (t->state == list[i].state && t->since_ns == list[i].since_ns))
            continue;
        t->state = list[i].state;
        t->since_ns = list[i].since_ns;
        const struct output_event event = {.output = &list[i], .initial = initial};
        w->fn(w->arg, &event);
    }
}

static int tell_all(void *arg, const struct output_status *list, size_t count)
{
    struct output_news *n = arg;
    pthread_mutex_lock(&n->lock);
    for (struct watcher *w = n->watchers; w; w = w->next)
        tell(w, list, count, false);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

/* Looks at the outputs. Returns what |fn| does, or -ENOMEM. */
static int look_at(struct output_news *n,
                   int (*fn)(void *arg, const struct output_status *list, size_t count), void *arg)
{
    pthread_mutex_lock(&n->look_lock);
    int rc = outputs_list(n->outputs, fn, arg);
    pthread_mutex_unlock(&n->look_lock);
    return rc;
}

/* Looks for changes if it is time. Returns when to do it again. */
static int64_t look(struct output_news *n, int64_t now_ns)
{
    if (!atomic_load(&n->n_watchers))
        return INT64_MAX;
    if (now_ns >= n->look_ns && atomic_exchange(&n->changed, false)) {
        n->look_ns = now_ns + OUTPUT_NEWS_LOOK_NS;
        if (look_at(n, tell_all, n) != 0)
            atomic_store(&n->changed, true); /* no memory: at the next look */
    }
    return atomic_load(&n->changed) ? n->look_ns : INT64_MAX;
}

/* ---- Watchers ---- */

struct joining {
    struct output_news *news;
    struct watcher *watcher;
};

/* Tells all outputs to the new watcher, and makes it one. */
static int join(void *arg, const struct output_status *list, size_t count)
{
    const struct joining *j = arg;
    struct output_news *n = j->news;
    pthread_mutex_lock(&n->lock);
    j->watcher->next = n->watchers;
    n->watchers = j->watcher;
    atomic_fetch_add(&n->n_watchers, 1);
    tell(j->watcher, list, count, true);
    pthread_mutex_unlock(&n->lock);
    return 0;
}

int output_news_watch(struct output_news *n, output_news_fn *fn, void *arg)
{
    struct watcher *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->fn = fn;
    w->arg = arg;
    struct joining j = {n, w};
    int rc = look_at(n, join, &j);
    if (rc) {
        free(w);
        return rc;
    }
    if (atomic_load(&n->changed)) /* nobody has been woken for that: there was no watcher */
        n->wake(n->wake_arg);
    return 0;
}

void output_news_unwatch(struct output_news *n, void *arg)
{
    pthread_mutex_lock(&n->lock);
    for (struct watcher **at = &n->watchers; *at; at = &(*at)->next) {
        if ((*at)->arg == arg) {
            struct watcher *w = *at;
            *at = w->next;
            atomic_fetch_sub(&n->n_watchers, 1);
            free(w);
            break;
        }
    }
    pthread_mutex_unlock(&n->lock);
}

/* ---- Tests ---- */

/* Takes |t| off the list. The lock is held. */
static void unlink_test(struct test *t)
{
    struct test **at = &t->news->tests;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

/* The output has ended the test. */
static void on_tested(void *arg, const struct output_test *result)
{
    struct test *t = arg;
    struct output_news *n = t->news;
    pthread_mutex_lock(&n->lock);
    unlink_test(t);
    if (t->fn)
        t->fn(t->arg, result);
    pthread_mutex_unlock(&n->lock);
    free(t);
}

int output_news_test(struct output_news *n, const char *name, output_test_fn *fn, void *arg, struct err *e)
{
    struct test *t = malloc(sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    *t = (struct test){.news = n, .fn = fn, .arg = arg, .due_ns = clock_mono_ns() + OUTPUT_NEWS_TEST_NS};
    pthread_mutex_lock(&n->lock);
    t->next = n->tests;
    n->tests = t;
    pthread_mutex_unlock(&n->lock);
    int rc = outputs_test(n->outputs, name, on_tested, t, e); /* which may be over by then, and |t| freed */
    if (rc) {
        pthread_mutex_lock(&n->lock);
        unlink_test(t);
        pthread_mutex_unlock(&n->lock);
        free(t);
        return rc;
    }
    n->wake(n->wake_arg); /* there is a time to keep */
    return 0;
}

void output_news_forget(struct output_news *n, void *arg)
{
    pthread_mutex_lock(&n->lock);
    for (struct test *t = n->tests; t; t = t->next) {
        if (t->arg == arg)
            t->fn = NULL;
    }
    pthread_mutex_unlock(&n->lock);
}

/* Tells the callers of tests that have taken too long. Returns when the next of them will have. */
static int64_t end_late_tests(struct output_news *n, int64_t now_ns)
{
    static const struct output_test late = {
        .error = "there is no result within 10 s: the output waits for its destination",
        .duration_ns = OUTPUT_NEWS_TEST_NS};
    int64_t next = INT64_MAX;
    pthread_mutex_lock(&n->lock);
    for (struct test *t = n->tests; t; t = t->next) {
        if (!t->fn)
            continue;
        if (t->due_ns > now_ns) {
            next = clock_earlier(next, t->due_ns);
            continue;
        }
        t->fn(t->arg, &late);
        t->fn = NULL;
    }
    pthread_mutex_unlock(&n->lock);
    return next;
}

/* ---- Life ---- */

struct output_news *output_news_new(struct outputs *outputs, void (*wake)(void *arg), void *arg)
{
    struct output_news *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->outputs = outputs;
    n->wake = wake;
    n->wake_arg = arg;
    pthread_mutex_init(&n->look_lock, NULL);
    pthread_mutex_init(&n->lock, NULL);
    outputs_listen(outputs, on_changed, n);
    return n;
}

void output_news_free(struct output_news *n)
{
    if (!n)
        return;
    outputs_listen(n->outputs, NULL, NULL);
    while (n->watchers)
        output_news_unwatch(n, n->watchers->arg);
    while (n->tests) {
        struct test *t = n->tests;
        n->tests = t->next;
        free(t);
    }
    pthread_mutex_destroy(&n->look_lock);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

int64_t output_news_step(struct output_news *n, int64_t now_ns)
{
    return clock_earlier(look(n, now_ns), end_late_tests(n, now_ns));
}
