/* Snapshots: references, copies, changes, validation, differences. */
#include "config_test.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/clock.h"

static void test_a_copy_is_deep(void **state)
{
    (void)state;
    struct config *a = test_defaults();
    a->generation = 7;
    assert_int_equal(config_set_string(a, &a->label, "one"), 0);
    config_set_debug_level(a, 55);
    struct config *b = config_copy(a);
    assert_non_null(b);
    assert_int_equal(b->generation, 7);
    assert_int_equal(b->debug_level, 55);
    assert_int_equal(config_diff(a, b, NULL, 0), 0);
    assert_int_equal(config_set_string(b, &b->label, "two"), 0);
    const char *const dirs[] = {"/x"};
    assert_int_equal(config_set_strings(b, &b->netns_dirs, dirs, 1), 0);
    assert_string_equal(a->label, "one");
    assert_int_equal(a->netns_dirs.n, 2);
    config_unref(a);
    assert_string_equal(b->label, "two");
    assert_string_equal(b->netns_dirs.items[0], "/x");
    config_unref(b);
    config_unref(NULL);
}

static void *hold_and_drop(void *arg)
{
    const struct config *c = arg;
    for (int i = 0; i < 10000; i++) {
        const struct config *mine = config_ref(c);
        assert_int_equal(mine->poll_frequency, 5 * NS_PER_S);
        config_unref(mine);
    }
    config_unref(c); /* the reference that it was started with */
    return NULL;
}

static void test_references_of_several_threads(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop, (void *)(uintptr_t)config_ref(c)),
                         0);
    config_unref(c);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL); /* the last of them freed it: the sanitizers watch */
}

static void test_diff_names_what_differs(void **state)
{
    (void)state;
    struct config *a = test_defaults();
    struct config *b = config_copy(a);
    b->queue_rows = 2048;
    b->groups = GROUPS_ALL;
    b->log_format = LOG_JSON;
    b->generation = 99;
    config_set_string(b, &b->tag, "t");
    const char *const dirs[] = {"/run/docker/netns", "/run/netns"}; /* order counts */
    config_set_strings(b, &b->netns_dirs, dirs, 2);
    const struct config_option *out[CONFIG_OPTION_COUNT];
    assert_int_equal(config_diff(a, b, out, CONFIG_OPTION_COUNT), 5);
    static const char *const names[] = {"queue_rows", "enabled_deserializers", "netns_dirs", "tag",
                                        "log_format"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(out[i]->name, names[i]);
    out[1] = NULL;
    assert_int_equal(config_diff(a, b, out, 1), 5);
    assert_null(out[1]);
    config_unref(a);
    config_unref(b);
}

static void test_the_hostname_is_always_set(void **state)
{
    (void)state;
    char machine[HOST_NAME_MAX + 1] = "";
    assert_int_equal(gethostname(machine, sizeof(machine)), 0);
    struct config *c = test_defaults();
    assert_string_equal(c->hostname, machine);
    assert_false(c->hostname_given);
    assert_string_equal(test_value(c, "hostname"), "");

    assert_int_equal(config_set_string(c, &c->hostname, "other"), 0);
    assert_true(c->hostname_given);
    assert_string_equal(test_value(c, "hostname"), "other");
    struct config *copy = config_copy(c);
    assert_true(copy->hostname_given);
    config_unref(copy);

    assert_int_equal(config_set_string(c, &c->hostname, ""), 0);
    assert_int_equal(config_normalise(c), 0);
    assert_string_equal(c->hostname, machine);
    assert_false(c->hostname_given);
    config_unref(c);
}

static void test_debug_level_and_log_level_follow_each_other(void **state)
{
    (void)state;
    static const struct {
        uint32_t number;
        enum log_level level;
    } cases[] = {{0, LOG_ERROR}, {1, LOG_WARN},    {9, LOG_WARN},    {10, LOG_INFO},
                 {99, LOG_INFO}, {100, LOG_DEBUG}, {999, LOG_DEBUG}, {1000, LOG_TRACE}};
    struct config *c = test_defaults();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config_set_debug_level(c, cases[i].number);
        assert_int_equal(c->log_level, cases[i].level);
        assert_int_equal(config_normalise(c), 0);
        assert_int_equal(c->debug_level, cases[i].number); /* kept while it means the level */
        assert_int_equal(config_validate(c, NULL), 0);
    }
    static const uint32_t canonical[LOG_LEVELS] = {0, 1, 10, 100, 1000};
    for (unsigned i = 0; i < LOG_LEVELS; i++) {
        config_set_debug_level(c, i == LOG_TRACE ? 0 : 1000);
        c->log_level = (enum log_level)i;
        assert_int_equal(config_normalise(c), 0);
        assert_int_equal(c->debug_level, canonical[i]);
    }
    config_set_debug_level(c, 1001);
    struct err e = {0};
    assert_int_equal(config_validate(c, &e), ERR_RANGE);
    assert_string_equal(e.text, "debug_level: value \"1001\" is out of range; allowed 0 to 1000");
    config_unref(c);
}

