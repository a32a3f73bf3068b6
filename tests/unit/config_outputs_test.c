/* The option |outputs|: its text form, its YAML, its checks, and what is done about secrets. */
#include "config_test.h"

#include <errno.h>

#include "config/output.h"
#include "config/output_list.h"
#include "config/state.h"
#include "config/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct config_option *outputs_option(void)
{
    return test_option("outputs");
}

/* The defaults with |outputs| in text form; nothing is validated. */
static struct config *with(const char *outputs)
{
    struct config *c = test_defaults();
    struct err e = {0};
    if (config_set_text(c, outputs_option(), outputs, &e))
        fail_msg("%s: %s", outputs, e.text);
    return c;
}

static bool is_valid(const struct config *c, struct err *e)
{
    *e = (struct err){0};
    int rc = config_validate(c, e);
    assert_int_equal(rc, e->code);
    return rc == 0;
}

static void expect_text(const char *got, const char *expected)
{
    if (strcmp(got, expected) != 0)
        fail_msg("\"%s\" is expected, not \"%s\"", expected, got);
}

/* ---- The text form ---- */

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *given, *printed; /* NULL: the same */
    } cases[] = {
        {"", NULL},
        {"[]", ""},
        {"[{name: \"a\", to: \"null\"}]", NULL},
        {"[{to: null, name: a}]", "[{name: \"a\", to: \"null\"}]"},
        {"[{name: 'a', to: \"tcp:h:1\", batch: {rows: 5, interval: 1m30s}, queue: 1MiB, on_full: spool, "
         "spool: {bytes: 2MiB, age: 1h}, start: required}]",
         "[{name: \"a\", to: \"tcp:h:1\", batch: {rows: 5, interval: 1m30s}, queue: 1MiB, on_full: spool, "
         "spool: {bytes: 2MiB, age: 1h}, start: required}]"},
        {"[{name: a, to: null, batch: {rows: 10000}, queue: 32MiB, filter: ''}]", /* the defaults */
         "[{name: \"a\", to: \"null\"}]"},
        {"[{name: \"a\", to: \"null\", columns: [\"netns\", \"hostname\"], netns: [\"web-*\"]}, {name: \"b\", to: "
         "\"stdout\", options: {\"x\": \"y: [1, 2]\", \"z\": \"\"}}]",
         NULL},
        {"[{name: \"a\", to: \"file:/x, y\", filter: \"netns == \\\"a\\\"\"}]", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *c = with(cases[i].given);
        expect_text(test_value(c, "outputs"), cases[i].printed ? cases[i].printed : cases[i].given);
        config_unref(c);
    }
}

static uint64_t random_state = 88172645463325252U;

static uint64_t below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

/* Texts that a reader of YAML may take for something else. */
static const char *draw_text(void)
{
    static const char *const texts[] = {
        "a",
        "null",
        "~",
        "true",
        "1",
        " a",
        "a ",
        "#a",
        "a: b",
        "{a}",
        "[a]",
        "'",
        "\"",
        "\\",
        "*a",
        "&a",
        "!a",
        "%",
        "@",
        "`",
        "- a",
        "a # b",
        "gr\xc3\xbc\x6e",
        "a,b",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "|",
        ">",
        "\xef\xbf\xbe",
        "---",
        "...",
        "<<",
        "=",
        "\xf3\xa0\x81\xa1",
        "***",
        "\xf0\x9f\x98\x80",
        "http://u:p@h/x?key=1&b=2",
        "\xe2\x80\x8f",
        "\xc2\xa0",
        "\xef\xbf\xbf",
    };
    return texts[below(COUNT(texts))];
}

static void draw_strings(const char *name, struct output_config *c, const char *const *items, size_t n)
{
    const struct config_option *row = output_option_find(name);
    for (uint64_t i = below(3); i > 0; i--)
        assert_int_equal(value_add(row, output_field(row, c), items[below(n)], NULL), 0);
}

/* Nothing of it has to be valid but for its type. */
static void draw_output(struct output_config *c)
{
    static const char *const columns[] = {"netns", "hostname", "tcp_info_rtt"};
    static const char *const netns[] = {"*", "web-*", "a b", "x#y"};
    const struct config_option *options = output_option_find("options");
    assert_int_equal(value_string_set(&c->name, "name"), 0);
    assert_int_equal(value_string_set(&c->to, draw_text()), 0);
    if (below(2))
        assert_int_equal(value_string_set(&c->format, "csv"), 0);
    draw_strings("columns", c, columns, COUNT(columns));
    draw_strings("netns", c, netns, COUNT(netns));
    c->batch_rows = below(2) ? (uint32_t)(1 + below(1000000)) : 10000;
    c->batch_bytes = 4096 + below(1 << 20);
    c->batch_interval = below(2) ? (int64_t)(10000000 + below(1000000000000)) : 0;
    c->queue = (256 << 10) + below(1ULL << 31);
    c->on_full = (enum output_on_full)below(OUTPUT_ON_FULLS);
    c->spool_bytes = (1 << 20) + below(1ULL << 39);
    c->spool_age = below(2) ? (int64_t)(1000000000 + below(1000000000000)) : 0;
    c->start = (enum output_start)below(OUTPUT_STARTS);
    for (uint64_t i = below(4); i > 0; i--) {
        char key[64];
        snprintf(key, sizeof(key), "%s%llu", strchr(draw_text(), '=') ? "k" : draw_text(),
                 (unsigned long long)i);
        for (char *at; (at = strchr(key, '='));)
            *at = '-';
        assert_int_equal(value_add_pair(options, &c->options, key, draw_text(), NULL), 0);
    }
}

