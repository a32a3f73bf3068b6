/* server/services/outputs_power.c: which changes of outputs a caller may make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/quota.h"
#include "server/services/outputs_power.h"
#include "server_fake_rpc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void set(struct config *c, const char *option, const char *text)
{
    struct err e = {0};
    if (config_set_text(c, config_option_find(option), text, &e))
        fail_msg("%s: %s", text, e.text);
}

static struct config *with(const char *outputs)
{
    struct config *c = NULL;
    struct err e = {0};
    assert_int_equal(config_defaults(&c), 0);
    set(c, "outputs", outputs);
    set(c, "output_dirs", "/var/log/xtcp2,/srv/out/");
    if (config_validate(c, &e))
        fail_msg("%s: %s", outputs, e.text);
    return c;
}

/* Whether a caller that may do |power| may put |is| in the place of |was|: NULL, or what it is told. */
static const char *refusal(enum config_outputs_remote power, bool owner, const struct config *was,
                           const struct config *is)
{
    static struct err e;
    e = (struct err){0};
    int rc = outputs_power_compare(power, owner, was, is, &e);
    assert_true(rc == 0 || rc == ERR_PERMISSION);
    assert_int_equal(e.code, rc);
    return rc ? e.text : NULL;
}

static void expect(const char *told, const char *expected, const char *what)
{
    if (!expected && told)
        fail_msg("%s: is refused: %s", what, told);
    if (expected && (!told || strcmp(told, expected) != 0))
        fail_msg("%s: \"%s\" is expected, not \"%s\"", what, expected, told ? told : "nothing");
}

/* ---- What an output may be ---- */

#define NO_FILE "which outputs_remote (network) does not allow"

