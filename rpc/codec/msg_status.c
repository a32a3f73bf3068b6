#include "rpc/codec/msg_status.h"

#include <errno.h>
#include <xtcp_status/v1/xtcp_status.upb.h>

#include "rpc/codec/msg_error.h"
#include "rpc/codec/msg_upb.h"

#define REPLY(name)      xtcp_status_v1_GetResponse_##name
#define POLL(name)       xtcp_status_v1_PollSummary_##name
#define COUNT(name)      xtcp_status_v1_ErrorCount_##name
#define SUBSCRIBER(name) xtcp_status_v1_Subscriber_##name
#define COST(name)       xtcp_status_v1_Cost_##name
#define GAP(name)        xtcp_status_v1_CapabilityGap_##name
#define CHANGE(name)     xtcp_status_v1_ConfigChange_##name
#define OPTION(name)     xtcp_status_v1_OptionChange_##name
#define SCHEDULE(name)   xtcp_status_v1_Schedule_##name
#define BURST(name)      xtcp_status_v1_Burst_##name
#define LIMIT(name)      xtcp_status_v1_Limit_##name

/* ---- Encoding ---- */

static int put_poll(xtcp_status_v1_PollSummary *m, const struct status_poll *poll, upb_Arena *arena)
{
    if (!m)
        return -ENOMEM;
    POLL(set_poll_id)(m, poll->poll_id);
    POLL(set_trigger)(m, (int32_t)poll->trigger);
    POLL(set_timestamp_ns)(m, poll->timestamp_ns);
    POLL(set_duration_ns)(m, poll->duration_ns);
    POLL(set_namespaces)(m, poll->namespaces);
    POLL(set_namespaces_empty)(m, poll->namespaces_empty);
    POLL(set_namespaces_failed)(m, poll->namespaces_failed);
    POLL(set_namespaces_unseen)(m, poll->namespaces_unseen);
    POLL(set_dumps_interrupted)(m, poll->dumps_interrupted);
    POLL(set_sockets)(m, poll->sockets);
    POLL(set_hint)(m, msg_upb_text(arena, poll->hint));
    POLL(set_partial)(m, poll->partial);
    for (size_t i = 0; i < poll->n_errors && i < POLL_ERRORS_MAX; i++) {
        xtcp_flat_record_v1_NamespaceError *error = POLL(add_errors)(m, arena);
        if (!error)
            return -ENOMEM;
        msg_error_put(error, &poll->errors[i], arena);
    }
    return 0;
}

static int put_cost(xtcp_status_v1_Cost *m, const struct status_cost *c)
{
    if (!m)
        return -ENOMEM;
    COST(set_cpu_ns)(m, c->cpu_ns);
    COST(set_collect_cpu_ns)(m, c->collect_cpu_ns);
    COST(set_collect_kernel_ns)(m, c->collect_kernel_ns);
    COST(set_fan_out_cpu_ns)(m, c->fan_out_cpu_ns);
    COST(set_last_poll_cpu_ns)(m, c->last_poll_cpu_ns);
    COST(set_last_socket_cpu_ns)(m, c->last_socket_cpu_ns);
    COST(set_cpu_percent)(m, c->cpu_percent);
    COST(set_max_cpu_percent)(m, c->max_cpu_percent);
    COST(set_interval_ns)(m, c->interval_ns);
    COST(set_stretched)(m, c->stretched);
    COST(set_rss_bytes)(m, c->rss_bytes);
    COST(set_threads)(m, c->threads);
    COST(set_batch_bytes)(m, c->batch_bytes);
    COST(set_late_polls)(m, c->late_polls);
    COST(set_deferred_polls)(m, c->deferred_polls);
    COST(set_measured)(m, c->measured);
    return 0;
}

static int put_schedule(xtcp_status_v1_Schedule *m, const struct status_schedule *s, upb_Arena *arena)
{
    if (!m)
        return -ENOMEM;
    SCHEDULE(set_frequency_ns)(m, s->frequency_ns);
    SCHEDULE(set_interval_ns)(m, s->interval_ns);
    SCHEDULE(set_next_poll_ns)(m, s->next_poll_ns);
    SCHEDULE(set_running_poll_id)(m, s->running_poll_id);
    SCHEDULE(set_late_polls)(m, s->late_polls);
    SCHEDULE(set_limited)(m, s->limited);
    SCHEDULE(set_loops_left)(m, s->loops_left);
    if (!s->burst_left)
        return 0;
    xtcp_status_v1_Burst *burst = SCHEDULE(mutable_burst)(m, arena);
    if (!burst)
        return -ENOMEM;
    BURST(set_polls)(burst, s->burst_polls);
    BURST(set_left)(burst, s->burst_left);
    BURST(set_interval_ns)(burst, s->burst_interval_ns);
    BURST(set_next_poll_ns)(burst, s->burst_next_ns);
    return 0;
}

