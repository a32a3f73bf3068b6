/* Messages of the namespace, status and health services. */
#include "rpc_test.h"

#include <stdbool.h>

#include "rpc/codec/msg_health.h"
#include "rpc/codec/msg_namespace.h"
#include "rpc/codec/msg_status.h"

/* ---- Namespaces ---- */

static const char *const names[] = {"blue", "navy\xff"};
static const char *const paths[] = {"/run/netns/blue"};
static const struct namespace_info blue = {.names = names,
                                           .n_names = 2,
                                           .found_at = paths,
                                           .n_found_at = 1,
                                           .inode = 4026532000,
                                           .cookie = UINT64_MAX,
                                           .kind = NAMESPACE_KIND_NAMED,
                                           .state = NAMESPACE_STATE_READY,
                                           .sockets = 3,
                                           .last_error = "timed out",
                                           .last_poll_ns = -4,
                                           .last_poll_id = 5,
                                           .last_poll_duration_ns = 6,
                                           .errors = 7,
                                           .full_poll_id = 8};

static void assert_blue(const struct namespace_info *ns)
{
    assert_int_equal(ns->n_names, 2);
    assert_string_equal(ns->names[0], "blue");
    assert_string_equal(ns->names[1], "navy\xef\xbf\xbd");
    assert_int_equal(ns->n_found_at, 1);
    assert_string_equal(ns->found_at[0], "/run/netns/blue");
    assert_true(ns->inode == 4026532000 && ns->cookie == UINT64_MAX && ns->sockets == 3);
    assert_string_equal(namespace_kind_name(ns->kind), "named");
    assert_string_equal(namespace_state_name(ns->state), "ready");
    assert_string_equal(ns->last_error, "timed out");
    assert_true(ns->last_poll_ns == -4 && ns->last_poll_id == 5 && ns->last_poll_duration_ns == 6 &&
                ns->errors == 7 && ns->full_poll_id == 8);
}

static void test_namespace_list(void **state)
{
    (void)state;
    const struct namespace_info list[] = {{.kind = NAMESPACE_KIND_OWN}, blue};
    struct namespace_list out;
    struct buf b;
    buf_init(&b);
    assert_int_equal(namespace_list_encode(list, 2, &b), 0);
    assert_int_equal(namespace_list_decode(b.data, b.len, &out, NULL), 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.items[0].kind, NAMESPACE_KIND_OWN);
    assert_int_equal(out.items[0].n_names, 0);
    assert_string_equal(out.items[0].last_error, "");
    assert_blue(&out.items[1]);
    namespace_list_free(&out);
    struct err e;
    assert_int_equal(namespace_list_decode(b.data, b.len - 1, &out, &e), ERR_MALFORMED);
    assert_says(e, "ListResponse");
    assert_null(out.items);
    buf_free(&b);
    assert_int_equal(namespace_list_decode(NULL, 0, &out, NULL), 0);
    assert_int_equal(out.n, 0);
    namespace_list_free(&out);
}

