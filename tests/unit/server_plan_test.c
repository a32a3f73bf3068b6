/* server/stream/plan.c and server/stream/selection.c: who takes part in a poll, who gets which of its rows with which
 * fields, and what counts as lost by whom. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/wire.h"
#include "record/envelope.h"
#include "rpc/codec/msg_stream.h"
#include "server/services/record_message.h"
#include "server/stream/hub.h"
#include "server/stream/plan.h"
#include "server/stream/selection.h"
#include "server_fake_rpc.h"

/* ---- Helpers ---- */

#define SUBSCRIBERS 80
#define USERS       2 /* without control */

struct fixture {
    struct batch_pool *pool;
    struct hub *hub;
    struct quota *quota;
    struct bounds bounds;
    struct rpc_call call; /* of a user with the role control */
    struct rpc_call others[USERS];
    struct subscriber *subscribers[SUBSCRIBERS];
    size_t n;
};

static void setup_with(struct fixture *f, size_t queue_bytes)
{
    memset(f, 0, sizeof(*f));
    f->pool = batch_pool_new(4);
    assert_int_equal(hub_new(queue_bytes, &f->hub, NULL), 0);
    f->quota = quota_new();
    assert_non_null(f->quota);
    f->call.quota = quota_user(f->quota, "uid 0");
    f->call.rank = QUOTA_CONTROL;
    f->others[0].quota = quota_user(f->quota, "uid 1000");
    f->others[1].quota = quota_user(f->quota, "uid 1001");
    f->others[0].rank = f->others[1].rank = QUOTA_LOCAL;
    struct config *config;
    assert_int_equal(config_defaults(&config), 0);
    bounds_read(config, &f->bounds);
    f->bounds.of[QUOTA_SUBSCRIBERS].max = 2 * SUBSCRIBERS;
    config_unref(config);
}

static void setup(struct fixture *f)
{
    setup_with(f, 1 << 22);
}

static void unsubscribe(struct fixture *f, struct subscriber *s)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->subscribers[i] == s)
            f->subscribers[i] = f->subscribers[--f->n];
    }
    subscriber_close(s);
    hub_unsubscribe(f->hub, s);
    subscriber_unref(s);
}

static void assert_nothing_is_held(struct fixture *f)
{
    for (enum quota_kind kind = 0; kind < QUOTA_KINDS; kind++) {
        assert_int_equal(quota_total(f->quota, kind), 0);
        assert_int_equal(quota_used(f->call.quota, kind), 0);
        for (size_t i = 0; i < USERS; i++)
            assert_int_equal(quota_used(f->others[i].quota, kind), 0);
    }
}

static void teardown(struct fixture *f)
{
    while (f->n)
        unsubscribe(f, f->subscribers[0]);
    hub_free(f->hub);
    assert_int_equal(atomic_load(&f->call.refs), 0);
    struct batch_pool_stats stats;
    batch_pool_stats(f->pool, &stats);
    assert_int_equal(stats.out, 0);
    batch_pool_free(f->pool);
    assert_nothing_is_held(f);
    quota_user_unref(f->call.quota);
    for (size_t i = 0; i < USERS; i++) {
        assert_int_equal(atomic_load(&f->others[i].refs), 0);
        quota_user_unref(f->others[i].quota);
    }
    quota_free(f->quota);
}

/* The selection of a test's stream. */
struct wish {
    const char *filter;
    const char *columns[3];
    const char *netns[3];
    uint32_t batch_rows;
    uint32_t queue_rows; /* 0: enough */
    bool on_demand;
};

static size_t count_of(const char *const *list)
{
    size_t n = 0;
    while (n < 3 && list[n])
        n++;
    return n;
}

static int make_selection(const struct wish *w, struct selection **out, struct err *e)
{
    const struct subscription r = {.filter = (char *)w->filter,
                                   .columns = (char **)w->columns,
                                   .n_columns = count_of(w->columns),
                                   .netns = (char **)w->netns,
                                   .n_netns = count_of(w->netns)};
    return selection_new(&r, out, e);
}

static int try_subscribe_as(struct fixture *f, struct rpc_call *call, const struct wish *w,
                            struct subscriber **out, struct err *e)
{
    struct selection *selection;
    assert_int_equal(make_selection(w, &selection, e), 0);
    struct subscriber *s = record_message_subscriber(
        call,
        &(struct subscriber_options){.batch_rows = w->batch_rows,
                                     .markers = true,
                                     .on_demand = w->on_demand,
                                     .queue_rows = w->queue_rows ? w->queue_rows : 100000,
                                     .selection = selection},
        e);
    selection_unref(selection);
    if (!s)
        return e->code;
    int rc = hub_subscribe(f->hub, s, &f->bounds, e);
    if (rc) {
        subscriber_unref(s);
        return rc;
    }
    f->subscribers[f->n++] = s;
    *out = s;
    return 0;
}

static int try_subscribe(struct fixture *f, const struct wish *w, struct subscriber **out, struct err *e)
{
    return try_subscribe_as(f, &f->call, w, out, e);
}

