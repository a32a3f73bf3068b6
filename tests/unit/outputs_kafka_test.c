/* The Kafka sink against librdkafka's mock cluster in this process, and against a broker that asks for a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/format/format.h"
#include "outputs/sink/sink.h"
#include "outputs_kafka_broker.h"
#include "sink_host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define BROKERS     3
#define PARTITIONS  4
#define PRODUCE     0 /* https://kafka.apache.org/protocol#protocol_api_keys */
#define PRODUCE_ID  22
#define PATIENCE_NS (60 * NS_PER_S)

extern const struct sink_ops xtcp_sink_kafka;
static const struct sink_ops *const ops = &xtcp_sink_kafka;

/* ---- Instances of librdkafka, seen from outside ---- */

static rd_kafka_t *newest;
static unsigned made; /* that there have been */
static _Atomic bool ends_hang;
static _Atomic unsigned ends; /* that are over */
static sem_t may_end;

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size);
void __real_rd_kafka_destroy(rd_kafka_t *rk);
void __wrap_rd_kafka_destroy(rd_kafka_t *rk);

rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size)
{
    newest = __real_rd_kafka_new(type, conf, why, size);
    made++;
    return newest;
}

void __wrap_rd_kafka_destroy(rd_kafka_t *rk)
{
    while (ends_hang && sem_wait(&may_end) != 0)
        continue;
    __real_rd_kafka_destroy(rk);
    ends++;
}

/* ---- Time that has not passed ---- */

static _Atomic int64_t ahead_ns;

int64_t __real_clock_mono_ns(void);
int64_t __wrap_clock_mono_ns(void);

int64_t __wrap_clock_mono_ns(void)
{
    return __real_clock_mono_ns() + ahead_ns;
}

/* ---- A cluster ---- */

struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    unsigned topics; /* that have been made: each test has one of its own */
    char topic[32];
    char to[256]; /* the URL of that */
};

static int setup(void **state)
{
    static struct fixture f;
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
    f.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(f.rk);
    f.cluster = rd_kafka_mock_cluster_new(f.rk, BROKERS);
    assert_non_null(f.cluster);
    f.brokers = rd_kafka_mock_cluster_bootstraps(f.cluster);
    assert_int_equal(sem_init(&may_end, 0, 0), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
    sem_destroy(&may_end);
    return 0;
}

/* Before each test, whatever the one before has left: a cluster without faults, and a topic in it. */
static int renew(void **state)
{
    struct fixture *f = *state;
    ahead_ns = 0;
    for (; ends_hang; ends_hang = false) {
        for (int i = 0; i < 32; i++)
            sem_post(&may_end);
    }
    rd_kafka_mock_clear_request_errors(f->cluster, PRODUCE);
    rd_kafka_mock_clear_request_errors(f->cluster, PRODUCE_ID);
    rd_kafka_mock_broker_set_up(f->cluster, -1);
    snprintf(f->topic, sizeof(f->topic), "topic-%u", f->topics++);
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, f->topic, PARTITIONS, BROKERS), 0);
    snprintf(f->to, sizeof(f->to), "kafka://%s/%s", f->brokers, f->topic);
    return 0;
}

static void fail_produce(const struct fixture *f, rd_kafka_resp_err_t code, unsigned times)
{
    while (times--)
        rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1, code);
}

/* ---- The sink with all around it ---- */

struct sink {
    struct output_config config;
    char *list[16]; /* of config.options */
    struct url url;
    struct output_kafka_options options;
    struct sink_host_fake fake;
    struct sink_host host;
    struct sink_env env;
    void *sink; /* NULL: not open */

    /* Called at each step of a wait, with the time since the first; NULL: nothing. */
    void (*during)(struct sink *s, int64_t waited_ns);
    int64_t first_ns; /* 0: there was none */
    rd_kafka_mock_cluster_t *cluster;
    int held; /* the most messages that librdkafka had */
};

static int host_wait(void *arg, struct pollfd *fds, unsigned n, int64_t deadline_ns)
{
    struct sink *s = arg;
    for (;;) {
        int64_t now_ns = clock_mono_ns();
        s->first_ns = s->first_ns ? s->first_ns : now_ns;
        assert_true(now_ns - s->first_ns < PATIENCE_NS);
        if (s->during)
            s->during(s, now_ns - s->first_ns);
        int held = rd_kafka_outq_len(newest);
        s->held = held > s->held ? held : s->held;
        int64_t end_ns = clock_earlier(deadline_ns, now_ns + 10 * NS_PER_MS);
        int rc = sink_host_fake_wait(&s->fake, fds, n, end_ns);
        if (rc || end_ns == deadline_ns)
            return rc;
    }
}

