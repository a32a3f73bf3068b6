/* The configuration of librdkafka, made of that of the output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/ascii.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/utf8.h"
#include "outputs/sink/kafka_internal.h"

#define CLIENT_ID        "xtcp2"
#define TOPIC_DEFAULT    "xtcp"
#define QUEUE_KIB        "65536" /* of librdkafka's queue, in which all messages of one call are to fit */
#define PASSWORD_MAX     4096    /* bytes of its file */
#define SECRET_LEAST     3       /* a shorter text is not hidden: it is in too many words */
#define LIBRARY_TEXT_MAX 256     /* of an error of librdkafka */
#define TARGET_MAX       200     /* bytes of it in errors */

/* Between two attempts to connect, at most. Without a connection librdkafka looks no more often whether the time of a
 * message is over. */
#define RECONNECT_MS "1000"

/* librdkafka asks for a topic that the brokers do not know for this long at most: one that is made for us takes a
 * moment to be known to all of them. */
#define UNKNOWN_TOPIC_MS 10000

/* ---- Secrets ---- */

static int secrets_add(struct kafka_secrets *s, const char *text)
{
    if (strlen(text) < SECRET_LEAST)
        return 0;
    char *copy = strdup(text);
    if (!copy || array_room(&s->items, s->n + 1, &s->room, sizeof(s->items[0]))) {
        file_forget(copy);
        return -ENOMEM;
    }
    s->items[s->n++] = copy;
    return 0;
}

void kafka_secrets_free(struct kafka_secrets *s)
{
    for (size_t i = 0; i < s->n; i++)
        file_forget(s->items[i]);
    free(s->items);
    *s = (struct kafka_secrets){0};
}

/* The length of the longest of |secrets| that |text| begins with; 0: none. */
static size_t secret_length(const struct kafka_secrets *secrets, const char *text)
{
    size_t longest = 0;
    for (size_t i = 0; i < secrets->n; i++) {
        size_t n = strlen(secrets->items[i]);
        if (n > longest && strncmp(text, secrets->items[i], n) == 0)
            longest = n;
    }
    return longest;
}

const char *kafka_shown(const struct kafka_secrets *secrets, const char *text, char *out, size_t size)
{
    struct buf shown;
    buf_init(&shown);
    while (*text) {
        size_t n = secret_length(secrets, text);
        if (n)
            buf_str(&shown, URL_HIDDEN);
        else
            buf_char(&shown, *text);
        text += n ? n : 1;
    }
    utf8_quote(buf_cstr(&shown), out, size);
    buf_free(&shown);
    return out;
}

/* ---- Properties that are passed ---- */

/* Properties that are not passed on, since the sink depends on them or the daemon would be at their mercy. */
static const struct {
    const char *name;
    const char *why;
} reserved[] = {
    {"bootstrap.servers", "the URL has the brokers"},
    {"metadata.broker.list", "the URL has the brokers"},
    {"transactional.id", "an output has no transactions"},
    {"delivery.report.only.error", "an output counts what is delivered"},
    {"enabled_events", "the output takes reports in a way of its own"},
    {"log.queue", "the log is that of the daemon"},
    {"statistics.interval.ms", "an output has figures of its own"},
    {"internal.termination.signal", "it would be sent to the daemon"},
    {"test.mock.num.brokers", "messages would stay in the daemon"},
    {"plugin.library.paths", "it loads code into the daemon"},
    {"ssl.engine.location", "it loads code into the daemon"},
    {"sasl.kerberos.kinit.cmd", "it runs a command"},
};

/* A property that is passed. */
struct property {
    const char *option; /* "kafka.KEY=VALUE" */
    const char *value;
    char name[128]; /* KEY */
};

/* The next property of |env| from option |*i| on. Returns false when there is none. */
static bool next_property(const struct sink_env *env, size_t *i, struct property *p)
{
    const struct config_strings *options = &env->config->options;
    size_t prefix = strlen(env->kind->passed);
    for (; *i < options->n; ++*i) {
        const char *text = options->items[*i];
        const char *equal = strchr(text, '=');
        if (strncmp(text, env->kind->passed, prefix) != 0 || !equal)
            continue;
        size_t n = (size_t)(equal - text) - prefix;
        p->option = text;
        p->value = equal + 1;
        if (n >= sizeof(p->name))
            n = sizeof(p->name) - 1; /* librdkafka has none with as long a name */
        memcpy(p->name, text + prefix, n);
        p->name[n] = '\0';
        ++*i;
        return true;
    }
    return false;
}

static bool is_passed(const struct sink_env *env, const char *name)
{
    struct property p;
    for (size_t i = 0; next_property(env, &i, &p);) {
        if (strcmp(p.name, name) == 0)
            return true;
    }
    return false;
}