static int put_limits(xtcp_status_v1_GetResponse *m, const struct status_msg *status, upb_Arena *arena)
{
    for (size_t i = 0; i < status->n_limits; i++) {
        xtcp_status_v1_Limit *limit = REPLY(add_limits)(m, arena);
        if (!limit)
            return -ENOMEM;
        LIMIT(set_option)(limit, msg_upb_text(arena, status->limits[i].option));
        LIMIT(set_max)(limit, status->limits[i].max);
        LIMIT(set_current)(limit, status->limits[i].current);
        LIMIT(set_refused)(limit, status->limits[i].refused);
    }
    for (size_t i = 0; i < status->n_refusals; i++) {
        xtcp_status_v1_ErrorCount *count = REPLY(add_refusals)(m, arena);
        if (!count)
            return -ENOMEM;
        COUNT(set_kind)(count, msg_upb_text(arena, status->refusals[i].kind));
        COUNT(set_count)(count, status->refusals[i].count);
    }
    return 0;
}

static int put_change(xtcp_status_v1_ConfigChange *m, const struct status_change *change, upb_Arena *arena)
{
    if (!m)
        return -ENOMEM;
    CHANGE(set_generation)(m, change->generation);
    CHANGE(set_timestamp_ns)(m, change->timestamp_ns);
    CHANGE(set_origin)(m, msg_upb_text(arena, change->origin));
    CHANGE(set_peer)(m, msg_upb_text(arena, change->peer));
    for (size_t i = 0; i < change->n_options; i++) {
        xtcp_status_v1_OptionChange *option = CHANGE(add_options)(m, arena);
        if (!option)
            return -ENOMEM;
        OPTION(set_name)(option, msg_upb_text(arena, change->options[i].name));
        OPTION(set_before)(option, msg_upb_text(arena, change->options[i].before));
        OPTION(set_after)(option, msg_upb_text(arena, change->options[i].after));
    }
    return 0;
}

static int put_lists(xtcp_status_v1_GetResponse *m, const struct status_msg *status, upb_Arena *arena)
{
    for (size_t i = 0; i < status->n_errors; i++) {
        xtcp_status_v1_ErrorCount *count = REPLY(add_errors)(m, arena);
        if (!count)
            return -ENOMEM;
        COUNT(set_kind)(count, msg_upb_text(arena, status->errors[i].kind));
        COUNT(set_count)(count, status->errors[i].count);
    }
    for (size_t i = 0; i < status->n_subscribers; i++) {
        const struct status_subscriber *from = &status->subscribers[i];
        xtcp_status_v1_Subscriber *to = REPLY(add_subscribers)(m, arena);
        if (!to)
            return -ENOMEM;
        SUBSCRIBER(set_id)(to, from->id);
        SUBSCRIBER(set_peer)(to, msg_upb_text(arena, from->peer));
        SUBSCRIBER(set_method)(to, msg_upb_text(arena, from->method));
        SUBSCRIBER(set_since_ns)(to, from->since_ns);
        SUBSCRIBER(set_rows_delivered)(to, from->rows_delivered);
        SUBSCRIBER(set_rows_lost)(to, from->rows_lost);
        SUBSCRIBER(set_rows_queued)(to, from->rows_queued);
    }
    for (size_t i = 0; i < status->n_gaps; i++) {
        xtcp_status_v1_CapabilityGap *gap = REPLY(add_gaps)(m, arena);
        if (!gap)
            return -ENOMEM;
        GAP(set_capability)(gap, msg_upb_text(arena, status->gaps[i].capability));
        GAP(set_effect)(gap, msg_upb_text(arena, status->gaps[i].effect));
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < status->n_changes; i++)
        rc = put_change(REPLY(add_changes)(m, arena), &status->changes[i], arena);
    return rc;
}

