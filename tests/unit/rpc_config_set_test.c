/* Set and SetPollFrequency. */
#include "rpc_config_test.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Nothing changes ---- */

static void assert_unchanged(const XtcpConfig__V1__XtcpConfig *m, const struct config *c)
{
    struct config_msg_set out;
    struct err e;
    if (set(m, c, &out, &e) != 0)
        fail_msg("%s", e.text);
    if (out.n_changed)
        fail_msg("%s changed", out.changed[0]);
    assert_int_equal(config_diff(c, out.candidate, NULL, 0), 0);
    assert_int_equal(out.candidate->debug_level, c->debug_level);
    assert_int_equal(out.candidate->hostname_given, c->hostname_given);
    assert_int_equal(out.candidate->generation, c->generation);
    config_unref(out.candidate);
}

/* Sets option |i| of |c| to a value drawn by |random|, within its bounds. */
static void randomise(struct config *c, size_t i, uint64_t *random)
{
    const struct config_option *o = &config_options[i];
    char text[64];
    uint64_t draw = next_random(random);
    if (o->zero && draw % 4 == 0)
        snprintf(text, sizeof(text), "0");
    else if (o->type == CONFIG_DURATION)
        snprintf(text, sizeof(text), "%lluns",
                 (unsigned long long)o->min + draw % (uint64_t)(o->max - o->min));
    else if (o->type == CONFIG_UINT)
        snprintf(text, sizeof(text), "%llu",
                 (unsigned long long)o->min + draw % (uint64_t)(o->max - o->min + 1));
    else if (o->type == CONFIG_STRING && o->offset == offsetof(struct config, capture_path))
        snprintf(text, sizeof(text), "/var/tmp");
    else if (o->type == CONFIG_STRING)
        snprintf(text, sizeof(text), "%.*s", (int)(draw % 20), "gr\xc3\xbc\x6e label, \"x\" and more");
    else if (o->type == CONFIG_BOOL)
        snprintf(text, sizeof(text), "%s", draw % 2 ? "true" : "false");
    else if (o->type == CONFIG_ENUM)
        snprintf(text, sizeof(text), "%s", o->names[draw % o->n_names]);
    else
        return;
    if (config_set_text(c, o, text, NULL) != 0)
        assert_int_equal(o->type, CONFIG_STRING); /* cut within a character */
}

static struct config *random_config(uint64_t *random)
{
    struct config *c = new_config();
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        randomise(c, i, random);
    c->poll_timeout = c->poll_frequency / 2 > 1000000 ? c->poll_frequency / 2 : 1000000;
    c->groups = (groups_t)next_random(random) & GROUPS_ALL;
    const char *const listen[] = {"unix:/run/a.sock", "127.0.0.1:7002", "[::1]:0"};
    const char *const dirs[] = {"/run/netns", "/var/run/my netns", "/x"};
    assert_int_equal(config_set_strings(c, &c->grpc_listen, listen, 1 + next_random(random) % 3), 0);
    assert_int_equal(config_set_strings(c, &c->netns_dirs, dirs, next_random(random) % 4), 0);
    if (next_random(random) % 2)
        config_set_debug_level(c, (uint32_t)(next_random(random) % 1001));
    c->generation = next_random(random) % 3;
    assert_int_equal(config_normalise(c), 0);
    struct err e;
    if (config_validate(c, &e) != 0)
        fail_msg("%s", e.text);
    return c;
}

static void test_set_of_get_changes_nothing(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252ULL;
    struct config *c = new_config();
    XtcpConfig__V1__GetResponse *reply = get(c);
    assert_unchanged(reply->config, c);
    free_message(reply);
    config_unref(c);
    for (int i = 0; i < 2000; i++) {
        c = random_config(&random);
        reply = get(c);
        assert_unchanged(reply->config, c);
        free_message(reply);
        config_unref(c);
    }
}

/* The Go tool drops the fields that it does not know, those from 1000 on. */
static void test_round_trip_without_our_fields(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 500; i++) {
        struct config *c = random_config(&random);
        XtcpConfig__V1__GetResponse *reply = get(c);
        XtcpConfig__V1__DaemonOptions *options = reply->config->options;
        reply->config->options = NULL;
        reply->config->generation = 0;
        assert_unchanged(reply->config, c);
        reply->config->options = options;
        free_message(reply);
        config_unref(c);
    }
}