/* Each is told of an output called a; NULL: it is allowed. */
static const struct {
    const char *output;  /* without its name */
    const char *network; /* with the powers network */
    const char *all;     /* and all */
} outputs[] = {
    {"to: null", NULL, NULL},
    {"to: 'tcp:h:9000'", NULL, NULL},
    {"to: 'udp:h:9000'", NULL, NULL},
    {"to: 'https://user:secret@h/x'", NULL, NULL},
    {"to: 'kafka:a:9092,b:9092', options: {topic: t, kafka.linger.ms: '5'}", NULL, NULL},
    {"to: 'tcp:h:1', on_full: drop_newest", NULL, NULL},

    /* Files */
    {"to: 'file:/var/log/xtcp2/a'", "to: names a file, " NO_FILE, NULL},
    {"to: 'file:///var/log/xtcp2/a/b'", "to: names a file, " NO_FILE, NULL},
    {"to: 'file:/srv/out/a'", "to: names a file, " NO_FILE, NULL},
    {"to: 'file:/srv/out//a'", "to: names a file, " NO_FILE, NULL},
    {"to: 'file:/etc/passwd'", "to: names a file, " NO_FILE,
     "to: is in none of the directories of output_dirs"},
    {"to: 'file:/var/log/xtcp2x/a'", "to: names a file, " NO_FILE,
     "to: is in none of the directories of output_dirs"},
    {"to: 'file:/var/log/xtcp2'", "to: names a file, " NO_FILE,
     "to: is in none of the directories of output_dirs"},
    {"to: 'file:/var/log/xtcp2/../../etc/x'", "to: names a file, " NO_FILE, "to: has \"..\" in its path"},
    {"to: 'file:/var/log/xtcp2/..'", "to: names a file, " NO_FILE, "to: has \"..\" in its path"},
    {"to: 'file:/var/log/xtcp2/..x/a..'", "to: names a file, " NO_FILE, NULL},
    {"to: 'unix:/var/log/xtcp2/s'", "to: names a file, " NO_FILE, NULL},
    {"to: 'unix:/run/docker.sock'", "to: names a file, " NO_FILE,
     "to: is in none of the directories of output_dirs"},
    {"to: 'unixgram:/dev/log'", "to: names a file, " NO_FILE,
     "to: is in none of the directories of output_dirs"},
    {"to: stdout", "to: outputs_remote (network) does not allow stdout", NULL},
    {"to: 'stderr:'", "to: outputs_remote (network) does not allow stderr", NULL},

    /* The spool */
    {"to: 'tcp:h:1', on_full: spool", "on_full: outputs_remote (network) does not allow a spool", NULL},

    /* Files of options */
    {"to: 'http://h/', options: {password_file: /var/log/xtcp2/p}",
     "options: password_file: names a file, " NO_FILE, NULL},
    {"to: 'http://h/', options: {token_file: /etc/shadow}", "options: token_file: names a file, " NO_FILE,
     "options: token_file: is in none of the directories of output_dirs"},
    {"to: 'http://h/', options: {compress: zstd, dead_letter_file: /srv/out/../x}",
     "options: dead_letter_file: names a file, " NO_FILE,
     "options: dead_letter_file: has \"..\" in its path"},
    {"to: 'tcp:h:1', options: {tls: true, tls_ca_file: /etc/ssl/x}",
     "options: tls_ca_file: names a file, " NO_FILE,
     "options: tls_ca_file: is in none of the directories of output_dirs"},
    {"to: 'tcp:h:1', options: {tls: true, tls_cert_file: '', tls_server_name: h}", NULL, NULL},
    {"to: 'kafka:h', options: {user: u, password_file: /root/p}",
     "options: password_file: names a file, " NO_FILE,
     "options: password_file: is in none of the directories of output_dirs"},

    /* What is passed to a library */
    {"to: 'kafka:h', options: {kafka.sasl.password: x, kafka.security.protocol: ssl}", NULL, NULL},
#define OWNERS(key) "options: " key ": is for the configuration file and the owner of the daemon alone"
#define PASSED(key)                                                                                          \
    {                                                                                                        \
        "to: 'kafka:h', options: {" key ": /var/log/xtcp2/x}", OWNERS(key), OWNERS(key)                      \
    }
    PASSED("kafka.ssl.ca.location"),
    PASSED("kafka.ssl.keystore.location"),
    PASSED("kafka.plugin.library.paths"),
    PASSED("kafka.ssl.engine.location"),
    PASSED("kafka.ssl.providers"),
    PASSED("kafka.sasl.kerberos.kinit.cmd"),
    PASSED("kafka.sasl.kerberos.keytab"),
    PASSED("kafka.sasl.kerberos.principal"),
    PASSED("kafka.sasl.oauthbearer.assertion.file"),
    PASSED("kafka.debug"),
    {"to: 'kafka:h', options: {kafka.client.id: location}", NULL, NULL}, /* that is a value */
};

/* To add one, to remove it, and to change it in whatever respect. */
static void test_what_an_output_may_be(void **state)
{
    (void)state;
    static const enum config_outputs_remote powers[] = {CONFIG_OUTPUTS_NETWORK, CONFIG_OUTPUTS_ALL};
    struct config *none = with("");
    for (size_t i = 0; i < COUNT(outputs); i++) {
        char text[300], changed[340], told[200], why[400];
        snprintf(text, sizeof(text), "[{name: a, %s}]", outputs[i].output);
        snprintf(changed, sizeof(changed), "[{name: a, queue: 1MiB, %s}]", outputs[i].output);
        struct config *one = with(text), *other = with(changed);
        for (size_t p = 0; p < COUNT(powers); p++) {
            const char *refused = p ? outputs[i].all : outputs[i].network;
            snprintf(told, sizeof(told), "outputs: a: %s", refused ? refused : "");
            const char *expected = refused ? told : NULL;
            snprintf(why, sizeof(why), "%s with %s", text, p ? "all" : "network");
            expect(refusal(powers[p], false, none, one), expected, why);
            expect(refusal(powers[p], false, one, none), expected, why);
            expect(refusal(powers[p], false, one, other), expected, why);
            expect(refusal(powers[p], false, one, one), NULL, why);
        }
        config_unref(one);
        config_unref(other);
    }
    config_unref(none);
}

