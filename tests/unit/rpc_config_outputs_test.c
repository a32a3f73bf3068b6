/* The list of outputs in the messages of ConfigService. The linker puts the functions below in place of the allocator's
 * (--wrap). */
#include "rpc_config_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/output.h"
#include "config/output_list.h"
#include "config/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef XtcpConfig__V1__Output message;

/* ---- The allocator ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

static long allowed = -1; /* allocations until one fails; negative: none does */
static bool failed;       /* it has */

static bool fails(void)
{
    if (allowed < 0)
        return false;
    if (allowed-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

/* ---- Configurations ---- */

static void set_outputs(struct config *c, const char *text)
{
    struct err e = {0};
    if (config_set_text(c, config_option_find("outputs"), text, &e) || config_validate(c, &e))
        fail_msg("%s: %s", text, e.text);
}

static struct config *with(const char *outputs)
{
    struct config *c = new_config();
    set_outputs(c, outputs);
    return c;
}

static void expect_outputs(const struct config *c, const char *text)
{
    struct buf b;
    buf_init(&b);
    outputs_print(&c->outputs, true, &b);
    if (strcmp(buf_cstr(&b), text) != 0)
        fail_msg("\"%s\" is expected, not \"%s\"", text, buf_cstr(&b));
    buf_free(&b);
}

/* ---- Messages ---- */

/* Sets the |n| outputs |list| over |in_force|. */
static int set_list(message **list, size_t n, const struct config *in_force, struct config_msg_set *out,
                    struct err *e)
{
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    XtcpConfig__V1__Outputs outputs = XTCP_CONFIG__V1__OUTPUTS__INIT;
    m.options = &options;
    options.outputs = &outputs;
    outputs.output = list;
    outputs.n_output = n;
    *e = (struct err){0};
    return set(&m, in_force, out, e);
}

static int set_one(message *m, const struct config *in_force, struct config_msg_set *out, struct err *e)
{
    return set_list(&m, 1, in_force, out, e);
}

static message output(const char *name, const char *to)
{
    message m = XTCP_CONFIG__V1__OUTPUT__INIT;
    m.name = (char *)(uintptr_t)name;
    m.to = (char *)(uintptr_t)to;
    return m;
}

#define TEXTS(...) ((char *[]){__VA_ARGS__})
#define TEXT(text) ((char *)(uintptr_t)(text))

/* ---- Get ---- */

static const char *option_of(const message *m, const char *key)
{
    for (size_t i = 0; i < m->n_options; i++)
        if (strcmp(m->options[i]->key, key) == 0)
            return m->options[i]->value;
    return NULL;
}

static void test_get(void **state)
{
    (void)state;
    struct config *c = with(
        "[{name: a, to: 'kafka:u:S3CRET@h:1', format: csv, filter: 'state == LISTEN', columns: [netns, hostname], "
        "netns: 'web-*', batch: {rows: 5, bytes: 8KiB, interval: 1500ms}, queue: 1MiB, on_full: spool, spool: "
        "{bytes: 2MiB, age: 1h}, start: required, options: {topic: t, kafka.sasl.password: S3CRET, "
        "password_file: /p}}, {name: b, to: null}]");
    XtcpConfig__V1__GetResponse *reply = get(c);
    const XtcpConfig__V1__Outputs *list = reply->config->options->outputs;
    assert_non_null(list);
    assert_int_equal(list->n_output, 2);
    const message *m = list->output[0];
    assert_string_equal(m->name, "a");
    assert_string_equal(m->to, "kafka:u:***@h:1");
    assert_string_equal(m->format, "csv");
    assert_string_equal(m->filter, "state == LISTEN");
    assert_int_equal(m->n_columns, 2);
    assert_string_equal(m->columns[1], "hostname");
    assert_int_equal(m->n_netns, 1);
    assert_string_equal(m->netns[0], "web-*");
    assert_int_equal(m->batch->rows, 5);
    assert_int_equal(m->batch->bytes, 8192);
    assert_int_equal(m->batch->interval->seconds, 1);
    assert_int_equal(m->batch->interval->nanos, 500000000);
    assert_int_equal(m->queue, 1 << 20);
    assert_string_equal(m->on_full, "spool");
    assert_int_equal(m->spool->bytes, 2 << 20);
    assert_int_equal(m->spool->age->seconds, 3600);
    assert_string_equal(m->start, "required");
    assert_int_equal(m->n_options, 3);
    assert_string_equal(option_of(m, "topic"), "t");
    assert_string_equal(option_of(m, "kafka.sasl.password"), "***");
    assert_string_equal(option_of(m, "password_file"), "/p");

    m = list->output[1]; /* what is at its default is not told */
    assert_string_equal(m->name, "b");
    assert_string_equal(m->to, "null");
    assert_string_equal(m->format, "");
    assert_string_equal(m->on_full, "");
    assert_string_equal(m->start, "");
    assert_null(m->batch);
    assert_null(m->spool);
    assert_int_equal(m->queue, 0);
    assert_int_equal(m->n_columns + m->n_netns + m->n_options, 0);
    free_message(reply);
    config_unref(c);
}

/* No byte of the reply is one of a secret. */
static void test_get_has_no_secret(void **state)
{
    (void)state;
    struct config *c =
        with("[{name: a, to: 'kafka:u:S3CRET@h:1', options: {kafka.ssl.key.pem: S3CRET}}, {name: b, to: "
             "'http://h/?password=S3CRET&x=1', options: {headers: 'A: S3CRET'}}]");
    struct buf b;
    assert_int_equal(config_set_text(c, config_option_find("dest"), "http://u:S3CRET@h/", NULL), 0);
    buf_init(&b);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &b), 0);
    assert_null(memmem(b.data, b.len, "S3CRET", 6));
    assert_non_null(memmem(b.data, b.len, "***", 3));
    buf_free(&b);
    config_unref(c);
}

