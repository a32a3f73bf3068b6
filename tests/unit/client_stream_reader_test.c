/* Messages of a stream on their way to the output: envelopes and single records, edges of polls and their
 * absence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/show/record_pipeline.h"
#include "client/show/stream_reader.h"
#include "rpc/codec/msg_stream.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"

struct bench {
    struct options options;
    struct output out;
    struct session session;
    struct record_pipeline show;
    struct stream_reader reader;
    int errors; /* a memory file in the place of standard error */
};

static struct bench *bench_with(const struct options *options)
{
    struct bench *b = calloc(1, sizeof(*b));
    b->options = *options;
    output_init(&b->out, memfd_create("out", 0));
    b->options.target = "here";
    b->session = (struct session){.options = &b->options, .out = &b->out};
    b->errors = memfd_create("err", 0);
    b->out.notes_fd = b->errors;
    assert_int_equal(record_pipeline_open(&b->show, &b->options, &b->out, false), 0);
    stream_reader_init(&b->reader, &b->session, b->show.records, b->show.query);
    return b;
}

static struct bench *bench_new(enum output_format format)
{
    return bench_with(&(struct options){.output = format});
}

static void read_all(int fd, char *text, size_t size)
{
    ssize_t n = pread(fd, text, size - 1, 0);
    text[n < 0 ? 0 : n] = 0;
}

/* The output and the text on standard error; ends the bench. */
static void bench_end(struct bench *b, char out[4096], char errors[4096])
{
    record_pipeline_close(&b->show);
    read_all(b->out.fd, out, 4096);
    read_all(b->errors, errors, 4096);
    close(b->out.fd);
    close(b->errors);
    output_fini(&b->out);
    free(b);
}

static int feed(struct bench *b, const struct buf *message)
{
    struct err e = {0};
    struct rpc_bytes bytes = {.data = (uint8_t *)message->data, .len = message->len};
    return stream_reader_message(&b->reader, &bytes, &e);
}

/* A response with |n| rows of the poll, in an envelope, or one row on its own. */
static int feed_rows(struct bench *b, uint64_t poll_id, int64_t timestamp, size_t n, bool envelope)
{
    XtcpFlatRecord__V1__XtcpFlatRecord r;
    XtcpFlatRecord__V1__XtcpFlatRecord *rows[8] = {&r, &r, &r, &r, &r, &r, &r, &r};
    XtcpFlatRecord__V1__Envelope env = XTCP_FLAT_RECORD__V1__ENVELOPE__INIT;
    XtcpFlatRecord__V1__FlatRecordsResponse reply = XTCP_FLAT_RECORD__V1__FLAT_RECORDS_RESPONSE__INIT;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    r.poll_id = poll_id;
    r.timestamp_ns = timestamp;
    r.netns = "default";
    env.row = rows;
    env.n_row = n;
    if (envelope)
        reply.envelope = &env;
    else
        reply.xtcp_flat_record = &r;
    struct buf message;
    buf_init(&message);
    size_t len = xtcp_flat_record__v1__flat_records_response__get_packed_size(&reply);
    message.len =
        xtcp_flat_record__v1__flat_records_response__pack(&reply, (uint8_t *)buf_reserve(&message, len));
    int rc = feed(b, &message);
    buf_free(&message);
    return rc;
}

static int feed_deferred(struct bench *b, uint64_t poll_id, uint64_t deferred_ns)
{
    struct poll_begin begin = {.poll_id = poll_id, .namespaces = 2, .deferred_ns = deferred_ns};
    struct buf message;
    buf_init(&message);
    assert_int_equal(stream_encode_begin(&message, &begin), 0);
    int rc = feed(b, &message);
    buf_free(&message);
    return rc;
}

static int feed_begin(struct bench *b, uint64_t poll_id)
{
    return feed_deferred(b, poll_id, 0);
}

