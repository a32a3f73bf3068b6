#include "collectors/collector.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/collect.h"
#include "collectors/set.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"

/* More threads than this only contend for the locks of the kernel's tables. */
#define DUMP_SLOTS_DEFAULT_MAX 4
#define DUMP_SLOTS_MAX         32

/* ---- The set ---- */

static unsigned default_dump_slots(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
    return count < DUMP_SLOTS_DEFAULT_MAX ? (unsigned)count : DUMP_SLOTS_DEFAULT_MAX;
}

static void init_locks(struct collectors *set)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&set->lock, NULL);
    pthread_cond_init(&set->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&set->slot_timer_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_set(struct collectors *set)
{
    dump_slots_fini(set);
    pthread_cond_destroy(&set->slot_timer_wake);
    pthread_cond_destroy(&set->work);
    pthread_mutex_destroy(&set->lock);
    if (set->own_netns_fd >= 0)
        close(set->own_netns_fd);
    free(set);
}

int collectors_new(const struct collectors_options *options, struct collectors **out, struct err *e)
{
    *out = NULL;
    unsigned slots = options->dump_slots ? options->dump_slots : default_dump_slots();
    if (slots > DUMP_SLOTS_MAX)
        return err_set(e, ERR_RANGE, "turnstile = %u: at most %d", slots, DUMP_SLOTS_MAX);
    struct collectors *set = calloc(1, sizeof(*set));
    if (!set)
        return err_set(e, -ENOMEM, "out of memory");
    set->options = *options;
    set->slot_limit = slots;
    init_locks(set);
    set->own_netns_fd = netns_open_self();
    int rc = set->own_netns_fd < 0 ? set->own_netns_fd : 0;
    if (rc)
        err_set(e, rc, "cannot open the daemon's own network namespace: %s", err_name(rc));
    if (!rc && (rc = dump_slots_init(set)))
        err_set(e, rc, "cannot make the buffers of the collectors: %s", err_name(rc));
    if (!rc && (rc = slot_timer_start(set)))
        err_set(e, rc, "cannot start the thread that keeps the collectors: %s", thread_error(rc));
    if (rc)
        free_set(set);
    else
        *out = set;
    return rc;
}

void collectors_free(struct collectors *set)
{
    if (!set)
        return;
    pthread_mutex_lock(&set->lock);
    set->ending = true;
    pthread_mutex_unlock(&set->lock);
    slot_timer_join(set);
    workers_fini(set);
    free_set(set);
}

/* ---- At work ---- */

/* What collector_rename has left. With the lock. */
static void take_names(struct collector *c)
{
    if (!c->new_name)
        return;
    free((char *)c->ns.name);
    free((char *)c->ns.path);
    c->ns.name = c->new_name;
    c->ns.path = c->new_path;
    c->new_name = c->new_path = NULL;
}

/* Whether |order| is not worth beginning with any more; |e| says why. */
static bool is_void(const struct collector *c, const struct poll_request *request, struct err *e)
{
    if (atomic_load(&c->stopping) || atomic_load(&request->cancelled))
        err_set(e, ERR_CANCELLED, "cancelled when its turn came");
    else if (clock_mono_ns() >= request->deadline_ns)
        err_set(e, ERR_TIMEOUT, "its turn came too late");
    return e->code != 0;
}

/* What the gate costs is lost where there are sockets, so only a namespace that had none is looked at through
 * it, and only if its dump takes longer than the look (IDLE_CHECK_PAYS_NS of CPU time; it does where the kernel's
 * hash table is large). Every IDLE_CHECK_EVERY-th poll dumps all the same: the kernel does not count handshakes in
 * progress (SYN_RECV). Not all namespaces in the same poll, hence the id. */
#define IDLE_CHECK_EVERY   16
#define IDLE_CHECK_PAYS_NS (60 * NS_PER_US)

static bool wants_idle_check(const struct collector *c, const struct poll_request *request)
{
    int64_t pays = c->set->options.idle_check_ns ? c->set->options.idle_check_ns : IDLE_CHECK_PAYS_NS;
    return c->was_empty && c->empty_cost_ns >= pays && (request->poll_id + c->ns.id) % IDLE_CHECK_EVERY != 0;
}

/* What the next poll shall know of this one. With the lock. */
static void remember(struct collector *c, const struct collector_result *r, bool collected)
{
    c->rank = r->err.code != ERR_TIMEOUT ? RANK_USUAL : collected ? RANK_LAST : RANK_FIRST;
    if (r->partial) { /* says nothing of how many there are */
        c->was_empty &= r->sockets == 0;
        return;
    }
    c->sockets = r->sockets;
    c->was_empty = r->err.code == 0 && r->sockets == 0;
    if (c->was_empty && !r->empty)
        c->empty_cost_ns = r->cpu_ns;
}

bool collector_carry_out(struct collector *c)
{
    struct collectors *set = c->set;
    struct poll_request *request = c->request;
    int64_t accepted_ns = c->accepted_ns;
    struct collector_result result = {.poll_id = request->poll_id, .netns_id = c->ns.id};
    struct collect collect = {.set = set,
                              .ns = &c->ns,
                              .request = request,
                              .stopping = &c->stopping,
                              .slot = c->slot,
                              .expected = request->kernel ? 0 : c->sockets + c->sockets / 8,
                              .idle_check = wants_idle_check(c, request)};
    take_names(c);
    pthread_mutex_unlock(&set->lock);

    bool collected = !is_void(c, request, &result.err);
    if (collected)
        collect_run(&collect, &result);
    if (collect.lost)
        log_error("collector", "ns=%s: %s; this namespace is polled no more", c->ns.name, result.err.text);
    result.duration_ns = clock_mono_ns() - accepted_ns;

    /* First free for the next order, then say so: it may come from within done(). */
    pthread_mutex_lock(&set->lock);
    remember(c, &result, collected);
    c->request = NULL;
    if (collect.lost)
        atomic_store(&c->stopping, true);
    dump_slots_leave(c);
    poll_request_unref(request);
    collector_report(c, &result);
    return !collect.lost;
}

void collector_report(struct collector *c, const struct collector_result *result)
{
    struct collectors *set = c->set;
    const struct collector_sink *sink = &set->options.sink;
    pthread_mutex_unlock(&set->lock);
    sink->done(sink->arg, result);
    pthread_mutex_lock(&set->lock);
    if (--c->users == 0 && atomic_load(&c->stopping))
        pthread_cond_signal(&c->wake);
}

/* Whether nobody is at |c|, nor will be. With the lock. */
static bool has_ended(const struct collector *c)
{
    return atomic_load(&c->stopping) && !c->request && !c->users;
}

static void *own_thread(void *arg)
{
    struct collector *c = arg;
    bool in_own_netns = true;
    pthread_mutex_lock(&c->set->lock);
    while (in_own_netns && !has_ended(c)) {
        if (c->slot)
            in_own_netns = collector_carry_out(c); /* if not, the end of the thread lets the namespace go */
        else
            pthread_cond_wait(&c->wake, &c->set->lock);
    }
    pthread_mutex_unlock(&c->set->lock);
    return NULL;
}

/* ---- Start and end ---- */

static void collector_free(struct collector *c)
{
    pthread_cond_destroy(&c->wake);
    free((char *)c->ns.name);
    free((char *)c->ns.path);
    free(c->new_name);
    free(c->new_path);
    free(c);
}

static struct collector *collector_alloc(struct collectors *set, const struct netns_ref *ns)
{
    struct collector *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->set = set;
    c->rank = RANK_USUAL;
    c->ns = *ns;
    c->ns.name = strdup(ns->name);
    c->ns.path = strdup(ns->path ? ns->path : "");
    pthread_cond_init(&c->wake, NULL);
    if (!c->ns.name || !c->ns.path) {
        collector_free(c);
        return NULL;
    }
    return c;
}

void collectors_set_threads_max(struct collectors *set, unsigned threads_max)
{
    pthread_mutex_lock(&set->lock);
    set->options.threads_max = threads_max;
    pthread_mutex_unlock(&set->lock);
}

/* Gives |c| a thread of its own if it may have one and the system has one. */
static void start_own_thread(struct collector *c)
{
    struct collectors *set = c->set;
    char name[16];
    pthread_mutex_lock(&set->lock);
    unsigned limit = set->options.threads_max ? set->options.threads_max : COLLECTORS_THREADS_MAX;
    c->own_thread = set->own_count < limit;
    set->own_count += c->own_thread;
    pthread_mutex_unlock(&set->lock);
    if (!c->own_thread)
        return;
    snprintf(name, sizeof(name), "col/%s", c->ns.name);
    int rc = thread_start(&c->thread, name, COLLECTOR_STACK, own_thread, c);
    if (!rc)
        return;
    log_limited(LOG_WARN, "collector", "ns=%s: no thread of its own, so it shares one: %s", c->ns.name,
                err_name(rc));
    pthread_mutex_lock(&set->lock);
    c->own_thread = false;
    set->own_count--;
    pthread_mutex_unlock(&set->lock);
}

/* Has |c| share the workers. Returns 0 or -errno. */
static int share(struct collector *c)
{
    struct collectors *set = c->set;
    pthread_mutex_lock(&set->lock);
    set->shared_count++;
    int rc = workers_adjust(set);
    if (rc)
        workers_release(set);
    pthread_mutex_unlock(&set->lock);
    return rc;
}

int collector_start(struct collectors *set, const struct netns_ref *ns, struct collector **out, struct err *e)
{
    *out = NULL;
    struct collector *c = collector_alloc(set, ns);
    if (!c)
        return err_set(e, -ENOMEM, "out of memory");
    start_own_thread(c);
    int rc = c->own_thread ? 0 : share(c);
    if (rc) {
        collector_free(c);
        return err_set(e, rc, "cannot start a thread for namespace %s: %s", ns->name, thread_error(rc));
    }
    *out = c;
    return 0;
}

void collector_stop(struct collector *c)
{
    pthread_mutex_lock(&c->set->lock);
    atomic_store(&c->stopping, true);
    dump_slots_wake(c);
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->set->lock);
}

bool collector_ended(struct collector *c)
{
    pthread_mutex_lock(&c->set->lock);
    bool ended = has_ended(c);
    pthread_mutex_unlock(&c->set->lock);
    return ended;
}

void collector_join(struct collector *c)
{
    if (!c)
        return;
    struct collectors *set = c->set;
    thread_join(&c->thread);
    pthread_mutex_lock(&set->lock);
    while (!has_ended(c))
        pthread_cond_wait(&c->wake, &set->lock);
    if (c->own_thread)
        set->own_count--;
    else
        workers_release(set);
    pthread_mutex_unlock(&set->lock);
    collector_free(c);
}

/* ---- What others ask for ---- */

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

int collector_poll(struct collector *c, struct poll_request *request)
{
    int rc = 0;
    pthread_mutex_lock(&c->set->lock);
    if (atomic_load(&c->stopping)) {
        rc = ERR_CANCELLED;
    } else if (c->request) {
        rc = -EBUSY;
    } else {
        atomic_store(&request->set, c->set);
        c->request = poll_request_ref(request);
        c->accepted_ns = clock_mono_ns();
        dump_slots_ask(c);
    }
    pthread_mutex_unlock(&c->set->lock);
    return rc;
}
