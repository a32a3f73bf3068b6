/* A watch without a network: what waits in its slot for a client, and which sockets a search adds to it. */
#include <arpa/inet.h>
#include <errno.h>
#include <grpc/slice.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "rpc/codec/msg_focus.h"
#include "server/watch/focus_internal.h"
#include "server_fake_rpc.h"

/* ---- The slot ---- */

/* Takes the next message out, which must be there, and reads it; the copy that it is in is for free(). */
static uint8_t *take(struct focus_slot *s, struct focus_event *event, bool *more)
{
    struct rpc_message m = {0};
    assert_true(focus_slot_next(s, &m));
    *more = m.more;
    size_t len = 0;
    for (size_t i = 0; i < m.n; i++)
        len += GRPC_SLICE_LENGTH(m.slices[i]);
    uint8_t *bytes = malloc(len ? len : 1);
    size_t at = 0;
    for (size_t i = 0; i < m.n; i++) {
        memcpy(bytes + at, GRPC_SLICE_START_PTR(m.slices[i]), GRPC_SLICE_LENGTH(m.slices[i]));
        at += GRPC_SLICE_LENGTH(m.slices[i]);
        grpc_slice_unref(m.slices[i]);
    }
    assert_int_equal(focus_event_decode(bytes, len, event, NULL), 0);
    return bytes;
}

static void assert_empty(struct focus_slot *s)
{
    struct rpc_message m;
    assert_false(focus_slot_next(s, &m));
}

static void put_tick(struct focus_slot *s, uint64_t number, const char *rows, uint64_t n, uint64_t skipped)
{
    struct buf b;
    buf_init(&b);
    buf_str(&b, rows);
    focus_slot_tick(s, &(struct focus_tick){.tick = number, .ticks_skipped = skipped}, &b, n);
    buf_free(&b);
}

static struct lookup_socket socket_with(uint64_t cookie)
{
    struct lookup_socket s = {.family = AF_INET};
    s.id.idiag_sport = htons(443);
    s.id.idiag_cookie[0] = (uint32_t)cookie;
    s.id.idiag_cookie[1] = (uint32_t)(cookie >> 32);
    return s;
}

static void test_the_newest_tick_waits(void **state)
{
    (void)state;
    struct focus_slot s;
    struct focus_event event;
    bool more;
    focus_slot_init(&s);
    assert_empty(&s);
    assert_int_equal(focus_slot_info(&s, &(struct focus_info){.sockets = 3}), 0);
    put_tick(&s, 1, "one", 10, 0);
    uint8_t *bytes = take(&s, &event, &more); /* info comes first, and alone */
    assert_non_null(event.info);
    assert_int_equal(event.tick.tick, 0);
    assert_true(more);
    focus_event_free(&event);
    free(bytes);
    put_tick(&s, 2, "two", 20, 3);
    put_tick(&s, 6, "six", 30, 1);
    bytes = take(&s, &event, &more);
    assert_null(event.info);
    assert_int_equal(event.tick.tick, 6);
    assert_int_equal(event.tick.ticks_dropped, 2);
    assert_int_equal(event.tick.rows_dropped, 30); /* of the first and the second */
    assert_int_equal(event.tick.ticks_skipped, 4);
    assert_int_equal(event.rows_len, 3);
    assert_memory_equal(event.rows, "six", 3);
    focus_event_free(&event);
    free(bytes);
    assert_empty(&s);
    put_tick(&s, 7, "", 0, 0); /* counted anew */
    bytes = take(&s, &event, &more);
    assert_int_equal(event.tick.ticks_dropped, 0);
    assert_int_equal(event.tick.ticks_skipped, 0);
    assert_null(event.rows);
    assert_false(more);
    focus_event_free(&event);
    free(bytes);
    focus_slot_fini(&s);
}