static int feed_end(struct bench *b, const struct poll_end *end)
{
    struct buf message;
    buf_init(&message);
    assert_int_equal(stream_encode_end(&message, end), 0);
    int rc = feed(b, &message);
    buf_free(&message);
    return rc;
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_edges(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_TABLE);
    /* The rest of a poll that was under way does not count as one. */
    assert_int_equal(feed_rows(b, 6, 60, 2, true), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 6}), 0);
    assert_int_equal(b->reader.n_polls, 0);
    assert_int_equal(feed_begin(b, 7), 0);
    assert_int_equal(feed_rows(b, 7, 70, 3, true), 0);
    assert_int_equal(b->reader.n_polls, 0);
    assert_int_equal(
        feed_end(b, &(struct poll_end){.poll_id = 7, .sockets = 3, .namespaces = 2, .duration_ns = 3100000}),
        0);
    assert_int_equal(b->reader.n_polls, 1);
    assert_int_equal(b->reader.n_records, 5);
    bench_end(b, out, errors);
    assert_int_equal(lines(out), 6); /* titles once */
    assert_string_equal(errors, "poll 7: 3 sockets in 2 namespaces, 3.1ms; 0 lost\n");
}

static void test_held_back(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_JSONL);
    assert_int_equal(feed_deferred(b, 1, 180000000), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 1, .duration_ns = 1000000}), 0);
    assert_int_equal(feed_begin(b, 2), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 2, .duration_ns = 1000000}), 0);
    bench_end(b, out, errors);
    assert_string_equal(errors, "poll 1: 0 sockets in 0 namespaces, 1ms; 0 lost; held back 180ms by "
                                "max_cpu_percent\n"
                                "poll 2: 0 sockets in 0 namespaces, 1ms; 0 lost\n");
}

static void test_trouble(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_JSONL);
    const struct poll_error failed[] = {{.name = "bl\x1bue", .inode = 5, .code = -1, .text = "timed out"}};
    b->reader.quiet = true;
    assert_int_equal(feed_begin(b, 1), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 1, .sockets = 1, .namespaces = 1}), 0);
    assert_int_equal(feed_begin(b, 2), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 2,
                                                    .namespaces = 1,
                                                    .namespaces_failed = 2,
                                                    .rows_lost = 9,
                                                    .dumps_interrupted = 1,
                                                    .errors = failed,
                                                    .n_errors = 1}),
                     0);
    assert_int_equal(b->reader.n_polls, 2);
    bench_end(b, out, errors);
    assert_string_equal(out, "");
    assert_string_equal(
        errors,
        "poll 2: 0 sockets in 1 namespace, 0ns; 9 lost (this client was too slow); 2 namespaces failed; "
        "sockets came and went during 1 dump, some may be missing\n"
        "  namespace bl\\x1bue (inode 5): timed out\n"
        "  and 1 more\n");
}

/* Namespaces that are known and cannot be entered are in the line of each poll, and by name once, when asked
 * for. */