static struct subscriber *subscribe(struct fixture *f, struct wish w)
{
    struct subscriber *s = NULL;
    struct err e = {0};
    if (try_subscribe(f, &w, &s, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

/* A batch of |rows| rows of the namespace |netns|, with source ports counting from |port|. Row i passes the
 * filters whose bits |match| returns. */
static struct batch *make_batch(struct fixture *f, uint64_t poll, uint64_t id, const char *netns,
                                unsigned rows, uint16_t port, uint64_t (*match)(unsigned row))
{
    static struct record_frame frame;
    struct record_context context = {
        .netns = netns, .netns_inode = 1000 + id, .poll_id = poll, .groups = GROUPS_ALL};
    assert_int_equal(record_frame_init(&frame, &context), 0);
    struct batch *b = batch_new(f->pool);
    assert_non_null(b);
    for (unsigned i = 0; i < rows; i++) {
        struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
        msg.id.idiag_sport = htons((uint16_t)(port + i));
        struct record_source s = {.data[PART_MSG] = (const uint8_t *)&msg, .len[PART_MSG] = sizeof(msg)};
        assert_true(batch_append_match(b, &frame, &s, i, match ? match(i) : 0));
    }
    b->poll_id = poll;
    b->netns_id = id;
    return batch_seal(b);
}

static struct plan *begin(struct fixture *f, uint64_t poll)
{
    struct plan *plan = hub_plan(f->hub, poll);
    assert_non_null(plan);
    hub_begin(f->hub, &(struct poll_begin){.poll_id = poll}, plan_ref(plan));
    return plan;
}

static void end(struct fixture *f, struct plan *plan)
{
    hub_end(f->hub, &(struct poll_end){.poll_id = plan->poll_id});
    plan_unref(plan);
}

static void run_hub(struct fixture *f)
{
    assert_int_equal(hub_start(f->hub), 0);
    hub_stop(f->hub);
}

struct received {
    unsigned rows, messages, polls, fields; /* fields: of the last row */
    uint32_t ports;                         /* sum of their source ports */
    uint64_t sent, lost;
};

static void note_row(struct received *r, const uint8_t *row, size_t len)
{
    struct wire w = wire_over(row, len);
    struct wire_field f;
    r->rows++;
    r->fields = 0;
    while (wire_next(&w, &f) > 0) {
        r->fields++;
        if (f.number == record_fields[FIELD_inet_diag_msg_socket_source_port].number)
            r->ports += (uint32_t)f.value;
    }
    assert_ptr_equal(w.at, w.end);
}

static void note_event(struct received *r, const struct stream_event *event)
{
    struct wire w = wire_over(event->bytes, event->len);
    const uint8_t *row;
    size_t row_len;
    r->messages += event->kind == STREAM_EVENT_RECORD || event->kind == STREAM_EVENT_ENVELOPE;
    if (event->kind == STREAM_EVENT_RECORD)
        note_row(r, event->bytes, event->len);
    while (event->kind == STREAM_EVENT_ENVELOPE && envelope_next(&w, &row, &row_len) == 1)
        note_row(r, row, row_len);
    if (event->kind == STREAM_EVENT_END) {
        r->polls++;
        r->sent = event->end.rows_sent;
        r->lost = event->end.rows_lost;
    }
}

static struct received take_all(struct subscriber *s)
{
    struct received r = {0};
    struct rpc_message m;
    static uint8_t bytes[200000];
    while (record_message_next(s, &m)) {
        size_t n = 0;
        for (size_t i = 0; i < m.n; i++) {
            memcpy(bytes + n, GRPC_SLICE_START_PTR(m.slices[i]), GRPC_SLICE_LENGTH(m.slices[i]));
            n += GRPC_SLICE_LENGTH(m.slices[i]);
            grpc_slice_unref(m.slices[i]);
        }
        struct stream_event event;
        assert_int_equal(stream_event_decode(bytes, n, &event, NULL), 0);
        note_event(&r, &event);
        stream_event_free(&event);
    }
    return r;
}

static uint64_t thirds(unsigned row) /* filter 0: every third; 1: the first half of 60; 2: none; 3: all */
{
    return (row % 3 == 0) | (uint64_t)(row < 30) << 1 | UINT64_C(1) << 3;
}

static uint32_t sum(unsigned from, unsigned to, unsigned step)
{
    uint32_t s = 0;
    for (unsigned i = from; i < to; i += step)
        s += i;
    return s;
}

/* ---- Selections ---- */

static void test_what_a_selection_refuses(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        int rc;
        const char *text;
    } rows[] = {
        {{.filter = "sport ="}, ERR_MALFORMED, "filter: column "},
        {{.filter = "sport = 1", .columns = {"netns", "netnz"}}, ERR_UNKNOWN, "columns: 'netnz'"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct selection *s = NULL;
        struct err e = {0};
        assert_int_equal(make_selection(&rows[i].wish, &s, &e), rows[i].rc);
        assert_non_null(strstr(e.text, rows[i].text));
        assert_null(s);
    }
}

static void test_patterns_are_bounded(void **state)
{
    (void)state;
    char pattern[SUBSCRIPTION_NAME_MAX + 1];
    char *netns[SUBSCRIPTION_NAMES_MAX];
    struct selection *s = NULL;
    struct err e;
    memset(pattern, '*', sizeof(pattern) - 1);
    pattern[sizeof(pattern) - 1] = '\0';
    for (size_t i = 0; i < SUBSCRIPTION_NAMES_MAX; i++)
        netns[i] = pattern;
    struct subscription r = {.netns = netns, .n_netns = SELECTION_NETNS_MAX / SUBSCRIPTION_NAME_MAX};
    assert_int_equal(selection_new(&r, &s, &e), 0);
    selection_unref(s);
    r.n_netns++;
    assert_int_equal(selection_new(&r, &s, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "netns: 4335 bytes"));
    pattern[12] = '\0';
    r.n_netns = SUBSCRIPTION_NAMES_MAX;
    assert_int_equal(selection_new(&r, &s, &e), 0);
    selection_unref(s);
}

static void test_which_namespaces_a_selection_wants(void **state)
{
    (void)state;
    struct selection *s;
    assert_int_equal(make_selection(&(struct wish){.netns = {"web*", "4711", "netns:[12]"}}, &s, NULL), 0);
    assert_true(selection_wants_netns(s, "web", 1));
    assert_true(selection_wants_netns(s, "web-1", 1));
    assert_true(selection_wants_netns(s, "blue", 4711));
    assert_true(selection_wants_netns(s, "4711", 1)); /* a name may be a number */
    assert_true(selection_wants_netns(s, "netns:[12]", 12));
    assert_false(selection_wants_netns(s, "netns:[2]", 2));
    assert_false(selection_wants_netns(s, "blue", 471));
    assert_false(selection_wants_netns(s, "", 0));
    selection_unref(s);
    assert_int_equal(make_selection(&(struct wish){0}, &s, NULL), 0);
    assert_true(selection_wants_netns(s, "anything", 1));
    assert_false(s->told);
    selection_unref(s);
}

static void test_same_selections(void **state)
{
    (void)state;
    static const struct wish wishes[] = {
        {.filter = NULL},
        {.filter = "sport = 1"},
        {.filter = "sport = 2"},
        {.columns = {"netns"}},
        {.columns = {"netns", "tcp_info_rtt"}},
        {.netns = {"a"}},
        {.netns = {"a", "b"}},
        {.netns = {"b", "a"}},
    };
    enum { N = sizeof(wishes) / sizeof(wishes[0]) };
    struct selection *a[N];
    struct selection *b[N];
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(make_selection(&wishes[i], &a[i], NULL), 0);
        assert_int_equal(make_selection(&wishes[i], &b[i], NULL), 0);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < N; k++)
            assert_int_equal(selection_equal(a[i], b[k]), i == k);
    }
    for (size_t i = 0; i < N; i++) {
        selection_unref(a[i]);
        selection_unref(b[i]);
    }
}

static void test_stream_info(void **state)
{
    (void)state;
    struct selection *s;
    struct buf b;
    struct stream_event event;
    buf_init(&b);
    const struct wish wish = {.filter = "(sport = 1) and rtt > 5ms", .columns = {"tcp_info_rtt", "netns"}};
    assert_int_equal(make_selection(&wish, &s, NULL), 0);
    assert_true(s->told);
    struct selection_description description;
    selection_describe(s, &description);
    description.info.warnings = (const char *const[]){"nothing is called x"};
    description.info.n_warnings = 1;
    assert_int_equal(stream_encode_info(&b, &description.info), 0);
    assert_int_equal(stream_event_decode(b.data, b.len, &event, NULL), 0);
    assert_int_equal(event.kind, STREAM_EVENT_INFO);
    assert_string_equal(event.info.filter, filter_text(s->filter));
    assert_int_equal(event.info.n_parts, 2);
    assert_int_equal(event.info.parts[0].place, FILTER_PLACE_KERNEL);
    assert_int_equal(event.info.parts[1].place, FILTER_PLACE_COLLECTOR);
    assert_int_equal(event.info.n_columns, 2);
    assert_string_equal(event.info.columns[0], "netns"); /* in the order of the schema */
    assert_string_equal(event.info.columns[1], "tcp_info_rtt");
    assert_int_equal(event.info.n_warnings, 1);
    assert_string_equal(event.info.warnings[0], "nothing is called x");
    stream_event_free(&event);
    buf_free(&b);
    selection_unref(s);
}

/* ---- The parts of a poll request ---- */

static void test_what_a_poll_is_to_collect(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct plan *p = hub_plan(f.hub, 1);
    assert_true(p->idle && p->want_all && p->n_filters == 0 && p->n_scope == 0);
    plan_unref(p);
    subscribe(&f, (struct wish){.filter = "sport = 1", .netns = {"a"}});
    subscribe(&f, (struct wish){.filter = "( sport = 1 )", .netns = {"b"}});
    struct subscriber *third = subscribe(&f, (struct wish){.filter = "sport = 2", .netns = {"c*"}});
    p = hub_plan(f.hub, 2);
    assert_false(p->idle || p->want_all);
    assert_int_equal(p->n_filters, 2); /* the same one twice */
    assert_true(plan_wants_netns(p, "a", 1) && plan_wants_netns(p, "b", 1) && plan_wants_netns(p, "cc", 1));
    assert_false(plan_wants_netns(p, "d", 1));
    plan_unref(p);
    struct subscriber *whole = subscribe(&f, (struct wish){.netns = {"a"}});
    struct subscriber *asked = subscribe(&f, (struct wish){.on_demand = true, .filter = "sport = 3"});
    p = hub_plan(f.hub, 3);
    assert_true(p->want_all);
    assert_int_equal(p->n_filters, 2); /* nobody has asked for a poll on demand */
    assert_int_equal(p->n_scope, 4);
    plan_unref(p);
    subscriber_want(asked, 4);
    p = hub_plan(f.hub, 4);
    assert_int_equal(p->n_filters, 3);
    assert_int_equal(p->n_scope, 0); /* that one wants all namespaces */
    assert_true(plan_wants_netns(p, "d", 1));
    plan_unref(p);
    unsubscribe(&f, whole);
    unsubscribe(&f, third);
    unsubscribe(&f, asked);
    p = hub_plan(f.hub, 5);
    assert_int_equal(p->n_filters, 1);
    assert_false(p->want_all);
    plan_unref(p);
    teardown(&f);
}

/* Filters of some hundred comparisons each: all of them together have a bound. */
static void test_the_length_of_all_filters(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    static char text[FILTER_TEXT_MAX];
    unsigned filters = 0;
    int rc = 0;
    setup(&f);
    while (rc == 0 && filters < SELECTION_FILTERS_MAX) {
        int n = snprintf(text, sizeof(text), "rtt > %u", filters);
        for (unsigned i = 0; i < 400; i++)
            n += snprintf(text + n, sizeof(text) - (size_t)n, " or sport = %u", 10000 + i);
        rc = try_subscribe(&f, &(struct wish){.filter = text}, &s, &e);
        filters += rc == 0;
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_non_null(strstr(e.text, "of 32768 are in use"));
    assert_in_range(filters, 1, 10);
    unsubscribe(&f, s);
    assert_int_equal(try_subscribe(&f, &(struct wish){.filter = text}, &s, &e), 0);
    while (f.n)
        unsubscribe(&f, f.subscribers[0]);
    for (unsigned i = 0; i < 3 * SUBSCRIBERS; i++) { /* nothing has been kept, nothing given back twice */
        s = subscribe(&f, (struct wish){.filter = text});
        unsubscribe(&f, s);
    }
    teardown(&f);
}

static void test_limits(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    char text[32];
    setup(&f);
    for (unsigned i = 1; i <= SELECTION_FILTERS_MAX; i++) {
        snprintf(text, sizeof(text), "sport = %u", i);
        s = subscribe(&f, (struct wish){.filter = text});
    }
    assert_int_equal(try_subscribe(&f, &(struct wish){.filter = "sport = 1000"}, &s, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "different filters: 64 of 64"));
    struct subscriber *same = subscribe(&f, (struct wish){.filter = "sport = 7"});
    struct plan *p = hub_plan(f.hub, 1);
    assert_int_equal(p->n_filters, SELECTION_FILTERS_MAX);
    unsubscribe(&f, same); /* the other one with this filter stays */
    assert_int_equal(try_subscribe(&f, &(struct wish){.filter = "sport = 1000"}, &s, &e), ERR_LIMIT);
    unsubscribe(&f, s);
    subscribe(&f, (struct wish){.filter = "sport = 1000"}); /* also while a poll knows the old one */
    plan_unref(p);
    while (f.n)
        unsubscribe(&f, f.subscribers[0]);
    for (unsigned i = 0; i < SELECTION_MASKS_MAX; i++)
        subscribe(&f, (struct wish){.columns = {record_fields[i].name}});
    assert_int_equal(try_subscribe(&f, &(struct wish){.columns = {"tcp_info_rtt"}}, &s, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "different sets of columns: 32 of 32"));
    subscribe(&f, (struct wish){.columns = {record_fields[3].name}, .filter = "sport = 1"});
    assert_int_equal(
        try_subscribe(&f, &(struct wish){.columns = {"tcp_info_rtt"}, .filter = "sport = 9"}, &s, &e),
        ERR_LIMIT);
    p = hub_plan(f.hub, 2);
    assert_int_equal(p->n_filters, 1); /* of the one that was refused, nothing is left */
    plan_unref(p);
    teardown(&f);
}

/* ---- Shares ---- */

struct held {
    uint64_t filters, bytes, columns, subscribers;
};

static void assert_total(struct fixture *f, struct held expected)
{
    assert_int_equal(quota_total(f->quota, QUOTA_FILTERS), expected.filters);
    assert_int_equal(quota_total(f->quota, QUOTA_FILTER_BYTES), expected.bytes);
    assert_int_equal(quota_total(f->quota, QUOTA_COLUMNS), expected.columns);
    assert_int_equal(quota_total(f->quota, QUOTA_SUBSCRIBERS), expected.subscribers);
}

static void assert_used(const struct rpc_call *call, struct held expected)
{
    assert_int_equal(quota_used(call->quota, QUOTA_FILTERS), expected.filters);
    assert_int_equal(quota_used(call->quota, QUOTA_FILTER_BYTES), expected.bytes);
    assert_int_equal(quota_used(call->quota, QUOTA_COLUMNS), expected.columns);
    assert_int_equal(quota_used(call->quota, QUOTA_SUBSCRIBERS), expected.subscribers);
}

static struct subscriber *subscribe_as(struct fixture *f, struct rpc_call *call, struct wish w)
{
    struct subscriber *s = NULL;
    struct err e = {0};
    if (try_subscribe_as(f, call, &w, &s, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

/* Each user pays once for what several of its streams have, and for all together it counts once. */
static void test_who_pays_for_what_is_shared(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct rpc_call *a = &f.others[0];
    struct rpc_call *b = &f.others[1];
    const struct wish w = {.filter = "sport = 1", .columns = {"netns"}};
    const uint64_t bytes = strlen("sport = 1");
    struct subscriber *a1 = subscribe_as(&f, a, w);
    struct subscriber *a2 = subscribe_as(&f, a, w);
    struct subscriber *b1 = subscribe_as(&f, b, w);
    assert_used(a, (struct held){1, bytes, 1, 2});
    assert_used(b, (struct held){1, bytes, 1, 1});
    assert_total(&f, (struct held){1, bytes, 1, 3});
    unsubscribe(&f, a1);
    assert_used(a, (struct held){1, bytes, 1, 1});
    unsubscribe(&f, a2); /* the other user keeps it */
    assert_used(a, (struct held){0, 0, 0, 0});
    assert_total(&f, (struct held){1, bytes, 1, 1});
    subscribe_as(&f, a, w);
    unsubscribe(&f, b1);
    assert_used(b, (struct held){0, 0, 0, 0});
    assert_total(&f, (struct held){1, bytes, 1, 1});
    teardown(&f);
}

/* One user takes all filters and columns that it can get. */
static void test_shares(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    char text[32];
    setup(&f);
    struct rpc_call *greedy = &f.others[0];
    unsigned filters = 0;
    do {
        snprintf(text, sizeof(text), "sport = %u", ++filters);
    } while (try_subscribe_as(&f, greedy, &(struct wish){.filter = text}, &s, &e) == 0);
    assert_int_equal(filters - 1, SELECTION_FILTERS_MAX / 2);
    assert_string_equal(e.text, "different filters: uid 1000 has 32 and asks for 1, its share is 32 of 64 (a "
                                "fixed bound, user_share_percent 50)");
    subscribe_as(&f, greedy, (struct wish){.filter = "sport = 7"}); /* one that it has */
    unsigned masks = 0;
    while (try_subscribe_as(&f, greedy, &(struct wish){.columns = {record_fields[masks].name}}, &s, &e) == 0)
        masks++;
    assert_int_equal(masks, SELECTION_MASKS_MAX / 2);
    assert_non_null(strstr(e.text, "user_share_percent"));
    subscribe_as(&f, &f.others[1], (struct wish){.filter = "sport = 1000", .columns = {"tcp_info_rtt"}});
    unsigned more = 1;
    do {
        snprintf(text, sizeof(text), "dport = %u", ++more);
    } while (try_subscribe_as(&f, &f.others[1], &(struct wish){.filter = text}, &s, &e) == 0);
    assert_non_null(strstr(e.text, "reserved_percent 10")); /* others keep off that part, */
    subscribe(&f,
              (struct wish){.filter = "sport = 2000", .columns = {"tcp_info_rto"}}); /* control does not */
    assert_int_equal(quota_refused(f.quota, QUOTA_FILTERS), 2);
    teardown(&f);
}

/* The things that a refused stream has already got are given back, and a filter is refused that is too long
 * for the share although the number is not. */
static void test_a_refusal_leaves_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    static char text[FILTER_TEXT_MAX];
    setup(&f);
    struct rpc_call *a = &f.others[0];
    f.bounds.of[QUOTA_COLUMNS].max = 1;
    f.bounds.of[QUOTA_FILTER_BYTES].max = 10000;
    subscribe(&f, (struct wish){.columns = {"netns"}});
    const struct wish both = {.filter = "sport = 1", .columns = {"tcp_info_rtt"}};
    assert_int_equal(try_subscribe_as(&f, a, &both, &s, &e), ERR_LIMIT);
    assert_used(a, (struct held){0, 0, 0, 0});
    int n = snprintf(text, sizeof(text), "rtt > 1");
    while (n < 5500)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " or sport = %u", 10000 + (unsigned)n);
    assert_int_equal(try_subscribe_as(&f, a, &(struct wish){.filter = text}, &s, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "bytes of filters: uid 1000 has 0 and asks for "));
    assert_used(a, (struct held){0, 0, 0, 0});
    assert_total(&f, (struct held){0, 0, 1, 1});
    f.bounds.of[QUOTA_SUBSCRIBERS].max = 1;
    assert_int_equal(try_subscribe_as(&f, a, &(struct wish){.filter = "sport = 1"}, &s, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "subscribers_max"));
    assert_used(a, (struct held){0, 0, 0, 0});
    struct quota_user *user = a->quota;
    a->quota = NULL; /* there was no memory for one */
    assert_int_equal(try_subscribe_as(&f, a, &(struct wish){0}, &s, &e), -ENOMEM);
    a->quota = user;
    teardown(&f);
}

/* Patterns cost time for each stream and namespace, so each stream pays for its own. */
static void test_patterns_are_paid_for(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    char pattern[1025];
    setup(&f);
    struct rpc_call *a = &f.others[0];
    memset(pattern, 'x', sizeof(pattern) - 1);
    pattern[sizeof(pattern) - 1] = '\0';
    const struct wish w = {.netns = {pattern}};
    for (unsigned i = 0; i < SELECTION_NETNS_TEXT / 2 / 1024; i++)
        s = subscribe_as(&f, a, w);
    struct subscriber *refused;
    assert_int_equal(try_subscribe_as(&f, a, &w, &refused, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "bytes of patterns of namespaces: uid 1000 has 32768"));
    subscribe_as(&f, a, (struct wish){0});
    subscribe_as(&f, &f.others[1], w);
    unsubscribe(&f, s);
    subscribe_as(&f, a, w);
    teardown(&f);
}

/* Bounds that come down below what is held take nothing away. */
static void test_bounds_that_come_down(void **state)
{
    (void)state;
    struct fixture f;
    struct subscriber *s;
    struct err e;
    setup(&f);
    struct rpc_call *a = &f.others[0];
    struct subscriber *first = subscribe_as(&f, a, (struct wish){.filter = "sport = 1"});
    subscribe_as(&f, a, (struct wish){.filter = "sport = 2"});
    for (enum quota_kind kind = 0; kind < QUOTA_KINDS; kind++)
        f.bounds.of[kind].max = 1;
    assert_int_equal(try_subscribe_as(&f, a, &(struct wish){.filter = "sport = 1"}, &s, &e), ERR_LIMIT);
    f.bounds.of[QUOTA_SUBSCRIBERS].max = 100;
    s = subscribe_as(&f, a, (struct wish){.filter = "sport = 1"}); /* nothing new */
    unsubscribe(&f, first);
    unsubscribe(&f, s);
    assert_int_equal(try_subscribe_as(&f, a, &(struct wish){.filter = "sport = 1"}, &s, &e), ERR_LIMIT);
    teardown(&f);
}

/* ---- Rows ---- */

static void test_everybody_gets_their_rows(void **state)
{
    (void)state;
    struct fixture f;
    for (unsigned batch_rows = 0; batch_rows <= 100; batch_rows += 50) {
        setup(&f);
        /* In this order, since a plan numbers filters as it meets them. */
        struct subscriber *sparse =
            subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = batch_rows});
        struct subscriber *run =
            subscribe(&f, (struct wish){.filter = "sport = 2", .batch_rows = batch_rows});
        struct subscriber *none =
            subscribe(&f, (struct wish){.filter = "sport = 3", .batch_rows = batch_rows});
        struct subscriber *all =
            subscribe(&f, (struct wish){.filter = "sport = 4", .batch_rows = batch_rows});
        struct subscriber *whole = subscribe(&f, (struct wish){.batch_rows = batch_rows});
        struct subscriber *cut = subscribe(&f, (struct wish){.filter = "sport = 1",
                                                             .columns = {"inet_diag_msg_socket_source_port"},
                                                             .batch_rows = batch_rows});
        struct subscriber *other_form =
            subscribe(&f, (struct wish){.filter = "sport = 2", .batch_rows = batch_rows ? 0 : 100});
        struct plan *p = begin(&f, 1);
        hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 100, thirds));
        end(&f, p);
        run_hub(&f);
        const struct {
            struct subscriber *s;
            unsigned rows;
            uint32_t ports;
        } expected[] = {
            {sparse, 20, sum(100, 160, 3)},     {run, 30, sum(100, 130, 1)},   {none, 0, 0},
            {all, 60, sum(100, 160, 1)},        {whole, 60, sum(100, 160, 1)}, {cut, 20, sum(100, 160, 3)},
            {other_form, 30, sum(100, 130, 1)},
        };
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
            struct received r = take_all(expected[i].s);
            assert_int_equal(r.rows, expected[i].rows);
            assert_int_equal(r.ports, expected[i].ports);
            assert_int_equal(r.sent, expected[i].rows);
            assert_int_equal(r.lost, 0);
            assert_int_equal(r.polls, 1);
            if (expected[i].s == cut)
                assert_int_equal(r.fields, 1);
            uint32_t form = expected[i].s == other_form ? (batch_rows ? 0 : 100) : batch_rows;
            unsigned messages = form ? (r.rows + form - 1) / form : r.rows;
            assert_int_equal(r.messages, messages);
        }
        teardown(&f);
    }
}

