/* The sink for Kafka and what speaks its protocol, by librdkafka. A module: xtcp_sink_kafka is all that it shows.
 *
 * A call of send hands its messages to librdkafka, which copies them, and waits until there is a report on each: so the
 * library's own queue never holds more than the output has handed over, and nothing counts as delivered before the brokers
 * have said so. The library connects anew and sends again by itself until the time of a message is over. An instance that
 * has given a message up for a broken connection is given up with it: the next connect makes one that finds out at once,
 * and tells, what is wrong, with the password as its file has it by then.
 *
 * Messages are copied since librdkafka may hold on to one that is taken back for as long as a name server does not answer,
 * and neither a stop nor a change of the configuration waits for that. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "outputs/sink/kafka_internal.h"

#define SCHEMA_VERSION "1" /* of records, as xtcp_flat_record.v1 has it */

#define CONNECT_NS (10 * NS_PER_S)
#define LOOK_NS    (20 * NS_PER_MS) /* between two looks whether the cluster has answered: nothing tells */
#define LATE_NS    (30 * NS_PER_S)  /* a report that is later than its message may be will never come */

/* What a batch of one message has besides its value: its own head, that of the record, the headers. */
#define OVERHEAD 1024

/* In place of a report; as a result it is one of those that are to be tried again. */
#define NOT_HANDED_OVER RD_KAFKA_RESP_ERR__PURGE_QUEUE

struct kafka {
    const struct sink_env *env;
    struct kafka_conf conf;
    rd_kafka_headers_t *headers; /* those that all messages have */
    struct kafka_client *client; /* NULL: there is none */
    struct kafka_reports reports;
    rd_kafka_resp_err_t *codes; /* room for those of |reports| */
    size_t codes_room;
};

/* ---- Open, close ---- */

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

static void kafka_close(void *sink)
{
    struct kafka *k = sink;
    if (k->client)
        kafka_client_end(k->client);
    if (k->headers)
        rd_kafka_headers_destroy(k->headers);
    kafka_conf_free(&k->conf);
    free(k->codes);
    free(k);
}

static int kafka_open(const struct sink_env *env, void **out, struct err *e)
{
    struct kafka *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(e, -ENOMEM, "out of memory");
    k->env = env;
    int rc = kafka_conf_read(env, &k->conf, e);
    if (rc) {
        free(k);
        return rc;
    }
    k->headers = rd_kafka_headers_new(4);
    add_header(k->headers, "hostname", env->host->hostname);
    add_header(k->headers, "schema_version", SCHEMA_VERSION);
    add_header(k->headers, "content-type", format_content_type(env->format));
    *out = k;
    return 0;
}

/* ---- Connect ---- */

static void give_up(struct kafka *k)
{
    kafka_client_end(k->client);
    k->client = NULL;
}

/* Fills |e| for the result |code| of librdkafka, with the newest trouble of the connections. */
static void tell(const struct kafka *k, rd_kafka_resp_err_t code, const char *trouble, struct err *e)
{
    err_set(e, ERR_UNAVAILABLE, "%s: %s%s%s", k->conf.target, rd_kafka_err2str(code), *trouble ? ": " : "",
            trouble);
}