static void test_unseen(void **state)
{
    (void)state;
    static const struct poll_error list[] = {{.name = "late", .inode = 1, .text = "timed out"},
                                             {.name = "blue", .inode = 2, .text = "CAP_SYS_ADMIN is missing"},
                                             {.name = "gr\x1b"
                                                      "een",
                                              .inode = 3,
                                              .text = "CAP_SYS_ADMIN is missing"},
                                             {.name = "red", .inode = 4, .text = "no such device"}};
    const struct poll_end first = {.poll_id = 1,
                                   .namespaces = 1,
                                   .namespaces_failed = 1,
                                   .namespaces_unseen = 4, /* one of them is not listed */
                                   .errors = list,
                                   .n_errors = 4};
    const struct poll_end one = {
        .poll_id = 1, .namespaces = 1, .namespaces_unseen = 1, .errors = list + 1, .n_errors = 1};
    const char *const told[] = {
        /* as it is */
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace failed; 4 namespaces not seen "
        "(CAP_SYS_ADMIN is missing; no such device)\n"
        "  namespace late (inode 1): timed out\n"
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen (CAP_SYS_ADMIN is missing)\n"
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen (CAP_SYS_ADMIN is missing)\n",
        /* -v */
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace failed; 4 namespaces not seen "
        "(CAP_SYS_ADMIN is missing; no such device)\n"
        "  namespace late (inode 1): timed out\n"
        "  namespace blue (inode 2): CAP_SYS_ADMIN is missing\n"
        "  namespace gr\\x1been (inode 3): CAP_SYS_ADMIN is missing\n"
        "  namespace red (inode 4): no such device\n"
        "  and 1 more\n"
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen (CAP_SYS_ADMIN is missing)\n"
        "  namespace blue (inode 2): CAP_SYS_ADMIN is missing\n"
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen (CAP_SYS_ADMIN is missing)\n",
        /* -q */
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace failed; 4 namespaces not seen "
        "(CAP_SYS_ADMIN is missing; no such device)\n"
        "  namespace late (inode 1): timed out\n"
        "poll 1: 0 sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen (CAP_SYS_ADMIN is missing)\n"};
    for (int i = 0; i < 3; i++) {
        char out[4096], errors[4096];
        struct bench *b = bench_new(OUTPUT_JSONL);
        b->reader.verbose = i == 1;
        b->reader.quiet = i == 2;
        for (int k = 0; k < 3; k++) {
            assert_int_equal(feed_begin(b, 1), 0);
            assert_int_equal(feed_end(b, k ? &one : &first), 0);
        }
        bench_end(b, out, errors);
        assert_string_equal(errors, told[i]);
    }
}

/* A daemon that sends one record per message and nothing else: a poll ends where the next one begins. */
static void test_without_edges(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_TABLE);
    assert_int_equal(feed_rows(b, 0, 1700000000000000000, 1, false), 0);
    assert_int_equal(feed_rows(b, 0, 1700000000000000000, 1, false), 0);
    assert_int_equal(b->reader.n_polls, 0);
    assert_int_equal(feed_rows(b, 0, 1700000005000000000, 1, false), 0);
    assert_int_equal(b->reader.n_polls, 1);
    stream_reader_end(&b->reader);
    assert_int_equal(b->reader.n_polls, 2);
    bench_end(b, out, errors);
    assert_int_equal(lines(out), 4);
    assert_string_equal(errors, "poll of 2023-11-14T22:13:20.000Z: 2 sockets\n"
                                "poll of 2023-11-14T22:13:25.000Z: 1 socket\n");
}

static void test_limit(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_TABLE);
    b->reader.max_records = 5;
    assert_int_equal(feed_rows(b, 1, 1, 3, true), 0);
    assert_int_equal(feed_rows(b, 1, 1, 8, true), 1);
    assert_int_equal(b->reader.n_records, 5);
    record_sink_flush(b->show.records);
    bench_end(b, out, errors);
    assert_int_equal(lines(out), 6);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const messages[] = {"\xff", "\x0a\x05\x01", "\x0a\x02\xff\xff",
                                           "\xa2\x06\x02\x52\x7f"};
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_TABLE);
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct buf message;
        buf_init(&message);
        buf_str(&message, messages[i]);
        assert_int_equal(feed(b, &message), ERR_MALFORMED);
        buf_free(&message);
    }
    assert_int_equal(b->reader.n_records, 0);
    bench_end(b, out, errors);
    assert_string_equal(out, "");
}

/* null writes nothing, and tells at the end how fast the records came. */
static void test_rates(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct bench *b = bench_new(OUTPUT_NULL);
    assert_int_equal(feed_rows(b, 1, 1, 3, true), 0);
    bench_end(b, out, errors);
    assert_string_equal(out, "");
    assert_int_equal(strncmp(errors, "3 records, ", 11), 0);
    assert_non_null(strstr(errors, " records/s, "));
    assert_int_equal(lines(errors), 1);
}