static uint64_t first_alone(unsigned row)
{
    return row == 0;
}

/* A few rows out of a large batch: what waits for a reader is not the batch. */
static void test_few_rows_keep_no_large_batch(void **state)
{
    (void)state;
    struct fixture f;
    struct batch_pool_stats stats;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = 100});
    struct plan *p = begin(&f, 1);
    for (unsigned i = 0; i < 20; i++)
        hub_batch(f.hub, make_batch(&f, 1, 1, "a", 400, 1, first_alone));
    end(&f, p);
    run_hub(&f);
    batch_pool_stats(f.pool, &stats);
    assert_int_equal(stats.out, 20);
    /* The pool keeps 4 large ones; of the 20, each holds a row. */
    assert_true(stats.bytes < 5 * (uint64_t)(BATCH_BYTES + BATCH_ROWS * sizeof(struct batch_row)) + 20 * 512);
    assert_int_equal(take_all(s).rows, 20);
    teardown(&f);
}

static void test_namespaces(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *web = subscribe(&f, (struct wish){.netns = {"web*"}, .batch_rows = 10});
    struct subscriber *inode = subscribe(&f, (struct wish){.netns = {"1002"}});
    struct subscriber *both = subscribe(&f, (struct wish){.netns = {"*"}, .filter = "sport = 1"});
    struct plan *p = begin(&f, 1);
    for (unsigned i = 0; i < 3; i++) { /* as they come from collectors that run at the same time */
        hub_batch(f.hub, make_batch(&f, 1, 1, "web-1", 10, 1, thirds));
        hub_batch(f.hub, make_batch(&f, 1, 2, "db", 20, 1, thirds));
        hub_batch(f.hub, make_batch(&f, 1, 3, "web-2", 30, 1, thirds));
    }
    end(&f, p);
    p = begin(&f, 2); /* renamed */
    hub_batch(f.hub, make_batch(&f, 2, 1, "mail", 10, 1, thirds));
    hub_batch(f.hub, make_batch(&f, 2, 2, "web-3", 20, 1, thirds));
    end(&f, p);
    run_hub(&f);
    struct received r = take_all(web);
    assert_int_equal(r.rows, 3 * 40 + 20);
    assert_int_equal(r.sent, 20);
    assert_int_equal(take_all(inode).rows, 3 * 20 + 20);
    assert_int_equal(take_all(both).rows, 3 * (4 + 7 + 10) + 4 + 7);
    teardown(&f);
}