/* With its secrets, each list comes out of its text as it was: as that, and as it is in a file. */
static void test_any_list(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct config_outputs list = {0}, again = {0};
        struct buf text;
        struct err e = {0};
        for (uint64_t i = below(4); i > 0; i--) {
            struct output_config *c = outputs_add(&list);
            assert_non_null(c);
            draw_output(c);
        }
        buf_init(&text);
        outputs_print(&list, true, &text);
        assert_false(text.failed);
        if (outputs_set_text(&again, buf_cstr(&text), &e))
            fail_msg("%s: %s", buf_cstr(&text), e.text);
        assert_int_equal(again.n, list.n);
        for (size_t i = 0; i < list.n; i++)
            if (!output_config_equal(&list.items[i], &again.items[i]))
                fail_msg("%s", buf_cstr(&text));
        buf_free(&text);
        outputs_clear(&list);
        outputs_clear(&again);
    }
}

/* A list that is wrong leaves the one that is there. */
static void test_failed_text(void **state)
{
    (void)state;
    struct config *c = with("[{name: a, to: null}]");
    struct err e;
    assert_int_equal(config_set_text(c, outputs_option(), "[{name: b, to: null}, {name: c, queue: 1}]", &e),
                     ERR_RANGE);
    assert_int_equal(config_set_text(c, outputs_option(), "[] []", &e), ERR_MALFORMED);
    assert_int_equal(config_set_text(c, outputs_option(), "[]\n---\n[]", &e), ERR_MALFORMED);
    expect_text(test_value(c, "outputs"), "[{name: \"a\", to: \"null\"}]");
    config_unref(c);
}

/* ---- Files ---- */

static int parse(const char *yaml, struct config **out, struct err *e)
{
    struct config_builder *b = config_builder_new();
    assert_non_null(b);
    *out = NULL;
    int rc = config_parse_yaml(b, yaml, strlen(yaml), "f", e);
    if (rc == 0)
        rc = config_build(b, out, e);
    config_builder_free(b);
    return rc;
}

static struct config *load(const char *yaml)
{
    struct config *c;
    struct err e = {0};
    if (parse(yaml, &c, &e))
        fail_msg("%s", e.text);
    return c;
}

static void test_block_and_flow(void **state)
{
    (void)state;
    static const char block[] = "outputs:\n"
                                "  - name: archive\n"
                                "    to: file:/var/log/xtcp2/sockets.jsonl\n"
                                "    format: jsonl\n"
                                "    filter: state == ESTABLISHED\n"
                                "    columns:\n"
                                "      - netns\n"
                                "      - tcp_info_rtt\n"
                                "    netns: 'web-*,default'\n"
                                "    batch:\n"
                                "      rows: 1000\n"
                                "      bytes: 64KiB\n"
                                "      interval: 1s\n"
                                "    queue: 1MiB\n"
                                "    on_full: spool\n"
                                "    spool: {bytes: 2MiB}\n"
                                "    start: required\n"
                                "    options:\n"
                                "      rotate_size: 100MiB\n"
                                "      mode: '0600'\n"
                                "  - {name: nothing, to: null}\n";
    static const char flow[] =
        "outputs: [{name: archive, to: 'file:/var/log/xtcp2/sockets.jsonl', format: jsonl, filter: 'state == "
        "ESTABLISHED', columns: [netns, tcp_info_rtt], netns: [web-*, default], batch: {rows: 1000, bytes: "
        "64KiB, interval: 1s}, queue: 1MiB, on_full: spool, spool: {bytes: 2MiB}, start: required, options: "
        "{rotate_size: 100MiB, mode: '0600'}}, {name: nothing, to: 'null'}]\n";
    struct config *a = load(block), *b = load(flow);
    struct buf dumped;
    assert_int_equal(config_diff(a, b, NULL, 0), 0);
    const struct output_config *o = a->outputs.items;
    assert_int_equal(a->outputs.n, 2);
    assert_string_equal(o->name, "archive");
    assert_string_equal(o->to, "file:/var/log/xtcp2/sockets.jsonl");
    assert_int_equal(o->netns.n, 2);
    assert_int_equal(o->batch_rows, 1000);
    assert_int_equal(o->batch_bytes, 65536);
    assert_int_equal(o->batch_interval, 1000000000);
    assert_int_equal(o->on_full, OUTPUT_SPOOL);
    assert_int_equal(o->spool_bytes, 2 << 20);
    assert_int_equal(o->start, OUTPUT_REQUIRED);
    assert_string_equal(o->options.items[1], "mode=0600");
    assert_int_equal(o->line, 2);
    assert_int_equal(o[1].line, 21);
    assert_int_equal(o[1].queue, 32 << 20);

    buf_init(&dumped);
    config_dump_yaml(a, &dumped);
    struct config *c = load(buf_cstr(&dumped));
    assert_int_equal(config_diff(a, c, NULL, 0), 0);
    buf_free(&dumped);
    config_unref(a);
    config_unref(b);
    config_unref(c);
}