/* What keeps the cluster from answering, if that is known already. */
static rd_kafka_resp_err_t obstacle(const struct kafka_client *c)
{
    if (c->denied)
        return RD_KAFKA_RESP_ERR__AUTHENTICATION;
    if (c->down)
        return RD_KAFKA_RESP_ERR__TRANSPORT;
    return kafka_client_is_fatal(c) ? RD_KAFKA_RESP_ERR__FATAL : RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Waits until the cluster has answered once. librdkafka tells of errors, but not of success. */
static enum sink_result await_cluster(struct kafka *k, struct err *e)
{
    struct kafka_client *c = k->client;
    const struct sink_host *host = k->env->host;
    int64_t deadline_ns = clock_mono_ns() + CONNECT_NS;
    while (!kafka_client_knows_cluster(c)) {
        rd_kafka_resp_err_t code = obstacle(c);
        int64_t now_ns = clock_mono_ns();
        if (!code && now_ns >= deadline_ns)
            code = RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (code) {
            tell(k, code, c->trouble, e);
            give_up(k);
            return SINK_BROKEN;
        }
        if (kafka_client_wait(c, host, clock_earlier(deadline_ns, now_ns + LOOK_NS)) < 0) {
            err_set(e, ERR_CANCELLED, "%s: interrupted while it was connecting", k->conf.target);
            return SINK_AGAIN;
        }
    }
    return SINK_DONE;
}

static enum sink_result kafka_connect(void *sink, bool *fresh, struct err *e)
{
    struct kafka *k = sink;
    *fresh = false; /* every message stands for itself */
    if (k->client)
        kafka_client_serve(k->client);
    if (k->client && obstacle(k->client))
        give_up(k); /* nothing is under way, and a new one finds out at once what is wrong */
    if (!k->client)
        k->client = kafka_client_new(&k->conf, k->env, e);
    return k->client ? await_cluster(k, e) : SINK_BROKEN;
}

/* ---- Messages on their way ---- */

static int begin_reports(struct kafka *k, size_t n)
{
    if (n > k->codes_room) {
        rd_kafka_resp_err_t *more = reallocarray(k->codes, n, sizeof(*more));
        if (!more)
            return -ENOMEM;
        k->codes = more;
        k->codes_room = n;
    }
    k->reports = (struct kafka_reports){.codes = k->codes, .n = n};
    for (size_t i = 0; i < n; i++)
        k->codes[i] = NOT_HANDED_OVER;
    return 0;
}

/* Hands over |m|, whose report will be the one at |i|. Returns false when there is no room now. */
static bool hand_over(struct kafka *k, const struct sink_message *m, size_t i)
{
    struct kafka_client *c = k->client;
    char poll_id[24];
    rd_kafka_headers_t *headers = rd_kafka_headers_copy(k->headers);
    snprintf(poll_id, sizeof(poll_id), "%" PRIu64, m->poll_id);
    add_header(headers, "poll_id", poll_id);
    k->reports.codes[i] = KAFKA_PENDING;
    k->reports.pending++;
    rd_kafka_resp_err_t code =
        rd_kafka_producev(c->rk, RD_KAFKA_V_RKT(c->topic), RD_KAFKA_V_PARTITION(RD_KAFKA_PARTITION_UA),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)m->data, m->len),
                          RD_KAFKA_V_KEY(m->key, m->key_len), RD_KAFKA_V_HEADERS(headers),
                          RD_KAFKA_V_OPAQUE((void *)i), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_headers_destroy(headers);
    k->reports.codes[i] = code;
    k->reports.pending--;
    return code != RD_KAFKA_RESP_ERR__QUEUE_FULL || k->reports.pending == 0;
}

/* When a report on what has just been handed over is overdue. */
static int64_t reports_due(const struct kafka *k)
{
    return k->conf.timeout_ns == INT64_MAX ? INT64_MAX : clock_mono_ns() + k->conf.timeout_ns + LATE_NS;
}

/* Delivers the messages |first| up to |end| of |list|, as far as that is possible; their reports tell. Returns 0;
 * ERR_CANCELLED; or ERR_TIMEOUT when there are no reports on some. In the last two cases the client must be given up. */
static int deliver(struct kafka *k, const struct sink_message *list, size_t first, size_t end)
{
    struct kafka_client *c = k->client;
    int64_t due_ns = reports_due(k);
    for (int ready = 1;;) {
        for (; ready > 0 && first < end && hand_over(k, &list[first], first); first++)
            due_ns = reports_due(k);
        kafka_client_serve(c);
        if (first == end && k->reports.pending == 0)
            return 0;
        if (ready <= 0) {
            kafka_client_purge(c);
            return ready == 0 ? ERR_TIMEOUT : ERR_CANCELLED;
        }
        if (k->reports.pending) /* else there is room for more */
            ready = kafka_client_wait(c, k->env->host, due_ns);
        if (k->reports.stuck)
            end = first; /* the others would wait for as long again */
    }
}

/* A broker refuses a batch of several messages that is too large for it, though it may take each of them: those go once
 * more, one by one. */
static int deliver_singly(struct kafka *k, const struct sink_message *list, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (k->codes[i] == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE &&
            list[i].len + list[i].key_len <= k->conf.message_max)
            k->codes[i] = NOT_HANDED_OVER;
    }
    for (size_t i = 0; i < n && !rc && !k->reports.stuck; i++) {
        if (k->codes[i] == NOT_HANDED_OVER)
            rc = deliver(k, list, i, i + 1);
    }
    return rc;
}

/* ---- Results ---- */