static void test_lost_is_what_was_wanted(void **state)
{
    (void)state;
    struct fixture f;
    struct hub_stats stats;
    setup_with(&f, 1); /* nothing finds a place */
    struct subscriber *sparse = subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = 10});
    struct subscriber *half = subscribe(&f, (struct wish){.filter = "sport = 2"});
    struct subscriber *elsewhere = subscribe(&f, (struct wish){.netns = {"b"}});
    struct subscriber *whole = subscribe(&f, (struct wish){.netns = {"a"}});
    struct plan *p = begin(&f, 1);
    hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 1, thirds));
    end(&f, p);
    run_hub(&f);
    assert_int_equal(take_all(sparse).lost, 20);
    assert_int_equal(take_all(half).lost, 30);
    assert_int_equal(take_all(elsewhere).lost, 0);
    assert_int_equal(take_all(whole).lost, 60);
    hub_stats(f.hub, &stats);
    assert_int_equal(stats.rows_dropped, 60);
    teardown(&f);
}

static void test_a_slow_stream_with_a_filter(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *slow =
        subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = 100, .queue_rows = 25});
    struct subscriber *other = subscribe(&f, (struct wish){.filter = "sport = 2", .batch_rows = 100});
    struct plan *p = begin(&f, 1);
    for (unsigned i = 0; i < 3; i++)
        hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 100, thirds));
    end(&f, p);
    run_hub(&f);
    struct received r = take_all(slow);
    assert_int_equal(r.rows, 25);
    assert_int_equal(r.sent, 25);
    assert_int_equal(r.lost, 35);
    assert_int_equal(r.ports, sum(100, 160, 3) + sum(100, 115, 3)); /* the newest are left out */
    r = take_all(other);
    assert_int_equal(r.rows, 90);
    assert_int_equal(r.lost, 0);
    teardown(&f);
}