/* Opens the sink for |to| with |options|, of which NULL is the end. Returns as sink_ops.open. */
static int sink_open(struct sink *s, const char *to, const char *const *options, struct err *e)
{
    *s = (struct sink){.sink = NULL};
    for (size_t n = 0; options && options[n]; n++) {
        assert_in_range(n, 0, COUNT(s->list) - 1);
        s->list[n] = strdup(options[n]);
        s->config.options.n++;
    }
    s->config.options.items = s->list;
    sink_host_init(&s->fake);
    s->host = s->fake.host;
    s->host.arg = s;
    s->host.wait = host_wait;
    s->env = (struct sink_env){.host = &s->host,
                               .config = &s->config,
                               .kind = output_kind_of(to),
                               .url = &s->url,
                               .options = &s->options,
                               .format = format_by_name("jsonl")};
    assert_non_null(s->env.kind);
    assert_int_equal(url_parse(to, s->env.kind->url, &s->url, e), 0);
    assert_int_equal(output_options_read(s->env.kind, &s->config, &s->options, e), 0);
    return ops->open(&s->env, &s->sink, e);
}

static void sink_end(struct sink *s)
{
    if (s->sink)
        ops->close(s->sink);
    output_options_free(s->env.kind, &s->options);
    url_free(&s->url);
    for (size_t i = 0; i < s->config.options.n; i++)
        free(s->list[i]);
}

static enum sink_result sink_connect(struct sink *s, struct err *e)
{
    bool fresh;
    s->first_ns = 0;
    return ops->connect(s->sink, &fresh, e);
}

/* Opens and connects. */
static void sink_begin(struct sink *s, struct fixture *f, const char *const *options)
{
    struct err e = {0};
    if (sink_open(s, f->to, options, &e) || sink_connect(s, &e) != SINK_DONE)
        fail_msg("%s", e.text);
    s->cluster = f->cluster;
}

/* ---- Messages ---- */

#define MESSAGES_MAX 2048
#define VALUE_MAX    32

struct messages {
    struct sink_message list[MESSAGES_MAX];
    char values[MESSAGES_MAX][VALUE_MAX];
    size_t n;
    struct err error;
};

/* |n| messages "FIRST", "FIRST+1" … of poll 7 without a key. */
static struct messages *make_messages(unsigned first, size_t n)
{
    struct messages *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    assert_in_range(n, 1, MESSAGES_MAX);
    m->n = n;
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(m->values[i], VALUE_MAX, "%zu", first + i);
        m->list[i] = (struct sink_message){.data = (const uint8_t *)m->values[i],
                                           .len = (size_t)len,
                                           .rows = 1,
                                           .poll_id = 7,
                                           .result = (enum sink_result)99};
    }
    return m;
}

static void send_messages(struct sink *s, struct messages *m)
{
    s->first_ns = 0;
    m->error = (struct err){0};
    ops->send(s->sink, m->list, m->n, &m->error);
}

static size_t count_results(const struct messages *m, enum sink_result result)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += m->list[i].result == result;
    return n;
}

static void expect_all(const struct messages *m, enum sink_result result)
{
    if (count_results(m, result) != m->n)
        fail_msg("%zu of %zu have result %d: %s", count_results(m, result), m->n, (int)result, m->error.text);
}

static void send_all_done(struct sink *s, unsigned first, size_t n)
{
    struct messages *m = make_messages(first, n);
    send_messages(s, m);
    expect_all(m, SINK_DONE);
    free(m);
}

/* Connects as an output does after a failure, again and again, until it succeeds. */
static void reconnect(struct sink *s)
{
    struct err e = {0};
    int64_t end_ns = clock_mono_ns() + PATIENCE_NS;
    while (sink_connect(s, &e) != SINK_DONE) {
        if (clock_mono_ns() > end_ns)
            fail_msg("%s", e.text);
        usleep(20000);
    }
}

/* ---- What is in the topic ---- */

struct records {
    size_t n;
    unsigned times[MESSAGES_MAX]; /* that the message with this number is there */
    int32_t partition[MESSAGES_MAX];
    rd_kafka_message_t *last;
    rd_kafka_t *rk;
};

static rd_kafka_t *consumer_new(const struct fixture *f)
{
    static const char *const settings[][2] = {{"group.id", "test"},
                                              {"enable.partition.eof", "true"},
                                              {"enable.auto.commit", "false"},
                                              {"fetch.wait.max.ms", "10"},
                                              {"log_level", "3"}};
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", f->brokers, NULL, 0);
    for (size_t i = 0; i < COUNT(settings); i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], NULL, 0);
    rd_kafka_t *rk = __real_rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(rk);
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* Notes |m|. Returns whether it is the end of a partition. */
static bool take_record(struct records *r, rd_kafka_message_t *m)
{
    char text[VALUE_MAX] = "";
    bool end = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (m->err) {
        rd_kafka_message_destroy(m);
        return end;
    }
    memcpy(text, m->payload, m->len < VALUE_MAX ? m->len : VALUE_MAX - 1);
    unsigned long number = strtoul(text, NULL, 10);
    assert_in_range(number, 0, MESSAGES_MAX - 1);
    r->times[number]++;
    r->partition[number] = m->partition;
    r->n++;
    if (r->last)
        rd_kafka_message_destroy(r->last);
    r->last = m;
    return end;
}

