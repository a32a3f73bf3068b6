/* Requests and responses of FocusService. */
#include "rpc_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "rpc/codec/msg_focus.h"

static const struct focus_socket four = {.netns_cookie = 7,
                                         .netns = "blue",
                                         .family = AF_INET,
                                         .source = {127, 0, 0, 1},
                                         .destination = {192, 0, 2, 1},
                                         .source_port = 443,
                                         .destination_port = 65535,
                                         .interface = 3,
                                         .cookie = 0x1122334455667788};
static const struct focus_socket six = {
    .netns = "", .family = AF_INET6, .source = {0x20, 1}, .source_port = 1};

static void assert_same_socket(const struct focus_socket *a, const struct focus_socket *b)
{
    assert_int_equal(a->netns_cookie, b->netns_cookie);
    assert_string_equal(a->netns, b->netns);
    assert_int_equal(a->family, b->family);
    assert_memory_equal(a->source, b->source, sizeof(a->source));
    assert_memory_equal(a->destination, b->destination, sizeof(a->destination));
    assert_int_equal(a->source_port, b->source_port);
    assert_int_equal(a->destination_port, b->destination_port);
    assert_int_equal(a->interface, b->interface);
    assert_int_equal(a->cookie, b->cookie);
}

/* ---- Requests ---- */

static int decode(const struct focus_request *in, struct focus_request *out, struct err *e)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(focus_request_encode(in, &b), 0);
    *e = (struct err){0};
    int rc = focus_request_decode(b.data, b.len, out, e);
    buf_free(&b);
    return rc;
}

static void test_request_round_trip(void **state)
{
    (void)state;
    const char *columns[] = {"tcp_info_rtt", "netns"};
    const char *netns[] = {"blue*", "4026531840"};
    const struct focus_socket sockets[] = {four, six};
    struct err e;
    struct focus_request out, in = {.filter = "dport = 443",
                                    .netns = netns,
                                    .n_netns = 2,
                                    .sockets = sockets,
                                    .n_sockets = 2,
                                    .interval_ns = FOCUS_INTERVAL_MIN_NS,
                                    .lookup_interval_ns = FOCUS_LOOKUP_MAX_NS,
                                    .max_sockets = 9,
                                    .columns = columns,
                                    .n_columns = 2};
    assert_int_equal(decode(&in, &out, &e), 0);
    assert_string_equal(out.filter, "dport = 443");
    assert_int_equal(out.n_netns, 2);
    assert_string_equal(out.netns[1], "4026531840");
    assert_int_equal(out.n_sockets, 2);
    assert_same_socket(&out.sockets[0], &four);
    assert_same_socket(&out.sockets[1], &six);
    assert_int_equal(out.interval_ns, in.interval_ns);
    assert_int_equal(out.lookup_interval_ns, in.lookup_interval_ns);
    assert_int_equal(out.max_sockets, 9);
    assert_int_equal(out.n_columns, 2);
    assert_string_equal(out.columns[0], "tcp_info_rtt");
    focus_request_free(&out);
}

static void test_what_is_left_to_the_daemon(void **state)
{
    (void)state;
    struct err e;
    struct focus_request out;
    assert_int_equal(decode(&(struct focus_request){.filter = "x"}, &out, &e), 0);
    assert_int_equal(out.interval_ns, FOCUS_INTERVAL_DEFAULT_NS);
    assert_int_equal(out.lookup_interval_ns, FOCUS_LOOKUP_DEFAULT_NS);
    assert_int_equal(out.max_sockets, FOCUS_WATCHED_DEFAULT);
    focus_request_free(&out);
    static struct focus_socket many[FOCUS_WATCHED_DEFAULT + 1];
    for (size_t i = 0; i <= FOCUS_WATCHED_DEFAULT; i++)
        many[i] = four;
    struct focus_request in = {.sockets = many, .n_sockets = FOCUS_WATCHED_DEFAULT + 1};
    assert_int_equal(decode(&in, &out, &e), 0);
    assert_null(out.filter);
    assert_int_equal(out.max_sockets, FOCUS_WATCHED_DEFAULT + 1);
    focus_request_free(&out);
}

static void assert_refused(const struct focus_request *in, int code, const char *text)
{
    struct err e;
    struct focus_request out;
    assert_int_equal(decode(in, &out, &e), code);
    if (!strstr(e.text, text))
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    assert_null(out.memory);
}