static void test_ends_and_errors_are_kept(void **state)
{
    (void)state;
    struct focus_slot s;
    struct focus_event event;
    bool more;
    struct lookup_socket id = socket_with(7);
    struct focus_about about = {.state = 1, .ended = FOCUS_END_CLOSED};
    struct focus_place p = {.where = {.ns = {.cookie = 9, .inode = 8}, .name = (char *)"blue"},
                            .ids = &id,
                            .about = &about,
                            .n = 1};
    struct err e;
    err_set(&e, ERR_PERMISSION, "no");
    focus_slot_init(&s);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(focus_slot_ended(&s, &p, 0, (int64_t)i), 0);
        put_tick(&s, i, "x", 1, 0);
    }
    int rc = 0;
    for (size_t i = 0; i < 100 && rc == 0; i++)
        rc = focus_slot_error(&s, &p, &e);
    assert_int_equal(rc, ERR_LIMIT); /* errors are bounded */
    uint8_t *bytes = take(&s, &event, &more);
    assert_int_equal(event.tick.n_ended, 3);
    assert_int_equal(event.tick.ended[2].timestamp_ns, 3);
    assert_string_equal(event.tick.ended[0].socket.netns, "blue");
    assert_int_equal(event.tick.ended[0].socket.cookie, 7);
    assert_int_equal(event.tick.ended[0].socket.source_port, 443);
    assert_int_equal(event.tick.ended[0].state, 1);
    assert_true(event.tick.n_errors > 0 && event.tick.n_errors < 100);
    assert_string_equal(event.tick.errors[0].text, "no");
    focus_event_free(&event);
    free(bytes);
    put_tick(&s, 4, "", 0, 0); /* and are told once */
    bytes = take(&s, &event, &more);
    assert_int_equal(event.tick.n_ended, 0);
    assert_int_equal(event.tick.n_errors, 0);
    focus_event_free(&event);
    free(bytes);
    rc = 0;
    for (size_t i = 0; i < 100000 && rc == 0; i++)
        rc = focus_slot_ended(&s, &p, 0, 0);
    assert_int_equal(rc, ERR_LIMIT); /* so are the ended */
    focus_slot_fini(&s);
}

/* ---- Sockets that a search adds ---- */

/* As a client would send it. */
static struct focus_request requested(const char *filter, uint32_t max_sockets)
{
    struct buf b;
    struct focus_request r;
    struct err e = {0};
    buf_init(&b);
    assert_int_equal(
        focus_request_encode(&(struct focus_request){.filter = filter, .max_sockets = max_sockets}, &b), 0);
    assert_int_equal(focus_request_decode(b.data, b.len, &r, &e), 0);
    buf_free(&b);
    return r;
}

static struct focus_watch *watch_new(uint32_t max_sockets)
{
    struct focus_watch *w = calloc(1, sizeof(*w));
    struct focus_request r = requested("dport = 1", max_sockets);
    struct err e = {0};
    assert_int_equal(focus_selection_new(&r, &w->current, &e), 0);
    assert_null(r.memory); /* it is the selection's now */
    focus_slot_init(&w->slot);
    return w;
}

static void watch_free(struct focus_watch *w)
{
    focus_watch_clear(w);
    free(w->places);
    free(w->gone);
    focus_selection_unref(w->current);
    focus_slot_fini(&w->slot);
    free(w);
}

/* A search found the cookies |from| to |to| in namespace |ns_id|. */
static void found_in(struct focus_watch *w, uint64_t ns_id, uint64_t from, uint64_t to, int64_t began_ns)
{
    struct focus_found *f = calloc(1, sizeof(*f));
    f->began_ns = began_ns;
    f->namespaces = 1;
    f->matched = f->n_hits = to - from + 1;
    f->hits = calloc(f->n_hits, sizeof(*f->hits));
    f->where = calloc(1, sizeof(*f->where));
    f->n_where = 1;
    f->where[0] = (struct focus_found_ns){
        .where = {.ns = {.id = ns_id}, .name = strdup("blue"), .path = strdup("/x")}, .n = f->n_hits};
    for (uint64_t i = from; i <= to; i++)
        f->hits[i - from] = (struct focus_hit){.id = socket_with(i), .state = 1};
    focus_watch_merge(w, f);
    focus_found_free(f);
}

static void test_a_search_adds_what_is_new(void **state)
{
    (void)state;
    struct focus_watch *w = watch_new(5);
    found_in(w, 1, 1, 3, 0);
    assert_int_equal(w->n_sockets, 3);
    found_in(w, 1, 1, 3, 0); /* the same again */
    assert_int_equal(w->n_sockets, 3);
    assert_int_equal(w->left_out, 0);
    found_in(w, 2, 1, 4, 0); /* the same cookies in another namespace are others */
    assert_int_equal(w->n_sockets, 5);
    assert_int_equal(w->n_places, 2);
    found_in(w, 1, 1, 9, 0); /* there is no room */
    assert_int_equal(w->n_sockets, 5);
    assert_int_equal(w->left_out, 4);
    watch_free(w);
}

static void test_what_has_ended_does_not_come_back(void **state)
{
    (void)state;
    struct focus_watch *w = watch_new(5);
    w->gone = calloc(2, sizeof(*w->gone));
    w->cap_gone = w->n_gone = 2;
    w->gone[0] = (struct focus_gone){.ns_id = 1, .cookie = {2, 0}, .at_ns = 100};
    w->gone[1] = (struct focus_gone){.ns_id = 1, .cookie = {3, 0}, .at_ns = 100, .ever = true};
    found_in(w, 1, 1, 4, 50); /* begun before they ended */
    assert_int_equal(w->n_sockets, 2);
    assert_int_equal(w->n_gone, 2);
    found_in(w, 1, 1, 4, 150); /* the first is remembered until a search has begun after it */
    assert_int_equal(w->n_sockets, 2);
    assert_int_equal(w->n_gone, 1);
    assert_true(w->gone[0].ever);
    watch_free(w);
}