/* Subscribers that come or go while a poll runs. */
static void test_in_the_middle_of_a_poll(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *first = subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = 10});
    struct subscriber *leaves = subscribe(&f, (struct wish){.filter = "sport = 2", .batch_rows = 10});
    struct plan *p = begin(&f, 1);
    struct subscriber *late = subscribe(&f, (struct wish){.filter = "sport = 9", .batch_rows = 10});
    hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 1, thirds));
    run_hub(&f);
    int refs = atomic_load(&f.call.refs);
    unsubscribe(&f, leaves);
    run_hub(&f);
    assert_int_equal(atomic_load(&f.call.refs), refs - 1); /* the poll does not keep it */
    struct subscriber *in_its_place = subscribe(&f, (struct wish){.filter = "sport = 8", .batch_rows = 10});
    hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 1, thirds));
    end(&f, p);
    run_hub(&f);
    assert_int_equal(take_all(first).rows, 40);
    assert_int_equal(take_all(late).polls, 0);
    assert_int_equal(take_all(in_its_place).polls, 0);
    p = begin(&f, 2);
    assert_int_equal(p->n_filters, 3);
    hub_batch(f.hub, make_batch(&f, 2, 1, "a", 60, 1, thirds));
    end(&f, p);
    run_hub(&f);
    assert_int_equal(take_all(first).rows, 20);
    assert_int_equal(take_all(late).rows + take_all(in_its_place).rows, 30); /* of filters 1 and 2 */
    teardown(&f);
}