static void test_bounds(void **state)
{
    (void)state;
    struct focus_request in = {.filter = "x", .interval_ns = FOCUS_INTERVAL_MIN_NS - 1};
    assert_refused(&in, ERR_RANGE, "interval_ns: 9999999, allowed are 10000000 to 10000000000");
    in.interval_ns = FOCUS_INTERVAL_MAX_NS + 1;
    assert_refused(&in, ERR_RANGE, "interval_ns: 10000000001");
    in.interval_ns = -1;
    assert_refused(&in, ERR_RANGE, "interval_ns: 18446744073709551615");
    in.interval_ns = 0;
    in.lookup_interval_ns = FOCUS_LOOKUP_MIN_NS - 1;
    assert_refused(&in, ERR_RANGE, "lookup_interval_ns: 99999999");
    assert_refused(&(struct focus_request){0}, ERR_RANGE, "nothing to watch");
    struct focus_socket s = four;
    struct focus_request named = {.sockets = &s, .n_sockets = 1};
    s.family = AF_UNIX;
    assert_refused(&named, ERR_RANGE, "sockets[0].family: 1 is neither");
    s = four;
    s.source_port = 0;
    assert_refused(&named, ERR_RANGE, "sockets[0].source_port: 0");
    static struct focus_socket many[FOCUS_SOCKETS_MAX + 1];
    for (size_t i = 0; i <= FOCUS_SOCKETS_MAX; i++)
        many[i] = four;
    named = (struct focus_request){.sockets = many, .n_sockets = FOCUS_SOCKETS_MAX + 1};
    assert_refused(&named, ERR_RANGE, "sockets: 4097 entries, allowed are 4096");
    named = (struct focus_request){.sockets = many, .n_sockets = 3, .max_sockets = 2};
    assert_refused(&named, ERR_RANGE, "sockets: 3 entries, more than max_sockets (2)");
    char *text = malloc(SUBSCRIPTION_FILTER_MAX + 2);
    memset(text, 'x', SUBSCRIPTION_FILTER_MAX + 1);
    text[SUBSCRIPTION_FILTER_MAX + 1] = '\0';
    assert_refused(&(struct focus_request){.filter = text}, ERR_RANGE, "filter: 16385 bytes long");
    const char *one = text;
    in = (struct focus_request){.filter = "x", .columns = &one, .n_columns = 1};
    assert_refused(&in, ERR_RANGE, "columns: entry 1 is 16385 bytes long, allowed are 255");
    free(text);
}

static void test_addresses(void **state)
{
    (void)state;
    /* SocketId { family: 2, source: 3 bytes, source_port: 1 } in WatchRequest.sockets */
    static const uint8_t bytes[] = {0x1a, 9, 0x18, 2, 0x22, 3, 1, 2, 3, 0x28, 1};
    struct focus_request out;
    struct err e = {0};
    assert_int_equal(focus_request_decode(bytes, sizeof(bytes), &out, &e), ERR_RANGE);
    assert_string_equal(e.text, "sockets[0].source: 3 bytes long, must be 4 or empty");
    for (size_t n = 1; n < sizeof(bytes); n++)
        assert_true(focus_request_decode(bytes, n, &out, &e) < 0);
}

/* ---- Responses ---- */

static void test_info_round_trip(void **state)
{
    (void)state;
    const struct filter_part parts[] = {{"dport = 1", FILTER_PLACE_KERNEL},
                                        {"rtt > 1", FILTER_PLACE_COLLECTOR}};
    const char *columns[] = {"netns"};
    const struct focus_info in = {.filter = "dport = 1 and rtt > 1",
                                  .parts = parts,
                                  .n_parts = 2,
                                  .columns = columns,
                                  .n_columns = 1,
                                  .interval_ns = 10,
                                  .lookup_interval_ns = 20,
                                  .max_sockets = 30,
                                  .namespaces = 40,
                                  .sockets = 50,
                                  .matched = 60};
    struct buf b;
    struct focus_event out;
    buf_init(&b);
    assert_int_equal(focus_info_encode(&b, &in), 0);
    assert_int_equal(focus_event_decode(b.data, b.len, &out, NULL), 0);
    assert_non_null(out.info);
    assert_string_equal(out.info->filter, in.filter);
    assert_int_equal(out.info->n_parts, 2);
    assert_string_equal(out.info->parts[1].expression, "rtt > 1");
    assert_int_equal(out.info->parts[1].place, FILTER_PLACE_COLLECTOR);
    assert_string_equal(out.info->columns[0], "netns");
    assert_int_equal(out.info->interval_ns, 10);
    assert_int_equal(out.info->lookup_interval_ns, 20);
    assert_int_equal(out.info->max_sockets, 30);
    assert_int_equal(out.info->namespaces, 40);
    assert_int_equal(out.info->sockets, 50);
    assert_int_equal(out.info->matched, 60);
    assert_int_equal(out.tick.tick, 0);
    focus_event_free(&out);
    buf_free(&b);
}