/* Sets the property |name|; |where| names it in errors ("options: linger"). The value of a |secret| is not shown. */
static int set_property(rd_kafka_conf_t *rd, const char *name, const char *value, const char *where,
                        bool secret, struct err *e)
{
    char why[LIBRARY_TEXT_MAX], quoted[LIBRARY_TEXT_MAX];
    switch (rd_kafka_conf_set(rd, name, value, why, sizeof(why))) {
    case RD_KAFKA_CONF_OK:
        return 0;
    case RD_KAFKA_CONF_UNKNOWN:
        return err_set(e, ERR_UNKNOWN, "%s: librdkafka %s has no such property", where,
                       rd_kafka_version_str());
    default:
        return err_set(e, ERR_RANGE, "%s: %s", where,
                       secret ? "its value is not allowed" : utf8_quote(why, quoted, sizeof(quoted)));
    }
}

static int pass_property(rd_kafka_conf_t *rd, const struct sink_env *env, const struct property *p,
                         struct err *e)
{
    char where[sizeof(p->name) + 32];
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcmp(p->name, reserved[i].name) == 0)
            return err_set(e, ERR_UNSUPPORTED, "options: %s%s: cannot be set: %s", env->kind->passed, p->name,
                           reserved[i].why);
    }
    snprintf(where, sizeof(where), "options: %s%s", env->kind->passed, p->name);
    return set_property(rd, p->name, p->value, where, output_key_is_secret(p->option), e);
}

static int pass_properties(rd_kafka_conf_t *rd, const struct sink_env *env, struct err *e)
{
    struct property p;
    int rc = 0;
    for (size_t i = 0; !rc && next_property(env, &i, &p);)
        rc = pass_property(rd, env, &p, e);
    return rc;
}

/* Collects the secrets of the URL and of the options. */
static int find_secrets(const struct sink_env *env, struct kafka_secrets *out)
{
    struct property p;
    int rc = env->url->password ? secrets_add(out, env->url->password) : 0;
    for (size_t i = 0; !rc && next_property(env, &i, &p);) {
        if (output_key_is_secret(p.option))
            rc = secrets_add(out, p.value);
    }
    return rc;
}

/* ---- Brokers and topic ---- */

static void print_brokers(const struct sink_env *env, struct buf *out)
{
    for (size_t i = 0; i < env->url->n_hosts; i++) {
        const struct url_host *h = &env->url->hosts[i];
        bool v6 = strchr(h->name, ':') != NULL;
        buf_printf(out, "%s%s%s%s:%u", i ? "," : "", v6 ? "[" : "", h->name, v6 ? "]" : "",
                   h->port ? h->port : env->kind->port);
    }
}

static int set_brokers(struct kafka_conf *c, const struct sink_env *env, struct err *e)
{
    struct buf brokers;
    buf_init(&brokers);
    print_brokers(env, &brokers);
    int rc = brokers.failed ? err_set(e, -ENOMEM, "out of memory") : 0;
    if (!rc)
        rc = set_property(c->rd, "bootstrap.servers", buf_cstr(&brokers), "to", false, e);
    if (!rc && asprintf(&c->target, "%s:%.*s%s", env->kind->name, TARGET_MAX, buf_cstr(&brokers),
                        brokers.len > TARGET_MAX ? "…" : "") < 0) {
        c->target = NULL;
        rc = err_set(e, -ENOMEM, "out of memory");
    }
    buf_free(&brokers);
    return rc;
}