#define OUTPUT(text) "outputs:\n  - name: a\n    to: null\n" text
#define LONG_KEY     "kafka.abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop"

static const struct {
    const char *yaml;
    int code;
    const char *text; /* of the error, from its beginning */
} wrong_files[] = {
    {"outputs: 1\n", ERR_TYPE, "f:1: outputs: something else where a list of outputs is expected"},
    {"outputs:\n  - 1\n", ERR_TYPE, "f:2: outputs: an output: something else where a mapping is expected"},
    {"outputs:\n  - [a]\n", ERR_TYPE, "f:2: outputs: an output: something else where a mapping is expected"},
    {"outputs:\n  - {}\n", ERR_RANGE, "f:1: outputs: number 1: name: is missing"},
    {"outputs:\n  - {name: a}\n", ERR_RANGE, "f:1: outputs: a (line 2): to: is missing"},
    {OUTPUT("    name: b\n"), ERR_DUPLICATE, "f:4: outputs: name: given twice"},
    {OUTPUT("    batch: {rows: 1}\n    batch: {rows: 2}\n"), ERR_DUPLICATE,
     "f:5: outputs: batch.rows: given twice"},
    {OUTPUT("    batch: 1\n"), ERR_TYPE, "f:4: outputs: batch: something else where a mapping is expected"},
    {OUTPUT("    batch: {row: 1}\n"), ERR_UNKNOWN,
     "f:4: outputs: batch.row: no such key; did you mean batch.rows?"},
    {OUTPUT("    batch.rows: 1\n    batch: {rows: 1}\n"), ERR_DUPLICATE,
     "f:5: outputs: batch.rows: given twice"},
    {OUTPUT("    quee: 1MiB\n"), ERR_UNKNOWN, "f:4: outputs: quee: no such key; did you mean queue?"},
    {OUTPUT("    events: true\n"), ERR_UNSUPPORTED, "f:4: outputs: events: this daemon has no close events"},
    {OUTPUT("    queue: [1]\n"), ERR_TYPE,
     "f:4: outputs: queue: a list or mapping where a single value is expected"},
    {OUTPUT("    queue:\n"), ERR_TYPE, "f:4: outputs: queue: has no value"},
    {OUTPUT("    queue: 1KiB\n"), ERR_RANGE,
     "f:4: outputs: queue: value \"1KiB\" is out of range; allowed 256KiB to 4GiB"},
    {OUTPUT("    columns: {a: b}\n"), ERR_TYPE, "f:4: outputs: columns: a mapping where a list is expected"},
    {OUTPUT("    columns: [rtt_]\n"), ERR_UNKNOWN,
     "f:4: outputs: columns: value \"rtt_\" is no field of records"},
    {OUTPUT("    columns:\n      - netns\n      - [x]\n"), ERR_TYPE,
     "f:6: outputs: columns: a list or mapping where a single value is expected"},
    {OUTPUT("    options: x\n"), ERR_TYPE,
     "f:4: outputs: options: something else where a mapping is expected"},
    {OUTPUT("    options: {a: {b: c}}\n"), ERR_TYPE,
     "f:4: outputs: a: a list or mapping where a single value is expected"},
    {OUTPUT("    options: {a: x, a: y}\n"), ERR_DUPLICATE, "f:4: outputs: options: key \"a\" is given twice"},
    {OUTPUT("    options: {\"a=b\": x}\n"), ERR_MALFORMED, "f:4: outputs: options: key \"a=b\" has a '='"},
    {OUTPUT("    options: {'': x}\n"), ERR_MALFORMED,
     "f:4: outputs: options: key \"\" or its value is not KEY=VALUE"},
    {OUTPUT("    options: {a: \"x\\x01\"}\n"), ERR_MALFORMED,
     "f:4: outputs: options: key \"a\" or its value "},
    {OUTPUT("    options: {a: \"x\\0y\"}\n"), ERR_MALFORMED, "f:4: outputs: a: holds a NUL"},
    {OUTPUT("    options: {\"a\\0y\": x}\n"), ERR_TYPE, "f:4: outputs: a key: "},
    {OUTPUT("    options: {" LONG_KEY ": x}\n"), ERR_MALFORMED,
     "f:4: outputs: a key: is longer than 63 bytes"},
    {OUTPUT("    " LONG_KEY ": x\n"), ERR_MALFORMED, "f:4: outputs: a key: is longer than 63 bytes"},
    {OUTPUT("    options: {[a]: x}\n"), ERR_TYPE, "f:4: outputs: a key: "},
    {OUTPUT("    ? [a]\n    : x\n"), ERR_TYPE, "f:4: outputs: a key: "},
    {OUTPUT("    queue: &q 1MiB\n"), ERR_UNSUPPORTED, "f:4: outputs: queue: anchors (&NAME) are not allowed"},
    {OUTPUT("    queue: !!str 1MiB\n"), ERR_UNSUPPORTED, "f:4: outputs: queue: tags (!NAME) are not allowed"},
    {"outputs:\n  - &o {name: a, to: null}\n", ERR_UNSUPPORTED,
     "f:2: outputs: anchors (&NAME) are not allowed"},
    {"outputs:\n  - {name: a, <<: {to: null}}\n", ERR_UNKNOWN, "f:2: outputs: <<: no such key"},
    {"outputs: []\noutputs: []\n", ERR_DUPLICATE, "f:2: outputs: "},

    /* Of the whole output */
    {"outputs:\n  - {name: a, to: 'pigeon:coop'}\n", ERR_UNKNOWN,
     "f:1: outputs: a (line 2): to: there is no destination \"pigeon\"; allowed are null, stdout, stderr, file, tcp"},
    {"outputs:\n  - {name: a, to: 'tcp:h'}\n", ERR_MALFORMED,
     "f:1: outputs: a (line 2): to: value \"tcp:h\" has no port; such as tcp:collector:9000"},
    {"outputs:\n  - {name: a, to: 'tcp:u:S3CRET@h:1'}\n", ERR_UNSUPPORTED,
     "f:1: outputs: a (line 2): to: value \"tcp:u:***@h:1\" has a user, which tcp does not take"},
    {OUTPUT("    options: {x: y}\n"), ERR_UNKNOWN,
     "f:1: outputs: a (line 2): options: null has no option \"x\""},
    {"outputs:\n  - {name: a, to: 'tcp:h:1', options: {timeout: 1ms}}\n", ERR_RANGE,
     "f:1: outputs: a (line 2): options: timeout: value \"1ms\" is out of range"},
    {"outputs:\n  - {name: a, to: 'tcp:h:1', options: {fsync: none}}\n", ERR_UNKNOWN,
     "f:1: outputs: a (line 2): options: tcp has no option \"fsync\"; allowed are framing, timeout"},
    {"outputs:\n  - {name: a, to: null}\n  - {name: a, to: stdout}\n", ERR_DUPLICATE,
     "f:1: outputs: a (line 3): name: another output has it"},
    {"dest: stdout\noutputs:\n  - {name: default, to: null}\n", ERR_DUPLICATE,
     "f:1: dest: makes an output \"default\", and outputs has one of that name"},
};

