/* server/poll/inventory.c: which namespace has reported for which poll. The collectors are played by this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "server/poll/inventory.h"

/* ---- Collectors that take every request and never report by themselves ---- */

struct collector {
    uint64_t id;
};

int collector_start(struct collectors *set, const struct netns_ref *ns, struct collector **out, struct err *e)
{
    (void)set;
    struct collector *c = malloc(sizeof(*c));
    if (!c)
        return err_set(e, -ENOMEM, "out of memory");
    *c = (struct collector){.id = ns->id};
    *out = c;
    return 0;
}

int collector_rename(struct collector *c, const char *name, const char *path)
{
    (void)c;
    (void)name;
    (void)path;
    return 0;
}

int collector_poll(struct collector *c, struct poll_request *request)
{
    (void)c;
    (void)request;
    return 0;
}

void collector_stop(struct collector *c)
{
    (void)c;
}

bool collector_ended(struct collector *c)
{
    return c != NULL;
}

void collector_join(struct collector *c)
{
    free(c);
}

/* ---- Helpers ---- */

static struct inventory *with_namespace(uint64_t id, const char *name)
{
    struct inventory *r;
    assert_int_equal(inventory_new(NULL, &r, NULL), 0);
    struct nswatch_ns ns = {.id = id,
                            .inode = 100 + id,
                            .cookie = 200 + id,
                            .kind = NSWATCH_NAMED,
                            .state = NSWATCH_LIVE,
                            .netns = name,
                            .path = "/nowhere",
                            .found_at = "/nowhere"};
    inventory_event(r, NSWATCH_READY, &ns);
    assert_int_equal(inventory_collectors(r, NULL), 1);
    return r;
}

static void refused(void *arg, const struct collector_result *result)
{
    *(struct collector_result *)arg = *result;
}

static void give_request(struct inventory *r, uint64_t poll_id, struct collector_result *no)
{
    struct poll_request request = {.refs = 1, .poll_id = poll_id};
    assert_int_equal(inventory_poll(r, &request, NULL, refused, no), 1);
}

static void report(struct inventory *r, uint64_t poll_id, uint64_t id, int code, const char *expected)
{
    struct collector_result result = {.poll_id = poll_id, .netns_id = id, .err = {.code = code}};
    char name[INVENTORY_NAME_MAX];
    uint64_t inode;
    uint64_t cookie;
    inventory_result(r, &result, 1, name, &inode, &cookie);
    assert_string_equal(name, expected);
}

static void count(void *arg, const char *name, uint64_t inode, uint64_t cookie)
{
    assert_string_equal(name, "blue");
    assert_int_equal(inode, 107);
    assert_int_equal(cookie, 207);
    ++*(unsigned *)arg;
}

static unsigned missing(struct inventory *r, uint64_t poll_id)
{
    unsigned n = 0;
    inventory_missing(r, poll_id, count, &n);
    return n;
}

/* ---- Tests ---- */

static void test_who_has_not_reported(void **state)
{
    (void)state;
    struct collector_result no = {0};
    struct inventory *r = with_namespace(7, "blue");
    give_request(r, 1, &no);
    assert_int_equal(missing(r, 1), 1);
    assert_int_equal(missing(r, 2), 0);
    report(r, 1, 7, 0, "blue");
    report(r, 1, 8, 0, "");
    assert_int_equal(missing(r, 1), 0);
    assert_int_equal(no.poll_id, 0);
    assert_true(inventory_stop(r, 0));
    inventory_free(r);
}

/* A collector is free for its next request before its report of the last one has arrived. */
static void test_a_late_report_leaves_the_next_order_open(void **state)
{
    (void)state;
    struct collector_result no = {0};
    struct inventory *r = with_namespace(7, "blue");
    give_request(r, 1, &no);
    give_request(r, 2, &no);
    report(r, 1, 7, ERR_TIMEOUT, "blue");
    assert_int_equal(missing(r, 2), 1);
    report(r, 2, 7, 0, "blue");
    assert_int_equal(missing(r, 2), 0);
    assert_true(inventory_stop(r, 0));
    inventory_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_not_reported),
        cmocka_unit_test(test_a_late_report_leaves_the_next_order_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
