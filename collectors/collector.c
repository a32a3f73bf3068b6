#include "collectors/collector.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/set.h"
#include "collectors/visit.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/netns.h"

/* A visit's frame and error texts and a log line fit several times; untouched stack costs nothing. Sanitizers
 * blow frames up. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(UNDER_SANITIZER) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (1024 * 1024)
#else
#define STACK_SIZE (64 * 1024)
#endif

#define TURNSTILE_DEFAULT_MAX                                                                                \
    4 /* more threads than this only contend for the locks of the kernel's tables                            \
       */
#define TURNSTILE_MAX 64

static unsigned default_turnstile(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
    return count < TURNSTILE_DEFAULT_MAX ? (unsigned)count : TURNSTILE_DEFAULT_MAX;
}

int collectors_new(const struct collectors_options *options, struct collectors **out, struct err *e)
{
    *out = NULL;
    unsigned slots = options->turnstile ? options->turnstile : default_turnstile();
    if (slots > TURNSTILE_MAX)
        return err_set(e, ERR_RANGE, "turnstile = %u: at most %d", slots, TURNSTILE_MAX);
    struct collectors *set = calloc(1, sizeof(*set) + slots * sizeof(set->slots[0]));
    if (!set)
        return err_set(e, -ENOMEM, "out of memory");
    set->options = *options;
    set->slot_count = slots;
    set->home_fd = netns_open_self();
    int rc = set->home_fd;
    if (rc < 0) {
        err_set(e, rc, "cannot open the daemon's own network namespace: %s", err_name(rc));
        goto fail_set;
    }
    rc = turnstile_init(set, e);
    if (rc)
        goto fail_home;
    pthread_mutex_init(&set->lock, NULL);
    *out = set;
    return 0;

fail_home:
    close(set->home_fd);
fail_set:
    free(set);
    return rc;
}

void collectors_free(struct collectors *set)
{
    if (!set)
        return;
    pthread_mutex_destroy(&set->lock);
    turnstile_fini(set);
    close(set->home_fd);
    free(set);
}

/* Waits for the next order, parked. Returns the collector's reference to it, NULL at the end. */
static struct collector_order *next_order(struct collector *c, int64_t *accepted_ns)
{
    pthread_mutex_lock(&c->set->lock);
    while (!c->order && !atomic_load(&c->stopping))
        pthread_cond_wait(&c->wake, &c->set->lock);
    if (c->new_name) {
        free((char *)c->ns.name);
        free((char *)c->ns.path);
        c->ns.name = c->new_name;
        c->ns.path = c->new_path;
        c->new_name = c->new_path = NULL;
    }
    *accepted_ns = c->accepted_ns;
    struct collector_order *order = c->order;
    pthread_mutex_unlock(&c->set->lock);
    return order;
}

/* Carries |order| out. Returns whether the thread is where it belongs. */
static bool carry_out(struct collector *c, struct collector_order *order, int64_t accepted_ns)
{
    const struct collector_sink *sink = &c->set->options.sink;
    struct collector_result result = {.poll_id = order->poll_id, .netns_id = c->ns.id};
    struct visit visit = {.set = c->set, .ns = &c->ns, .order = order, .stopping = &c->stopping};

    if (turnstile_enter(c, order, &result.err) == 0) {
        visit.slot = c->slot;
        visit_run(&visit, &result);
        turnstile_leave(c);
    }
    result.duration_ns = clock_mono_ns() - accepted_ns;

    /* First free for the next order, then say so: it may come from within done(). */
    pthread_mutex_lock(&c->set->lock);
    c->order = NULL;
    if (visit.stray)
        atomic_store(&c->stopping, true);
    pthread_mutex_unlock(&c->set->lock);
    collector_order_unref(order);
    if (visit.stray)
        log_error("collector", "ns=%s: %s; this namespace is polled no more", c->ns.name, result.err.text);
    sink->done(sink->arg, &result);
    return !visit.stray;
}

static void *collector_main(void *arg)
{
    struct collector *c = arg;
    struct collector_order *order;
    int64_t accepted_ns;
    while ((order = next_order(c, &accepted_ns))) {
        if (!carry_out(c, order, accepted_ns))
            break; /* the end of the thread is what lets the namespace go */
    }
    return NULL;
}

static void collector_free(struct collector *c)
{
    pthread_cond_destroy(&c->wake);
    free((char *)c->ns.name);
    free((char *)c->ns.path);
    free(c->new_name);
    free(c->new_path);
    free(c);
}

static struct collector *collector_alloc(struct collectors *set, const struct collector_ns *ns)
{
    struct collector *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->set = set;
    c->ns = *ns;
    c->ns.name = strdup(ns->name);
    c->ns.path = strdup(ns->path ? ns->path : "");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (!c->ns.name || !c->ns.path) {
        collector_free(c);
        return NULL;
    }
    return c;
}

int collector_start(struct collectors *set, const struct collector_ns *ns, struct collector **out,
                    struct err *e)
{
    *out = NULL;
    struct collector *c = collector_alloc(set, ns);
    if (!c)
        return err_set(e, -ENOMEM, "out of memory");
    char name[16];
    snprintf(name, sizeof(name), "col/%s", ns->name);
    int rc = thread_start(&c->thread, name, STACK_SIZE, collector_main, c);
    if (rc) {
        collector_free(c);
        return err_set(e, rc, "cannot start a thread for namespace %s: %s", ns->name, err_name(rc));
    }
    *out = c;
    return 0;
}

int collector_rename(struct collector *c, const char *name, const char *path)
{
    char *new_name = strdup(name);
    char *new_path = strdup(path ? path : "");
    if (!new_name || !new_path) {
        free(new_name);
        free(new_path);
        return -ENOMEM;
    }
    pthread_mutex_lock(&c->set->lock);
    char *old_name = c->new_name;
    char *old_path = c->new_path;
    c->new_name = new_name;
    c->new_path = new_path;
    pthread_mutex_unlock(&c->set->lock);
    free(old_name);
    free(old_path);
    return 0;
}

int collector_poll(struct collector *c, struct collector_order *order)
{
    int rc = 0;
    pthread_mutex_lock(&c->set->lock);
    if (atomic_load(&c->stopping))
        rc = ERR_CANCELLED;
    else if (c->order)
        rc = -EBUSY;
    else {
        atomic_store(&order->set, c->set);
        c->order = collector_order_ref(order);
        c->accepted_ns = clock_mono_ns();
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->set->lock);
    return rc;
}

void collector_stop(struct collector *c)
{
    pthread_mutex_lock(&c->set->lock);
    atomic_store(&c->stopping, true);
    turnstile_wake_one(c);
    pthread_mutex_unlock(&c->set->lock);
}

void collector_join(struct collector *c)
{
    if (!c)
        return;
    thread_join(&c->thread);
    collector_free(c);
}
