/* NamespaceService.List, StatusService.Get, Health.Check: unary calls that tell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/clock.h"
#include "nswatch/nswatch.h"
#include "rpc/codec/msg_empty.h"
#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_status.h"
#include "rpc/server/guard.h"
#include "server/app.h"
#include "server/listen/listeners.h"
#include "server/process/privilege.h"
#include "server/services/health.h"
#include "server/services/services.h"
#include "server/watch/focus.h"

static int encode_list(void *reply, const struct namespace_info *list, size_t n)
{
    return namespace_list_encode(list, n, reply);
}

int svc_namespace_list(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "ListRequest", e);
    return rc ? rc : inventory_list(app_inventory(arg), encode_list, reply);
}

int svc_health_check(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    char service[HEALTH_SERVICE_MAX];
    int rc = health_request_decode(request->data, request->len, service, e);
    if (rc)
        return rc;
    enum health_status status = health_get(app_health(arg), service);
    if (status == HEALTH_SERVICE_UNKNOWN)
        return err_set(e, ERR_GONE, "unknown service \"%s\"", service);
    return health_reply_encode(status, reply);
}

/* The subscribers of the moment in |*list| (the caller frees it); their texts live as long as |refs|. */
static void list_subscribers(struct subscriber *const *refs, size_t n, struct status_subscriber *list)
{
    for (size_t i = 0; i < n; i++) {
        struct subscriber_stats stats;
        subscriber_stats(refs[i], &stats);
        const struct subscriber_sink *sink = subscriber_sink(refs[i]);
        list[i] = (struct status_subscriber){.id = subscriber_options(refs[i])->id,
                                             .peer = sink->peer,
                                             .method = sink->method,
                                             .since_ns = stats.since_ns,
                                             .rows_delivered = stats.delivered,
                                             .rows_lost = stats.lost,
                                             .rows_queued = stats.queued};
    }
}

/* Resident memory and threads of this process, from /proc/self/status; unchanged where that cannot be read. */
static void read_process(struct status_cost *cost)
{
    char line[128];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f)) {
        unsigned long long value;
        if (sscanf(line, "VmRSS: %llu kB", &value) == 1)
            cost->rss_bytes = value * 1024;
        else if (sscanf(line, "Threads: %llu", &value) == 1)
            cost->threads = (uint32_t)value;
    }
    if (f)
        fclose(f);
}

static void fill_cost(struct app *app, const struct poller_stats *polls, struct status_cost *cost)
{
    struct batch_pool_stats batches;
    app_cost(app, cost);
    app_batches(app, &batches);
    read_process(cost);
    cost->batch_bytes = batches.bytes;
    cost->collect_cpu_ns = polls->cpu_ns;
    cost->collect_kernel_ns = polls->kernel_ns;
    cost->last_poll_cpu_ns = polls->last_cpu_ns;
    cost->last_socket_cpu_ns = polls->last.sockets ? polls->last_cpu_ns / polls->last.sockets : 0;
}

/* Streams that are told one by one, oldest first: an answer has a bound. */
#define SUBSCRIBERS_MAX 128

#define LIMITS   11
#define REFUSALS (4 + RPC_GUARD_REASONS)

/* A bound that users share. */
static struct status_limit shared(struct app *app, const struct bounds *bounds, const char *name,
                                  enum quota_kind kind)
{
    struct quota *q = app_quota(app);
    return (struct status_limit){name, bounds->of[kind].max, quota_total(q, kind), quota_refused(q, kind)};
}

/* What clients are bound by, in |limits|, and what else was refused, in |refusals|; how many of the latter.
 * A bound without an option is called as the request's fields are. */