static void test_empty_places_are_left(void **state)
{
    (void)state;
    struct focus_watch *w = watch_new(5);
    found_in(w, 1, 1, 2, 0);
    found_in(w, 2, 1, 2, 0);
    w->n_sockets -= w->places[0].n;
    w->places[0].n = 0;
    focus_watch_tidy(w);
    assert_int_equal(w->n_places, 1);
    assert_int_equal(w->places[0].where.ns.id, 2);
    assert_int_equal(w->n_sockets, 2);
    watch_free(w);
}

/* Nothing of an earlier selection comes after the info of the next. */
static void test_another_selection_begins_with_nothing(void **state)
{
    (void)state;
    struct focus_event event;
    bool more;
    struct lookup_socket id = socket_with(7);
    struct focus_about about = {.state = 1, .ended = FOCUS_END_CLOSED};
    struct focus_place p = {.where = {.name = (char *)"blue"}, .ids = &id, .about = &about, .n = 1};
    struct focus_watch *w = watch_new(5);
    assert_int_equal(focus_slot_ended(&w->slot, &p, 0, 1), 0);
    put_tick(&w->slot, 1, "old", 1, 5);
    focus_watch_begin(w, focus_selection_ref(w->current), NULL);
    assert_empty(&w->slot);
    focus_watch_start(w, NULL);
    put_tick(&w->slot, 1, "new", 1, 0);
    uint8_t *bytes = take(&w->slot, &event, &more);
    assert_non_null(event.info);
    focus_event_free(&event);
    free(bytes);
    bytes = take(&w->slot, &event, &more);
    assert_memory_equal(event.rows, "new", 3);
    assert_int_equal(event.tick.n_ended, 0);
    assert_int_equal(event.tick.ticks_skipped, 0);
    focus_event_free(&event);
    free(bytes);
    watch_free(w);
}

/* ---- When to search ---- */

static void test_searches_rest(void **state)
{
    (void)state;
    assert_int_equal(focus_search_rest(1000, 5, 3000), 4000);
    assert_int_equal(focus_search_rest(1000, 50, 3000), 6000); /* a hundredth of a CPU */
    assert_int_equal(focus_search_rest(1000, 50, 0), 1500);    /* another selection: a tenth */
}

/* ---- Accounting ---- */

/* All of focus but its threads, with two users. */
struct fixture {
    struct focus focus;
    struct config *config;
    struct quota *quota;
    struct rpc_call calls[2];
};

static const struct config *same_config(void *arg)
{
    return config_ref(arg);
}

static void setup(struct fixture *x)
{
    static const char *const names[] = {"uid 1000", "uid 1001"};
    memset(x, 0, sizeof(*x));
    assert_int_equal(config_defaults(&x->config), 0);
    x->focus.options = (struct focus_options){.config = same_config, .arg = x->config};
    pthread_mutex_init(&x->focus.lock, NULL);
    pthread_cond_init(&x->focus.tick_changed, NULL);
    pthread_cond_init(&x->focus.search_changed, NULL);
    x->quota = quota_new();
    assert_non_null(x->quota);
    for (size_t i = 0; i < 2; i++)
        x->calls[i] = (struct rpc_call){.quota = quota_user(x->quota, names[i]), .rank = QUOTA_LOCAL};
}

static void teardown(struct fixture *x)
{
    assert_int_equal(x->focus.n, 0);
    assert_int_equal(quota_total(x->quota, QUOTA_FOCUS_STREAMS), 0);
    assert_int_equal(quota_total(x->quota, QUOTA_FOCUS_RATE), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&x->calls[i].refs), 0);
        assert_int_equal(quota_used(x->calls[i].quota, QUOTA_FOCUS_STREAMS), 0);
        assert_int_equal(quota_used(x->calls[i].quota, QUOTA_FOCUS_RATE), 0);
        quota_user_unref(x->calls[i].quota);
    }
    quota_free(x->quota);
    free(x->focus.watches);
    pthread_cond_destroy(&x->focus.search_changed);
    pthread_cond_destroy(&x->focus.tick_changed);
    pthread_mutex_destroy(&x->focus.lock);
    config_unref(x->config);
}

static struct focus_watch *open_watch(struct fixture *x, size_t user)
{
    struct focus_watch *w = NULL;
    struct err e = {0};
    if (focus_open(&x->focus, &x->calls[user], &w, &e) != 0)
        fail_msg("%s", e.text);
    return w;
}

/* |w| asks for |units| lookups a second. */
static int ask(struct focus_watch *w, uint32_t units, struct err *e)
{
    struct focus_request r = requested("dport = 2", units / 10);
    r.interval_ns = NS_PER_S / 10;
    return focus_select(w, &r, e);
}

