#include "server/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/clock.h"
#include "rpc/server/guard.h"
#include "server/app_internal.h"
#include "server/listen/listeners.h"
#include "server/poll/poll_clock.h"
#include "server/process/privilege.h"

/* Streams that are told one by one: an answer has a bound. */
#define SUBSCRIBERS_MAX 128

#define LIMITS   11
#define REFUSALS (4 + RPC_GUARD_REASONS)

struct stats_parts {
    const struct config *config;
    struct poller_stats polls;
    struct subscriber **subscribers; /* references */
    size_t n_subscribers;
    struct status_subscriber told[SUBSCRIBERS_MAX]; /* of them; texts are the subscribers' */
    struct status_change *changes;
    struct status_gap gaps[PRIVILEGE_GAPS_MAX];
    struct status_limit limits[LIMITS];
    struct status_error_count refusals[REFUSALS];
    struct status_schedule schedule;
    struct status_cost cost;
    struct utsname kernel;
};

static void gather_subscribers(struct app *app, struct stats_parts *p, struct status_msg *out)
{
    p->subscribers = hub_subscribers(app->hub, &p->n_subscribers);
    size_t n = p->n_subscribers < SUBSCRIBERS_MAX ? p->n_subscribers : SUBSCRIBERS_MAX;
    for (size_t i = 0; i < n; i++) {
        struct subscriber_stats stats;
        subscriber_stats(p->subscribers[i], &stats);
        const struct subscriber_sink *sink = subscriber_sink(p->subscribers[i]);
        p->told[i] = (struct status_subscriber){.id = subscriber_options(p->subscribers[i])->id,
                                                .peer = sink->peer,
                                                .method = sink->method,
                                                .since_ns = stats.since_ns,
                                                .rows_delivered = stats.delivered,
                                                .rows_lost = stats.lost,
                                                .rows_queued = stats.queued};
    }
    out->subscribers = p->told;
    out->n_subscribers = n;
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

static void gather_cost(struct app *app, struct stats_parts *p, struct status_msg *out)
{
    const struct poller_stats *polls = &p->polls;
    struct status_cost *cost = &p->cost;
    struct batch_pool_stats batches;
    poll_clock_cost(app->poll_clock, cost);
    batch_pool_stats(app->pool, &batches);
    read_process(cost);
    cost->batch_bytes = batches.bytes;
    cost->collect_cpu_ns = polls->cpu_ns;
    cost->collect_kernel_ns = polls->kernel_ns;
    cost->last_poll_cpu_ns = polls->last_cpu_ns;
    cost->last_socket_cpu_ns = polls->last.sockets ? polls->last_cpu_ns / polls->last.sockets : 0;
    out->cost = cost;
}

/* A bound that users share. */
static struct status_limit shared(struct app *app, const struct bounds *bounds, const char *name,
                                  enum quota_kind kind)
{
    struct quota *q = app->quota;
    return (struct status_limit){name, bounds->of[kind].max, quota_total(q, kind), quota_refused(q, kind)};
}

/* The bounds of clients. A bound without an option is called as the request's fields are. */
static void gather_limits(struct app *app, const struct listeners_stats *listeners, struct stats_parts *p,
                          struct status_msg *out)
{
    struct bounds b;
    bounds_read(p->config, &b);
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
        {"control_calls_max", p->config->control_calls_max, 0, listeners->control_refused},
    };
    memcpy(p->limits, list, sizeof(list));
    out->limits = p->limits;
    out->n_limits = LIMITS;
}

/* Other refusals, and how many of each kind; kinds without any are left out. */
static void gather_refusals(struct app *app, const struct listeners_stats *listeners, struct stats_parts *p,
                            struct status_msg *out)
{
    struct rpc_guard_stats guard;
    rpc_guard_stats(&guard);
    struct status_error_count all[REFUSALS] = {
        {"call without the role that it needs", rpc_server_denied(app->server)},
        {"call with an unknown token", listeners->tokens_refused},
        {"connection for want of a descriptor", listeners->no_descriptor},
        {"connection not read for a while: it sends too much", guard.throttled},
    };
    for (int i = 0; i < RPC_GUARD_REASONS; i++)
        all[4 + i] =
            (struct status_error_count){rpc_guard_reason_text((enum rpc_guard_reason)i), guard.closed[i]};
    for (size_t i = 0; i < REFUSALS; i++) {
        if (all[i].count)
            p->refusals[out->n_refusals++] = all[i];
    }
    out->refusals = p->refusals;
}

static void gather_polls(const struct poller_stats *polls, struct status_msg *out)
{
    out->polls = polls->polls;
    out->last_poll = polls->polls ? &polls->last : NULL;
    out->last_full_poll = polls->full.poll_id ? &polls->full : NULL;
    out->sockets = polls->sockets;
    out->errors = polls->errors;
    out->n_errors = polls->n_errors;
}

static void gather_namespaces(struct app *app, struct status_msg *out)
{
    size_t excluded;
    out->namespaces = (uint32_t)inventory_count(app->inventory, &excluded);
    out->namespaces_excluded = (uint32_t)excluded;
}

static void gather_rows(struct app *app, struct status_msg *out)
{
    struct hub_stats hub;
    hub_stats(app->hub, &hub);
    out->rows_dropped = hub.rows_dropped;
    out->rows_late = hub.rows_late;
}

static void gather_daemon(struct app *app, struct stats_parts *p, struct status_msg *out)
{
    uname(&p->kernel);
    out->version = XTCP_VERSION;
    out->start_time_ns = app->start_wall_ns;
    out->uptime_ns = (uint64_t)(clock_mono_ns() - app->start_mono_ns);
    out->timestamp_ns = clock_wall_ns();
    out->kernel = p->kernel.release;
    out->hostname = p->config->hostname;
    out->gaps = p->gaps;
    out->n_gaps = privilege_gaps(p->gaps);
}

/* Asks all modules, except those from which |p| has been filled. */
static void gather(struct app *app, struct stats_parts *p, struct status_msg *out)
{
    struct listeners_stats listeners;
    listeners_stats(app->listeners, &listeners);
    gather_daemon(app, p, out);
    gather_polls(&p->polls, out);
    gather_namespaces(app, out);
    gather_subscribers(app, p, out);
    gather_rows(app, out);
    gather_cost(app, p, out);
    gather_limits(app, &listeners, p, out);
    gather_refusals(app, &listeners, p, out);
    poll_clock_schedule(app->poll_clock, &p->schedule);
    out->schedule = &p->schedule;
    out->changes = p->changes;
}

int stats_gather(struct app *app, struct stats *out)
{
    *out = (struct stats){.parts = calloc(1, sizeof(*out->parts))};
    struct stats_parts *p = out->parts;
    if (!p)
        return -ENOMEM;
    p->config = app_config(app);
    int rc = poller_stats(app->poller, &p->polls);
    if (rc == 0) {
        p->changes = change_log_list(live_config_history(app->live_config), &out->status.n_changes);
        rc = p->changes ? 0 : -ENOMEM;
    }
    if (rc == 0)
        gather(app, p, &out->status);
    else
        stats_free(out);
    return rc;
}

void stats_free(struct stats *s)
{
    struct stats_parts *p = s->parts;
    for (size_t i = 0; i < p->n_subscribers; i++)
        subscriber_unref(p->subscribers[i]);
    free(p->subscribers);
    free(p->changes);
    free(p->polls.memory);
    config_unref(p->config);
    free(p);
}