/* It goes between the making of the plan and the begin. */
static void test_gone_before_the_poll_begins(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct wish){.filter = "sport = 1"});
    struct subscriber *stays = subscribe(&f, (struct wish){.filter = "sport = 2"});
    struct plan *p = hub_plan(f.hub, 1);
    int refs = atomic_load(&f.call.refs);
    unsubscribe(&f, s);
    hub_begin(f.hub, &(struct poll_begin){.poll_id = 1}, plan_ref(p));
    run_hub(&f);
    assert_int_equal(atomic_load(&f.call.refs), refs - 1);
    hub_batch(f.hub, make_batch(&f, 1, 1, "a", 60, 1, thirds));
    end(&f, p);
    run_hub(&f);
    assert_int_equal(take_all(stays).rows, 30);
    teardown(&f);
}

static void test_a_poll_that_never_began(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct wish){.on_demand = true});
    subscriber_want(s, 1);
    struct plan *p = hub_plan(f.hub, 1);
    assert_false(p->idle);
    plan_revoke(p);
    plan_unref(p);
    assert_false(subscriber_half_closed(s));
    p = begin(&f, 2);
    assert_false(p->idle);
    end(&f, p);
    run_hub(&f);
    assert_int_equal(take_all(s).polls, 1);
    assert_true(atomic_load(&f.call.finished));
    teardown(&f);
}

