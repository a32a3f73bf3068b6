/* The parts of the Kafka sink, between its files alone.
 *
 * kafka.c has the sink: it hands messages to librdkafka and waits for the report on each of them. kafka_conf.c makes the
 * library's configuration of the output's. kafka_client.c has one instance of the library, from its first connection
 * until it is given up; the sink then makes another one. */
#ifndef XTCP_OUTPUTS_SINK_KAFKA_INTERNAL_H
#define XTCP_OUTPUTS_SINK_KAFKA_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "lib/err.h"
#include "lib/log.h"
#include "outputs/sink/sink.h"

/* ---- Configuration; kafka_conf.c ---- */

#define KAFKA_TOPIC_MAX                                                                                      \
    249 /* bytes of a topic's name: that of its folder at the broker has ten more at most */

/* Texts that must not be shown, such as a password. */
struct kafka_secrets {
    char **items;
    size_t n;
    size_t room;
};

/* What the sink is configured to do; never changes. */
struct kafka_conf {
    char *target; /* "kafka:HOST:PORT,…", for people */
    char *topic;
    rd_kafka_conf_t *rd; /* all but the password from a file */
    size_t message_max;  /* bytes of a message with its key, as librdkafka takes it */
    int64_t timeout_ns;  /* of a message in all its attempts; INT64_MAX: none */
};

/* Reads the configuration of |env|. Returns 0 and |out|, for kafka_conf_free; or a code with |e| naming the option. */
int kafka_conf_read(const struct sink_env *env, struct kafka_conf *out, struct err *e);
void kafka_conf_free(struct kafka_conf *c);

/* A copy of |c->rd| with the password as its file has it now, for rd_kafka_new, and the secrets in it. Returns 0 and both,
 * for rd_kafka_conf_destroy and kafka_secrets_free; or a code with |e| naming the file. */
int kafka_conf_complete(const struct kafka_conf *c, const struct sink_env *env, rd_kafka_conf_t **out,
                        struct kafka_secrets *secrets, struct err *e);

/* |text|, of librdkafka or a broker, as people may see it: with URL_HIDDEN in place of each of |secrets|, and as utf8_quote
 * has it. Into |out| of |size| bytes; returns |out|. */
const char *kafka_shown(const struct kafka_secrets *secrets, const char *text, char *out, size_t size);
void kafka_secrets_free(struct kafka_secrets *secrets);

/* ---- An instance of librdkafka; kafka_client.c ---- */

/* The reports on messages that have been handed over: |codes| has one for each. */
struct kafka_reports {
    rd_kafka_resp_err_t *codes; /* KAFKA_PENDING: there is none yet */
    size_t n;
    size_t pending;
    bool stuck; /* librdkafka has given one up: nothing gets through */
};

#define KAFKA_PENDING RD_KAFKA_RESP_ERR__IN_PROGRESS

struct kafka_client {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue; /* reports and errors; kafka_client_serve takes them out */
    int event_fd;            /* readable when there is something in the queue */

    /* Also for the log, which threads of librdkafka write until the instance has ended. */
    char output[OUTPUT_NAME_MAX + 1];
    struct kafka_secrets secrets;
    struct log_rate rate;

    /* The output's thread alone. */
    bool known;                    /* the cluster has answered once */
    bool down;                     /* no broker is connected, and each has been tried */
    bool denied;                   /* a broker does not accept our user or password */
    char trouble[ERR_TEXT_MAX];    /* the newest error, without secrets; "": none */
    struct kafka_reports *reports; /* of what is under way; NULL: nothing */
};

/* Makes an instance, which begins to connect, for kafka_client_end. Returns NULL with |e| when it cannot be made now. */
struct kafka_client *kafka_client_new(const struct kafka_conf *conf, const struct sink_env *env,
                                      struct err *e);

/* Takes out what is in its queue: reports go to |c->reports|, errors to the fields above. Does not wait. */
void kafka_client_serve(struct kafka_client *c);

/* Waits for something in the queue until |deadline_ns|, and serves it. Returns as sink_host.wait. */
int kafka_client_wait(struct kafka_client *c, const struct sink_host *host, int64_t deadline_ns);

/* Whether the cluster has answered, so that there is a broker that takes requests. */
bool kafka_client_knows_cluster(struct kafka_client *c);

/* Whether the instance is of no more use: librdkafka has found that it cannot keep its promise to deliver once and in order. */
bool kafka_client_is_fatal(const struct kafka_client *c);

/* Takes back what is under way, and waits a moment for the reports on it. The instance must be given up then. */
void kafka_client_purge(struct kafka_client *c);

/* Ends and frees it. Waits for that a moment, and leaves the rest to a thread that ends with it. */
void kafka_client_end(struct kafka_client *c);

#endif