int status_msg_encode(const struct status_msg *status, struct buf *out)
{
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return -ENOMEM;
    xtcp_status_v1_GetResponse *m = REPLY(new)(arena);
    int rc = m ? 0 : -ENOMEM;
    if (m) {
        REPLY(set_version)(m, msg_upb_text(arena, status->version));
        REPLY(set_start_time_ns)(m, status->start_time_ns);
        REPLY(set_uptime_ns)(m, status->uptime_ns);
        REPLY(set_kernel)(m, msg_upb_text(arena, status->kernel));
        REPLY(set_hostname)(m, msg_upb_text(arena, status->hostname));
        REPLY(set_polls)(m, status->polls);
        REPLY(set_namespaces)(m, status->namespaces);
        REPLY(set_namespaces_excluded)(m, status->namespaces_excluded);
        REPLY(set_sockets)(m, status->sockets);
        REPLY(set_timestamp_ns)(m, status->timestamp_ns);
        rc = put_lists(m, status, arena);
    }
    if (rc == 0 && status->last_poll)
        rc = put_poll(REPLY(mutable_last_poll)(m, arena), status->last_poll, arena);
    if (rc == 0 && status->last_full_poll)
        rc = put_poll(REPLY(mutable_last_full_poll)(m, arena), status->last_full_poll, arena);
    if (rc == 0 && status->schedule)
        rc = put_schedule(REPLY(mutable_schedule)(m, arena), status->schedule, arena);
    if (rc == 0)
        rc = put_limits(m, status, arena);
    if (rc == 0 && status->cost)
        rc = put_cost(REPLY(mutable_cost)(m, arena), status->cost);
    if (rc == 0)
        rc = msg_upb_encode(m, &REPLY(msginit), arena, out);
    upb_Arena_Free(arena);
    return rc;
}

/* ---- Decoding: every function returns NULL when out of memory ---- */

static const struct status_poll *get_poll(const xtcp_status_v1_PollSummary *m, upb_Arena *arena)
{
    struct status_poll *poll = msg_upb_array(arena, 1, sizeof(*poll));
    if (!poll)
        return NULL;
    const xtcp_flat_record_v1_NamespaceError *const *errors = POLL(errors)(m, &poll->n_errors);
    poll->poll_id = POLL(poll_id)(m);
    poll->trigger = (uint32_t)POLL(trigger)(m);
    poll->timestamp_ns = POLL(timestamp_ns)(m);
    poll->duration_ns = POLL(duration_ns)(m);
    poll->namespaces = POLL(namespaces)(m);
    poll->namespaces_empty = POLL(namespaces_empty)(m);
    poll->namespaces_failed = POLL(namespaces_failed)(m);
    poll->namespaces_unseen = POLL(namespaces_unseen)(m);
    poll->dumps_interrupted = POLL(dumps_interrupted)(m);
    poll->sockets = POLL(sockets)(m);
    poll->errors = msg_error_get(errors, poll->n_errors, arena);
    poll->hint = msg_upb_string(arena, POLL(hint)(m));
    poll->partial = POLL(partial)(m);
    return poll->errors && poll->hint ? poll : NULL;
}

static const struct status_cost *get_cost(const xtcp_status_v1_Cost *m, upb_Arena *arena)
{
    struct status_cost *cost = msg_upb_array(arena, 1, sizeof(*cost));
    if (!cost)
        return NULL;
    *cost = (struct status_cost){
        .cpu_ns = COST(cpu_ns)(m),
        .collect_cpu_ns = COST(collect_cpu_ns)(m),
        .collect_kernel_ns = COST(collect_kernel_ns)(m),
        .fan_out_cpu_ns = COST(fan_out_cpu_ns)(m),
        .last_poll_cpu_ns = COST(last_poll_cpu_ns)(m),
        .last_socket_cpu_ns = COST(last_socket_cpu_ns)(m),
        .cpu_percent = COST(cpu_percent)(m),
        .max_cpu_percent = COST(max_cpu_percent)(m),
        .interval_ns = COST(interval_ns)(m),
        .stretched = COST(stretched)(m),
        .rss_bytes = COST(rss_bytes)(m),
        .threads = COST(threads)(m),
        .batch_bytes = COST(batch_bytes)(m),
        .late_polls = COST(late_polls)(m),
        .deferred_polls = COST(deferred_polls)(m),
        .measured = COST(measured)(m),
    };
    return cost;
}