/* ---- Set ---- */

static void test_set(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    message a = output("a", "kafka:u:pw@h:1"), b = output("b", "null");
    XtcpConfig__V1__OutputBatch batch = XTCP_CONFIG__V1__OUTPUT_BATCH__INIT;
    XtcpConfig__V1__OutputSpool spool = XTCP_CONFIG__V1__OUTPUT_SPOOL__INIT;
    Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT, age = interval;
    XtcpConfig__V1__Output__OptionsEntry topic = XTCP_CONFIG__V1__OUTPUT__OPTIONS_ENTRY__INIT, key = topic;
    XtcpConfig__V1__Output__OptionsEntry *options[] = {&topic, &key};
    interval.nanos = 20000000;
    age.seconds = 60;
    batch.rows = 7;
    batch.bytes = 4096;
    batch.interval = &interval;
    spool.bytes = 1 << 20;
    spool.age = &age;
    topic.key = TEXT("topic");
    topic.value = TEXT("t=u"); /* the first = is the one behind the key */
    key.key = TEXT("key");
    key.value = TEXT("socket");
    a.format = TEXT("csv");
    a.filter = TEXT("state == LISTEN");
    a.columns = TEXTS(TEXT("netns"), TEXT("hostname"));
    a.n_columns = 2;
    a.netns = TEXTS(TEXT("x"));
    a.n_netns = 1;
    a.batch = &batch;
    a.queue = 1 << 20;
    a.on_full = TEXT("spool");
    a.spool = &spool;
    a.start = TEXT("required");
    a.options = options;
    a.n_options = 2;
    topic.value = TEXT("t");
    if (set_list((message *[]){&b, &a}, 2, c, &out, &e))
        fail_msg("%s", e.text);
    expect_outputs(
        out.candidate,
        "[{name: \"b\", to: \"null\"}, {name: \"a\", to: \"kafka:u:pw@h:1\", format: \"csv\", filter: \"state == "
        "LISTEN\", columns: [\"netns\", \"hostname\"], netns: [\"x\"], batch: {rows: 7, bytes: 4KiB, interval: "
        "20ms}, queue: 1MiB, on_full: spool, spool: {bytes: 1MiB, age: 1m}, start: required, options: "
        "{\"topic\": \"t\", \"key\": \"socket\"}}]");
    assert_int_equal(out.n_changed, 1);
    assert_string_equal(out.changed[0], "options.outputs");
    assert_int_equal(c->outputs.n, 0);
    config_unref(out.candidate);
    config_unref(c);
}