static void records_read(struct records *r, const struct fixture *f)
{
    int64_t end_ns = clock_mono_ns() + PATIENCE_NS;
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    *r = (struct records){.rk = consumer_new(f)};
    for (int32_t i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(all, f->topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(r->rk, all), 0);
    rd_kafka_topic_partition_list_destroy(all);
    for (unsigned unread = PARTITIONS; unread;) {
        assert_true(clock_mono_ns() < end_ns);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, 100);
        if (m)
            unread -= take_record(r, m);
    }
}

static void records_end(struct records *r)
{
    if (r->last)
        rd_kafka_message_destroy(r->last);
    rd_kafka_consumer_close(r->rk);
    __real_rd_kafka_destroy(r->rk);
}

/* The topic has the messages 0 to |n| - 1, each of them |times| (0: at least once), and nothing else. */
static void expect_topic(const struct fixture *f, size_t n, unsigned times)
{
    static struct records r;
    records_read(&r, f);
    for (size_t i = 0; i < MESSAGES_MAX; i++) {
        if (i < n && times)
            assert_int_equal(r.times[i], times);
        else if (i < n)
            assert_true(r.times[i] > 0);
        else
            assert_int_equal(r.times[i], 0);
    }
    records_end(&r);
}

/* ---- Delivery ---- */

static void expect_header(const rd_kafka_message_t *m, const char *name, const char *value)
{
    rd_kafka_headers_t *headers;
    const void *found;
    size_t len;
    assert_int_equal(rd_kafka_message_headers((rd_kafka_message_t *)m, &headers), 0);
    assert_int_equal(rd_kafka_header_get_last(headers, name, &found, &len), 0);
    assert_int_equal(len, strlen(value));
    assert_memory_equal(found, value, len);
}

static void test_delivered(void **state)
{
    struct fixture *f = *state;
    static struct records r;
    struct sink s;
    sink_begin(&s, f, NULL);
    send_all_done(&s, 0, 1000);
    assert_true(sink_connect(&s, NULL) == SINK_DONE); /* as before every send */
    send_all_done(&s, 1000, 1);
    ops->poll_end(s.sink);
    expect_topic(f, 1001, 1);

    records_read(&r, f);
    assert_null(r.last->key);
    expect_header(r.last, "hostname", "test-host");
    expect_header(r.last, "poll_id", "7");
    expect_header(r.last, "schema_version", "1");
    expect_header(r.last, "content-type", "application/x-ndjson");
    records_end(&r);
    sink_end(&s);
}

static void test_codecs(void **state)
{
    struct fixture *f = *state;
    static const char *const codecs[] = {"auto", "none", "gzip", "snappy", "lz4", "zstd"};
    unsigned n = 0;
    for (size_t i = 0; i < COUNT(codecs); i++) {
        char option[32];
        struct sink s;
        snprintf(option, sizeof(option), "compression=%s", codecs[i]);
        sink_begin(&s, f, (const char *const[]){option, "linger=0s", NULL});
        send_all_done(&s, n, 50);
        n += 50;
        sink_end(&s);
    }
    expect_topic(f, n, 1);
}

/* Messages with one key are in one partition, and many keys are in all of them. */
static void test_keys(void **state)
{
    enum { KEYS = 32 };
    struct fixture *f = *state;
    static struct records r;
    struct sink s;
    char keys[KEYS][16];
    bool used[PARTITIONS] = {false};
    struct messages *m = make_messages(0, 10 * KEYS);
    sink_begin(&s, f, (const char *const[]){"key=netns", NULL});
    assert_int_equal(ops->key(s.sink), OUTPUT_KEY_NETNS);
    for (size_t i = 0; i < m->n; i++) {
        int len = snprintf(keys[i % KEYS], sizeof(keys[0]), "netns-%zu", i % KEYS);
        m->list[i].key = keys[i % KEYS];
        m->list[i].key_len = (size_t)len;
    }
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    records_read(&r, f);
    assert_int_equal(r.n, m->n);
    for (size_t i = 0; i < m->n; i++) {
        assert_int_equal(r.partition[i], r.partition[i % KEYS]);
        used[r.partition[i]] = true;
    }
    for (size_t i = 0; i < PARTITIONS; i++)
        assert_true(used[i]);
    assert_true(r.last->key_len > 6 && memcmp(r.last->key, "netns-", 6) == 0);
    records_end(&r);
    sink_end(&s);
    free(m);
}

static void test_topic_of_option(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    char to[300], topic[64];
    struct err e;
    snprintf(to, sizeof(to), "kafka:%s", f->brokers);
    snprintf(topic, sizeof(topic), "topic=%s", f->topic);
    assert_int_equal(sink_open(&s, to, (const char *const[]){topic, NULL}, &e), 0);
    assert_true(sink_connect(&s, &e) == SINK_DONE);
    send_all_done(&s, 0, 5);
    expect_topic(f, 5, 1);
    sink_end(&s);
}