static void test_absent_is_unchanged(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    assert_unchanged(&m, c);
    assert_int_equal(config_msg_apply_set(NULL, 0, c, &extra, &out, NULL), 0); /* no config at all */
    assert_int_equal(out.n_changed, 0);
    config_unref(out.candidate);
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    XtcpConfig__V1__Limits limits = XTCP_CONFIG__V1__LIMITS__INIT;
    XtcpConfig__V1__Log log = XTCP_CONFIG__V1__LOG__INIT;
    XtcpConfig__V1__Namespaces namespaces = XTCP_CONFIG__V1__NAMESPACES__INIT;
    options.limits = &limits;
    options.log = &log;
    options.namespaces = &namespaces;
    m.options = &options;
    assert_unchanged(&m, c);
    config_unref(c);
}

/* Zero of debug_level is a value where the whole configuration is there, else it is absence. */
static void test_zero_debug_level(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    XtcpConfig__V1__XtcpConfig partial = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    partial.label = (char *)"x";
    assert_int_equal(set(&partial, c, &out, NULL), 0);
    assert_int_equal(out.n_changed, 1);
    assert_string_equal(out.changed[0], "label");
    assert_int_equal(out.candidate->debug_level, 10);
    config_unref(out.candidate);

    XtcpConfig__V1__GetResponse *reply = get(c);
    reply->config->debug_level = 0;
    assert_int_equal(set(reply->config, c, &out, NULL), 0);
    assert_int_equal(out.candidate->debug_level, 0);
    assert_int_equal(out.candidate->log_level, LOG_ERROR);
    assert_int_equal(out.n_changed, 2);
    assert_string_equal(out.changed[0], "debug_level");
    assert_string_equal(out.changed[1], "options.log.level");
    config_unref(out.candidate);
    free_message(reply);
    config_unref(c);
}

/* ---- Changes ---- */

static void test_every_hot_field_can_be_changed(void **state)
{
    (void)state;
    struct config *c = new_config();
    XtcpConfig__V1__GetResponse *reply = get(c);
    XtcpConfig__V1__XtcpConfig *m = reply->config;
    Google__Protobuf__Duration frequency = GOOGLE__PROTOBUF__DURATION__INIT, timeout = frequency,
                               off = frequency;
    XtcpConfig__V1__XtcpConfig change = *m;
    XtcpConfig__V1__DaemonOptions options = *m->options;
    XtcpConfig__V1__Limits limits = *options.limits;
    XtcpConfig__V1__Log log = *options.log;
    XtcpConfig__V1__Namespaces namespaces = *options.namespaces;
    XtcpConfig__V1__NamespaceDirectories none = XTCP_CONFIG__V1__NAMESPACE_DIRECTORIES__INIT;
    frequency.seconds = 604800;
    timeout.nanos = 999999999;
    change.poll_frequency = &frequency;
    change.poll_timeout = &timeout;
    change.label = (char *)"l";
    change.tag = (char *)"t";
    change.location = (char *)"here";
    change.hostname = (char *)"h";
    m->enabled_deserializers->enabled[0]->value = true;
    m->enabled_deserializers->enabled[1]->value = false;
    limits.queue_rows = 2048;
    limits.subscribers_max = 3;
    log.level = (char *)"debug";
    log.format = (char *)"json";
    namespaces.directories = &none;
    namespaces.proc_scan_interval = &off;
    options.limits = &limits;
    options.log = &log;
    options.namespaces = &namespaces;
    change.options = &options;

    struct config_msg_set out;
    struct err e;
    if (set(&change, c, &out, &e) != 0)
        fail_msg("%s", e.text);
    static const char *const changed[] = {"poll_frequency",
                                          "poll_timeout",
                                          "debug_level",
                                          "label",
                                          "tag",
                                          "location",
                                          "hostname",
                                          "enabled_deserializers",
                                          "options.namespaces.directories",
                                          "options.namespaces.proc_scan_interval",
                                          "options.limits.queue_rows",
                                          "options.limits.subscribers_max",
                                          "options.log.level",
                                          "options.log.format"};
    assert_int_equal(out.n_changed, sizeof(changed) / sizeof(changed[0]));
    for (size_t i = 0; i < out.n_changed; i++)
        assert_string_equal(out.changed[i], changed[i]);
    const struct config *n = out.candidate;
    assert_true(n->poll_frequency == 604800LL * 1000000000 && n->poll_timeout == 999999999);
    assert_string_equal(n->hostname, "h");
    assert_true(n->hostname_given);
    assert_int_equal(n->groups, (GROUPS_DEFAULT | GROUP_BIT(GROUP_MEMINFO)) & ~GROUP_BIT(GROUP_INFO));
    assert_int_equal(n->netns_dirs.n, 0);
    assert_int_equal(n->proc_scan_interval, 0);
    assert_int_equal(n->queue_rows, 2048);
    assert_int_equal(n->log_level, LOG_DEBUG);
    assert_int_equal(n->debug_level, 100);
    assert_int_equal(n->log_format, LOG_JSON);

    /* The reply tells the new values and the names. */
    struct buf b;
    struct config_reply *told;
    size_t n_told;
    buf_init(&b);
    assert_int_equal(config_msg_encode_reply(n, &extra, out.changed, out.n_changed, &b), 0);
    assert_int_equal(config_reply_decode(b.data, b.len, &told, NULL), 0);
    const char *const *names = config_reply_changed(told, &n_told);
    assert_int_equal(n_told, out.n_changed);
    assert_string_equal(names[n_told - 1], "options.log.format");
    assert_true(config_reply_poll_frequency(told) == n->poll_frequency);
    assert_true(config_reply_poll_timeout(told) == n->poll_timeout);
    assert_int_equal(config_reply_generation(told), 5);
    config_reply_free(told);
    buf_free(&b);
    config_unref(out.candidate);
    free_message(reply);
    config_unref(c);
}

