/* Makes and frees the things that all collectors of a daemon share. */
#include "collectors/collectors_internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/linux/netns.h"
#include "lib/thread.h"

/* More threads than this only contend for the locks of the kernel's tables. */
#define DUMP_SLOTS_DEFAULT_MAX 4
#define DUMP_SLOTS_MAX         32

static unsigned default_dump_slots(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
    return count < DUMP_SLOTS_DEFAULT_MAX ? (unsigned)count : DUMP_SLOTS_DEFAULT_MAX;
}

static void init_locks(struct collectors *set)
{
    pthread_mutex_init(&set->lock, NULL);
    pthread_cond_init(&set->ready_changed, NULL);
    thread_cond_init(&set->slot_timer_wake);
}

static void free_set(struct collectors *set)
{
    dump_slots_fini(set);
    pthread_cond_destroy(&set->slot_timer_wake);
    pthread_cond_destroy(&set->ready_changed);
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
        return err_set(e, ERR_RANGE, "dump_slots = %u: at most %d", slots, DUMP_SLOTS_MAX);
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

void collectors_set_threads_max(struct collectors *set, unsigned threads_max)
{
    pthread_mutex_lock(&set->lock);
    set->options.threads_max = threads_max;
    pthread_mutex_unlock(&set->lock);
}