static bool is_topic(const char *text)
{
    size_t n = 0;
    while (ascii_is_letter(text[n]) || ascii_is_digit(text[n]) || (text[n] && strchr("._-", text[n])))
        n++;
    return n > 0 && n <= KAFKA_TOPIC_MAX && !text[n] && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* The topic: that of the option, or the path of the URL, or the default. */
static int set_topic(struct kafka_conf *c, const struct sink_env *env, struct err *e)
{
    const struct output_kafka_options *o = env->options;
    const char *path = env->url->path[0] == '/' ? env->url->path + 1 : env->url->path;
    if (*path && *o->topic && strcmp(path, o->topic) != 0)
        return err_set(e, ERR_DUPLICATE, "options: topic: the URL has another topic");
    const char *topic = *o->topic ? o->topic : *path ? path : TOPIC_DEFAULT;
    if (!is_topic(topic))
        return err_set(
            e, ERR_MALFORMED,
            "%s is no topic: allowed are 1 to %d letters, digits, '.', '_' and '-', but not . and ..",
            *o->topic ? "options: topic: the value" : "to: the path of the URL", KAFKA_TOPIC_MAX);
    c->topic = strdup(topic);
    return c->topic ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* ---- User and password ---- */

static int check_login(const struct sink_env *env, struct err *e)
{
    const struct output_kafka_options *o = env->options;
    const struct url *url = env->url;
    if (url->user && *o->user)
        return err_set(e, ERR_DUPLICATE, "options: user: the URL has one, too");
    if (url->password && *o->password_file)
        return err_set(e, ERR_DUPLICATE, "options: password_file: the URL has a password, too");
    if (*o->password_file && !url->user && !*o->user && !is_passed(env, "sasl.username"))
        return err_set(e, ERR_PRECONDITION, "options: password_file: needs user, or one in the URL");
    return 0;
}

/* Defaults that a property of the user's takes the place of. */
static int set_default(rd_kafka_conf_t *rd, const struct sink_env *env, const char *name, const char *alias,
                       const char *value, struct err *e)
{
    if (is_passed(env, name) || (alias && is_passed(env, alias)))
        return 0;
    return set_property(rd, name, value, name, false, e);
}

static int set_login(rd_kafka_conf_t *rd, const struct sink_env *env, struct err *e)
{
    const struct output_kafka_options *o = env->options;
    const char *user = env->url->user ? env->url->user : o->user;
    int rc = check_login(env, e);
    if (rc || !*user)
        return rc;
    rc = set_property(rd, "sasl.username", user, "options: user", false, e);
    if (!rc && env->url->password)
        rc = set_property(rd, "sasl.password", env->url->password, "to", true, e);
    if (!rc)
        rc = set_default(rd, env, "security.protocol", NULL, "sasl_plaintext", e);
    return rc ? rc : set_default(rd, env, "sasl.mechanism", "sasl.mechanisms", "PLAIN", e);
}

/* The password in the file |path|, without the end of its line. For file_forget. */
static int read_password(const char *path, char **out, struct err *e)
{
    size_t n;
    int rc = file_read(path, PASSWORD_MAX, out, &n, NULL, e);
    if (rc) {
        err_prefix(e, "options: password_file");
        return rc;
    }
    bool text = strlen(*out) == n;
    (*out)[strcspn(*out, "\r\n")] = '\0';
    if (text && **out)
        return 0;
    explicit_bzero(*out, n);
    free(*out);
    *out = NULL;
    return err_set(e, ERR_MALFORMED, "options: password_file: %s: has no password in its first line", path);
}

/* ---- The whole ---- */

static const char *codec_name(enum output_codec codec)
{
    switch (codec) {
    case OUTPUT_CODEC_NONE:
        return "none";
    case OUTPUT_CODEC_GZIP:
        return "gzip";
    case OUTPUT_CODEC_SNAPPY:
        return "snappy";
    case OUTPUT_CODEC_LZ4:
        return "lz4";
    case OUTPUT_CODEC_AUTO: /* librdkafka sends to a broker that does not know it without compression */
    case OUTPUT_CODEC_ZSTD:
        break;
    }
    return "zstd";
}

static int set_options(rd_kafka_conf_t *rd, const struct sink_env *env, struct err *e)
{
    const struct output_kafka_options *o = env->options;
    long long timeout_ms = o->timeout / NS_PER_MS;
    char linger[32], timeout[32], unknown[32];
    snprintf(linger, sizeof(linger), "%lld.%03lld", (long long)(o->linger / NS_PER_MS),
             (long long)(o->linger % NS_PER_MS / NS_PER_US));
    snprintf(timeout, sizeof(timeout), "%lld", timeout_ms);
    snprintf(unknown, sizeof(unknown), "%lld",
             timeout_ms / 2 < UNKNOWN_TOPIC_MS ? timeout_ms / 2 : UNKNOWN_TOPIC_MS);
    const struct {
        const char *name, *value, *where;
    } list[] = {
        {"client.id", CLIENT_ID, "client.id"},
        {"enable.idempotence", "true", "enable.idempotence"},
        {"acks", "all", "acks"},
        {"compression.codec", codec_name(o->compression), "options: compression"},
        {"reconnect.backoff.max.ms", RECONNECT_MS, "reconnect.backoff.max.ms"},
        {"linger.ms", linger, "options: linger"},
        {"message.timeout.ms", timeout, "options: timeout"},
        {"topic.metadata.propagation.max.ms", unknown, "options: timeout"},
        {"queue.buffering.max.kbytes", QUEUE_KIB, "queue.buffering.max.kbytes"},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]) && !rc; i++)
        rc = set_property(rd, list[i].name, list[i].value, list[i].where, false, e);
    return rc;
}

/* The number that the property |name| has in |rd|. */
static uint64_t get_number(const rd_kafka_conf_t *rd, const char *name)
{
    char text[32];
    size_t size = sizeof(text);
    if (rd_kafka_conf_get(rd, name, text, &size) != RD_KAFKA_CONF_OK)
        return 0;
    return strtoull(text, NULL, 10);
}