/* A reserve of zero is a value like any other. */
static void test_shares_can_be_changed(void **state)
{
    (void)state;
    struct config *c = new_config();
    XtcpConfig__V1__XtcpConfig change = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    XtcpConfig__V1__Limits limits = XTCP_CONFIG__V1__LIMITS__INIT;
    XtcpConfig__V1__Reserve reserve = XTCP_CONFIG__V1__RESERVE__INIT;
    limits.calls_max = 16;
    limits.calls_rate_max = 10;
    limits.user_share_percent = 100;
    limits.reserve = &reserve;
    options.limits = &limits;
    change.options = &options;
    struct config_msg_set out;
    struct err e;
    if (set(&change, c, &out, &e) != 0)
        fail_msg("%s", e.text);
    static const char *const changed[] = {"options.limits.calls_max", "options.limits.calls_rate_max",
                                          "options.limits.user_share_percent",
                                          "options.limits.reserve.percent"};
    assert_int_equal(out.n_changed, sizeof(changed) / sizeof(changed[0]));
    for (size_t i = 0; i < out.n_changed; i++)
        assert_string_equal(out.changed[i], changed[i]);
    const struct config *n = out.candidate;
    assert_true(n->calls_max == 16 && n->calls_rate_max == 10);
    assert_true(n->user_share_percent == 100 && n->reserved_percent == 0);
    config_unref(out.candidate);
    limits.reserve = NULL;
    assert_int_equal(set(&change, c, &out, &e), 0);
    assert_int_equal(out.candidate->reserved_percent, c->reserved_percent); /* absent: unchanged */
    config_unref(out.candidate);
    config_unref(c);
}

static void test_debug_level_within_a_level(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    XtcpConfig__V1__GetResponse *reply = get(c);
    reply->config->debug_level = 42;
    assert_int_equal(set(reply->config, c, &out, NULL), 0);
    assert_int_equal(out.n_changed, 1);
    assert_string_equal(out.changed[0], "debug_level");
    assert_int_equal(out.candidate->debug_level, 42);
    assert_int_equal(out.candidate->log_level, LOG_INFO);
    config_unref(out.candidate);
    free_message(reply);
    config_unref(c);
}

