#include <stdlib.h>

#include "collectors/collector.h"
#include "collectors/set.h"

struct collector_order *collector_order_new(void)
{
    struct collector_order *o = calloc(1, sizeof(*o));
    if (o)
        atomic_init(&o->refs, 1);
    return o;
}

struct collector_order *collector_order_ref(struct collector_order *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void collector_order_unref(struct collector_order *o)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(o->daemon_version);
    free(o->hostname);
    free(o->location);
    free(o->label);
    free(o->tag);
    free(o->capture_path);
    free(o);
}

void collector_order_cancel(struct collector_order *o)
{
    /* Either collector_poll has said before who is at it, or its collector finds the flag before it waits. */
    atomic_store(&o->cancelled, true);
    struct collectors *set = atomic_load(&o->set);
    if (set)
        turnstile_cancel(set, o);
}