static size_t list_limits(struct app *app, const struct config *c, struct status_limit limits[LIMITS],
                          struct status_error_count refusals[REFUSALS])
{
    struct listeners_stats listeners;
    struct bounds b;
    listeners_stats(app_listeners(app), &listeners);
    bounds_read(c, &b);
    const struct status_limit list[LIMITS] = {
        shared(app, &b, "connections_max", QUOTA_CONNECTIONS),
        shared(app, &b, "calls_max", QUOTA_CALLS),
        shared(app, &b, "subscribers_max", QUOTA_SUBSCRIBERS),
        shared(app, &b, "filters", QUOTA_FILTERS),
        shared(app, &b, "filter_bytes", QUOTA_FILTER_BYTES),
        shared(app, &b, "columns", QUOTA_COLUMNS),
        shared(app, &b, "netns_bytes", QUOTA_NETNS_BYTES),
        shared(app, &b, "queue_memory_max", QUOTA_QUEUE_BYTES),
        shared(app, &b, "focus_streams_max", QUOTA_FOCUS_STREAMS),
        shared(app, &b, "focus_rate_max", QUOTA_FOCUS_RATE),
        {"control_calls_max", c->control_calls_max, 0, listeners.control_refused},
    };
    struct rpc_guard_stats guard;
    rpc_guard_stats(&guard);
    struct status_error_count others[REFUSALS] = {
        {"call without the role that it needs", rpc_server_denied(app_server(app))},
        {"call with an unknown token", listeners.tokens_refused},
        {"connection for want of a descriptor", listeners.no_descriptor},
        {"connection not read for a while: it sends too much", guard.throttled},
    };
    for (int i = 0; i < RPC_GUARD_REASONS; i++)
        others[4 + i] =
            (struct status_error_count){rpc_guard_reason_text((enum rpc_guard_reason)i), guard.closed[i]};
    memcpy(limits, list, sizeof(list));
    size_t n = 0;
    for (size_t i = 0; i < REFUSALS; i++) {
        if (others[i].count)
            refusals[n++] = others[i];
    }
    return n;
}

static int encode_status(struct app *app, struct buf *reply, const struct poller_stats *polls,
                         const struct status_subscriber *subscribers, size_t n_subscribers)
{
    size_t n_changes;
    struct status_change *changes = change_log_list(live_config_history(app_live_config(app)), &n_changes);
    if (!changes)
        return -ENOMEM;
    struct utsname kernel;
    struct status_gap gaps[PRIVILEGE_GAPS_MAX];
    struct status_limit limits[LIMITS];
    struct status_error_count refusals[REFUSALS];
    struct status_schedule schedule;
    struct status_cost cost;
    int64_t wall;
    int64_t mono;
    uname(&kernel);
    app_started(app, &wall, &mono);
    fill_cost(app, polls, &cost);
    app_schedule(app, &schedule);
    size_t excluded;
    size_t known = inventory_count(app_inventory(app), &excluded);
    const struct config *config = app_config(app);
    struct status_msg status = {
        .version = XTCP_VERSION,
        .start_time_ns = wall,
        .uptime_ns = (uint64_t)(clock_mono_ns() - mono),
        .kernel = kernel.release,
        .hostname = config->hostname,
        .polls = polls->polls,
        .timestamp_ns = clock_wall_ns(),
        .last_poll = polls->polls ? &polls->last : NULL,
        .last_full_poll = polls->full.poll_id ? &polls->full : NULL,
        .namespaces = (uint32_t)known,
        .namespaces_excluded = (uint32_t)excluded,
        .sockets = polls->sockets,
        .errors = polls->errors,
        .n_errors = polls->n_errors,
        .subscribers = subscribers,
        .n_subscribers = n_subscribers,
        .gaps = gaps,
        .n_gaps = privilege_gaps(gaps),
        .schedule = &schedule,
        .limits = limits,
        .n_limits = LIMITS,
        .refusals = refusals,
        .n_refusals = list_limits(app, config, limits, refusals),
        .cost = &cost,
        .changes = changes,
        .n_changes = n_changes,
    };
    int rc = status_msg_encode(&status, reply);
    free(changes);
    config_unref(config);
    return rc;
}

int svc_status_get(void *arg, const struct rpc_request *request, struct buf *reply, struct err *e)
{
    int rc = msg_empty_check(request->data, request->len, "GetRequest", e);
    if (rc)
        return rc;
    struct poller_stats polls;
    rc = poller_stats(app_poller(arg), &polls);
    if (rc)
        return rc;
    size_t n;
    struct subscriber **refs = hub_subscribers(app_hub(arg), &n);
    size_t told = n < SUBSCRIBERS_MAX ? n : SUBSCRIBERS_MAX;
    struct status_subscriber *list = calloc(told ? told : 1, sizeof(*list));
    rc = -ENOMEM;
    if (list) {
        list_subscribers(refs, told, list);
        rc = encode_status(arg, reply, &polls, list, told);
    }
    for (size_t i = 0; i < n; i++)
        subscriber_unref(refs[i]);
    free(refs);
    free(list);
    free(polls.memory);
    return rc;
}
