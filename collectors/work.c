/* Carrying a request out, once the collector has a slot, and reporting. */
#include "collectors/collect.h"
#include "collectors/collectors_internal.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"

/* Takes the name and path that collector_rename has left. With the lock. */
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

/* Whether |request| need not be begun any more; |e| tells why. */
static bool is_void(const struct collector *c, const struct poll_request *request, struct err *e)
{
    if (atomic_load(&c->stopping) || atomic_load(&request->cancelled))
        err_set(e, ERR_CANCELLED, "cancelled when its turn came");
    else if (clock_mono_ns() >= request->deadline_ns)
        err_set(e, ERR_TIMEOUT, "its turn came too late");
    return e->code != 0;
}

/* The cost of an idle check is lost where there are sockets, so only a namespace that had none is checked, and only if
 * its dump takes longer than the check (IDLE_CHECK_PAYS_NS of CPU time; it does where the kernel's hash table is
 * large). Every IDLE_CHECK_EVERY-th poll dumps all the same: the kernel does not count handshakes in progress
 * (SYN_RECV). The id spreads these dumps of the namespaces over the polls. */
#define IDLE_CHECK_EVERY   16
#define IDLE_CHECK_PAYS_NS (60 * NS_PER_US)

static bool wants_idle_check(const struct collector *c, const struct poll_request *request)
{
    int64_t pays = c->set->options.idle_check_ns ? c->set->options.idle_check_ns : IDLE_CHECK_PAYS_NS;
    return c->was_empty && c->empty_cost_ns >= pays && (request->poll_id + c->ns.id) % IDLE_CHECK_EVERY != 0;
}

/* Notes the facts of this poll that the next one needs. With the lock. */
static void remember(struct collector *c, const struct collector_result *r, bool collected)
{
    c->rank = r->err.code != ERR_TIMEOUT ? RANK_USUAL : collected ? RANK_LAST : RANK_FIRST;
    if (r->partial) { /* does not tell how many sockets there are */
        c->was_empty &= r->sockets == 0;
        return;
    }
    c->sockets = r->sockets;
    c->was_empty = r->err.code == 0 && r->sockets == 0;
    if (c->was_empty && !r->empty)
        c->empty_cost_ns = r->cpu_ns;
}

bool work_carry_out(struct collector *c)
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

    /* First free for the next request, then say so: it may come from within done(). */
    pthread_mutex_lock(&set->lock);
    remember(c, &result, collected);
    c->request = NULL;
    if (collect.lost)
        atomic_store(&c->stopping, true);
    dump_slots_leave(c);
    poll_request_unref(request);
    work_report(c, &result);
    return !collect.lost;
}

void work_report(struct collector *c, const struct collector_result *result)
{
    struct collectors *set = c->set;
    const struct collector_sink *sink = &set->options.sink;
    pthread_mutex_unlock(&set->lock);
    sink->done(sink->arg, result);
    pthread_mutex_lock(&set->lock);
    if (--c->users == 0 && atomic_load(&c->stopping))
        pthread_cond_signal(&c->wake);
}
