/* The slot timer: the thread that has time when all others are at work or parked. It watches over the dump slots while
 * collectors wait for them, reports for collectors that never got one, and replaces workers. It sleeps between
 * polls. */
#include <time.h>

#include "collectors/collectors_internal.h"
#include "lib/clock.h"
#include "lib/thread.h"

static void report_dropped(struct collectors *set)
{
    struct collector *c;
    while ((c = set->dropped.first)) {
        struct poll_request *request = c->request;
        struct collector_result result = {.poll_id = request->poll_id,
                                          .netns_id = c->ns.id,
                                          .duration_ns = clock_mono_ns() - c->accepted_ns};
        if (c->drop_code == ERR_TIMEOUT)
            err_set(&result.err, ERR_TIMEOUT, "its turn did not come in time: %u namespaces dump at once",
                    set->slot_limit);
        else
            err_set(&result.err, c->drop_code, "cancelled while waiting for its turn");
        queue_remove(c);
        if (c->drop_code == ERR_TIMEOUT)
            c->rank = RANK_FIRST;
        c->request = NULL;
        poll_request_unref(request);
        work_report(c, &result);
    }
}

static void sleep_until(struct collectors *set, int64_t at_ns)
{
    set->slot_timer_ns = at_ns;
    thread_cond_wait(&set->slot_timer_wake, &set->lock, at_ns);
    set->slot_timer_ns = 0; /* awake: it looks at everything before it sleeps again */
}

static void *slot_timer_main(void *arg)
{
    struct collectors *set = arg;
    pthread_mutex_lock(&set->lock);
    while (!set->ending) {
        report_dropped(set);
        int64_t next = dump_slots_keep(set, clock_mono_ns());
        workers_adjust(set);
        if (!set->dropped.first && !set->ending)
            sleep_until(set, next);
    }
    pthread_mutex_unlock(&set->lock);
    return NULL;
}

int slot_timer_start(struct collectors *set)
{
    return thread_start(&set->slot_timer, "col-timer", COLLECTOR_STACK, slot_timer_main, set);
}

void slot_timer_join(struct collectors *set)
{
    pthread_cond_signal(&set->slot_timer_wake);
    thread_join(&set->slot_timer);
}
