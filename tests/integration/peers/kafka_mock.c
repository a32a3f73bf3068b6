/* kafka_mock: librdkafka's mock cluster in a process of its own, on loopback.
 *
 *     kafka_mock BROKERS
 *
 * Prints "bootstrap HOST:PORT,…". Then it takes a line at a time and answers each with "ok", or with "error TEXT":
 *
 *     topic NAME PARTITIONS       makes a topic; others are made, with 4 partitions, when they are first used
 *     refuse TOPIC ERROR          from now on requests for the metadata of the topic get ERROR; NO_ERROR: no longer
 *     down BROKER                 broker 1, 2, … (0: all) ends its connections and takes no further ones
 *     up BROKER                   it takes them again
 *     delay BROKER MS             its answers take so long
 *     error REQUEST ERROR COUNT   the next COUNT requests of this kind (produce, metadata, init_producer_id) fail
 *     quit                        (or the end of the input) ends everything
 *
 * An ERROR is one of librdkafka by its name or the beginning of it: NOT_LEADER, MSG_SIZE_TOO_LARGE; _TRANSPORT ends the
 * connection instead of an answer. A partition keeps its last 5 MiB. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define BROKERS_MAX 100
#define WORDS_MAX   4
#define ALL_BROKERS (-1)

struct mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    char *words[WORDS_MAX]; /* of the line; NULL: no more */
};

/* Why a line was not obeyed; NULL: it was. */
typedef const char *answer;

/* ---- Words of a line ---- */

static long number(const char *word, long max)
{
    char *end;
    long n = word ? strtol(word, &end, 10) : -1;
    return !word || end == word || *end || n < 0 || n > max ? -1 : n;
}

/* Finds the error called |name|. Returns whether there is one. */
static bool find_error(const char *name, rd_kafka_resp_err_t *code)
{
    const struct rd_kafka_err_desc *all;
    size_t n, len = name ? strlen(name) : 0;
    rd_kafka_get_err_descs(&all, &n);
    for (size_t i = 0; len > 0 && i < n; i++) {
        if (all[i].name && strncmp(all[i].name, name, len) == 0) {
            *code = all[i].code;
            return true;
        }
    }
    return false;
}

/* The key of the kind of requests called |name|; -1: there is none. */
static int16_t find_request(const char *name)
{
    static const struct {
        const char *name;
        int16_t key; /* https://kafka.apache.org/protocol#protocol_api_keys */
    } requests[] = {{"produce", 0}, {"metadata", 3}, {"init_producer_id", 22}};
    for (size_t i = 0; name && i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (strcmp(requests[i].name, name) == 0)
            return requests[i].key;
    }
    return -1;
}

static answer told(rd_kafka_resp_err_t code)
{
    return code ? rd_kafka_err2str(code) : NULL;
}

/* ---- Commands ---- */

static answer make_topic(struct mock *m)
{
    long partitions = number(m->words[2], 1000);
    if (!m->words[1] || partitions < 1)
        return "topic NAME PARTITIONS";
    return told(rd_kafka_mock_topic_create(m->cluster, m->words[1], (int)partitions, 1));
}

static answer refuse_topic(struct mock *m)
{
    rd_kafka_resp_err_t code;
    if (!m->words[1] || !find_error(m->words[2], &code))
        return "refuse TOPIC ERROR";
    rd_kafka_mock_topic_set_error(m->cluster, m->words[1], code);
    return NULL;
}

static bool broker(const struct mock *m, int32_t *id)
{
    long n = number(m->words[1], BROKERS_MAX);
    *id = n == 0 ? ALL_BROKERS : (int32_t)n;
    return n >= 0;
}

static answer take_down(struct mock *m)
{
    int32_t id;
    return broker(m, &id) ? told(rd_kafka_mock_broker_set_down(m->cluster, id)) : "down BROKER";
}

static answer bring_up(struct mock *m)
{
    int32_t id;
    return broker(m, &id) ? told(rd_kafka_mock_broker_set_up(m->cluster, id)) : "up BROKER";
}

static answer delay(struct mock *m)
{
    int32_t id;
    long ms = number(m->words[2], 600000);
    if (!broker(m, &id) || ms < 0)
        return "delay BROKER MS";
    return told(rd_kafka_mock_broker_set_rtt(m->cluster, id, (int)ms));
}

static answer fail_requests(struct mock *m)
{
    rd_kafka_resp_err_t code;
    int16_t key = find_request(m->words[1]);
    long count = number(m->words[3], 100000);
    if (key < 0 || count < 1 || !find_error(m->words[2], &code))
        return "error REQUEST ERROR COUNT";
    while (count--)
        rd_kafka_mock_push_request_errors_array(m->cluster, key, 1, &code);
    return NULL;
}

static const struct {
    const char *name;
    answer (*run)(struct mock *m);
} commands[] = {
    {"topic", make_topic}, {"refuse", refuse_topic}, {"down", take_down},
    {"up", bring_up},      {"delay", delay},         {"error", fail_requests},
};

static answer obey(struct mock *m)
{
    for (size_t i = 0; m->words[0] && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, m->words[0]) == 0)
            return commands[i].run(m);
    }
    return "there is no such command";
}

/* ---- Life ---- */

static void start(struct mock *m, const char *brokers)
{
    char why[256] = "";
    long n = number(brokers, BROKERS_MAX);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL,
                      0); /* of this instance, which has no use but for the cluster */
    m->rk = n > 0 ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)) : NULL;
    m->cluster = m->rk ? rd_kafka_mock_cluster_new(m->rk, (int)n) : NULL;
    if (!m->cluster) {
        fprintf(stderr, "usage: kafka_mock BROKERS\n%s\n", why);
        exit(1);
    }
    printf("bootstrap %s\n", rd_kafka_mock_cluster_bootstraps(m->cluster));
}

static void split(struct mock *m, char *line)
{
    char *rest = NULL;
    for (size_t i = 0; i < WORDS_MAX; i++)
        m->words[i] = strtok_r(i ? NULL : line, " \n", &rest);
}

int main(int argc, char **argv)
{
    struct mock m = {0};
    char line[512];
    setvbuf(stdout, NULL, _IOLBF, 0);
    start(&m, argc == 2 ? argv[1] : NULL);
    while (fgets(line, sizeof(line), stdin)) {
        split(&m, line);
        if (m.words[0] && strcmp(m.words[0], "quit") == 0)
            break;
        answer why = obey(&m);
        printf(why ? "error %s\n" : "ok\n", why);
    }
    rd_kafka_mock_cluster_destroy(m.cluster);
    rd_kafka_destroy(m.rk);
    return 0;
}