/* Empty texts, zeros and absent messages are the defaults; so an output is always told as a whole. */
static void test_defaults(void **state)
{
    (void)state;
    struct config *c =
        with("[{name: a, to: null, batch: {rows: 5}, queue: 1MiB, start: required, columns: netns}]");
    struct config_msg_set out;
    struct err e;
    message a = output("a", "null");
    XtcpConfig__V1__OutputBatch batch = XTCP_CONFIG__V1__OUTPUT_BATCH__INIT;
    Google__Protobuf__Duration zero = GOOGLE__PROTOBUF__DURATION__INIT;
    batch.interval = &zero;
    a.batch = &batch;
    assert_int_equal(set_one(&a, c, &out, &e), 0);
    expect_outputs(out.candidate, "[{name: \"a\", to: \"null\"}]");
    assert_int_equal(out.n_changed, 1);
    config_unref(out.candidate);
    config_unref(c);
}

static void test_absent_and_empty(void **state)
{
    (void)state;
    struct config *c = with("[{name: a, to: null}]");
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    m.options = &options;
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.n_changed, 0);
    assert_int_equal(out.candidate->outputs.n, 1);
    config_unref(out.candidate);
    assert_int_equal(set_list(NULL, 0, c, &out, &e), 0);
    assert_int_equal(out.n_changed, 1);
    assert_int_equal(out.candidate->outputs.n, 0);
    config_unref(out.candidate);
    config_unref(c);
}

static void expect_unchanged(const struct config *c, const char *why)
{
    XtcpConfig__V1__GetResponse *reply = get(c);
    struct config_msg_set out;
    struct err e = {0};
    if (set(reply->config, c, &out, &e))
        fail_msg("%s: %s", why, e.text);
    assert_int_equal(out.n_changed, 0);
    assert_int_equal(config_diff(c, out.candidate, NULL, 0), 0);
    config_unref(out.candidate);
    free_message(reply);
}

static uint64_t random_state = 88172645463325252U;

static uint64_t below(uint64_t n)
{
    return next_random(&random_state) % n;
}

static void draw_outputs(struct buf *text)
{
    static const char *const destinations[] = {
        "to: null",
        "to: 'tcp:h:1', options: {framing: varint, timeout: 1s}",
        "to: 'http://u:p***w@h/x?y=***', options: {headers: 'A: b|C: d'}",
        "to: 'kafka:u:p@a:1,b:2', options: {kafka.sasl.password: '***', kafka.x: y}",
        "to: 'file:/a/*** b', format: csv, columns: [netns, label]",
        "to: stdout, filter: 'rtt > 5ms', netns: ['*', 'a b']",
        "to: 'http://token@h/', spool: {age: 1h0m1s}, on_full: spool"};
    buf_char(text, '[');
    for (uint64_t n = below(5), i = 0; i < n; i++) {
        buf_printf(text, "%s{name: o%llu, %s", i ? ", " : "", (unsigned long long)i,
                   destinations[below(COUNT(destinations))]);
        if (below(2))
            buf_printf(text, ", batch: {rows: %llu, interval: %llums}",
                       1 + (unsigned long long)below(1000000), 10 + (unsigned long long)below(100000));
        if (below(2))
            buf_printf(text, ", queue: %llu",
                       (unsigned long long)(256 << 10) + (unsigned long long)below(1ULL << 31));
        if (below(2))
            buf_str(text, ", start: required");
        buf_char(text, '}');
    }
    buf_char(text, ']');
}