/* Errors name the file, the line, the option, the output where it is known, and the key. */
static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong_files); i++) {
        struct config *c;
        struct err e = {0};
        int rc = parse(wrong_files[i].yaml, &c, &e);
        if (rc == 0)
            fail_msg("%s: is read", wrong_files[i].yaml);
        if (strncmp(e.text, wrong_files[i].text, strlen(wrong_files[i].text)) != 0)
            fail_msg("%s: \"%s\" is expected, not \"%s\"", wrong_files[i].yaml, wrong_files[i].text, e.text);
        assert_int_equal(rc, wrong_files[i].code);
        assert_null(strstr(e.text, "S3CRET"));
    }
}

/* ---- All errors of a file ---- */

struct told {
    char text[40][ERR_TEXT_MAX];
    size_t n;
};

static bool on_told(void *arg, const struct err *e)
{
    struct told *t = arg;
    assert_true(t->n < COUNT(t->text));
    memcpy(t->text[t->n++], e->text, ERR_TEXT_MAX);
    return true;
}

static void expect_all(const char *yaml, const char *const *expected)
{
    static struct told t;
    struct config *c = NULL;
    struct err e = {0};
    t.n = 0;
    struct config_builder *b = config_builder_new();
    assert_non_null(b);
    config_builder_tell_all(b, on_told, &t);
    if (config_parse_yaml(b, yaml, strlen(yaml), "f", &e) == 0) {
        assert_true(config_build(b, &c, &e) != 0);
        expect_text(e.text, t.text[0]);
    } else {
        on_told(&t, &e);
    }
    size_t n = 0;
    for (; n < t.n && expected[n]; n++)
        if (strncmp(t.text[n], expected[n], strlen(expected[n])) != 0)
            fail_msg("\"%s\" is expected, not \"%s\"", expected[n], t.text[n]);
    if (n < t.n || expected[n])
        fail_msg("%s: %s", n < t.n ? "also told" : "not told", n < t.n ? t.text[n] : expected[n]);
    config_builder_free(b);
}