static const struct status_schedule *get_schedule(const xtcp_status_v1_Schedule *m, upb_Arena *arena)
{
    struct status_schedule *s = msg_upb_array(arena, 1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct status_schedule){.frequency_ns = SCHEDULE(frequency_ns)(m),
                                  .interval_ns = SCHEDULE(interval_ns)(m),
                                  .next_poll_ns = SCHEDULE(next_poll_ns)(m),
                                  .running_poll_id = SCHEDULE(running_poll_id)(m),
                                  .late_polls = SCHEDULE(late_polls)(m),
                                  .limited = SCHEDULE(limited)(m),
                                  .loops_left = SCHEDULE(loops_left)(m)};
    const xtcp_status_v1_Burst *burst = SCHEDULE(burst)(m);
    if (!burst)
        return s;
    s->burst_polls = BURST(polls)(burst);
    s->burst_left = BURST(left)(burst);
    s->burst_interval_ns = BURST(interval_ns)(burst);
    s->burst_next_ns = BURST(next_poll_ns)(burst);
    return s;
}

static const struct status_limit *get_limits(const xtcp_status_v1_GetResponse *m, size_t *n, upb_Arena *arena)
{
    const xtcp_status_v1_Limit *const *from = REPLY(limits)(m, n);
    struct status_limit *limits = msg_upb_array(arena, *n, sizeof(*limits));
    for (size_t i = 0; limits && i < *n; i++) {
        limits[i] = (struct status_limit){.option = msg_upb_string(arena, LIMIT(option)(from[i])),
                                          .max = LIMIT(max)(from[i]),
                                          .current = LIMIT(current)(from[i]),
                                          .refused = LIMIT(refused)(from[i])};
        if (!limits[i].option)
            return NULL;
    }
    return limits;
}

static const struct status_error_count *get_errors(const xtcp_status_v1_ErrorCount *const *from, size_t n,
                                                   upb_Arena *arena)
{
    struct status_error_count *errors = msg_upb_array(arena, n, sizeof(*errors));
    for (size_t i = 0; errors && i < n; i++) {
        errors[i].kind = msg_upb_string(arena, COUNT(kind)(from[i]));
        errors[i].count = COUNT(count)(from[i]);
        if (!errors[i].kind)
            return NULL;
    }
    return errors;
}

static const struct status_subscriber *get_subscribers(const xtcp_status_v1_GetResponse *m, size_t *n,
                                                       upb_Arena *arena)
{
    const xtcp_status_v1_Subscriber *const *from = REPLY(subscribers)(m, n);
    struct status_subscriber *subscribers = msg_upb_array(arena, *n, sizeof(*subscribers));
    for (size_t i = 0; subscribers && i < *n; i++) {
        subscribers[i] = (struct status_subscriber){
            .id = SUBSCRIBER(id)(from[i]),
            .peer = msg_upb_string(arena, SUBSCRIBER(peer)(from[i])),
            .method = msg_upb_string(arena, SUBSCRIBER(method)(from[i])),
            .since_ns = SUBSCRIBER(since_ns)(from[i]),
            .rows_delivered = SUBSCRIBER(rows_delivered)(from[i]),
            .rows_lost = SUBSCRIBER(rows_lost)(from[i]),
            .rows_queued = SUBSCRIBER(rows_queued)(from[i]),
        };
        if (!subscribers[i].peer || !subscribers[i].method)
            return NULL;
    }
    return subscribers;
}

static const struct status_gap *get_gaps(const xtcp_status_v1_GetResponse *m, size_t *n, upb_Arena *arena)
{
    const xtcp_status_v1_CapabilityGap *const *from = REPLY(gaps)(m, n);
    struct status_gap *gaps = msg_upb_array(arena, *n, sizeof(*gaps));
    for (size_t i = 0; gaps && i < *n; i++) {
        gaps[i].capability = msg_upb_string(arena, GAP(capability)(from[i]));
        gaps[i].effect = msg_upb_string(arena, GAP(effect)(from[i]));
        if (!gaps[i].capability || !gaps[i].effect)
            return NULL;
    }
    return gaps;
}

static const struct status_option_change *get_options(const xtcp_status_v1_ConfigChange *m, size_t *n,
                                                      upb_Arena *arena)
{
    const xtcp_status_v1_OptionChange *const *from = CHANGE(options)(m, n);
    struct status_option_change *options = msg_upb_array(arena, *n, sizeof(*options));
    for (size_t i = 0; options && i < *n; i++) {
        options[i].name = msg_upb_string(arena, OPTION(name)(from[i]));
        options[i].before = msg_upb_string(arena, OPTION(before)(from[i]));
        options[i].after = msg_upb_string(arena, OPTION(after)(from[i]));
        if (!options[i].name || !options[i].before || !options[i].after)
            return NULL;
    }
    return options;
}