static void test_dry_run_and_generation(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__SetRequest request = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    uint8_t bytes[64];
    m.generation = 5;
    request.config = &m;
    request.dry_run = true;
    size_t n = protobuf_c_message_pack(&request.base, bytes);
    assert_int_equal(config_msg_apply_set(bytes, n, c, &extra, &out, &e), 0);
    assert_true(out.dry_run);
    config_unref(out.candidate);
    m.generation = 4;
    assert_int_equal(set(&m, c, &out, &e), ERR_STALE);
    assert_says(e, "generation: value \"4\" is not the one in force, \"5\"");
    assert_null(out.candidate);
    config_unref(c);
}

/* The fields named there go back to their defaults, and then the values that are set count. */
static void test_reset(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e = {0};
    char *names[] = {(char *)"label",
                     (char *)"tag",
                     (char *)"debug_level",
                     (char *)"options.limits.cpu.max_percent",
                     (char *)"reconcile_before_poll",
                     (char *)"hostname",
                     (char *)"nlmsg_seq"};
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__SetRequest request = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    uint8_t bytes[512];
    assert_int_equal(config_set_string(c, &c->label, "old"), 0);
    assert_int_equal(config_set_string(c, &c->tag, "old"), 0);
    assert_int_equal(config_set_string(c, &c->hostname, "old"), 0);
    config_set_debug_level(c, 42);
    c->max_cpu_percent = 50;
    c->reconcile_before_poll = true;
    m.tag = (char *)"new";
    request.config = &m;
    request.reset = names;
    request.n_reset = sizeof(names) / sizeof(names[0]);
    size_t n = protobuf_c_message_pack(&request.base, bytes);
    if (config_msg_apply_set(bytes, n, c, &extra, &out, &e))
        fail_msg("%s", e.text);
    assert_string_equal(out.candidate->label, "");
    assert_string_equal(out.candidate->tag, "new");
    assert_int_equal(out.candidate->debug_level, 10);
    assert_int_equal(out.candidate->max_cpu_percent, 0);
    assert_false(out.candidate->reconcile_before_poll);
    assert_false(out.candidate->hostname_given);
    config_unref(out.candidate);

    names[0] = (char *)"labl";
    n = protobuf_c_message_pack(&request.base, bytes);
    assert_int_equal(config_msg_apply_set(bytes, n, c, &extra, &out, &e), ERR_UNKNOWN);
    assert_says(e, "reset: there is no field \"labl\"");
    config_unref(c);
}

/* ---- Refusals ---- */

/* Sets one change over the defaults, which must fail. */
static void refuse(const XtcpConfig__V1__XtcpConfig *m, int code, const char *part)
{
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e = {0};
    int rc = set(m, c, &out, &e);
    if (rc != code)
        fail_msg("%d instead of %d: %s", rc, code, e.text);
    assert_int_equal(e.code, code);
    assert_says(e, part);
    assert_null(out.candidate);
    config_unref(c);
}

#define REFUSE(field, value, code, part)                                                                     \
    do {                                                                                                     \
        XtcpConfig__V1__XtcpConfig m_ = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;                                  \
        m_.field = (value);                                                                                  \
        refuse(&m_, code, part);                                                                             \
    } while (0)