static void put_tick(struct buf *b)
{
    const struct focus_ended ended[] = {{four, FOCUS_END_CLOSED, 11, 1}, {six, FOCUS_END_NOT_FOUND, 12, 0}};
    const struct poll_error error = {.name = "red", .inode = 1, .cookie = 2, .code = -13, .text = "why"};
    const struct focus_tick in = {.tick = 1,
                                  .timestamp_ns = 2,
                                  .late_ns = 3,
                                  .sockets = 4,
                                  .left_out = 5,
                                  .ticks_skipped = 6,
                                  .ticks_dropped = 7,
                                  .rows_dropped = 8,
                                  .ended = ended,
                                  .n_ended = 2,
                                  .errors = &error,
                                  .n_errors = 1};
    assert_int_equal(focus_tick_encode(b, &in), 0);
}

static void assert_tick(const struct focus_tick *t)
{
    assert_int_equal(t->tick, 1);
    assert_int_equal(t->timestamp_ns, 2);
    assert_int_equal(t->late_ns, 3);
    assert_int_equal(t->sockets, 4);
    assert_int_equal(t->left_out, 5);
    assert_int_equal(t->ticks_skipped, 6);
    assert_int_equal(t->ticks_dropped, 7);
    assert_int_equal(t->rows_dropped, 8);
    assert_int_equal(t->n_ended, 2);
    assert_same_socket(&t->ended[0].socket, &four);
    assert_same_socket(&t->ended[1].socket, &six);
    assert_int_equal(t->ended[0].reason, FOCUS_END_CLOSED);
    assert_int_equal(t->ended[0].timestamp_ns, 11);
    assert_int_equal(t->ended[0].state, 1);
    assert_int_equal(t->n_errors, 1);
    assert_string_equal(t->errors[0].name, "red");
    assert_int_equal(t->errors[0].code, -13);
}

static void test_tick_round_trip(void **state)
{
    (void)state;
    struct buf b;
    struct focus_event out;
    buf_init(&b);
    put_tick(&b);
    focus_put_rows(&b, 5);
    buf_bytes(&b,
              "\x52\x03"
              "abc",
              5);
    assert_int_equal(focus_event_decode(b.data, b.len, &out, NULL), 0);
    assert_null(out.info);
    assert_tick(&out.tick);
    assert_int_equal(out.rows_len, 5);
    assert_ptr_equal(out.rows, b.data + b.len - 5); /* in place */
    focus_event_free(&out);
    /* Rows in front are the same. */
    struct buf turned;
    buf_init(&turned);
    buf_bytes(&turned, b.data + b.len - 7, 7);
    buf_bytes(&turned, b.data, b.len - 7);
    assert_int_equal(focus_event_decode(turned.data, turned.len, &out, NULL), 0);
    assert_tick(&out.tick);
    assert_int_equal(out.rows_len, 5);
    focus_event_free(&out);
    /* Twice they are wrong. */
    struct err e = {0};
    focus_put_rows(&b, 0);
    assert_int_equal(focus_event_decode(b.data, b.len, &out, &e), ERR_MALFORMED);
    assert_non_null(strstr(e.text, "rows"));
    buf_free(&turned);
    buf_free(&b);
}

/* Every prefix of a response is one or is refused, and nothing is read behind it. */
static void test_cut_responses(void **state)
{
    (void)state;
    struct buf b;
    struct focus_event out;
    buf_init(&b);
    put_tick(&b);
    focus_put_rows(&b, 3);
    buf_bytes(&b, "abc", 3);
    size_t refused = 0;
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        if (n)
            memcpy(copy, b.data, n);
        struct err e = {0};
        int rc = focus_event_decode(copy, n, &out, &e);
        assert_true(rc == 0 || rc == ERR_MALFORMED);
        refused += rc != 0;
        focus_event_free(&out);
        free(copy);
    }
    assert_true(refused > b.len / 2);
    /* An end without a socket. */
    assert_int_equal(focus_event_decode("\x32\x00", 2, &out, NULL), ERR_MALFORMED);
    buf_free(&b);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(focus_end_name(FOCUS_END_CLOSED), "closed");
    assert_string_equal(focus_end_name(FOCUS_END_UNREACHABLE), "not reachable");
    assert_string_equal(focus_end_name(FOCUS_END_UNREACHABLE + 1), "unknown");
    assert_string_equal(focus_end_name(UINT32_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_round_trip),
        cmocka_unit_test(test_what_is_left_to_the_daemon),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_info_round_trip),
        cmocka_unit_test(test_tick_round_trip),
        cmocka_unit_test(test_cut_responses),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
