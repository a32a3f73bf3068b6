/* The life of a collector and of its thread. */
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/collectors_internal.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Whether no thread works on |c|, nor will any more. With the lock. */
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
            in_own_netns = work_carry_out(c); /* if not, the end of the thread lets the namespace go */
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

/* Lets |c| share the workers. Returns 0 or -errno. */
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

/* ---- Requests ---- */

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