/* What Get tells, secrets hidden, changes nothing when it is set. */
static void test_set_of_get_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct buf text;
        buf_init(&text);
        draw_outputs(&text);
        struct config *c = with(buf_cstr(&text));
        expect_unchanged(c, buf_cstr(&text));
        config_unref(c);
        buf_free(&text);
    }
}

/* ---- Secrets that come back ---- */

static void test_hidden_secrets(void **state)
{
    (void)state;
    struct config *c = with("[{name: a, to: 'kafka:u:pw@h:1', options: {kafka.sasl.password: pw2}}]");
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__Output__OptionsEntry entry = XTCP_CONFIG__V1__OUTPUT__OPTIONS_ENTRY__INIT;
    XtcpConfig__V1__Output__OptionsEntry *options[] = {&entry};
    message a = output("a", "kafka:u:***@h:1");
    entry.key = TEXT("kafka.sasl.password");
    entry.value = TEXT("***");
    a.options = options;
    a.n_options = 1;
    a.queue = 1 << 20; /* something else changes */
    assert_int_equal(set_one(&a, c, &out, &e), 0);
    expect_outputs(out.candidate, "[{name: \"a\", to: \"kafka:u:pw@h:1\", queue: 1MiB, options: "
                                  "{\"kafka.sasl.password\": \"pw2\"}}]");
    config_unref(out.candidate);

    a.to = TEXT("kafka:u:***@elsewhere:1");
    assert_int_equal(set_one(&a, c, &out, &e), ERR_RANGE);
    assert_string_equal(
        e.text, "options.outputs: a: to: \"***\" stands for a secret that is not known for this destination");
    a.to = TEXT("kafka:elsewhere:1");
    assert_int_equal(set_one(&a, c, &out, &e), ERR_RANGE);
    assert_string_equal(
        e.text, "options.outputs: a: options: kafka.sasl.password: value \"***\" stands for a secret that is "
                "not known");
    a = output("b", "kafka:u:***@h:1");
    assert_int_equal(set_one(&a, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.outputs: b: to: ");
    assert_null(out.candidate);
    config_unref(c);
}

/* ---- What is wrong ---- */

/* |m| is refused with |code| and the sentence |text|. */
static void expect_refused(message *m, int code, const char *text)
{
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    int rc = set_one(m, c, &out, &e);
    if (rc == 0)
        fail_msg("not refused: %s", text);
    if (strcmp(e.text, text) != 0)
        fail_msg("\"%s\" is expected, not \"%s\"", text, e.text);
    assert_int_equal(rc, code);
    assert_null(out.candidate);
    config_unref(c);
}

static void test_wrong_texts(void **state)
{
    (void)state;
    message m = output("", "null");
    expect_refused(&m, ERR_RANGE, "outputs: number 1: name: is missing");
    m = output("a", "");
    expect_refused(&m, ERR_RANGE, "outputs: a: to: is missing");
    m = output("a b", "null");
    expect_refused(
        &m, ERR_MALFORMED,
        "options.outputs: number 1: name: value \"a b\" has other characters than letters, digits, - and _; "
        "allowed at most 32 characters");
    m = output("a", "tcp:S3CRET@h");
    expect_refused(&m, ERR_MALFORMED,
                   "outputs: a: to: value \"tcp:***@h\" has no port; such as tcp:collector:9000");
    m = output("a", "null");
    m.on_full = TEXT("explode");
    expect_refused(
        &m, ERR_UNKNOWN,
        "options.outputs: number 1: on_full: value \"explode\" is unknown; allowed drop_oldest, drop_newest or "
        "spool");
    m = output("a", "null");
    m.columns = TEXTS(TEXT("netns"), TEXT("nope"));
    m.n_columns = 2;
    expect_refused(&m, ERR_UNKNOWN,
                   "options.outputs: number 1: columns: value \"nope\" is no field of records");
}

static void test_wrong_numbers(void **state)
{
    (void)state;
    message m = output("a", "null");
    XtcpConfig__V1__OutputBatch batch = XTCP_CONFIG__V1__OUTPUT_BATCH__INIT;
    XtcpConfig__V1__OutputSpool spool = XTCP_CONFIG__V1__OUTPUT_SPOOL__INIT;
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    m.queue = 1;
    expect_refused(&m, ERR_RANGE,
                   "options.outputs: number 1: queue: value \"1\" is out of range; allowed 256KiB to 4GiB");
    m.queue = UINT64_MAX;
    expect_refused(
        &m, ERR_RANGE,
        "options.outputs: number 1: queue: value \"18446744073709551615\" is out of range; allowed 256KiB to 4GiB");
    m.queue = 0;
    m.batch = &batch;
    batch.rows = UINT32_MAX;
    expect_refused(
        &m, ERR_RANGE,
        "options.outputs: number 1: batch.rows: value \"4294967295\" is out of range; allowed 1 to 1000000");
    batch.rows = 0;
    batch.interval = &d;
    d.nanos = 1;
    expect_refused(
        &m, ERR_RANGE,
        "options.outputs: number 1: batch.interval: value \"1ns\" is out of range; allowed 0 for the end of "
        "the poll, or 10ms to 1h");
    d.nanos = 0;
    d.seconds = -1;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    assert_int_equal(set_one(&m, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.outputs: number 1: batch.interval: ");
    d.seconds = INT64_MAX;
    assert_true(set_one(&m, c, &out, &e) < 0);
    d.seconds = 1;
    d.nanos = -1;
    assert_int_equal(set_one(&m, c, &out, &e), ERR_MALFORMED);
    m.batch = NULL;
    m.spool = &spool;
    spool.bytes = 1;
    assert_int_equal(set_one(&m, c, &out, &e), ERR_RANGE);
    assert_says(e,
                "options.outputs: number 1: spool.bytes: value \"1\" is out of range; allowed 1MiB to 1TiB");
    config_unref(c);
}

static void test_wrong_options(void **state)
{
    (void)state;
    XtcpConfig__V1__Output__OptionsEntry a = XTCP_CONFIG__V1__OUTPUT__OPTIONS_ENTRY__INIT, b = a;
    XtcpConfig__V1__Output__OptionsEntry *options[] = {&a, &b};
    message m = output("a", "tcp:h:1");
    m.options = options;
    m.n_options = 1;
    a.key = TEXT("timeout");
    a.value = TEXT("1s");
    b = a;
    m.n_options = 2;
    expect_refused(&m, ERR_DUPLICATE, "options.outputs: number 1: options: key \"timeout\" is given twice");
    m.n_options = 1;
    a.value = TEXT("never");
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    assert_true(set_one(&m, c, &out, &e) < 0);
    assert_says(e, "outputs: a: options: timeout: value \"never\" is not a duration");
    a.key = TEXT("");
    assert_int_equal(set_one(&m, c, &out, &e), ERR_MALFORMED);
    a.key = TEXT("a=b");
    assert_int_equal(set_one(&m, c, &out, &e), ERR_MALFORMED);
    a.key = TEXT("a");
    a.value = TEXT("x\ny");
    assert_int_equal(set_one(&m, c, &out, &e), ERR_MALFORMED);
    assert_null(strchr(e.text, '\n'));
    config_unref(c);
}

static void test_wrong_lists(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e;
    message list[OUTPUTS_MAX + 1], *pointers[OUTPUTS_MAX + 1];
    char names[OUTPUTS_MAX + 1][8];
    for (size_t i = 0; i < COUNT(list); i++) {
        snprintf(names[i], sizeof(names[i]), "o%zu", i);
        list[i] = output(names[i], "null");
        pointers[i] = &list[i];
    }
    assert_int_equal(set_list(pointers, OUTPUTS_MAX, c, &out, &e), 0);
    assert_int_equal(out.candidate->outputs.n, OUTPUTS_MAX);
    config_unref(out.candidate);
    assert_int_equal(set_list(pointers, OUTPUTS_MAX + 1, c, &out, &e), ERR_RANGE);
    assert_string_equal(e.text, "options.outputs: 17 outputs; allowed at most 16");
    list[5].name = names[2];
    assert_int_equal(set_list(pointers, 7, c, &out, &e), ERR_DUPLICATE);
    assert_string_equal(e.text, "outputs: o2: name: another output has it");
    list[5].name = TEXT("default");
    assert_int_equal(set_list(pointers, 7, c, &out, &e), 0);
    config_unref(out.candidate);
    assert_int_equal(config_set_text(c, config_option_find("dest"), "stdout", &e), 0);
    assert_int_equal(set_list(pointers, 7, c, &out, &e), ERR_DUPLICATE);
    assert_says(e, "makes an output \"default\", and outputs has one of that name");
    list[6].queue = 1; /* the number is that of the list */
    assert_int_equal(set_list(pointers, 7, c, &out, &e), ERR_RANGE);
    assert_says(e, "options.outputs: number 7: queue: ");
    config_unref(c);
}

/* Both at once: the output is called otherwise, and dest makes one. */
static void test_dest_in_the_same_request(void **state)
{
    (void)state;
    struct config *c = with("[{name: default, to: null}]");
    struct config_msg_set out;
    struct err e;
    XtcpConfig__V1__XtcpConfig m = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    XtcpConfig__V1__Outputs outputs = XTCP_CONFIG__V1__OUTPUTS__INIT;
    message other = output("other", "null"), *list[] = {&other};
    m.dest = TEXT("stdout");
    assert_int_equal(set(&m, c, &out, &e), ERR_DUPLICATE);
    m.options = &options;
    options.outputs = &outputs;
    outputs.output = list;
    outputs.n_output = 1;
    assert_int_equal(set(&m, c, &out, &e), 0);
    assert_int_equal(out.n_changed, 2);
    assert_string_equal(out.changed[0], "dest");
    assert_string_equal(out.changed[1], "options.outputs");
    config_unref(out.candidate);
    config_unref(c);
}

/* ---- Memory ---- */

/* The reply of Get, and that set over |c|, with every allocation failing once. The allocations of protobuf-c are its own. */
static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    struct config *c = with(
        "[{name: a, to: 'kafka:u:pw@h:1', columns: [netns, hostname], netns: x, batch: {interval: 1s}, filter: 'rtt > "
        "5ms', options: {topic: t, kafka.sasl.password: pw2}}, {name: b, to: 'http://h/?key=v'}]");
    XtcpConfig__V1__GetResponse *reply = get(c);
    for (int what = 0; what < 2; what++) {
        long n = 0;
        for (;; n++) {
            struct config_msg_set out = {0};
            struct err e = {0};
            struct buf b;
            buf_init(&b);
            failed = false;
            allowed = n;
            int rc = what ? set(reply->config, c, &out, &e) : config_msg_encode_reply(c, &extra, NULL, 0, &b);
            allowed = -1;
            buf_free(&b);
            if (rc == 0 && what) {
                assert_int_equal(config_diff(c, out.candidate, NULL, 0), 0);
                config_unref(out.candidate);
            }
            if (!failed)
                break;
            if (rc != 0 && rc != -ENOMEM)
                fail_msg("allocation %ld: %d %s", n, rc, e.text);
        }
        assert_true(n > 50);
    }
    free_message(reply);
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_get_has_no_secret),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_absent_and_empty),
        cmocka_unit_test(test_set_of_get_changes_nothing),
        cmocka_unit_test(test_hidden_secrets),
        cmocka_unit_test(test_wrong_texts),
        cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_wrong_lists),
        cmocka_unit_test(test_dest_in_the_same_request),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