/* ---- Brokers that go and come ---- */

static void down_then_up(struct sink *s, int64_t waited_ns)
{
    if (waited_ns > NS_PER_S)
        rd_kafka_mock_broker_set_up(s->cluster, -1);
}

static void test_brokers_back_in_time(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    sink_begin(&s, f, NULL);
    send_all_done(&s, 0, 20);
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    s.during = down_then_up;
    send_all_done(&s, 20, 200);
    assert_int_equal(s.held, 200);
    expect_topic(f, 220, 1);
    sink_end(&s);
}

/* A broker away for longer than a message may wait: the same messages are sent again later. */
static void test_brokers_back_late(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct err e;
    struct messages *m = make_messages(0, 100);
    sink_begin(&s, f, (const char *const[]){"timeout=1s", NULL});
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    send_messages(&s, m);
    expect_all(m, SINK_BROKEN);
    assert_non_null(strstr(m->error.text, "kafka:127.0.0.1:"));
    assert_non_null(strstr(m->error.text, "Local: Message timed out: "));
    assert_true(sink_connect(&s, &e) == SINK_BROKEN);
    assert_non_null(strstr(e.text, "Local: Broker transport failure: "));
    rd_kafka_mock_broker_set_up(f->cluster, -1);
    reconnect(&s);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 100, 0);
    sink_end(&s);
    free(m);
}

/* Brokers that went away between two sends are noticed before the next one. */
static void test_brokers_away_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct err e;
    sink_begin(&s, f, NULL);
    send_all_done(&s, 0, 10);
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    int64_t end_ns = clock_mono_ns() + PATIENCE_NS;
    while (sink_connect(&s, &e) != SINK_BROKEN) {
        assert_true(clock_mono_ns() < end_ns);
        usleep(10000);
    }
    rd_kafka_mock_broker_set_up(f->cluster, -1);
    reconnect(&s);
    send_all_done(&s, 10, 10);
    expect_topic(f, 20, 1);
    sink_end(&s);
}

/* ---- The queue of librdkafka ---- */

static void test_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    sink_begin(&s, f, (const char *const[]){"kafka.queue.buffering.max.messages=10", NULL});
    send_all_done(&s, 0, 500);
    assert_in_range(s.held, 1, 10);
    assert_int_equal(rd_kafka_outq_len(newest), 0);
    expect_topic(f, 500, 1);
    sink_end(&s);
}

static void test_nothing_stays_in_the_queue(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 50);
    sink_begin(&s, f, (const char *const[]){"timeout=1s", "kafka.queue.buffering.max.messages=10", NULL});
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    int64_t begin_ns = clock_mono_ns();
    send_messages(&s, m);
    expect_all(m, SINK_BROKEN);
    assert_in_range(s.held, 1, 10);
    assert_true(clock_mono_ns() - begin_ns < 5 * NS_PER_S); /* the others do not wait for as long again */
    sink_end(&s);
    free(m);
}

/* ---- Errors of brokers ---- */

/* Errors that pass: librdkafka sends again by itself, and nothing comes twice. */
static void test_errors_that_pass(void **state)
{
    struct fixture *f = *state;
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,  RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,       RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    };
    struct sink s;
    unsigned n = 0;
    sink_begin(&s, f, NULL);
    for (size_t i = 0; i < COUNT(codes); i++) {
        fail_produce(f, codes[i], 2);
        send_all_done(&s, n, 20);
        n += 20;
    }
    expect_topic(f, n, 1);
    sink_end(&s);
}

static void test_errors_for_good(void **state)
{
    struct fixture *f = *state;
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    };
    struct sink s;
    sink_begin(&s, f, NULL);
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct messages *m = make_messages(0, 1);
        char expected[256];
        fail_produce(f, codes[i], 1);
        reconnect(&s); /* as before every send */
        send_messages(&s, m);
        expect_all(m, SINK_REFUSED);
        snprintf(expected, sizeof(expected), ": topic %s refuses a message of 1 bytes: %s", f->topic,
                 rd_kafka_err2str(codes[i]));
        if (!strstr(m->error.text, expected))
            fail_msg("%s", m->error.text);
        free(m);
    }
    send_all_done(&s, 0, 10); /* it goes on */
    expect_topic(f, 10, 1);
    sink_end(&s);
}

/* What a message that is tried again is for those behind it. */
static void test_order_of_results(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    static uint8_t large[2000];
    struct messages *m = make_messages(0, 4);
    sink_begin(&s, f, (const char *const[]){"timeout=1s", "kafka.message.max.bytes=1000", NULL});
    m->list[0].data = m->list[3].data = large;
    m->list[0].len = m->list[3].len = sizeof(large);
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    send_messages(&s, m);
    assert_int_equal(m->list[0].result, SINK_REFUSED);
    assert_int_equal(m->list[1].result, SINK_BROKEN);
    assert_int_equal(m->list[2].result, SINK_BROKEN);
    assert_int_equal(m->list[3].result, SINK_BROKEN);
    assert_non_null(strstr(m->error.text, "refuses a message of 2000 bytes")); /* the first */
    sink_end(&s);
    free(m);
}