static void test_bounds(void **state)
{
    (void)state;
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    REFUSE(netlinkers, 101, ERR_RANGE, "netlinkers: value \"101\" is out of range; allowed 1 to 100");
    REFUSE(modulus, 1000001, ERR_RANGE, "modulus: value \"1000001\" is out of range; allowed 1 to 1000000");
    REFUSE(debug_level, 1001, ERR_RANGE, "debug_level");
    REFUSE(ipv4_ttl, 256, ERR_RANGE, "ipv4_ttl: value \"256\" is out of range; allowed 0 to 255");
    REFUSE(grpc_port, 65536, ERR_RANGE, "grpc_port");
    REFUSE(marshal_to, (char *)"xx", ERR_RANGE, "marshal_to: value \"xx\" has 2 characters; allowed 3 to 40");
    REFUSE(label, (char *)"12345678901234567890123456789012345678901", ERR_RANGE, "label");
    REFUSE(poll_frequency, &d, ERR_RANGE,
           "poll_frequency: value \"0s\" is out of range; allowed more than 0s, at most 604800s");
    d.seconds = -1;
    REFUSE(poll_timeout, &d, ERR_RANGE, "poll_timeout: value \"-1s\"");
    REFUSE(s3_flush_interval, &d, ERR_RANGE,
           "s3_flush_interval: value \"-1s\" is out of range; allowed at least 0s");
    d.seconds = 604801;
    REFUSE(poll_frequency, &d, ERR_RANGE, "poll_frequency");
    d.seconds = INT64_MAX;
    REFUSE(poll_frequency, &d, ERR_MALFORMED, "no valid Duration");
    d.seconds = 315576000000;
    REFUSE(poll_frequency, &d, ERR_RANGE, "poll_frequency");
    d.seconds = 1;
    d.nanos = -1;
    REFUSE(poll_frequency, &d, ERR_MALFORMED, "no valid Duration");
    d.nanos = 1000000000;
    REFUSE(poll_frequency, &d, ERR_MALFORMED, "no valid Duration");
    /* Bounds that only this daemon has. */
    d.seconds = 0;
    d.nanos = 9999999;
    REFUSE(poll_frequency, &d, ERR_RANGE, "poll_frequency");
    d.seconds = 5;
    d.nanos = 0;
    REFUSE(poll_timeout, &d, ERR_RANGE, "poll_timeout");
    REFUSE(label, (char *)"two\nlines", ERR_MALFORMED, "label");
    char *uplinks[] = {(char *)"a", (char *)"b", (char *)"c"};
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    m.n_uplink_interfaces = 3;
    m.uplink_interfaces = uplinks;
    refuse(&m, ERR_RANGE, "uplink_interfaces: value \"3\" entries is out of range; allowed 0 to 2");
    m.n_uplink_interfaces = 1;
    refuse(&m, ERR_UNSUPPORTED, "uplink_interfaces");
}

static void test_what_cannot_be_changed_is_refused_by_name(void **state)
{
    (void)state;
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    REFUSE(netlinkers, 4, ERR_UNSUPPORTED,
           "netlinkers: value \"4\" is not supported by this daemon, which has \"1\": one reader for each");
    REFUSE(dest, (char *)"fax:broker:9092", ERR_UNKNOWN, "dest: value \"fax:broker:9092\" is no destination");
    REFUSE(io_uring, true, ERR_UNSUPPORTED,
           "io_uring: value \"true\" is not supported by this daemon, which has \"false\"");
    REFUSE(s3_secret_key, (char *)"k", ERR_UNSUPPORTED,
           "s3_secret_key: value \"***\" is not supported by this daemon, which has \"\": there is no S3");
    REFUSE(daemon_version, (char *)"9", ERR_UNSUPPORTED, "daemon_version");
    d.seconds = 1;
    REFUSE(s3_flush_interval, &d, ERR_UNSUPPORTED, "s3_flush_interval");
    d.seconds = 0;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    m.s3_flush_interval = &d; /* zero: unset */
    struct config *c = new_config();
    assert_unchanged(&m, c);
    config_unref(c);
}

static void test_required_zero_in_a_complete_configuration(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__GetResponse *reply = get(c);
    reply->config->nlmsg_seq = 7;
    assert_int_equal(set(reply->config, c, &out, &e), ERR_UNSUPPORTED);
    assert_says(e, "nlmsg_seq");
    reply->config->nlmsg_seq = 0;
    reply->config->nl_timeout_milliseconds = 1000;
    assert_int_equal(set(reply->config, c, &out, &e), 0);
    assert_int_equal(out.candidate->nl_timeout_milliseconds, 1000);
    struct config *limited = out.candidate;
    reply->config->nl_timeout_milliseconds = 0; /* a value here, in a partial configuration unset */
    assert_int_equal(set(reply->config, limited, &out, &e), 0);
    assert_int_equal(out.candidate->nl_timeout_milliseconds, 0);
    config_unref(out.candidate);
    config_unref(limited);
    free_message(reply);
    config_unref(c);
}