/* Each poll is sorted when it is over, whatever comes in between. */
static void test_sorted(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    const struct options o = {.output = OUTPUT_CSV,
                              .columns = "poll_id,timestamp_ns",
                              .sort_by = "-timestamp_ns",
                              .no_header = true};
    struct bench *b = bench_with(&o);
    assert_int_equal(feed_begin(b, 1), 0);
    assert_int_equal(feed_rows(b, 1, 5, 1, true), 0);
    assert_int_equal(record_sink_flush(b->show.records), 0);
    assert_int_equal(feed_rows(b, 1, 7, 2, true), 0);
    assert_int_equal(feed_rows(b, 1, 6, 1, true), 0);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 1}), 0);
    assert_int_equal(feed_rows(b, 2, 1, 1, true), 0);
    bench_end(b, out, errors); /* what waits is not lost */
    assert_string_equal(out, "1,7\n1,7\n1,6\n1,5\n2,1\n");
}

/* A list is one also when it ends in the middle of a poll; the time stands in front. */
static void test_list(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    const struct options o = {.output = OUTPUT_JSON, .columns = "netns", .time = true};
    struct bench *b = bench_with(&o);
    assert_int_equal(feed_rows(b, 1, 1700000000000000000, 2, true), 0);
    bench_end(b, out, errors);
    assert_string_equal(out, "[\n{\"time\":\"2023-11-14T22:13:20.000Z\",\"netns\":\"default\"},\n"
                             "{\"time\":\"2023-11-14T22:13:20.000Z\",\"netns\":\"default\"}\n]\n");
}

/* A daemon that says nothing about the filter sends everything: the choice is made here. */
static void test_choice(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct options o = {.output = OUTPUT_CSV, .columns = "timestamp_ns", .verbose = true, .no_header = true};
    o.arguments = (struct option_list){.items = {"timestamp_ns", "=", "7"}, .n = 3};
    struct bench *b = bench_with(&o);
    assert_int_equal(feed_begin(b, 1), 0);
    assert_int_equal(feed_rows(b, 1, 6, 2, true), 0);
    assert_int_equal(feed_rows(b, 1, 7, 1, true), 0);
    assert_int_equal(b->reader.n_records, 1);
    assert_int_equal(feed_end(b, &(struct poll_end){.poll_id = 1, .sockets = 3, .namespaces = 1}), 0);
    bench_end(b, out, errors);
    assert_string_equal(out, "7\n");
    assert_string_equal(errors,
                        "xtcp2client: here does not tell what it filters: filter, namespaces and columns "
                        "are applied here\n"
                        "poll 1: 1 matching socket in 1 namespace, 0ns; 0 lost\n");
}

/* One that does, has: what comes is shown. */
static void test_no_choice(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct options o = {.output = OUTPUT_CSV, .columns = "timestamp_ns", .no_header = true};
    o.netns = (struct option_list){.items = {"web*"}, .n = 1};
    struct bench *b = bench_with(&o);
    struct buf message;
    buf_init(&message);
    assert_int_equal(stream_encode_info(&message, &(struct subscription_info){.filter = ""}), 0);
    assert_int_equal(feed(b, &message), 0);
    buf_free(&message);
    assert_int_equal(feed_rows(b, 1, 6, 2, true), 0);
    bench_end(b, out, errors);
    assert_string_equal(out, "6\n6\n");
}

static int feed_poll(struct bench *b, uint64_t poll_id, const char *warning)
{
    const struct poll_end end = {.poll_id = poll_id, .warnings = &warning, .n_warnings = warning ? 1 : 0};
    struct buf message;
    buf_init(&message);
    assert_int_equal(stream_encode_begin(&message, &(struct poll_begin){.poll_id = poll_id}), 0);
    int rc = feed(b, &message);
    buf_reset(&message);
    assert_int_equal(stream_encode_end(&message, &end), 0);
    rc = rc ? rc : feed(b, &message);
    buf_free(&message);
    return rc;
}