static void test_namespace_events(void **state)
{
    (void)state;
    const struct namespace_event ready = {.type = NAMESPACE_EVENT_READY, .timestamp_ns = 77, .ns = &blue};
    const struct namespace_event synced = {.type = NAMESPACE_EVENT_SYNCED};
    struct namespace_event out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(namespace_event_encode(&ready, &b), 0);
    assert_int_equal(namespace_event_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_string_equal(namespace_event_name(out.type), "ready");
    assert_true(out.timestamp_ns == 77);
    assert_blue(out.ns);
    namespace_event_free(memory);
    buf_reset(&b);
    assert_int_equal(namespace_event_encode(&synced, &b), 0);
    assert_int_equal(namespace_event_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_int_equal(out.type, NAMESPACE_EVENT_SYNCED);
    assert_null(out.ns);
    namespace_event_free(memory);
    buf_reset(&b);
    put_text(&b, 2, "\x0a\x01\xff");
    assert_int_equal(namespace_event_decode(b.data, b.len, &out, &memory, &e), ERR_MALFORMED);
    assert_says(e, "NamespaceEvent: a text in it is not UTF-8");
    assert_null(memory);
    buf_free(&b);
}

static void test_names_of_unknown_values(void **state)
{
    (void)state;
    assert_string_equal(namespace_kind_name(4), "unknown");
    assert_string_equal(namespace_state_name(UINT32_MAX), "unknown");
    assert_string_equal(namespace_event_name(7), "unknown");
    assert_string_equal(namespace_event_name(NAMESPACE_EVENT_SYNCED), "synced");
    assert_string_equal(namespace_event_name(NAMESPACE_EVENT_EXCLUDED), "excluded");
    assert_string_equal(namespace_state_name(NAMESPACE_STATE_EXCLUDED), "excluded");
    assert_string_equal(health_status_name(HEALTH_SERVICE_UNKNOWN), "SERVICE_UNKNOWN");
    assert_string_equal(health_status_name(4), "UNRECOGNIZED");
}

/* ---- Status ---- */

static const struct poll_error failed[] = {
    {.name = "blue", .inode = 1, .cookie = 2, .code = -1009, .text = "timed out"}};
static const struct status_poll poll = {.poll_id = 1,
                                        .trigger = POLL_TRIGGER_START,
                                        .timestamp_ns = 2,
                                        .duration_ns = 3,
                                        .namespaces = 4,
                                        .namespaces_empty = 5,
                                        .namespaces_failed = 6,
                                        .namespaces_unseen = 9,
                                        .dumps_interrupted = 7,
                                        .sockets = 8,
                                        .errors = failed,
                                        .n_errors = 1,
                                        .hint = "wait longer",
                                        .partial = true};
static const struct status_error_count counts[] = {{"enobufs", 9}};
static const struct status_subscriber subscribers[] = {{.id = 1,
                                                        .peer = "unix: pid 5, uid 0",
                                                        .method = "/m",
                                                        .since_ns = 2,
                                                        .rows_delivered = 3,
                                                        .rows_lost = 4,
                                                        .rows_queued = 5},
                                                       {.id = 2}};
static const struct status_gap gaps[] = {{"CAP_SYS_PTRACE", "anonymous namespaces"}};
static const struct status_option_change options[] = {{"label", "", "x"}, {"tag", "a", ""}};
static const struct status_change changes[] = {{.generation = 2,
                                                .timestamp_ns = 3,
                                                .origin = "Set",
                                                .peer = "unix pid=1 uid=0",
                                                .options = options,
                                                .n_options = 2},
                                               {.generation = 3, .origin = "reload"}};
static const struct status_cost cost = {.cpu_ns = 1,
                                        .collect_cpu_ns = 2,
                                        .collect_kernel_ns = 3,
                                        .fan_out_cpu_ns = 4,
                                        .last_poll_cpu_ns = 5,
                                        .last_socket_cpu_ns = 6,
                                        .cpu_percent = 7.5,
                                        .max_cpu_percent = 8,
                                        .interval_ns = 9,
                                        .stretched = true,
                                        .rss_bytes = 10,
                                        .threads = 11,
                                        .batch_bytes = 12,
                                        .late_polls = 13,
                                        .deferred_polls = 14,
                                        .measured = true};
static const struct status_schedule schedule = {.frequency_ns = 1,
                                                .interval_ns = 2,
                                                .next_poll_ns = 3,
                                                .running_poll_id = 4,
                                                .late_polls = 5,
                                                .limited = true,
                                                .loops_left = 6,
                                                .burst = {7, 8, 9, 10}};
static const struct status_limit limits[] = {{"connections_max", 1, 2, 3}, {"subscribers_max", 4, 5, 6}};
static const struct status_error_count refusals[] = {{"role", 7}};
static const struct status_poll full = {.poll_id = 16, .sockets = 17, .hint = ""};
static const struct status_msg status_in = {.version = "1.2.3",
                                            .start_time_ns = 10,
                                            .uptime_ns = 11,
                                            .kernel = "6.1",
                                            .hostname = "h",
                                            .polls = 12,
                                            .last_poll = &poll,
                                            .namespaces = 13,
                                            .namespaces_excluded = 5,
                                            .schedule = &schedule,
                                            .limits = limits,
                                            .n_limits = 2,
                                            .refusals = refusals,
                                            .n_refusals = 1,
                                            .sockets = 14,
                                            .timestamp_ns = 15,
                                            .last_full_poll = &full,
                                            .rows_dropped = 18,
                                            .rows_late = 19,
                                            .errors = counts,
                                            .n_errors = 1,
                                            .subscribers = subscribers,
                                            .n_subscribers = 2,
                                            .gaps = gaps,
                                            .n_gaps = 1,
                                            .changes = changes,
                                            .n_changes = 2,
                                            .cost = &cost};

static void check_changes(const struct status_msg *out)
{
    assert_int_equal(out->n_changes, 2);
    assert_true(out->changes[0].generation == 2 && out->changes[0].timestamp_ns == 3);
    assert_string_equal(out->changes[0].origin, "Set");
    assert_string_equal(out->changes[0].peer, "unix pid=1 uid=0");
    assert_int_equal(out->changes[0].n_options, 2);
    assert_string_equal(out->changes[0].options[1].name, "tag");
    assert_string_equal(out->changes[0].options[1].before, "a");
    assert_string_equal(out->changes[0].options[0].after, "x");
    assert_string_equal(out->changes[1].peer, "");
    assert_int_equal(out->changes[1].n_options, 0);
}

static void check_schedule(const struct status_msg *out)
{
    const struct status_schedule *s = out->schedule;
    assert_non_null(s);
    assert_true(s->frequency_ns == 1 && s->interval_ns == 2 && s->next_poll_ns == 3 && s->limited);
    assert_true(s->running_poll_id == 4 && s->late_polls == 5 && s->loops_left == 6);
    assert_true(s->burst.polls == 7 && s->burst.left == 8 && s->burst.interval_ns == 9);
    assert_int_equal(s->burst.next_poll_ns, 10);
    assert_int_equal(out->n_limits, 2);
    assert_string_equal(out->limits[1].option, "subscribers_max");
    assert_true(out->limits[1].max == 4 && out->limits[1].current == 5 && out->limits[1].refused == 6);
    assert_int_equal(out->n_refusals, 1);
    assert_string_equal(out->refusals[0].kind, "role");
    assert_int_equal(out->refusals[0].count, 7);
    assert_int_equal(out->namespaces_excluded, 5);
    assert_string_equal(out->last_poll->hint, "wait longer");
}

static void check_cost(const struct status_cost *c)
{
    assert_true(c->cpu_ns == 1 && c->collect_cpu_ns == 2 && c->collect_kernel_ns == 3 &&
                c->fan_out_cpu_ns == 4);
    assert_true(c->last_poll_cpu_ns == 5 && c->last_socket_cpu_ns == 6 && c->cpu_percent == 7.5);
    assert_true(c->max_cpu_percent == 8 && c->interval_ns == 9 && c->stretched && c->rss_bytes == 10);
    assert_true(c->threads == 11 && c->batch_bytes == 12 && c->late_polls == 13);
    assert_int_equal(c->deferred_polls, 14);
    assert_true(c->measured);
}

static void test_status(void **state)
{
    (void)state;
    struct status_msg out;
    struct buf b;
    struct err e;
    void *memory;
    buf_init(&b);
    assert_int_equal(status_msg_encode(&status_in, &b), 0);
    assert_int_equal(status_msg_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_string_equal(out.version, "1.2.3");
    assert_string_equal(out.kernel, "6.1");
    assert_string_equal(out.hostname, "h");
    assert_true(out.start_time_ns == 10 && out.uptime_ns == 11 && out.polls == 12 && out.namespaces == 13 &&
                out.sockets == 14);
    assert_true(out.last_poll->poll_id == 1 && out.last_poll->trigger == POLL_TRIGGER_START &&
                out.last_poll->timestamp_ns == 2 && out.last_poll->duration_ns == 3 &&
                out.last_poll->namespaces == 4 && out.last_poll->namespaces_empty == 5 &&
                out.last_poll->namespaces_failed == 6 && out.last_poll->namespaces_unseen == 9 &&
                out.last_poll->dumps_interrupted == 7 && out.last_poll->sockets == 8);
    assert_true(out.timestamp_ns == 15 && out.last_poll->partial);
    assert_true(out.last_full_poll->poll_id == 16 && out.last_full_poll->sockets == 17 &&
                !out.last_full_poll->partial);
    assert_true(out.rows_dropped == 18 && out.rows_late == 19);
    assert_int_equal(out.last_poll->n_errors, 1);
    assert_string_equal(out.last_poll->errors[0].text, "timed out");
    assert_int_equal(out.last_poll->errors[0].code, -1009);
    assert_int_equal(out.n_errors, 1);
    assert_string_equal(out.errors[0].kind, "enobufs");
    assert_int_equal(out.errors[0].count, 9);
    assert_int_equal(out.n_subscribers, 2);
    assert_string_equal(out.subscribers[0].peer, "unix: pid 5, uid 0");
    assert_string_equal(out.subscribers[0].method, "/m");
    assert_true(out.subscribers[0].since_ns == 2 && out.subscribers[0].rows_delivered == 3 &&
                out.subscribers[0].rows_lost == 4 && out.subscribers[0].rows_queued == 5);
    assert_int_equal(out.subscribers[1].id, 2);
    assert_string_equal(out.subscribers[1].peer, "");
    assert_int_equal(out.n_gaps, 1);
    assert_string_equal(out.gaps[0].capability, "CAP_SYS_PTRACE");
    assert_string_equal(out.gaps[0].effect, "anonymous namespaces");
    check_changes(&out);
    check_schedule(&out);
    assert_non_null(out.cost);
    check_cost(out.cost);
    status_msg_free(memory);
    assert_int_equal(status_msg_decode(b.data, b.len - 1, &out, &memory, &e), ERR_MALFORMED);
    assert_says(e, "GetResponse");
    assert_null(memory);
    buf_free(&b);
}

static void test_empty_status(void **state)
{
    (void)state;
    const struct status_msg in = {0};
    struct status_msg out;
    struct buf b;
    void *memory;
    buf_init(&b);
    assert_int_equal(status_msg_encode(&in, &b), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(status_msg_decode(b.data, b.len, &out, &memory, NULL), 0);
    assert_null(out.last_poll);
    assert_null(out.last_full_poll);
    assert_string_equal(out.version, "");
    status_msg_free(memory);
    buf_free(&b);
}

/* ---- Health ---- */

static void test_health(void **state)
{
    (void)state;
    char service[HEALTH_SERVICE_MAX];
    uint32_t status;
    struct buf b;
    struct err e;
    buf_init(&b);
    assert_int_equal(health_request_decode(NULL, 0, service, &e), 0);
    assert_string_equal(service, "");
    assert_int_equal(health_request_encode("xtcp_config.v1.ConfigService", &b), 0);
    assert_int_equal(health_request_decode(b.data, b.len, service, &e), 0);
    assert_string_equal(service, "xtcp_config.v1.ConfigService");
    buf_reset(&b);
    char large[1000];
    memset(large, 'x', sizeof(large));
    put_bytes(&b, 1, large, sizeof(large));
    assert_int_equal(health_request_decode(b.data, b.len, service, &e), 0);
    assert_int_equal(strlen(service), HEALTH_SERVICE_MAX - 1);
    buf_reset(&b);
    put_bytes(&b, 1, "a\0b", 3);
    assert_int_equal(health_request_decode(b.data, b.len, service, &e), ERR_MALFORMED);
    assert_says(e, "NUL");
    buf_reset(&b);
    put_text(&b, 1, "\xff");
    assert_int_equal(health_request_decode(b.data, b.len, service, &e), ERR_MALFORMED);
    buf_reset(&b);
    assert_int_equal(health_reply_encode(HEALTH_NOT_SERVING, &b), 0);
    assert_int_equal(health_reply_decode(b.data, b.len, &status, &e), 0);
    assert_int_equal(status, HEALTH_NOT_SERVING);
    assert_int_equal(health_reply_decode("\x08", 1, &status, &e), ERR_MALFORMED);
    assert_int_equal(status, HEALTH_UNKNOWN);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_namespace_list),
        cmocka_unit_test(test_namespace_events),
        cmocka_unit_test(test_names_of_unknown_values),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_empty_status),
        cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