static void test_deserializers(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry a =
        XTCP_CONFIG__V1__ENABLED_DESERIALIZERS__ENABLED_ENTRY__INIT;
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry b = a;
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry *entries[] = {&a, &b};
    XtcpConfig__V1__EnabledDeserializers set_of = XTCP_CONFIG__V1__ENABLED_DESERIALIZERS__INIT;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    m.enabled_deserializers = &set_of;
    assert_int_equal(set(&m, c, &out, &e), 0); /* present and empty: none */
    assert_int_equal(out.candidate->groups, 0);
    config_unref(out.candidate);
    set_of.enabled = entries;
    set_of.n_enabled = 2;
    a.key = b.key = (char *)"info";
    a.value = true;
    assert_int_equal(set(&m, c, &out, &e), 0); /* the last one counts */
    assert_int_equal(out.candidate->groups, 0);
    config_unref(out.candidate);
    b.key = (char *)"cong";
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.candidate->groups, GROUP_BIT(GROUP_INFO));
    config_unref(out.candidate);
    b.key = (char *)"ttl\x1b[2J";
    assert_int_equal(set(&m, c, &out, &e), ERR_UNKNOWN);
    assert_says(e, "enabled_deserializers: there is no \"ttl?[2J\"");
    config_unref(c);
}

/* The port alone: that of the first TCP listener, wherever it stands. */
static void test_port(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"127.0.0.1:8889", "unix:/s", "127.0.0.1:9999,unix:/s"},
                                           {"unix:/s", "[::1]:0", "unix:/s,[::1]:9999"}};
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    struct config_msg_set out;
    struct err e;
    m.grpc_port = 9999;
    for (size_t i = 0; i < 2; i++) {
        struct config *c = new_config();
        struct buf text;
        assert_int_equal(config_set_strings(c, &c->grpc_listen, cases[i], 2), 0);
        assert_int_equal(set(&m, c, &out, &e), 0);
        buf_init(&text);
        config_option_print(config_option_find("grpc_listen"), out.candidate, &text);
        assert_string_equal(buf_cstr(&text), cases[i][2]);
        buf_free(&text);
        config_unref(out.candidate);
        assert_int_equal(config_set_strings(c, &c->grpc_listen, cases[1], 1), 0);
        assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
        assert_says(e, "grpc_port: value \"9999\": no listener in grpc_listen has a port");
        config_unref(c);
    }
}

static void test_options(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    char *listen[] = {(char *)"127.0.0.1:9999", (char *)"unix:/run/xtcp2/xtcp2.sock"};
    char *paths[] = {(char *)"relative"};
    XtcpConfig__V1__Listeners listeners = XTCP_CONFIG__V1__LISTENERS__INIT;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    m.options = &options;
    options.listeners = &listeners;
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.listeners.listen: 0 entries; allowed 1 to 16");
    listeners.n_listen = 1;
    listeners.listen = listen;
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.candidate->grpc_listen.n, 1);
    assert_string_equal(out.candidate->grpc_listen.items[0], "127.0.0.1:9999");
    config_unref(out.candidate);
    m.grpc_port = 9998; /* the same thing, said twice */
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.listeners.listen contradicts grpc_port");
    m.grpc_port = 9999;
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_string_equal(out.candidate->grpc_listen.items[0], "127.0.0.1:9999");
    config_unref(out.candidate);
    m.grpc_port = 0;
    listen[0] = (char *)"nowhere";
    assert_int_equal(set(&m, c, &out, &e), ERR_MALFORMED);
    assert_says(e, "options.listeners.listen: \"nowhere\"");
    listen[0] = (char *)"localhost:8889"; /* the same place in other words */
    listeners.n_listen = 2;
    assert_unchanged(&m, c);
    options.listeners = NULL;

    XtcpConfig__V1__NamespaceDirectories directories = XTCP_CONFIG__V1__NAMESPACE_DIRECTORIES__INIT;
    XtcpConfig__V1__Namespaces namespaces = XTCP_CONFIG__V1__NAMESPACES__INIT;
    Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT;
    options.namespaces = &namespaces;
    namespaces.directories = &directories;
    directories.n_path = 1;
    directories.path = paths;
    assert_int_equal(set(&m, c, &out, &e), ERR_MALFORMED);
    assert_says(e, "options.namespaces.directories: \"relative\"");
    namespaces.directories = NULL;
    namespaces.proc_scan_interval = &interval;
    interval.nanos = 1;
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.namespaces.proc_scan_interval: value \"1ns\"");
    interval.nanos = -1;
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.namespaces.proc_scan_interval: value \"-1e-09s\"");
    options.namespaces = NULL;

    XtcpConfig__V1__Limits limits = XTCP_CONFIG__V1__LIMITS__INIT;
    options.limits = &limits;
    limits.queue_rows = 1;
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.limits.queue_rows: value \"1\"");
    options.limits = NULL;

    XtcpConfig__V1__Log log = XTCP_CONFIG__V1__LOG__INIT;
    options.log = &log;
    log.level = (char *)"loud";
    assert_int_equal(set(&m, c, &out, &e), ERR_UNKNOWN);
    assert_says(e, "options.log.level: value \"loud\"");
    log.level = (char *)"debug";
    m.debug_level = 1;
    assert_int_equal(set(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.log.level: value \"debug\" contradicts debug_level, whose 1 means \"warn\"");
    m.debug_level = 200; /* debug as well */
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.candidate->debug_level, 200);
    config_unref(out.candidate);
    log.level = (char *)"info"; /* as in force: the number counts */
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.candidate->log_level, LOG_DEBUG);
    config_unref(out.candidate);
    config_unref(c);
}

