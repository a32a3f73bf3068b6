/* Workers: the threads of the collectors that have none of their own. There are as many as slots, so a collector with a
 * slot finds a thread; a worker that hangs in a namespace is replaced as its slot is. */
#include <errno.h>
#include <stdlib.h>

#include "collectors/collectors_internal.h"

struct worker {
    struct worker *next;
    struct collectors *set;
    struct thread thread;
    bool ended; /* to be joined: it takes the lock no more */
};

static unsigned wanted(const struct collectors *set)
{
    return set->shared_count && !set->ending ? set->slot_count : 0;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct collectors *set = w->set;
    bool in_own_netns = true;
    pthread_mutex_lock(&set->lock);
    while (in_own_netns && (set->ready.first || set->worker_count <= wanted(set))) {
        struct collector *c = set->ready.first;
        if (c) {
            queue_remove(c);
            in_own_netns = work_carry_out(c);
        } else {
            pthread_cond_wait(&set->ready_changed, &set->lock);
        }
    }
    w->ended = true;
    set->worker_count--;
    dump_slots_expect(set, 0);
    pthread_mutex_unlock(&set->lock);
    return NULL;
}

static int worker_start(struct collectors *set)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->set = set;
    int rc = thread_start(&w->thread, "col-worker", COLLECTOR_STACK, worker_main, w);
    if (rc) {
        free(w);
        return rc;
    }
    w->next = set->workers;
    set->workers = w;
    set->worker_count++;
    return 0;
}

int workers_adjust(struct collectors *set)
{
    for (struct worker **at = &set->workers; *at;) {
        struct worker *w = *at;
        if (w->ended) {
            *at = w->next;
            thread_join(&w->thread);
            free(w);
        } else {
            at = &w->next;
        }
    }
    int rc = 0;
    while (!rc && set->worker_count < wanted(set))
        rc = worker_start(set);
    return set->worker_count ? 0 : rc;
}

void workers_release(struct collectors *set)
{
    if (--set->shared_count == 0)
        pthread_cond_broadcast(&set->ready_changed);
}

void workers_fini(struct collectors *set)
{
    struct worker *w;
    pthread_cond_broadcast(&set->ready_changed);
    while ((w = set->workers)) {
        set->workers = w->next;
        thread_join(&w->thread);
        free(w);
    }
}
