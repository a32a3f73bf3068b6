/* server/poll/inventory.c: which namespaces are collected, and what becomes of collectors that have to go. The
 * collectors are played by this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "server/poll/inventory.h"

/* ---- Collectors that take every order, and end when this file lets them ---- */

struct collector {
    uint64_t id;
    bool stopped;
};

static unsigned running; /* started and not joined */
static unsigned orders;
static bool hanging; /* those that are stopped do not end */

int collector_start(struct collectors *set, const struct netns_ref *ns, struct collector **out, struct err *e)
{
    (void)set;
    (void)e;
    struct collector *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->id = ns->id;
    *out = c;
    running++;
    return 0;
}

int collector_rename(struct collector *c, const char *name, const char *path)
{
    assert_false(c->stopped);
    (void)name;
    (void)path;
    return 0;
}

int collector_poll(struct collector *c, struct poll_request *request)
{
    assert_false(c->stopped);
    (void)request;
    orders++;
    return 0;
}

void collector_stop(struct collector *c)
{
    c->stopped = true;
}

bool collector_ended(struct collector *c)
{
    return c->stopped && !hanging;
}

void collector_join(struct collector *c)
{
    assert_true(collector_ended(c)); /* else it would wait */
    free(c);
    running--;
}

/* ---- Helpers ---- */