/* ---- Bytes that are no configuration ---- */

static void refuse_bytes(const struct buf *b, int code, const char *part)
{
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e = {0};
    struct buf request;
    buf_init(&request);
    put_bytes(&request, 1, b->data, b->len);
    int rc = config_msg_apply_set(request.data, request.len, c, &extra, &out, &e);
    if (rc != code)
        fail_msg("%d instead of %d: %s", rc, code, e.text);
    assert_says(e, part);
    assert_null(out.candidate);
    buf_free(&request);
    config_unref(c);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    struct buf b, map, entry;
    buf_init(&b);
    put_number(&b, 1002, 1);
    refuse_bytes(&b, ERR_UNSUPPORTED, "XtcpConfig has no field 1002");
    buf_free(&b);
    put_bytes(&b, 170, "a\0b", 3);
    refuse_bytes(&b, ERR_MALFORMED, "label: the text holds a NUL byte");
    buf_free(&b);
    put_text(&b, 170, "\xc0\xaf");
    refuse_bytes(&b, ERR_MALFORMED, "label: the text is not UTF-8");
    buf_free(&b);
    put_text(&b, 20, "");
    put_text(&b, 20, "");
    refuse_bytes(&b, ERR_DUPLICATE, "poll_frequency: sent twice");
    buf_free(&b);
    put_number(&b, 20, 1);
    refuse_bytes(&b, ERR_MALFORMED, "poll_frequency: sent as another type");
    buf_free(&b);
    for (int i = 0; i < 5000; i++)
        put_text(&b, 237, "");
    refuse_bytes(&b, ERR_RANGE, "more than 4096 fields");
    buf_free(&b);

    /* The message that stops the upb of libgrpc 1.51: a map entry with an unknown field, and five more bytes.
     */
    buf_init(&map);
    buf_init(&entry);
    put_text(&entry, 1, "k");
    put_number(&entry, 3, 1);
    put_bytes(&map, 1, entry.data, entry.len);
    put_bytes(&b, 200, map.data, map.len);
    put_text(&b, 170, "ab");
    refuse_bytes(&b, ERR_UNSUPPORTED, "EnabledEntry has no field 3");
    buf_free(&entry);
    buf_free(&map);
    buf_free(&b);
}