/* Names that nothing has are told once, beside the first poll when it is empty; however many there are. */
static void test_unknown_names(void **state)
{
    (void)state;
    char out[4096], errors[4096], long_one[700];
    struct buf info;
    struct options o = {.output = OUTPUT_JSONL, .quiet = true, .netns = {.items = {"web*"}, .n = 1}};
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    const char *const warnings[] = {"nothing is called \x1b[2J", long_one, long_one, "too much"};
    for (int rows = 0; rows < 2; rows++) {
        struct bench *b = bench_with(&o);
        buf_init(&info);
        assert_int_equal(
            stream_encode_info(&info, &(struct subscription_info){.warnings = warnings, .n_warnings = 4}), 0);
        assert_int_equal(feed(b, &info), 0);
        if (rows) {
            struct buf begin;
            buf_init(&begin);
            assert_int_equal(stream_encode_begin(&begin, &(struct poll_begin){.poll_id = 1}), 0);
            assert_int_equal(feed(b, &begin), 0);
            assert_int_equal(feed_rows(b, 1, 6, 2, true), 0);
            buf_reset(&begin);
            assert_int_equal(stream_encode_end(&begin, &(struct poll_end){.poll_id = 1}), 0);
            assert_int_equal(feed(b, &begin), 0);
            buf_free(&begin);
        } else {
            assert_int_equal(feed_poll(b, 1, "no device"), 0);
        }
        assert_int_equal(feed_poll(b, 2, "no device"), 0);
        bench_end(b, out, errors);
        buf_free(&info);
        if (rows) {
            assert_string_equal(errors, "");
        } else {
            assert_non_null(strstr(errors, "nothing is called \\x1b[2J\n"));
            assert_non_null(strstr(errors, "no device\n"));
            assert_null(strstr(strstr(errors, "no device\n") + 1, "no device"));
        }
    }
}

/* Each name once, also when the stream begins anew or the end of a poll says it again; nothing that is empty.
 */
static void test_unknown_names_once(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct buf info;
    const struct options o = {.output = OUTPUT_JSONL, .quiet = true, .netns = {.items = {"web*"}, .n = 1}};
    const char *const warnings[] = {"no device", "", "no device", "no dev"};
    struct bench *b = bench_with(&o);
    buf_init(&info);
    assert_int_equal(
        stream_encode_info(&info, &(struct subscription_info){.warnings = warnings, .n_warnings = 4}), 0);
    assert_int_equal(feed(b, &info), 0);
    stream_reader_again(&b->reader);
    assert_int_equal(feed(b, &info), 0);
    assert_int_equal(feed_poll(b, 1, "no dev"), 0);
    bench_end(b, out, errors);
    buf_free(&info);
    assert_string_equal(errors, "xtcp2client: no device\nxtcp2client: no dev\n");
}

/* With a choice of namespaces those that nobody can see count only where they are listed and chosen. */
static void test_unseen_chosen(void **state)
{
    (void)state;
    static const struct poll_error list[] = {{.name = "web1", .inode = 1, .text = "timed out"}};
    static const struct poll_end ends[] = {
        {.poll_id = 1, .namespaces = 1, .namespaces_unseen = 5},
        {.poll_id = 2, .namespaces = 1, .namespaces_unseen = 5, .errors = list, .n_errors = 1}};
    char out[4096], errors[4096];
    const struct options o = {.output = OUTPUT_JSONL, .netns = {.items = {"web*"}, .n = 1}};
    struct bench *b = bench_with(&o);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(feed_begin(b, i + 1), 0);
        assert_int_equal(feed_end(b, &ends[i]), 0);
    }
    bench_end(b, out, errors);
    assert_string_equal(errors,
                        "poll 1: 0 matching sockets in 1 namespace, 0ns; 0 lost\n"
                        "poll 2: 0 matching sockets in 1 namespace, 0ns; 0 lost; 1 namespace not seen "
                        "(timed out)\n");
}