static enum sink_result result_of(rd_kafka_resp_err_t code)
{
    /* What will not be otherwise the next time. */
    static const rd_kafka_resp_err_t refused[] = {
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_INVALID_MSG,
        RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
        RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
        RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (code == refused[i])
            return SINK_REFUSED;
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return SINK_DONE;
    /* A positive code is that of a broker, so there is one; a negative one is librdkafka's own. */
    return code > 0 ? SINK_AGAIN : SINK_BROKEN;
}

/* Whether librdkafka remembers |code| of the topic, and gives it to all messages for some minutes to come. */
static bool is_remembered(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

/* The result of the messages that are to be tried again, when deliver has returned |rc|. */
static enum sink_result result_of_rest(const struct kafka *k, int rc)
{
    if (rc == ERR_CANCELLED)
        return SINK_AGAIN;
    bool broken = rc || kafka_client_is_fatal(k->client);
    for (size_t i = 0; i < k->reports.n && !broken; i++)
        broken = result_of(k->codes[i]) == SINK_BROKEN;
    return broken ? SINK_BROKEN : SINK_AGAIN;
}

/* Tells in |e| why |m|, the first that was not delivered, was not. */
static void tell_failure(const struct kafka *k, const struct sink_message *m, rd_kafka_resp_err_t code,
                         int rc, struct err *e)
{
    char fatal[256];
    if (rc == ERR_CANCELLED)
        err_set(e, rc, "%s: interrupted before all was delivered", k->conf.target);
    else if (rc == ERR_TIMEOUT)
        tell(k, RD_KAFKA_RESP_ERR__TIMED_OUT, "librdkafka does not tell what became of a message", e);
    else if (rd_kafka_fatal_error(k->client->rk, fatal, sizeof(fatal)))
        tell(k, RD_KAFKA_RESP_ERR__FATAL, fatal, e);
    else if (result_of(code) == SINK_REFUSED)
        err_set(e, ERR_UNSUPPORTED, "%s: topic %s refuses a message of %zu bytes: %s", k->conf.target,
                k->conf.topic, m->len, rd_kafka_err2str(code));
    else
        tell(k, code, k->client->trouble, e);
}

/* Sets the results of |list|: once a message is to be tried again, all behind it are, but for those delivered. Returns whether
 * the client is of no more use. */
static bool settle(const struct kafka *k, struct sink_message *list, size_t n, int rc, struct err *e)
{
    enum sink_result rest = result_of_rest(k, rc);
    bool failed = false, again = false, remembered = false;
    for (size_t i = 0; i < n; i++) {
        enum sink_result result = result_of(k->codes[i]);
        if (result != SINK_DONE && !failed)
            tell_failure(k, &list[i], k->codes[i], rc, e);
        failed |= result != SINK_DONE;
        again |= result != SINK_DONE && result != SINK_REFUSED;
        remembered |= is_remembered(k->codes[i]);
        list[i].result = result != SINK_DONE && again ? rest : result;
    }
    return rc || remembered || (again && rest == SINK_BROKEN);
}

static void kafka_send(void *sink, struct sink_message *list, size_t n, struct err *e)
{
    struct kafka *k = sink;
    struct kafka_client *c = k->client;
    if (begin_reports(k, n)) {
        err_set(e, -ENOMEM, "%s: out of memory", k->conf.target);
        for (size_t i = 0; i < n; i++)
            list[i].result = SINK_AGAIN;
        return;
    }
    c->trouble[0] = '\0';
    c->reports = &k->reports;
    int rc = deliver(k, list, 0, n);
    if (!rc && n > 1)
        rc = deliver_singly(k, list, n);
    c->reports = NULL;
    if (settle(k, list, n, rc, e))
        give_up(k);
}

static void kafka_poll_end(void *sink)
{
    struct kafka *k = sink;
    if (k->client)
        kafka_client_serve(k->client);
}

static size_t kafka_largest(const void *sink)
{
    const struct kafka *k = sink;
    size_t max = k->conf.message_max;
    return max > 2 * OVERHEAD ? max - OVERHEAD : max / 2;
}

static enum output_key kafka_key(const void *sink)
{
    const struct kafka *k = sink;
    const struct output_kafka_options *o = k->env->options;
    return o->key;
}

extern const struct sink_ops xtcp_sink_kafka;

__attribute__((visibility("default"))) const struct sink_ops xtcp_sink_kafka = {
    .abi = SINK_ABI,
    .use_log = log_use,
    .open = kafka_open,
    .connect = kafka_connect,
    .send = kafka_send,
    .poll_end = kafka_poll_end,
    .largest = kafka_largest,
    .key = kafka_key,
    .close = kafka_close,
};