static void test_every_cut_and_every_flipped_bit(void **state)
{
    (void)state;
    struct config *c = new_config();
    XtcpConfig__V1__GetResponse *reply = get(c);
    XtcpConfig__V1__SetRequest request = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    request.config = reply->config;
    size_t n = protobuf_c_message_get_packed_size(&request.base);
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    protobuf_c_message_pack(&request.base, bytes);
    struct config_msg_set out;
    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *exact = malloc(cut); /* so that a byte too far is seen */
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        assert_int_equal(config_msg_apply_set(exact, cut, c, &extra, &out, NULL), ERR_MALFORMED);
        free(exact);
    }
    for (size_t bit = 0; bit < n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct err e = {0};
        int rc = config_msg_apply_set(bytes, n, c, &extra, &out, &e);
        assert_true(rc == 0 ? out.candidate != NULL : e.text[0] != '\0' && !out.candidate);
        config_unref(out.candidate);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
    free_message(reply);
    config_unref(c);
}

/* ---- SetPollFrequency ---- */

static int set_frequency(const struct config *c, int64_t frequency, int64_t timeout,
                         struct config_msg_set *out, struct err *e)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(config_poll_frequency_request(frequency, timeout, &b), 0);
    int rc = config_msg_apply_poll_frequency(b.data, b.len, c, out, e);
    buf_free(&b);
    return rc;
}

static void test_poll_frequency(void **state)
{
    (void)state;
    const int64_t s = 1000000000;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    assert_int_equal(set_frequency(c, 3 * s, s / 2, &out, &e), 0);
    assert_int_equal(out.n_changed, 2);
    assert_true(out.candidate->poll_frequency == 3 * s && out.candidate->poll_timeout == s / 2);
    config_unref(out.candidate);
    assert_int_equal(set_frequency(c, 5 * s, 2 * s, &out, &e), 0);
    assert_int_equal(out.n_changed, 0);
    config_unref(out.candidate);

    assert_int_equal(set_frequency(c, s, s, &out, &e), ERR_RANGE);
    assert_says(e, "poll_timeout: value \"1s\" must be less than poll_frequency, which is \"1s\"");
    assert_int_equal(set_frequency(c, 0, 0, &out, &e), ERR_RANGE);
    assert_says(e, "poll_frequency: value \"0s\"");
    assert_int_equal(set_frequency(c, s, -1, &out, &e), ERR_RANGE);
    assert_says(e, "poll_timeout");
    assert_int_equal(set_frequency(c, 604801 * s, s, &out, &e), ERR_RANGE);
    assert_says(e,
                "poll_frequency: value \"604801s\" is out of range; allowed more than 0s, at most 604800s");
    assert_int_equal(set_frequency(c, s, 0, &out, &e), ERR_RANGE);
    assert_says(e, "poll_timeout");
    assert_null(out.candidate);
    config_unref(c);
}

static void test_poll_frequency_needs_both(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    assert_int_equal(config_msg_apply_poll_frequency(NULL, 0, c, &out, &e), ERR_RANGE);
    assert_says(e, "poll_frequency: is required");
    struct buf b;
    buf_init(&b);
    put_text(&b, 20, "\x08\x03");
    assert_int_equal(config_msg_apply_poll_frequency(b.data, b.len, c, &out, &e), ERR_RANGE);
    assert_says(e, "poll_timeout: is required");
    put_text(&b, 40, "");
    assert_int_equal(config_msg_apply_poll_frequency(b.data, b.len, c, &out, &e), ERR_UNSUPPORTED);
    buf_free(&b);
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_of_get_changes_nothing),
        cmocka_unit_test(test_round_trip_without_our_fields),
        cmocka_unit_test(test_absent_is_unchanged),
        cmocka_unit_test(test_zero_debug_level),
        cmocka_unit_test(test_every_hot_field_can_be_changed),
        cmocka_unit_test(test_shares_can_be_changed),
        cmocka_unit_test(test_debug_level_within_a_level),
        cmocka_unit_test(test_dry_run_and_generation),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_what_cannot_be_changed_is_refused_by_name),
        cmocka_unit_test(test_required_zero_in_a_complete_configuration),
        cmocka_unit_test(test_deserializers),
        cmocka_unit_test(test_port),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_every_cut_and_every_flipped_bit),
        cmocka_unit_test(test_poll_frequency),
        cmocka_unit_test(test_poll_frequency_needs_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