/* Nothing at all; but all that leaves them as they are. */
static void test_off(void **state)
{
    (void)state;
    static const char refused[] =
        "options.outputs: outputs_remote (off) does not allow this caller to change outputs";
    struct config *none = with(""), *one = with("[{name: a, to: null}]"), *same = config_copy(one);
    assert_non_null(same);
    expect(refusal(CONFIG_OUTPUTS_OFF, false, none, one), refused, "add");
    expect(refusal(CONFIG_OUTPUTS_OFF, false, one, none), refused, "remove");
    set(same, "label", "x");
    expect(refusal(CONFIG_OUTPUTS_OFF, false, one, same), NULL, "another option");
    set(same, "outputs", "[{name: a, to: null, batch: {rows: 7}}]");
    expect(refusal(CONFIG_OUTPUTS_OFF, false, one, same), refused, "change");
    config_unref(none);
    config_unref(one);
    config_unref(same);
}

/* Root and the user of the daemon may pass everything to a library; but they are told of a slip in a path as others are. */
static void test_owner(void **state)
{
    (void)state;
    struct config *none = with("");
    struct config *passed = with("[{name: a, to: 'kafka:h', options: {kafka.ssl.ca.location: /etc/x}}]");
    struct config *file = with("[{name: a, to: 'file:/etc/x'}]");
    expect(refusal(CONFIG_OUTPUTS_ALL, true, none, passed), NULL, "passed");
    expect(refusal(CONFIG_OUTPUTS_ALL, true, none, file),
           "outputs: a: to: is in none of the directories of output_dirs", "file");
    expect(refusal(CONFIG_OUTPUTS_ALL, true, file, none), NULL, "removed");
    config_unref(none);
    config_unref(passed);
    config_unref(file);
}

/* ---- Several outputs ---- */

#define FILE_A "{name: a, to: 'file:/etc/a'}"
#define TCP_B  "{name: b, to: 'tcp:h:1'}"
#define TCP_C  "{name: c, to: 'tcp:h:2'}"