/* Daemons are asked in words that older ones take for the same. */
static void test_words_of_filters(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *asked;
    } cases[] = {
        {"RETRANS > 0", "total_retrans > 0"},
        {"retrans_out > 0", "tcp_info_retrans > 0"},
        {"LOCAL = 10.0.0.1:80", "src = 10.0.0.1 and sport = 80"},
        {"info_len > 100", "tcp_info_len > 100"},
        {"idle > 5s", "exclude listening and lastsnd > 5s and lastrcv > 5s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct options o = {.arguments = {.items = {cases[i].typed}, .n = 1}};
        struct query *q;
        struct view *v;
        struct err e;
        assert_int_equal(view_new(&o, &v, &e), 0);
        assert_int_equal(query_new(&o, v, &q, &e), 0);
        assert_string_equal(query_filter(q), cases[i].asked);
        query_free(q);
        view_free(v);
    }
    /* The other form of it has more comparisons than a filter may have. */
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 300; i++)
        buf_str(&text, i ? " or idle > 5s" : "idle > 5s");
    const struct options o = {.arguments = {.items = {buf_cstr(&text)}, .n = 1}};
    struct query *q;
    struct view *v;
    struct err e;
    assert_int_equal(view_new(&o, &v, &e), 0);
    assert_int_equal(query_new(&o, v, &q, &e), 0);
    assert_string_equal(query_filter(q), buf_cstr(&text));
    query_free(q);
    view_free(v);
    buf_free(&text);
}

/* A request that is refused is made once more, for everything. */
static void test_refused(void **state)
{
    (void)state;
    char out[4096], errors[4096];
    struct options o = {.output = OUTPUT_JSONL};
    struct buf request, plain;
    buf_init(&request);
    buf_init(&plain);
    struct bench *b = bench_with(&o);
    const struct rpc_status unimplemented = {.code = 12},
                            older = {.code = 3, .text = "columns: 'x' is no field"},
                            wrong = {.code = 3, .text = "netns: 300 patterns, allowed are 256"};
    assert_false(stream_reader_refused(&b->reader, &unimplemented)); /* there is nothing to leave out */
    assert_int_equal(stream_reader_request(&b->reader, &plain), 0);
    bench_end(b, out, errors);
    o.netns = (struct option_list){.items = {"web*"}, .n = 1};
    b = bench_with(&o);
    assert_int_equal(stream_reader_request(&b->reader, &request), 0);
    assert_true(request.len > plain.len);
    assert_false(stream_reader_refused(&b->reader, &wrong)); /* asking for less does not help */
    assert_true(stream_reader_refused(&b->reader, &unimplemented));
    assert_int_equal(stream_reader_request(&b->reader, &request), 0);
    assert_int_equal(request.len, plain.len);
    assert_false(stream_reader_refused(&b->reader, &unimplemented));
    assert_int_equal(feed_rows(b, 1, 6, 2, true), 0);
    bench_end(b, out, errors);
    b = bench_with(&o);
    assert_true(stream_reader_refused(&b->reader, &older));
    bench_end(b, out, errors);
    const struct rpc_status other = {.code = 3, .text = "filter: column 1: unknown field retrans_out"};
    b = bench_with(&o);
    assert_true(stream_reader_refused(&b->reader, &other));
    assert_false(stream_reader_refused(&b->reader, &other));
    bench_end(b, out, errors);
    assert_string_equal(out, "");
    buf_free(&request);
    buf_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),         cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_list),          cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_choice),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unknown_names), cmocka_unit_test(test_unknown_names_once),
        cmocka_unit_test(test_unseen_chosen), cmocka_unit_test(test_words_of_filters),
        cmocka_unit_test(test_edges),         cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_trouble),       cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_without_edges), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