/* Each case breaks one value of a fresh configuration in a way that a careless setter could. */
static void break_frequency(struct config *c)
{
    c->poll_frequency = -1;
}
static void break_timeout(struct config *c)
{
    c->poll_timeout = 8 * 86400 * NS_PER_S;
}
static void break_scan(struct config *c)
{
    c->proc_scan_interval = 1;
}
static void break_queue(struct config *c)
{
    c->queue_rows = UINT32_MAX;
}
static void break_subscribers(struct config *c)
{
    c->subscribers_max = 0;
}
static void break_groups(struct config *c)
{
    c->groups = GROUP_BIT(GROUP_COUNT);
}
static void break_level(struct config *c)
{
    c->log_level = (enum log_level)5;
}
static void break_format(struct config *c)
{
    c->log_format = (enum log_format)2;
}
static void break_label(struct config *c)
{
    config_set_string(c, &c->label, "a\tb");
}
static void break_listen(struct config *c)
{
    config_set_strings(c, &c->grpc_listen, NULL, 0);
}
static void break_exposure(struct config *c)
{
    const char *listen[] = {"127.9.9.9:1", "[::1]:1", "unix:/s", "unix-abstract:s", "[::]:1"};
    assert_int_equal(config_set_strings(c, &c->grpc_listen, listen, 5), 0);
}

static void break_order(struct config *c)
{
    c->poll_timeout = c->poll_frequency;
}

static void break_comma(struct config *c)
{
    const char *const items[] = {"/a,b"};
    config_set_strings(c, &c->netns_dirs, items, 1);
}

static void break_twice(struct config *c)
{
    const char *const items[] = {"/a", "/a"};
    config_set_strings(c, &c->netns_dirs, items, 2);
}

/* A change that names something twice is none that is refused. */
static void test_normalise_leaves_each_once(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    const char *const dirs[] = {"/a", "/b", "/a/", "/b", "/c"};
    const char *const uids[] = {"7", "07"};
    assert_int_equal(config_set_strings(c, &c->netns_dirs, dirs, 5), 0);
    assert_int_equal(config_set_strings(c, &c->access_read_uids, uids, 2), 0);
    assert_int_equal(config_normalise(c), 0);
    assert_int_equal(config_validate(c, NULL), 0);
    assert_string_equal(test_value(c, "netns_dirs"), "/a,/b,/c");
    assert_string_equal(test_value(c, "access_read_uids"), "7");
    config_unref(c);
}

static void test_validate(void **state)
{
    (void)state;
    static const struct {
        void (*damage)(struct config *c);
        int code;
        const char *error;
    } cases[] = {
        {break_frequency, ERR_RANGE, "poll_frequency: value \"-1ns\" is out of range; allowed 10ms to 7d"},
        {break_timeout, ERR_RANGE, "poll_timeout: value \"8d\" is out of range; allowed 1ms to 7d"},
        {break_scan, ERR_RANGE,
         "proc_scan_interval: value \"1ns\" is out of range; allowed 0 for off, or 100ms to 1h"},
        {break_queue, ERR_RANGE,
         "queue_rows: value \"4294967295\" is out of range; allowed 1024 to 16777216"},
        {break_subscribers, ERR_RANGE, "subscribers_max: value \"0\" is out of range; allowed 1 to 100000"},
        {break_groups, ERR_RANGE,
         "enabled_deserializers: value \"0x2000\" has bits that are no group; allowed any of meminfo, info, "
         "vegas, cong, "
         "tos, tc, skmem, shut, dctcp, bbr, classid, cgroup, sockopt"},
        {break_level, ERR_RANGE,
         "log_level: value \"5\" is unknown; allowed error, warn, info, debug or trace"},
        {break_format, ERR_RANGE, "log_format: value \"2\" is unknown; allowed text or json"},
        {break_label, ERR_MALFORMED,
         "label: value \"a?b\" holds a control character; allowed at most 40 characters"},
        {break_listen, ERR_RANGE, "grpc_listen: value \"\" is an empty list; allowed 1 to 16 values"},
        {break_comma, ERR_MALFORMED, "netns_dirs: value \"/a,b\" holds a comma, which separates values"},
        {break_twice, ERR_DUPLICATE, "netns_dirs: value \"/a\" is given twice"},
        {break_exposure, ERR_RANGE,
         "grpc_listen: value \"[::]:1\" can be reached from other machines, without encryption and without "
         "proof of who calls; allowed with grpc_insecure: true"},
        {break_order, ERR_RANGE,
         "poll_timeout: value \"5s\" must be less than poll_frequency, which is \"5s\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *c = test_defaults();
        struct err e = {0};
        cases[i].damage(c);
        int rc = config_validate(c, &e);
        assert_string_equal(e.text, cases[i].error);
        assert_int_equal(rc, cases[i].code);
        assert_int_equal(config_validate(c, NULL), rc);
        config_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_is_deep),
        cmocka_unit_test(test_references_of_several_threads),
        cmocka_unit_test(test_diff_names_what_differs),
        cmocka_unit_test(test_the_hostname_is_always_set),
        cmocka_unit_test(test_debug_level_and_log_level_follow_each_other),
        cmocka_unit_test(test_normalise_leaves_each_once),
        cmocka_unit_test(test_validate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