/* An output that is beyond a caller stays untouched while others come, change and go. */
static void test_others(void **state)
{
    (void)state;
    static const struct {
        const char *was, *is;
        bool allowed;
    } cases[] = {
        {"[" FILE_A "]", "[" FILE_A ", " TCP_B "]", true},
        {"[" FILE_A ", " TCP_B "]", "[" FILE_A "]", true},
        {"[" FILE_A ", " TCP_B "]", "[" TCP_B ", " FILE_A "]", true}, /* another order */
        {"[" FILE_A ", " TCP_B "]", "[" TCP_C ", " FILE_A "]", true},
        {"[" FILE_A ", " TCP_B "]", "[" FILE_A ", {name: b, to: null}]", true},
        {"[" FILE_A ", " TCP_B "]", "[" TCP_B "]", false},
        {"[" FILE_A ", " TCP_B "]", "[{name: a, to: 'tcp:h:3'}, " TCP_B "]", false}, /* in its place */
        {"[" FILE_A "]", "[{name: x, to: 'file:/etc/a'}]", false},                   /* another name */
        {"[" TCP_B "]", "[{name: b, to: 'file:/etc/b'}]", false},
        {"[" FILE_A "]", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *was = with(cases[i].was), *is = with(cases[i].is);
        const char *told = refusal(CONFIG_OUTPUTS_NETWORK, false, was, is);
        if ((told == NULL) != cases[i].allowed)
            fail_msg("case %zu: %s", i, told ? told : "is allowed");
        if (told)
            assert_non_null(strstr(told, "to: names a file"));
        config_unref(was);
        config_unref(is);
    }
}

/* ---- The output that dest makes ---- */

static void test_dest(void **state)
{
    (void)state;
    static const struct {
        const char *was, *is; /* dest */
        const char *off, *network, *all;
    } cases[] = {
#define OFF        "dest: outputs_remote (off) does not allow this caller to change outputs"
#define NONE       "outputs: default: to: is in none of the directories of output_dirs"
#define FILE_NAMED "outputs: default: to: names a file, " NO_FILE
        {"null:", "null", NULL, NULL, NULL},
        {"null:", "kafka:h:1", OFF, NULL, NULL},
        {"kafka:h:1", "null:", OFF, NULL, NULL},
        {"kafka:h:1", "kafka:h:1", NULL, NULL, NULL},
        {"kafka:h:1", "kafka:h:2", OFF, NULL, NULL},
        {"null:", "file:/var/log/xtcp2/x", OFF, FILE_NAMED, NULL},
        {"file:/var/log/xtcp2/x", "null:", OFF, FILE_NAMED, NULL},
        {"null:", "file:/etc/x", OFF, FILE_NAMED, NONE},
        {"file:/etc/x", "kafka:h:1", OFF, FILE_NAMED, NONE},
        {"file:/etc/x", "file:/etc/x", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *was = with(""), *is = with("");
        set(was, "dest", cases[i].was);
        set(is, "dest", cases[i].is);
        expect(refusal(CONFIG_OUTPUTS_OFF, false, was, is), cases[i].off, cases[i].is);
        expect(refusal(CONFIG_OUTPUTS_NETWORK, false, was, is), cases[i].network, cases[i].is);
        expect(refusal(CONFIG_OUTPUTS_ALL, false, was, is), cases[i].all, cases[i].is);
        config_unref(was);
        config_unref(is);
    }
}

/* The options beside dest change that output, too; where it is null, they change nothing. */
static void test_beside_dest(void **state)
{
    (void)state;
    static const char *const options[][2] = {
        {"topic", "other"}, {"marshal", "protoJson"}, {"envelope_flush_rows", "5"}};
    for (size_t i = 0; i < COUNT(options); i++) {
        struct config *was = with(""), *is = with("");
        set(is, options[i][0], options[i][1]);
        expect(refusal(CONFIG_OUTPUTS_OFF, false, was, is), NULL, options[i][0]);
        set(was, "dest", "kafka:h:1");
        set(is, "dest", "kafka:h:1");
        expect(refusal(CONFIG_OUTPUTS_OFF, false, was, is), OFF, options[i][0]);
        expect(refusal(CONFIG_OUTPUTS_NETWORK, false, was, is), NULL, options[i][0]);
        config_unref(was);
        config_unref(is);
    }
}

/* ---- Who calls ---- */

static int check_as(const char *user, const struct config *was, const struct config *is)
{
    struct err e = {0};
    struct quota *quota = quota_new();
    assert_non_null(quota);
    struct rpc_call call = {.quota = user ? quota_user(quota, user) : NULL};
    int rc = outputs_power_check(&call, was, is, &e);
    assert_int_equal(rc, e.code);
    quota_user_unref(call.quota);
    quota_free(quota);
    return rc;
}

static void test_callers(void **state)
{
    (void)state;
    char self[32];
    struct config *was = with(""), *is = with("[{name: a, to: 'file:/srv/out/x'}]");
    snprintf(self, sizeof(self), "uid %u", (unsigned)geteuid());
    static const char *const others[] = {
        "uid 1000",          "uid 00",  "uid 0 ", "uid", "name uid 0", "token 1",
        "address 127.0.0.1", "unknown", "",       NULL};
    for (int power = CONFIG_OUTPUTS_OFF; power <= CONFIG_OUTPUTS_ALL; power++) {
        was->outputs_remote = (enum config_outputs_remote)power;
        assert_int_equal(check_as("uid 0", was, is), 0);
        assert_int_equal(check_as(self, was, is), 0);
        for (size_t i = 0; i < COUNT(others); i++)
            assert_int_equal(check_as(others[i], was, is), power == CONFIG_OUTPUTS_ALL ? 0 : ERR_PERMISSION);
    }
    was->outputs_remote = CONFIG_OUTPUTS_OFF;
    is->outputs_remote = CONFIG_OUTPUTS_ALL; /* that it asks for a right does not give it one */
    assert_int_equal(check_as("uid 1000", was, is), ERR_PERMISSION);
    config_unref(was);
    config_unref(is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_output_may_be),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_dest),
        cmocka_unit_test(test_beside_dest),
        cmocka_unit_test(test_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