static int read_numbers(struct kafka_conf *c, const struct sink_env *env, struct err *e)
{
    uint64_t timeout_ms = get_number(c->rd, "message.timeout.ms");
    uint64_t queue_kib = get_number(c->rd, "queue.buffering.max.kbytes");
    c->timeout_ns = timeout_ms ? (int64_t)timeout_ms * NS_PER_MS : INT64_MAX;
    c->message_max = get_number(c->rd, "message.max.bytes");
    if (queue_kib * 1024 < c->message_max)
        return err_set(
            e, ERR_RANGE,
            "options: %squeue.buffering.max.kbytes: value %llu has no room for a message of message.max.bytes, "
            "%zu",
            env->kind->passed, (unsigned long long)queue_kib, c->message_max);
    return 0;
}

static void silent(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

/* Makes |rd| one for a trial: without brokers, and without what files have, which may come later. */
static int set_trial(rd_kafka_conf_t *rd, const struct sink_env *env)
{
    const struct output_kafka_options *o = env->options;
    char protocol[32] = "";
    size_t size = sizeof(protocol);
    struct err e;
    rd_kafka_conf_set_log_cb(rd, silent);
    rd_kafka_conf_get(rd, "security.protocol", protocol, &size);
    bool sasl = strncmp(protocol, "sasl", 4) == 0;
    int rc = set_property(rd, "security.protocol", sasl ? "sasl_plaintext" : "plaintext", "", false, &e);
    if (!rc && *o->password_file)
        rc = set_property(rd, "sasl.password", "any", "", true, &e);
    return rc ? rc : set_property(rd, "bootstrap.servers", "", "", false, &e);
}

/* Properties that are right one by one may not fit each other, which librdkafka tells when an instance is made. So one is
 * made that has no broker to go to, and ended. */
static int try_conf(const struct kafka_conf *c, const struct sink_env *env, struct err *e)
{
    char why[LIBRARY_TEXT_MAX] = "out of memory", shown[LIBRARY_TEXT_MAX];
    struct kafka_secrets secrets = {0};
    rd_kafka_conf_t *rd = rd_kafka_conf_dup(c->rd);
    rd_kafka_t *rk = set_trial(rd, env) == 0 ? rd_kafka_new(RD_KAFKA_PRODUCER, rd, why, sizeof(why)) : NULL;
    if (rk) {
        rd_kafka_destroy(rk);
        return 0;
    }
    rd_kafka_conf_destroy(rd);
    int rc = find_secrets(env, &secrets);
    if (rc)
        err_set(e, rc, "out of memory");
    else
        rc = err_set(e, ERR_RANGE, "options: %s", kafka_shown(&secrets, why, shown, sizeof(shown)));
    kafka_secrets_free(&secrets);
    return rc;
}

int kafka_conf_read(const struct sink_env *env, struct kafka_conf *out, struct err *e)
{
    *out = (struct kafka_conf){.rd = rd_kafka_conf_new()};
    int rc = set_topic(out, env, e);
    if (!rc)
        rc = set_brokers(out, env, e);
    if (!rc)
        rc = set_options(out->rd, env, e);
    if (!rc)
        rc = set_login(out->rd, env, e);
    if (!rc)
        rc = pass_properties(out->rd, env, e);
    if (!rc)
        rc = read_numbers(out, env, e);
    if (!rc)
        rc = try_conf(out, env, e);
    if (rc)
        kafka_conf_free(out);
    return rc;
}

void kafka_conf_free(struct kafka_conf *c)
{
    if (c->rd)
        rd_kafka_conf_destroy(c->rd);
    free(c->target);
    free(c->topic);
    *c = (struct kafka_conf){0};
}

int kafka_conf_complete(const struct kafka_conf *c, const struct sink_env *env, rd_kafka_conf_t **out,
                        struct kafka_secrets *secrets, struct err *e)
{
    const struct output_kafka_options *o = env->options;
    char *password = NULL;
    *secrets = (struct kafka_secrets){0};
    int rc = *o->password_file ? read_password(o->password_file, &password, e) : 0;
    if (rc)
        return rc;
    *out = rd_kafka_conf_dup(c->rd);
    if (password)
        rc = set_property(*out, "sasl.password", password, "options: password_file", true, e);
    if (!rc && (find_secrets(env, secrets) || (password && secrets_add(secrets, password))))
        rc = err_set(e, -ENOMEM, "out of memory");
    file_forget(password);
    if (rc) {
        rd_kafka_conf_destroy(*out);
        kafka_secrets_free(secrets);
    }
    return rc;
}