static const struct status_change *get_changes(const xtcp_status_v1_GetResponse *m, size_t *n,
                                               upb_Arena *arena)
{
    const xtcp_status_v1_ConfigChange *const *from = REPLY(changes)(m, n);
    struct status_change *changes = msg_upb_array(arena, *n, sizeof(*changes));
    for (size_t i = 0; changes && i < *n; i++) {
        struct status_change *c = &changes[i];
        c->generation = CHANGE(generation)(from[i]);
        c->timestamp_ns = CHANGE(timestamp_ns)(from[i]);
        c->origin = msg_upb_string(arena, CHANGE(origin)(from[i]));
        c->peer = msg_upb_string(arena, CHANGE(peer)(from[i]));
        c->options = get_options(from[i], &c->n_options, arena);
        if (!c->origin || !c->peer || !c->options)
            return NULL;
    }
    return changes;
}

static int get_status(const void *data, size_t len, struct status_msg *out, upb_Arena *arena, struct err *e)
{
    xtcp_status_v1_GetResponse *m = REPLY(new)(arena);
    int rc = msg_upb_decode(data, len, m, &REPLY(msginit), arena, "GetResponse", e);
    if (rc < 0)
        return rc;
    out->version = msg_upb_string(arena, REPLY(version)(m));
    out->start_time_ns = REPLY(start_time_ns)(m);
    out->uptime_ns = REPLY(uptime_ns)(m);
    out->kernel = msg_upb_string(arena, REPLY(kernel)(m));
    out->hostname = msg_upb_string(arena, REPLY(hostname)(m));
    out->polls = REPLY(polls)(m);
    out->namespaces = REPLY(namespaces)(m);
    out->namespaces_excluded = REPLY(namespaces_excluded)(m);
    out->sockets = REPLY(sockets)(m);
    out->timestamp_ns = REPLY(timestamp_ns)(m);
    const xtcp_status_v1_ErrorCount *const *errors = REPLY(errors)(m, &out->n_errors);
    const xtcp_status_v1_ErrorCount *const *refusals = REPLY(refusals)(m, &out->n_refusals);
    out->errors = get_errors(errors, out->n_errors, arena);
    out->refusals = get_errors(refusals, out->n_refusals, arena);
    out->limits = get_limits(m, &out->n_limits, arena);
    if (REPLY(has_schedule)(m))
        out->schedule = get_schedule(REPLY(schedule)(m), arena);
    out->subscribers = get_subscribers(m, &out->n_subscribers, arena);
    out->gaps = get_gaps(m, &out->n_gaps, arena);
    out->changes = get_changes(m, &out->n_changes, arena);
    if (REPLY(has_last_poll)(m))
        out->last_poll = get_poll(REPLY(last_poll)(m), arena);
    if (REPLY(has_last_full_poll)(m))
        out->last_full_poll = get_poll(REPLY(last_full_poll)(m), arena);
    if (REPLY(has_cost)(m))
        out->cost = get_cost(REPLY(cost)(m), arena);
    bool complete = out->version && out->kernel && out->hostname && out->errors && out->subscribers &&
                    out->gaps && out->changes && (out->last_poll || !REPLY(has_last_poll)(m)) &&
                    (out->last_full_poll || !REPLY(has_last_full_poll)(m)) &&
                    (out->cost || !REPLY(has_cost)(m)) && out->refusals && out->limits &&
                    (out->schedule || !REPLY(has_schedule)(m));
    return complete ? 0 : err_set(e, -ENOMEM, "GetResponse: out of memory");
}

int status_msg_decode(const void *data, size_t len, struct status_msg *out, void **memory, struct err *e)
{
    *out = (struct status_msg){0};
    *memory = NULL;
    upb_Arena *arena = upb_Arena_New();
    if (!arena)
        return err_set(e, -ENOMEM, "GetResponse: out of memory");
    int rc = get_status(data, len, out, arena, e);
    if (rc == 0) {
        *memory = arena;
    } else {
        upb_Arena_Free(arena);
        *out = (struct status_msg){0};
    }
    return rc;
}

void status_msg_free(void *memory)
{
    if (memory)
        upb_Arena_Free(memory);
}