static void test_the_first_message(void **state)
{
    (void)state;
    struct fixture f;
    struct rpc_message m;
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct wish){.filter = "sport = 1"});
    assert_true(subscriber_tell(s, "abc", 3));
    struct plan *p = begin(&f, 1);
    end(&f, p);
    run_hub(&f);
    assert_true(record_message_next(s, &m));
    assert_int_equal(m.n, 1);
    assert_true(m.more);
    assert_int_equal(GRPC_SLICE_LENGTH(m.slices[0]), 3);
    grpc_slice_unref(m.slices[0]);
    assert_int_equal(take_all(s).polls, 1);
    assert_true(subscriber_tell(s, "abc", 3)); /* nobody takes it any more */
    subscriber_close(s);
    assert_false(subscriber_tell(s, "abc", 3));
    teardown(&f);
}

/* Streams come and go on another thread while polls run: for the sanitizers. */
static void *come_and_go(void *arg)
{
    struct fixture *f = arg;
    static const char *const filters[] = {"sport = 1", "sport = 2", "sport = 3", NULL};
    for (unsigned i = 0; i < 400; i++) {
        struct selection *selection;
        const struct wish w = {.filter = filters[i % 4], .columns = {i % 3 ? NULL : "netns"}};
        if (make_selection(&w, &selection, NULL) != 0)
            return "selection";
        struct rpc_call *call = &f->others[i % USERS];
        struct subscriber *s = record_message_subscriber(
            call,
            &(struct subscriber_options){
                .batch_rows = i % 2 * 10, .markers = true, .queue_rows = 100, .selection = selection},
            NULL);
        selection_unref(selection);
        struct err e;
        if (!s || hub_subscribe(f->hub, s, &f->bounds, &e) != 0)
            return "subscribe";
        struct rpc_message m;
        for (unsigned k = 0; k < i % 5 && record_message_next(s, &m); k++) {
            for (size_t j = 0; j < m.n; j++)
                grpc_slice_unref(m.slices[j]);
        }
        subscriber_close(s);
        hub_unsubscribe(f->hub, s);
        subscriber_unref(s);
    }
    return NULL;
}