/* What is wrong is skipped, whatever is in it, and what follows is read. */
static void test_all_errors(void **state)
{
    (void)state;
    expect_all("outputs:\n"
               "  - name: a b\n"
               "    to: null\n"
               "    quee: {x: [y, {z: 1}]}\n"
               "    batch:\n"
               "      rows: 0\n"
               "      row: [1, 2]\n"
               "      bytes: 4KiB\n"
               "      bytes: 4KiB\n"
               "    ? {complex: key}\n"
               "    : [1]\n"
               "    columns: [netns, nope, [x], tcp_info_rtt]\n"
               "    options:\n"
               "      a: [1]\n"
               "      b: x\n"
               "      b: y\n"
               "  - just a text\n"
               "  - [name, b]\n"
               "  - {name: c, to: null, queue: 1, start: never}\n"
               "label: \"\\x01\"\n",
               (const char *const[]){
                   "f:2: outputs: name: value \"a b\" has other characters",
                   "f:4: outputs: quee: no such key; did you mean queue?",
                   "f:6: outputs: batch.rows: value \"0\" is out of range",
                   "f:7: outputs: batch.row: no such key",
                   "f:9: outputs: batch.bytes: given twice",
                   "f:10: outputs: a key: something else where its name is expected",
                   "f:12: outputs: columns: value \"nope\" is no field of records",
                   "f:12: outputs: columns: a list or mapping where a single value is expected",
                   "f:14: outputs: a: a list or mapping where a single value is expected",
                   "f:16: outputs: options: key \"b\" is given twice",
                   "f:17: outputs: an output: something else where a mapping is expected",
                   "f:18: outputs: an output: something else where a mapping is expected",
                   "f:19: outputs: queue: value \"1\" is out of range",
                   "f:19: outputs: start: value \"never\" is unknown",
                   "f:20: label: ",
                   NULL,
               });
    expect_all("outputs: {name: a}\nlabel: \"\\x01\"\n",
               (const char *const[]){"f:1: outputs: something else where a list of outputs is expected",
                                     "f:2: label: ", NULL});
    expect_all("outputs:\n  - {name: a, to: null}\n  - {name: [, to: null}\n",
               (const char *const[]){"f:3: outputs: name: a list or mapping where a single value is expected",
                                     "f:3: not valid YAML: ", NULL});
}

/* An output that is wrong as a whole: the first of them is told, with its line. */
static void test_all_errors_of_wholes(void **state)
{
    (void)state;
    expect_all(
        "outputs:\n  - {name: a, to: null}\n  - {name: a, to: stdout}\nlabel: \"\\x01\"\n",
        (const char *const[]){"f:4: label: ", "f:1: outputs: a (line 3): name: another output has it", NULL});
}

/* ---- How many ---- */

static void test_how_many(void **state)
{
    (void)state;
    struct buf text;
    struct err e;
    struct config *c;
    for (int n = OUTPUTS_MAX; n <= OUTPUTS_MAX + 3; n++) {
        buf_init(&text);
        buf_str(&text, "outputs:\n");
        for (int i = 1; i <= n; i++)
            buf_printf(&text, "  - {name: o%d, to: null}\n", i);
        int rc = parse(buf_cstr(&text), &c, &e);
        assert_int_equal(rc, n > OUTPUTS_MAX ? ERR_RANGE : 0);
        if (rc)
            expect_text(e.text, "f:18: outputs: too many; allowed at most 16");
        config_unref(c);
        buf_free(&text);
    }
}

/* ---- Conflicts with dest ---- */

static void test_dest(void **state)
{
    (void)state;
    struct err e;
    struct config *c = with("[{name: default, to: null}]");
    assert_true(is_valid(c, &e)); /* dest makes none */
    assert_int_equal(config_set_text(c, test_option("dest"), "kafka:h:9092", &e), 0);
    assert_false(is_valid(c, &e));
    expect_text(e.text, "dest: makes an output \"default\", and outputs has one of that name");
    assert_int_equal(config_set_text(c, outputs_option(), "[{name: other, to: null}]", &e), 0);
    assert_true(is_valid(c, &e));
    config_unref(c);
}