static void test_topic_that_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 3);
    rd_kafka_mock_topic_set_error(f->cluster, f->topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    sink_begin(&s, f, (const char *const[]){"timeout=4s", NULL});
    send_messages(&s, m);
    expect_all(m, SINK_REFUSED);
    assert_non_null(strstr(m->error.text, "Unknown topic"));
    rd_kafka_mock_topic_set_error(f->cluster, f->topic, RD_KAFKA_RESP_ERR_NO_ERROR);
    reconnect(&s);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 3, 1);
    sink_end(&s);
    free(m);
}

/* An instance that cannot keep its promise any more is replaced. */
static void test_fatal_error(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(10, 5);
    sink_begin(&s, f, NULL);
    send_all_done(&s, 0, 10);
    unsigned before = made;
    assert_int_equal(
        rd_kafka_test_fatal_error(newest, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "lost count"), 0);
    send_messages(&s, m);
    expect_all(m, SINK_BROKEN);
    assert_non_null(strstr(m->error.text, "Local: Fatal error: "));
    assert_non_null(strstr(m->error.text, "lost count"));
    reconnect(&s);
    assert_int_equal(made, before + 1);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 15, 1);
    sink_end(&s);
    free(m);
}

/* ---- Sizes ---- */

static void test_too_large(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 3);
    sink_begin(&s, f, (const char *const[]){"kafka.message.max.bytes=100000", NULL});
    size_t largest = ops->largest(s.sink);
    assert_in_range(largest, 90000, 99999);
    uint8_t *large = calloc(1, 100001);
    assert_non_null(large);
    m->list[1].data = large;
    m->list[1].len = 100001;
    send_messages(&s, m);
    assert_int_equal(m->list[0].result, SINK_DONE);
    assert_int_equal(m->list[1].result, SINK_REFUSED);
    assert_int_equal(m->list[2].result, SINK_DONE);
    assert_non_null(
        strstr(m->error.text, "refuses a message of 100001 bytes: Broker: Message size too large"));
    m->list[1].len = largest;
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    sink_end(&s);
    free(large);
    free(m);
}

/* A broker that does not take several messages at once takes each of them. */
static void test_batch_too_large(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 5);
    sink_begin(&s, f, (const char *const[]){"linger=100ms", NULL});
    for (size_t i = 0; i < m->n; i++) {
        m->list[i].key = "same"; /* the same partition, and so one batch */
        m->list[i].key_len = 4;
    }
    fail_produce(f, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 5, 1);

    fail_produce(f, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 3); /* all at once, and the first two once more */
    send_messages(&s, m);
    assert_int_equal(m->list[0].result, SINK_REFUSED);
    assert_int_equal(m->list[1].result, SINK_REFUSED);
    assert_int_equal(count_results(m, SINK_DONE), 3);
    sink_end(&s);
    free(m);
}

/* What was to go once more, alone, when the wait ended. */
static void test_batch_too_large_cancelled(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 5);
    sink_begin(&s, f, NULL);
    for (size_t i = 0; i < m->n; i++) {
        m->list[i].key = "same";
        m->list[i].key_len = 4;
    }
    fail_produce(f, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1);
    fail_produce(f, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 1000);
    s.fake.cancel_ns = clock_mono_ns() + 500 * NS_PER_MS;
    send_messages(&s, m);
    expect_all(m, SINK_AGAIN);
    sink_end(&s);
    free(m);
}

/* ---- Interrupted ---- */

static void test_cancelled(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 300);
    sink_begin(&s, f, NULL);
    rd_kafka_mock_broker_set_down(f->cluster, -1);
    int64_t begin_ns = clock_mono_ns();
    s.fake.cancel_ns = begin_ns + 100 * NS_PER_MS;
    send_messages(&s, m);
    assert_true(clock_mono_ns() - begin_ns < 2 * NS_PER_S);
    expect_all(m, SINK_AGAIN);
    assert_int_equal(m->error.code, ERR_CANCELLED);
    s.fake.cancel_ns = INT64_MAX;
    rd_kafka_mock_broker_set_up(f->cluster, -1);
    reconnect(&s);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 300, 0);
    sink_end(&s);
    free(m);
}

/* While the brokers have the messages, and their answers are on the way. */
static void test_cancelled_in_flight(void **state)
{
    struct fixture *f = *state;
    struct sink s;
    struct messages *m = make_messages(0, 300);
    sink_begin(&s, f, NULL);
    send_all_done(&s, 0, 300);
    rd_kafka_mock_broker_set_rtt(f->cluster, -1, 3000);
    int64_t begin_ns = clock_mono_ns();
    s.fake.cancel_ns = begin_ns + 200 * NS_PER_MS;
    send_messages(&s, m);
    assert_true(clock_mono_ns() - begin_ns < 2 * NS_PER_S);
    expect_all(m, SINK_AGAIN);
    s.fake.cancel_ns = INT64_MAX;
    rd_kafka_mock_broker_set_rtt(f->cluster, -1, 0);
    reconnect(&s);
    send_messages(&s, m);
    expect_all(m, SINK_DONE);
    expect_topic(f, 300, 0);
    sink_end(&s);
    free(m);
}