static void test_a_rate_is_given_and_taken(void **state)
{
    (void)state;
    struct fixture x;
    struct err e = {0};
    setup(&x);
    x.config->focus_rate_max = 10000;
    struct focus_watch *a = open_watch(&x, 0);
    struct focus_watch *b = open_watch(&x, 0);
    struct focus_watch *other = open_watch(&x, 1);
    assert_int_equal(ask(a, 3000, &e), 0);
    assert_int_equal(ask(b, 2000, &e), 0);
    assert_int_equal(ask(b, 3000, &e), ERR_LIMIT);
    assert_string_equal(e.text,
                        "300 sockets every 100 ms may be 3000 lookups a second: lookups a second: uid 1000 "
                        "has 5000 and asks for 1000, its share is 5000 of 10000 (focus_rate_max, "
                        "user_share_percent 50)");
    assert_int_equal(b->units, 2000); /* what it had */
    assert_int_equal(b->asked->request.max_sockets, 200);
    assert_int_equal(ask(other, 4000, &e), 0);
    assert_int_equal(ask(other, 5000, &e), ERR_LIMIT); /* the rest is reserved */
    assert_non_null(strstr(e.text, "reserved_percent 10"));
    assert_int_equal(ask(a, 1000, &e), 0);
    assert_int_equal(ask(b, 4000, &e), 0);
    assert_int_equal(quota_total(x.quota, QUOTA_FOCUS_RATE), 9000);
    x.config->focus_rate_max = 100; /* takes nothing away, and less is always to be had */
    assert_int_equal(ask(b, 4100, &e), ERR_LIMIT);
    assert_int_equal(ask(b, 3000, &e), 0);
    assert_int_equal(quota_used(x.calls[0].quota, QUOTA_FOCUS_RATE), 4000);
    focus_dismiss(a);
    focus_dismiss(a);
    assert_int_equal(quota_used(x.calls[0].quota, QUOTA_FOCUS_RATE), 3000);
    assert_int_equal(quota_used(x.calls[0].quota, QUOTA_FOCUS_STREAMS), 1);
    assert_int_equal(ask(a, 100, &e), ERR_CANCELLED); /* too late: it takes nothing any more */
    focus_close(a);
    focus_close(b);
    focus_close(other);
    teardown(&x);
}

static void test_a_share_of_the_streams(void **state)
{
    (void)state;
    struct fixture x;
    struct err e = {0};
    struct focus_watch *watches[4];
    struct focus_watch *w;
    setup(&x);
    x.config->focus_streams_max = 8;
    for (size_t i = 0; i < 4; i++)
        watches[i] = open_watch(&x, 0);
    assert_int_equal(focus_open(&x.focus, &x.calls[0], &w, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "its share is 4 of 8 (focus_streams_max, user_share_percent 50)"));
    focus_close(open_watch(&x, 1));
    x.focus.lost = true;
    assert_int_equal(focus_open(&x.focus, &x.calls[1], &w, &e), ERR_UNAVAILABLE);
    x.focus.lost = false;
    struct quota_user *user = x.calls[1].quota;
    x.calls[1].quota = NULL; /* there was no memory for one */
    assert_int_equal(focus_open(&x.focus, &x.calls[1], &w, &e), -ENOMEM);
    x.calls[1].quota = user;
    for (size_t i = 0; i < 4; i++)
        focus_close(watches[i]);
    teardown(&x);
}

/* A client that asks for something else all the time does not get a search for each request. */
static void test_requests_do_not_hurry_searches(void **state)
{
    (void)state;
    struct fixture x;
    struct err e = {0};
    setup(&x);
    struct focus_watch *w = open_watch(&x, 0);
    assert_int_equal(ask(w, 1000, &e), 0);
    assert_in_range(w->search_ns, 1,
                    clock_mono_ns()); /* the first one at once, after those that were due before */
    w->rested_ns = clock_mono_ns() + 1000 * NS_PER_S;
    assert_int_equal(ask(w, 1000, &e), 0);
    assert_int_equal(w->search_ns, w->rested_ns);
    focus_close(w);
    teardown(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_tick_waits),
        cmocka_unit_test(test_ends_and_errors_are_kept),
        cmocka_unit_test(test_another_selection_begins_with_nothing),
        cmocka_unit_test(test_a_search_adds_what_is_new),
        cmocka_unit_test(test_what_has_ended_does_not_come_back),
        cmocka_unit_test(test_empty_places_are_left),
        cmocka_unit_test(test_searches_rest),
        cmocka_unit_test(test_a_rate_is_given_and_taken),
        cmocka_unit_test(test_a_share_of_the_streams),
        cmocka_unit_test(test_requests_do_not_hurry_searches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