static void test_coming_and_going_during_polls(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[2];
    setup(&f);
    struct subscriber *s = subscribe(&f, (struct wish){.filter = "sport = 1", .batch_rows = 100});
    assert_int_equal(hub_start(f.hub), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &f), 0);
    for (uint64_t id = 1; id <= 100; id++) {
        struct plan *p = begin(&f, id);
        plan_wants_netns(p, "a", 1);
        for (unsigned i = 0; i < 3; i++)
            hub_batch(f.hub, make_batch(&f, id, 1, "a", 60, 1, thirds));
        end(&f, p);
    }
    for (unsigned i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    hub_stop(f.hub);
    struct received r = take_all(s);
    assert_int_equal(r.polls, 100);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_selection_refuses),
        cmocka_unit_test(test_patterns_are_bounded),
        cmocka_unit_test(test_which_namespaces_a_selection_wants),
        cmocka_unit_test(test_same_selections),
        cmocka_unit_test(test_stream_info),
        cmocka_unit_test(test_what_a_poll_is_to_collect),
        cmocka_unit_test(test_the_length_of_all_filters),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_who_pays_for_what_is_shared),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_a_refusal_leaves_nothing),
        cmocka_unit_test(test_patterns_are_paid_for),
        cmocka_unit_test(test_bounds_that_come_down),
        cmocka_unit_test(test_everybody_gets_their_rows),
        cmocka_unit_test(test_few_rows_keep_no_large_batch),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_lost_is_what_was_wanted),
        cmocka_unit_test(test_a_slow_stream_with_a_filter),
        cmocka_unit_test(test_in_the_middle_of_a_poll),
        cmocka_unit_test(test_gone_before_the_poll_begins),
        cmocka_unit_test(test_a_poll_that_never_began),
        cmocka_unit_test(test_the_first_message),
        cmocka_unit_test(test_coming_and_going_during_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