/* The output that dest and its like make, as the text of it. */
static void test_default(void **state)
{
    (void)state;
    static const struct {
        const char *options[5][2];
        const char *output; /* NULL: none */
    } cases[] = {
        {{{0}}, NULL},
        {{{"dest", "null"}}, NULL},
        {{{"dest", "null:"}, {"marshal", "csv"}}, NULL},
        {{{"dest", "kafka:redpanda-0:9092"}},
         "{name: \"default\", to: \"kafka:redpanda-0:9092\", format: \"protobuf-list\", options: {\"topic\": "
         "\"xtcp\"}}"},
        {{{"dest", "kafka:h"},
          {"topic", "t"},
          {"kafka_compression", "lz4"},
          {"produce_timeout", "5s"},
          {"envelope_flush_rows", "77"}},
         "{name: \"default\", to: \"kafka:h\", format: \"protobuf-list\", batch: {rows: 77}, options: {\"topic\": \"t\", "
         "\"compression\": \"lz4\", \"timeout\": \"5s\"}}"},
        {{{"dest", "stdout"}, {"marshal", "jsonl"}},
         "{name: \"default\", to: \"stdout\", format: \"protojson\"}"},
        {{{"dest", "stderr:"}, {"marshal", "protoJson"}},
         "{name: \"default\", to: \"stderr:\", format: \"protojson-envelope\"}"},
        {{{"dest", "file:/x"}, {"marshal", "protoText"}, {"envelope_flush_bytes", "8192"}},
         "{name: \"default\", to: \"file:/x\", format: \"prototext\", batch: {bytes: 8KiB}}"},
        {{{"dest", "udp:h:1"}, {"marshal", "csv"}, {"csv_columns", "tcpInfoRtt,netns"}},
         "{name: \"default\", to: \"udp:h:1\", format: \"csv\", columns: [\"tcp_info_rtt\", \"netns\"]}"},
        {{{"dest", "udp:h:1"}, {"csv_columns", "tcpInfoRtt"}}, /* not for that format */
         "{name: \"default\", to: \"udp:h:1\", format: \"protobuf-list\"}"},
        {{{"dest", "http://h:8123/?query=x"}, {"produce_timeout", "3s"}},
         "{name: \"default\", to: \"http://h:8123/?query=x\", format: \"protobuf-list\", options: {\"timeout\": "
         "\"3s\"}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *c = test_defaults();
        struct output_config made;
        struct buf text;
        struct err e = {0};
        int rc;
        for (size_t k = 0; k < COUNT(cases[i].options) && cases[i].options[k][0]; k++)
            assert_int_equal(
                config_set_text(c, test_option(cases[i].options[k][0]), cases[i].options[k][1], &e), 0);
        assert_true(is_valid(c, &e));
        assert_int_equal(output_config_default(c, &made, &rc, &e), cases[i].output != NULL);
        assert_int_equal(rc, 0);
        if (cases[i].output) {
            buf_init(&text);
            output_config_print(&made, true, &text);
            expect_text(buf_cstr(&text), cases[i].output);
            buf_free(&text);
            output_config_free(&made);
        }
        config_unref(c);
    }
}

/* What dest makes may be wrong as well. */
static void test_wrong_default(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    struct output_config made;
    struct err e;
    int rc;
    assert_int_equal(config_set_text(c, test_option("dest"), "kafka:h", &e), 0);
    assert_int_equal(config_set_text(c, test_option("topic"), "no topic", &e), 0);
    assert_false(is_valid(c, &e));
    assert_non_null(strstr(e.text, "options: topic: value \"no topic\" has other characters"));
    assert_false(output_config_default(c, &made, &rc, &e));
    assert_int_equal(rc, ERR_MALFORMED);
    config_unref(c);
}

/* ---- Secrets ---- */

static void test_secret_keys(void **state)
{
    (void)state;
    static const char *const secret[] = {"password",
                                         "password=x",
                                         "kafka.sasl.password=x",
                                         "kafka.ssl.key.password",
                                         "headers=A: b",
                                         "kafka.ssl.key.pem=x",
                                         "token=",
                                         "kafka.sasl.oauthbearer.client.secret=x",
                                         "kafka.sasl.jaas.config=x",
                                         "kafka.sasl.oauthbearer.config=x",
                                         "secret=password_file"};
    static const char *const open[] = {"password_file=/x",
                                       "token_file=/x",
                                       "secret_file=/x",
                                       "user=u",
                                       "topic=password",
                                       "x=token",
                                       "kafka.ssl.certificate.pem=x"};
    for (size_t i = 0; i < COUNT(secret); i++)
        if (!output_key_is_secret(secret[i]))
            fail_msg("%s is no secret", secret[i]);
    for (size_t i = 0; i < COUNT(open); i++)
        if (output_key_is_secret(open[i]))
            fail_msg("%s is a secret", open[i]);
}

#define SECRETS                                                                                                   \
    "[{name: a, to: 'kafka:u:S3CRET@h:1', options: {topic: t, kafka.sasl.password: S3CRET, password_file: /p}}, " \
    "{name: b, to: 'http://h/x?user=u&password=S3CRET', options: {headers: 'X-Key: S3CRET'}}]"

/* Nothing that is printed has them, but for the state file. */
static void test_secrets_are_hidden(void **state)
{
    (void)state;
    struct config *c = with(SECRETS);
    struct buf out;
    struct err e;
    assert_int_equal(config_set_text(c, test_option("dest"), "http://u:S3CRET@h/", &e), 0);
    assert_true(is_valid(c, &e));
    expect_text(
        test_value(c, "outputs"),
        "[{name: \"a\", to: \"kafka:u:***@h:1\", options: {\"topic\": \"t\", \"kafka.sasl.password\": \"***\", "
        "\"password_file\": \"/p\"}}, {name: \"b\", to: \"http://h/x?user=u&password=***\", options: "
        "{\"headers\": \"***\"}}]");
    struct config_builder *b = config_builder_new();
    assert_non_null(b);
    buf_init(&out);
    config_dump_effective(b, c, &out);
    assert_null(strstr(buf_cstr(&out), "S3CRET"));
    assert_non_null(strstr(buf_cstr(&out), "kafka:u:***@h:1"));
    buf_free(&out);
    config_builder_free(b);
    config_unref(c);
}

/* Changes over gRPC are kept with them. */
static void test_secrets_in_the_state(void **state)
{
    (void)state;
    struct config *c = with(SECRETS), *base = test_defaults(), *again = NULL;
    struct config_builder *b = config_builder_new();
    struct buf text;
    struct err e = {0};
    assert_non_null(b);
    buf_init(&text);
    config_dump_state(base, c, &text);
    if (config_parse_state(b, buf_cstr(&text), text.len, "s", &e) || config_build(b, &again, &e))
        fail_msg("%s", e.text);
    assert_int_equal(config_diff(c, again, NULL, 0), 0);
    buf_free(&text);
    config_builder_free(b);
    config_unref(base);
    config_unref(c);
    config_unref(again);
}

/* ---- Secrets that come back hidden ---- */

#define KAFKA(to, options) "[{name: a, to: '" to "', options: {" options "}}]"
#define IN_FORCE                                                                                                   \
    "[{name: a, to: 'kafka:u:pw@h:1', options: {topic: t, kafka.sasl.password: pw2, headers: 'X: y'}}, {name: b, " \
    "to: 'http://h/?token=t1'}, {name: c, to: 'file:/x***y'}]"

static const struct {
    const char *given;
    const char *becomes; /* NULL: refused */
    const char *error;
} hidden_cases[] = {
    /* As it was shown */
    {KAFKA("kafka:u:***@h:1", "topic: t, kafka.sasl.password: '***'"),
     KAFKA("kafka:u:pw@h:1", "topic: t, kafka.sasl.password: pw2"), NULL},
    /* Other things change */
    {KAFKA("kafka:u:***@h:1", "topic: other, headers: '***'"),
     KAFKA("kafka:u:pw@h:1", "topic: other, headers: 'X: y'"), NULL},
    /* In full, and an option as it was shown */
    {KAFKA("kafka:u:pw@h:1", "kafka.sasl.password: '***'"),
     KAFKA("kafka:u:pw@h:1", "kafka.sasl.password: pw2"), NULL},
    /* A new secret */
    {KAFKA("kafka:u:new@h:1", "kafka.sasl.password: new"),
     KAFKA("kafka:u:new@h:1", "kafka.sasl.password: new"), NULL},
    /* A key that is no secret may have that value */
    {KAFKA("kafka:u:pw@h:1", "topic: '***'"), KAFKA("kafka:u:pw@h:1", "topic: '***'"), NULL},
    {KAFKA("kafka:u:pw@h:1", "kafka.sasl.password: '***x'"),
     KAFKA("kafka:u:pw@h:1", "kafka.sasl.password: '***x'"), NULL},
    /* Another destination, port, user, path */
    {KAFKA("kafka:u:***@other:1", ""), NULL,
     "a: to: \"***\" stands for a secret that is not known for this destination"},
    {KAFKA("kafka:u:***@h:2", ""), NULL, "a: to: "},
    {KAFKA("kafka:u:***@h:1,other:1", ""), NULL, "a: to: "},
    {KAFKA("kafka:root:***@h:1", ""), NULL, "a: to: "},
    {KAFKA("tcp:u:***@h:1", ""), NULL, "a: to: "},
    {KAFKA("kafka:other:1", "kafka.sasl.password: '***'"), NULL,
     "a: options: kafka.sasl.password: value \"***\" stands for a secret that is not known"},
    {KAFKA("kafka:u:new@h:1", "kafka.sasl.password: '***'"), NULL, "a: options: kafka.sasl.password: "},
    /* Another name */
    {"[{name: x, to: 'kafka:u:***@h:1'}]", NULL, "x: to: "},
    {"[{name: b, to: 'kafka:u:***@h:1'}]", NULL, "b: to: "},
    {"[{to: 'kafka:u:***@h:1'}]", NULL, "number 1: to: "},
    /* A secret that there was not */
    {KAFKA("kafka:u:***@h:1", "password: '***'"), NULL, "a: options: password: "},
    /* In a query */
    {"[{name: b, to: 'http://h/?token=***'}]", "[{name: b, to: 'http://h/?token=t1'}]", NULL},
    {"[{name: b, to: 'http://h/?token=***&x=1'}]", NULL, "b: to: "},
    {"[{name: b, to: 'http://h/?TOKEN=***'}]", NULL, "b: to: "},
    /* Three stars where no secret can be */
    {"[{name: c, to: 'file:/x***y'}]", "[{name: c, to: 'file:/x***y'}]", NULL},
    {"[{name: d, to: 'file:/***'}]", "[{name: d, to: 'file:/***'}]", NULL},
    {"[{name: d, to: 'http://u:***@h/***'}]", NULL, "d: to: "},
};

static void test_hidden_secrets(void **state)
{
    (void)state;
    struct config *in_force = with(IN_FORCE);
    for (size_t i = 0; i < COUNT(hidden_cases); i++) {
        struct config *c = with(hidden_cases[i].given);
        struct err e = {0};
        int rc = outputs_unhide(&c->outputs, &in_force->outputs, &e);
        if ((rc == 0) != (hidden_cases[i].becomes != NULL))
            fail_msg("%s: %s", hidden_cases[i].given, rc ? e.text : "is not refused");
        if (rc) {
            assert_int_equal(rc, ERR_RANGE);
            if (strncmp(e.text, hidden_cases[i].error, strlen(hidden_cases[i].error)) != 0)
                fail_msg("%s: \"%s\" is expected, not \"%s\"", hidden_cases[i].given, hidden_cases[i].error,
                         e.text);
        } else {
            struct config *expected = with(hidden_cases[i].becomes);
            if (config_diff(c, expected, NULL, 0) != 0)
                fail_msg("%s: is another", hidden_cases[i].given);
            config_unref(expected);
        }
        config_unref(c);
    }
    config_unref(in_force);
}

/* A caller cannot have a secret sent elsewhere by what is passed to the library. */
static void test_hidden_secrets_of_libraries(void **state)
{
    (void)state;
    struct err e;
    struct config *in_force = with(KAFKA(
        "kafka:h:1", "kafka.sasl.oauthbearer.token.endpoint.url: 'https://ours/', kafka.client.secret: s"));
    struct config *same =
        with(KAFKA("kafka:h:1",
                   "kafka.client.secret: '***', kafka.sasl.oauthbearer.token.endpoint.url: 'https://ours/'"));
    struct config *other =
        with(KAFKA("kafka:h:1",
                   "kafka.client.secret: '***', kafka.sasl.oauthbearer.token.endpoint.url: 'https://mine/'"));
    struct config *without = with(KAFKA("kafka:h:1", "kafka.client.secret: '***'"));
    struct config *more =
        with(KAFKA("kafka:h:1", "kafka.client.secret: '***', kafka.security.protocol: plaintext, "
                                "kafka.sasl.oauthbearer.token.endpoint.url: 'https://ours/'"));
    assert_int_equal(outputs_unhide(&same->outputs, &in_force->outputs, &e), 0);
    assert_string_equal(same->outputs.items[0].options.items[0], "kafka.client.secret=s");
    assert_int_equal(outputs_unhide(&other->outputs, &in_force->outputs, &e), ERR_RANGE);
    assert_int_equal(outputs_unhide(&without->outputs, &in_force->outputs, &e), ERR_RANGE);
    assert_int_equal(outputs_unhide(&more->outputs, &in_force->outputs, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "kafka.client.secret"));
    config_unref(in_force);
    config_unref(same);
    config_unref(other);
    config_unref(without);
    config_unref(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_any_list),
        cmocka_unit_test(test_failed_text),
        cmocka_unit_test(test_block_and_flow),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_all_errors_of_wholes),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_dest),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_wrong_default),
        cmocka_unit_test(test_secret_keys),
        cmocka_unit_test(test_secrets_are_hidden),
        cmocka_unit_test(test_secrets_in_the_state),
        cmocka_unit_test(test_hidden_secrets),
        cmocka_unit_test(test_hidden_secrets_of_libraries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