/* A listener whose connections nobody takes, or a port where there is none. */
static int bind_port(bool listens, uint16_t *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    if (listens)
        assert_int_equal(listen(fd, 16), 0);
    *port = ntohs(where.sin_port);
    return fd;
}

static void let_time_pass(struct sink *s, int64_t waited_ns)
{
    (void)s;
    if (waited_ns > 100 * NS_PER_MS && waited_ns < NS_PER_S)
        ahead_ns += 10 * NS_PER_S;
}

static void test_cancelled_while_connecting(void **state)
{
    (void)state;
    struct sink s;
    struct err e = {0};
    char to[64];
    uint16_t port;
    int fd = bind_port(true, &port);
    snprintf(to, sizeof(to), "kafka:127.0.0.1:%u", port);
    assert_int_equal(sink_open(&s, to, NULL, &e), 0);
    int64_t begin_ns = clock_mono_ns();
    for (int i = 0; i < 2; i++) {
        s.fake.cancel_ns = clock_mono_ns() + 100 * NS_PER_MS;
        assert_true(sink_connect(&s, &e) == SINK_AGAIN);
        assert_int_equal(e.code, ERR_CANCELLED);
    }
    s.fake.cancel_ns = INT64_MAX;
    s.during = let_time_pass;
    assert_true(sink_connect(&s, &e) == SINK_BROKEN);
    assert_non_null(strstr(e.text, "Local: Timed out"));
    sink_end(&s);
    ahead_ns = 0;
    assert_true(clock_mono_ns() - begin_ns < 3 * NS_PER_S);
    close(fd);
}

/* ---- No cluster ---- */

static void test_wrong_port(void **state)
{
    (void)state;
    struct sink s;
    struct err e = {0};
    char to[64], expected[128];
    uint16_t port;
    int fd = bind_port(false, &port); /* nobody else gets it meanwhile */
    snprintf(to, sizeof(to), "kafka:127.0.0.1:%u", port);
    snprintf(expected, sizeof(expected), "%s: Local: Broker transport failure: ", to);
    assert_int_equal(sink_open(&s, to, NULL, &e), 0);
    for (int i = 0; i < 3; i++) { /* with the reason each time */
        int64_t begin_ns = clock_mono_ns();
        assert_true(sink_connect(&s, &e) == SINK_BROKEN);
        assert_true(clock_mono_ns() - begin_ns < 5 * NS_PER_S);
        assert_memory_equal(e.text, expected, strlen(expected));
        assert_non_null(strstr(e.text, "Connection refused"));
        assert_null(strchr(e.text, '\n'));
    }
    sink_end(&s);
    close(fd);
}

/* librdkafka's threads may wait for a name server as long as that likes; nobody waits for them. */
static void test_end_that_hangs(void **state)
{
    (void)state;
    struct sink s;
    struct err e = {0};
    char to[64];
    uint16_t port;
    int fd = bind_port(false, &port);
    snprintf(to, sizeof(to), "kafka:127.0.0.1:%u", port);
    assert_int_equal(sink_open(&s, to, NULL, &e), 0);
    unsigned before = ends;
    ends_hang = true;
    unsigned hanging = 0;
    do {
        int64_t begin_ns = clock_mono_ns();
        assert_true(sink_connect(&s, &e) == SINK_BROKEN);
        assert_true(clock_mono_ns() - begin_ns < 5 * NS_PER_S);
        assert_in_range(++hanging, 1, 20);
    } while (!strstr(e.text, "earlier connections have not ended"));
    for (unsigned i = 1; i < hanging; i++)
        sem_post(&may_end);
    int64_t end_ns = clock_mono_ns() + PATIENCE_NS;
    while (ends < before + hanging - 1) {
        assert_true(clock_mono_ns() < end_ns);
        usleep(1000);
    }
    ends_hang = false;
    while (sink_connect(&s, &e) == SINK_BROKEN && strstr(e.text, "earlier connections"))
        usleep(1000);
    assert_non_null(strstr(e.text, "Connection refused"));
    sink_end(&s);
    close(fd);
}

/* ---- Passwords ---- */

#define RIGHT "right-secret"
#define WRONG "wrong-secret"

struct captured {
    int fd;
    char path[32];
};

static void capture_log(struct captured *c)
{
    strcpy(c->path, "/tmp/xt_kafka_XXXXXX");
    c->fd = mkstemp(c->path);
    assert_true(c->fd >= 0);
    log_set(LOG_TRACE, LOG_TEXT);
    log_set_fd(c->fd);
}