static int setup(void **state)
{
    struct inventory *r;
    running = orders = 0;
    hanging = false;
    assert_int_equal(inventory_new(NULL, &r, NULL), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    hanging = false;
    assert_true(inventory_stop(*state, 0));
    assert_int_equal(running, 0);
    inventory_free(*state);
    return 0;
}

static void tell(struct inventory *r, enum nswatch_event event, uint64_t id, const char *name,
                 enum nswatch_kind kind)
{
    char path[64];
    snprintf(path, sizeof(path), "/run/netns/%s", name);
    struct nswatch_name names[] = {{.dir = "/run/netns", .name = name, .text = path}};
    struct nswatch_ns ns = {.id = id,
                            .inode = 100 + id,
                            .cookie = 200 + id,
                            .kind = kind,
                            .state = NSWATCH_LIVE,
                            .netns = name,
                            .path = path,
                            .found_at = path,
                            .names = names,
                            .name_count = kind == NSWATCH_NAMED};
    inventory_event(r, event, &ns);
}

static void choose(struct inventory *r, const char *include, const char *exclude)
{
    struct config *c;
    assert_int_equal(config_defaults(&c), 0);
    assert_int_equal(config_set_text(c, config_option_find("netns_include"), include, NULL), 0);
    assert_int_equal(config_set_text(c, config_option_find("netns_exclude"), exclude, NULL), 0);
    inventory_select(r, c);
    config_unref(c);
}

/* A poll's order to all; returns how many took it. */
static size_t poll_all(struct inventory *r, uint64_t id)
{
    struct poll_request order = {.refs = 1, .poll_id = id};
    unsigned before = orders;
    size_t n = inventory_poll(r, &order, NULL, NULL, NULL);
    assert_int_equal(orders - before, n);
    return n;
}

static const char *report(struct inventory *r, uint64_t poll_id, uint64_t id)
{
    static char name[INVENTORY_NAME_MAX];
    struct collector_result result = {.poll_id = poll_id, .netns_id = id};
    uint64_t inode;
    uint64_t cookie;
    inventory_result(r, &result, 1, name, &inode, &cookie);
    return name;
}

static size_t excluded(struct inventory *r, size_t known)
{
    size_t n;
    assert_int_equal(inventory_count(r, &n), known);
    return n;
}

struct told {
    unsigned n;
    uint32_t types[16];
};

static void note(void *arg, const struct namespace_event *event)
{
    struct told *t = arg;
    assert_true(t->n < 16);
    t->types[t->n++] = event->type;
    if (event->type == NAMESPACE_EVENT_EXCLUDED)
        assert_int_equal(event->ns->state, NAMESPACE_STATE_EXCLUDED);
    if (event->type == NAMESPACE_EVENT_READY)
        assert_int_equal(event->ns->state, NAMESPACE_STATE_READY);
}

/* ---- Selection ---- */

static void three(struct inventory *r)
{
    tell(r, NSWATCH_READY, 1, "default", NSWATCH_OWN);
    tell(r, NSWATCH_READY, 2, "web-1", NSWATCH_NAMED);
    tell(r, NSWATCH_READY, 3, "netns:[103]", NSWATCH_ANONYMOUS);
}

static void test_by_name_kind_and_number(void **state)
{
    struct inventory *r = *state;
    three(r);
    assert_int_equal(running, 3);
    static const struct {
        const char *include, *exclude;
        unsigned left;
    } rows[] = {
        {"", "", 3},
        {"web-*", "", 1},
        {"/run/netns/*", "", 1},
        {"kind:own,kind:anonymous", "", 2},
        {"", "kind:own", 2},
        {"", "cookie:202,inode:103", 1},
        {"*", "default", 2},
        {"nobody", "", 0},
        {"web-1", "kind:named", 0},
        {"", "", 3},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        choose(r, rows[i].include, rows[i].exclude);
        assert_int_equal(running, rows[i].left);
        assert_int_equal(excluded(r, 3), 3 - rows[i].left);
        assert_int_equal(poll_all(r, i + 1), rows[i].left);
        for (uint64_t id = 1; id <= 3; id++)
            report(r, i + 1, id);
    }
}

static void test_what_comes_later_is_looked_at_too(void **state)
{
    struct inventory *r = *state;
    choose(r, "", "web-*");
    three(r);
    assert_int_equal(running, 2);
    tell(r, NSWATCH_CHANGED, 2, "blue", NSWATCH_NAMED); /* a new name */
    assert_int_equal(running, 3);
    tell(r, NSWATCH_CHANGED, 2, "web-2", NSWATCH_NAMED);
    assert_int_equal(running, 2);
    assert_int_equal(excluded(r, 3), 1);
    tell(r, NSWATCH_REMOVED, 2, "web-2", NSWATCH_NAMED);
    assert_int_equal(excluded(r, 2), 0);
}

static void test_watchers_are_told(void **state)
{
    struct inventory *r = *state;
    struct told t = {0};
    tell(r, NSWATCH_READY, 2, "web-1", NSWATCH_NAMED);
    tell(r, NSWATCH_READY, 4, "blue", NSWATCH_NAMED);
    choose(r, "", "blue");
    assert_int_equal(inventory_listen(r, note, &t), 0);
    choose(r, "", "web-1");
    choose(r, "", "web-1"); /* nothing new */
    choose(r, "", "");
    static const uint32_t expected[] = {NAMESPACE_EVENT_READY,  NAMESPACE_EVENT_EXCLUDED,
                                        NAMESPACE_EVENT_SYNCED, NAMESPACE_EVENT_EXCLUDED,
                                        NAMESPACE_EVENT_READY,  NAMESPACE_EVENT_READY};
    assert_int_equal(t.n, sizeof(expected) / sizeof(expected[0]));
    assert_memory_equal(t.types, expected, sizeof(expected));
    inventory_unlisten(r, &t);
}

/* A collector that is at a poll finishes it; the next one is without it. */
static void test_a_running_poll_is_not_torn(void **state)
{
    struct inventory *r = *state;
    three(r);
    assert_int_equal(poll_all(r, 1), 3);
    report(r, 1, 1);
    choose(r, "nobody", "");
    assert_int_equal(running, 2);
    assert_string_equal(report(r, 1, 2), "web-1");
    assert_string_equal(report(r, 1, 3), "netns:[103]");
    assert_int_equal(poll_all(r, 2), 0);
    choose(r, "", "");
    assert_int_equal(running, 3);
    assert_int_equal(poll_all(r, 3), 3);
}

/* A caller that was told the number of namespaces to poll gets these and no others. */
static void test_nothing_changes_while_a_poll_starts(void **state)
{
    struct inventory *r = *state;
    three(r);
    assert_int_equal(inventory_collectors(r, NULL), 3);
    choose(r, "nobody", "");
    choose(r, "", "kind:own");
    assert_int_equal(excluded(r, 3), 0);
    assert_int_equal(poll_all(r, 1), 3);
    assert_int_equal(excluded(r, 3), 1);
    assert_int_equal(running, 3); /* still at it */
    report(r, 1, 1);
    assert_int_equal(inventory_collectors(r, NULL), 2);
    assert_int_equal(poll_all(r, 2), 2);
    assert_int_equal(running, 2);
}

/* ---- Leaving ---- */

static void count(void *arg, const char *name, uint64_t inode, uint64_t cookie)
{
    assert_string_equal(name, "web-1");
    assert_int_equal(inode, 102);
    assert_int_equal(cookie, 202);
    ++*(unsigned *)arg;
}

static void test_one_that_hangs_stops_nobody(void **state)
{
    struct inventory *r = *state;
    three(r);
    assert_int_equal(poll_all(r, 1), 3);
    report(r, 1, 1);
    report(r, 1, 3);
    hanging = true;
    tell(r, NSWATCH_REMOVED, 2, "web-1", NSWATCH_NAMED); /* returns */
    assert_int_equal(excluded(r, 2), 0);
    unsigned missing = 0;
    inventory_missing(r, 1, count, &missing);
    assert_int_equal(missing, 1); /* and can still be named */
    assert_int_equal(running, 3);
    assert_int_equal(poll_all(r, 2), 2);
    tell(r, NSWATCH_READY, 5, "web-1", NSWATCH_NAMED); /* the next one of that name */
    assert_int_equal(running, 4);
    assert_string_equal(report(r, 1, 2), "web-1");
    hanging = false;
    tell(r, NSWATCH_CHANGED, 5, "web-1", NSWATCH_NAMED); /* whatever happens next: it is joined */
    assert_int_equal(running, 3);
    assert_string_equal(report(r, 1, 2), "");
}

static void test_a_stop_does_not_wait_for_ever(void **state)
{
    struct inventory *r = *state;
    three(r);
    hanging = true;
    int64_t begin = clock_mono_ns();
    assert_false(inventory_stop(r, begin + 20 * NS_PER_MS));
    assert_true(clock_mono_ns() >= begin + 20 * NS_PER_MS);
    assert_int_equal(running, 3);
    choose(r, "web-*", ""); /* nothing is started any more */
    tell(r, NSWATCH_READY, 5, "web-2", NSWATCH_NAMED);
    assert_int_equal(running, 3);
}

static void test_many_back_and_forth(void **state)
{
    struct inventory *r = *state;
    for (uint64_t id = 1; id <= 1000; id++) {
        char name[16];
        snprintf(name, sizeof(name), "%s-%d", id % 2 ? "odd" : "even", (int)id);
        tell(r, NSWATCH_READY, id, name, NSWATCH_NAMED);
    }
    for (int i = 0; i < 50; i++) {
        choose(r, i % 2 ? "odd-*" : "", i % 4 < 2 ? "" : "*-1??");
        unsigned expected = i % 2 ? (i % 4 < 2 ? 500 : 450) : (i % 4 < 2 ? 1000 : 900);
        assert_int_equal(running, expected);
        assert_int_equal(excluded(r, 1000), 1000 - expected);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_by_name_kind_and_number),
        TEST(test_what_comes_later_is_looked_at_too),
        TEST(test_watchers_are_told),
        TEST(test_a_running_poll_is_not_torn),
        TEST(test_nothing_changes_while_a_poll_starts),
        TEST(test_one_that_hangs_stops_nobody),
        TEST(test_a_stop_does_not_wait_for_ever),
        TEST(test_many_back_and_forth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