/* Ends it and copies what there is into |text|. */
static void captured_text(struct captured *c, char *text, size_t size)
{
    log_set_fd(STDERR_FILENO);
    log_set(LOG_INFO, LOG_TEXT);
    ssize_t n = pread(c->fd, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(c->fd);
    unlink(c->path);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* The answer of the broker is told, but for the secret in it; the file is read again each time. */
static void test_password(void **state)
{
    (void)state;
    struct kafka_broker b;
    struct captured log;
    struct sink s;
    struct err e = {0};
    static char text[1 << 16];
    char to[64], path[] = "/tmp/xt_kafka_XXXXXX", option[64];
    assert_int_equal(kafka_broker_start(&b, "user", RIGHT, "no user \033[31m with\n" WRONG "\xff"), 0);
    close(mkstemp(path));
    write_file(path, WRONG "\n");
    snprintf(to, sizeof(to), "kafka:127.0.0.1:%u", b.port);
    snprintf(option, sizeof(option), "password_file=%s", path);
    capture_log(&log);
    int rc = sink_open(&s, to, (const char *const[]){"user=user", option, "kafka.debug=all", NULL}, &e);
    enum sink_result wrong = rc ? SINK_DONE : sink_connect(&s, &e);
    write_file(path, RIGHT "\n");
    struct err later = {0};
    enum sink_result right = rc ? SINK_BROKEN : sink_connect(&s, &later);
    sink_end(&s);
    unlink(path);
    kafka_broker_end(&b);
    captured_text(&log, text, sizeof(text));

    assert_int_equal(wrong, SINK_BROKEN);
    assert_memory_equal(e.text, to, strlen(to));
    assert_non_null(strstr(e.text, ": Local: Authentication failure: "));
    assert_non_null(strstr(e.text, "no user ?[31m with?***?"));
    assert_null(strstr(e.text, WRONG));
    if (right != SINK_DONE)
        fail_msg("%s", later.text);
    assert_non_null(strstr(text, "output: test: librdkafka: "));
    assert_null(strstr(text, WRONG));
    assert_null(strstr(text, RIGHT));
}

static void test_password_of_url(void **state)
{
    (void)state;
    struct kafka_broker b;
    struct sink s;
    struct err e = {0};
    char to[64];
    assert_int_equal(kafka_broker_start(&b, "user", "s%cret", "no"), 0);
    snprintf(to, sizeof(to), "kafka://user:s%%25cret@127.0.0.1:%u/topic", b.port);
    int rc = sink_open(&s, to, NULL, &e);
    enum sink_result result = rc ? SINK_BROKEN : sink_connect(&s, &e);
    sink_end(&s);
    kafka_broker_end(&b);
    if (result != SINK_DONE)
        fail_msg("%s", e.text);
}

static void test_topic_that_is_forbidden(void **state)
{
    (void)state;
    struct kafka_broker b;
    struct sink s;
    struct err e = {0};
    struct messages *m = make_messages(0, 3);
    char to[64];
    assert_int_equal(kafka_broker_start(&b, "", "", ""), 0);
    snprintf(to, sizeof(to), "kafka:127.0.0.1:%u", b.port);
    int rc = sink_open(&s, to, NULL, &e);
    enum sink_result result = rc ? SINK_BROKEN : sink_connect(&s, &e);
    if (result == SINK_DONE)
        send_messages(&s, m);
    sink_end(&s);
    kafka_broker_end(&b);
    if (result != SINK_DONE)
        fail_msg("%s", e.text);
    expect_all(m, SINK_REFUSED);
    assert_non_null(
        strstr(m->error.text, "topic xtcp refuses a message of 1 bytes: Broker: Topic authorization failed"));
    free(m);
}

static void test_files_that_are_not_there(void **state)
{
    (void)state;
    struct sink s;
    struct err e = {0};
    static const char *const options[] = {"user=user", "password_file=/does/not/exist", NULL};
    assert_int_equal(sink_open(&s, "kafka:127.0.0.1:9", options, &e), 0);
    assert_true(sink_connect(&s, &e) == SINK_BROKEN);
    assert_non_null(strstr(e.text, "password_file: /does/not/exist: "));
    sink_end(&s);

    static const char *const tls[] = {"kafka.security.protocol=ssl", "kafka.ssl.ca.location=/does/not/exist",
                                      NULL};
    assert_int_equal(sink_open(&s, "kafka:127.0.0.1:9", tls, &e), 0);
    assert_true(sink_connect(&s, &e) == SINK_BROKEN);
    assert_non_null(strstr(e.text, "kafka:127.0.0.1:9: "));
    assert_non_null(strstr(e.text, "ssl.ca.location"));
    sink_end(&s);
}

/* ---- Options ---- */

static void expect_refused(const char *to, const char *option, int code, const char *text)
{
    struct sink s;
    struct err e = {0};
    int rc = sink_open(&s, to, (const char *const[]){option, NULL}, &e);
    if (rc != code || !strstr(e.text, text))
        fail_msg("%s: %d, %s", option ? option : to, rc, e.text);
    assert_null(strstr(e.text, "s3cret"));
    assert_null(s.sink);
    sink_end(&s);
}

static void test_options_refused(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        int code;
        const char *text;
    } cases[] = {
        {"kafka.no.such=1", ERR_UNKNOWN, "options: kafka.no.such: librdkafka "},
        {"kafka.=1", ERR_UNKNOWN, "options: kafka.: "},
        {"kafka.linger.ms=soon", ERR_RANGE, "options: kafka.linger.ms: "},
        {"kafka.message.max.bytes=1", ERR_RANGE, "options: kafka.message.max.bytes: "},
        {"kafka.security.protocol=s3cre", ERR_RANGE, "options: kafka.security.protocol: "},
        {"kafka.bootstrap.servers=x:1", ERR_UNSUPPORTED,
         "kafka.bootstrap.servers: cannot be set: the URL has"},
        {"kafka.dr_msg_cb=1", ERR_RANGE, "options: kafka.dr_msg_cb: "}, /* pointers of the library's user */
        {"kafka.opaque=1", ERR_RANGE, "options: kafka.opaque: "},
        {"kafka.default_topic_conf=1", ERR_RANGE, "options: kafka.default_topic_conf: "},
        {"kafka.interceptors=1", ERR_RANGE, "options: kafka.interceptors: "},
        {"kafka.internal.termination.signal=9", ERR_UNSUPPORTED, "cannot be set"},
        {"kafka.security.protocol=\xff\n", ERR_RANGE, "value \"??\""},
        {"kafka.plugin.library.paths=/x", ERR_UNSUPPORTED, "it loads code"},
        {"kafka.sasl.kerberos.kinit.cmd=reboot", ERR_UNSUPPORTED, "it runs a command"},
        {"kafka.delivery.report.only.error=true", ERR_UNSUPPORTED, "cannot be set"},
        {"kafka.acks=1", ERR_RANGE, "enable.idempotence"}, /* right by itself */
        {"kafka.queue.buffering.max.kbytes=1", ERR_RANGE, "kafka.queue.buffering.max.kbytes"},
        {"password_file=/x", ERR_PRECONDITION, "options: password_file: needs user"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_refused("kafka:localhost", cases[i].option, cases[i].code, cases[i].text);
    }
    expect_refused("kafka://u:p@localhost", "user=u", ERR_DUPLICATE, "options: user: ");
    expect_refused("kafka://u:p@localhost", "password_file=/x", ERR_DUPLICATE, "options: password_file: ");
    expect_refused("kafka://u@localhost", NULL, ERR_RANGE, "sasl.password");
    expect_refused("kafka://u:p@localhost", "kafka.sasl.mechanism=NONESUCH", ERR_RANGE, "NONESUCH");
    expect_refused("kafka://localhost/a", "topic=b", ERR_DUPLICATE, "options: topic: ");
    expect_refused("kafka://localhost/a%20b", NULL, ERR_MALFORMED, "the path of the URL is no topic");
    expect_refused("kafka://localhost/a/b", NULL, ERR_MALFORMED, "the path of the URL is no topic");
}

static void test_options_taken(void **state)
{
    (void)state;
    static const char *const options[][3] = {
        {"kafka.enable.idempotence=false", "kafka.acks=1", NULL},
        {"kafka.security.protocol=ssl", "kafka.ssl.ca.location=/does/not/exist/yet", NULL},
        {"user=u", "password_file=/does/not/exist/yet", NULL},
        {"linger=1500us", "compression=none", NULL},
        {"kafka.client.id=me", "kafka.linger.ms=1", NULL},
    };
    for (size_t i = 0; i < COUNT(options); i++) {
        struct sink s;
        struct err e = {0};
        if (sink_open(&s, "kafka:[::1],localhost:1,127.0.0.1", options[i], &e))
            fail_msg("%s: %s", options[i][0], e.text);
        sink_end(&s);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, renew)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivered),
        TEST(test_codecs),
        TEST(test_keys),
        TEST(test_topic_of_option),
        TEST(test_brokers_back_in_time),
        TEST(test_brokers_back_late),
        TEST(test_brokers_away_meanwhile),
        TEST(test_queue_is_bounded),
        TEST(test_nothing_stays_in_the_queue),
        TEST(test_errors_that_pass),
        TEST(test_errors_for_good),
        TEST(test_order_of_results),
        TEST(test_topic_that_is_unknown),
        TEST(test_fatal_error),
        TEST(test_too_large),
        TEST(test_batch_too_large),
        TEST(test_batch_too_large_cancelled),
        TEST(test_cancelled),
        TEST(test_cancelled_in_flight),
        TEST(test_cancelled_while_connecting),
        TEST(test_wrong_port),
        TEST(test_end_that_hangs),
        TEST(test_password),
        TEST(test_password_of_url),
        TEST(test_topic_that_is_forbidden),
        TEST(test_files_that_are_not_there),
        TEST(test_options_refused),
        TEST(test_options_taken),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
