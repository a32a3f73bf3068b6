/* The registry without a kernel: names and identities in, events out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nswatch/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct registry registry;
static struct ns_dir *run, *docker;
static char heard[4096]; /* "ready 2 blue, " for each event */

static void sink(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    size_t used = strlen(heard);
    assert_null(arg);
    snprintf(heard + used, sizeof(heard) - used, "%s%s %llu %s", used ? ", " : "", nswatch_event_names[event],
             (unsigned long long)ns->id, ns->netns);
}

/* Compares what has been told since the last call. */
static void told(const char *want)
{
    assert_string_equal(heard, want);
    heard[0] = '\0';
}

static int setup(void **state)
{
    (void)state;
    heard[0] = '\0';
    assert_int_equal(registry_init(&registry, "/proc", sink, NULL), 0);
    run = registry_dir_add(&registry, "/run/netns", 0);
    docker = registry_dir_add(&registry, "/run/docker/netns", 1);
    assert_non_null(run);
    assert_non_null(docker);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    registry_fini(&registry);
    return 0;
}

static bool resolve(struct ns_name *n, uint64_t cookie, uint64_t inode)
{
    const struct identity id = {.cookie = cookie, .inode = inode};
    return registry_resolve(&registry, n, &id, true);
}

/* A name that is a namespace at once. */
static struct ns_name *name(struct ns_dir *dir, const char *text, uint64_t cookie, uint64_t inode)
{
    struct ns_name *n = registry_name_add(&registry, dir, text);
    assert_non_null(n);
    assert_true(resolve(n, cookie, inode));
    return n;
}

static void a_name_goes_its_way(void **state)
{
    (void)state;
    struct ns_name *n = registry_name_add(&registry, run, "blue");
    told("");
    assert_ptr_equal(registry_name_find(&registry, run, "blue"), n);
    assert_null(registry_name_find(&registry, docker, "blue"));
    registry_announce(&registry, n);
    registry_announce(&registry, n);
    told("added 1 blue");
    assert_int_equal(registry.counts.pending, 1);
    registry_give_up(&registry, n, ERR_TIMEOUT);
    registry_give_up(&registry, n, ERR_TIMEOUT);
    told("failed 1 blue");
    assert_int_equal(registry.counts.failed, 1);
    assert_int_equal(registry.counts.pending, 0);
    resolve(n, 100, 10);
    told("ready 1 blue");
    assert_int_equal(registry.counts.failed, 0);
    assert_int_equal(registry.counts.namespaces, 1);
    registry_flush(&registry);
    told("");
    registry_name_remove(&registry, n);
    told(""); /* an orphan: nobody has looked whether a process lives in it */
    assert_false(list_empty(&registry.orphans));
    registry_remove(&registry, container_of(registry.orphans.next, struct ns_object, in_orphans));
    told("removed 1 blue");
    assert_int_equal(registry.counts.namespaces, 0);
    assert_int_equal(registry.counts.anonymous, 0);
}

/* A file that is called as the daemon's own namespace is shown with its directory. */
static void a_file_called_default(void **state)
{
    (void)state;
    const struct identity own = {.cookie = 1, .inode = 2};
    assert_int_equal(registry_add_own(&registry, &own), 0);
    told("ready 1 default");
    struct ns_name *n = name(docker, "default", 100, 10);
    told("ready 2 /run/docker/netns/default");
    registry_name_remove(&registry, n);
    registry_remove(&registry, container_of(registry.orphans.next, struct ns_object, in_orphans));
    told("removed 2 /run/docker/netns/default");
    /* Docker's own is that of the host. */
    n = registry_name_add(&registry, docker, "default");
    registry_resolve(&registry, n, &own, true);
    registry_flush(&registry);
    told("changed 1 default");
}

static void unannounced_names_end_in_silence(void **state)
{
    (void)state;
    registry_name_remove(&registry, registry_name_add(&registry, run, "blue"));
    told("");
    struct ns_name *n = registry_name_add(&registry, run, "blue");
    registry_announce(&registry, n);
    registry_name_remove(&registry, n);
    told("added 2 blue, removed 2 blue");
    assert_int_equal(registry.counts.pending, 0);
}

static void second_name_joins(void **state)
{
    (void)state;
    name(docker, "ant", 100, 10);
    struct ns_name *zebra = registry_name_add(&registry, run, "zebra");
    registry_announce(&registry, zebra);
    resolve(zebra, 100, 10);
    registry_flush(&registry);
    told("ready 1 ant, added 2 zebra, removed 2 zebra, changed 1 zebra");
    registry_dir_set_order(&registry, run, 2);
    registry_flush(&registry);
    told("changed 1 ant");
    registry_dir_remove(&registry, docker);
    registry_flush(&registry);
    told("changed 1 zebra");
}

/* A directory with several names of one namespace goes behind another one. */
static void all_names_of_a_directory_move(void **state)
{
    (void)state;
    struct ns_name *a = name(run, "a", 100, 10);
    name(run, "b", 100, 10);
    name(docker, "c", 100, 10);
    registry_dir_set_order(&registry, run, 2);
    const char *const want[] = {"c", "a", "b"};
    const struct ns_name *n = a->object->names;
    for (size_t i = 0; i < 3; i++, n = n->sibling)
        assert_string_equal(n->name, want[i]);
    assert_null(n);
    assert_int_equal(a->object->name_count, 3);
}

static void same_inode_is_not_the_same_namespace(void **state)
{
    (void)state;
    struct ns_name *blue = name(run, "blue", 100, 10);
    struct ns_name *green = name(run, "green", 101, 10);
    assert_ptr_not_equal(blue->object, green->object);
    const struct identity first = {.cookie = 100, .inode = 10}, none = {.cookie = 102, .inode = 10};
    assert_ptr_equal(registry_find(&registry, &first), blue->object);
    assert_null(registry_find(&registry, &none));
    assert_ptr_equal(registry_find_inode(&registry, 10), green->object); /* the newest */
}

static void without_cookies_the_inode_decides(void **state)
{
    (void)state;
    struct ns_name *blue = name(run, "blue", 0, 10);
    struct ns_name *green = name(run, "green", 0, 10);
    assert_ptr_equal(blue->object, green->object);
    assert_ptr_not_equal(name(run, "red", 0, 11)->object, green->object);
}

static void a_name_for_another_namespace(void **state)
{
    (void)state;
    struct ns_name *n = name(run, "blue", 100, 10);
    assert_true(registry_name_reset(&registry, n));
    assert_false(registry_name_known(n));
    struct ns_object *old = container_of(registry.orphans.next, struct ns_object, in_orphans);
    registry_live_in(&registry, old, 33);
    resolve(n, 101, 11);
    registry_flush(&registry);
    told("ready 1 blue, ready 2 blue, changed 1 netns:[10]");
    assert_true(list_empty(&registry.orphans));
    assert_int_equal(registry.counts.anonymous, 1);
    assert_int_equal(registry.counts.namespaces, 2);
}

static void an_orphan_that_gets_a_name_is_none(void **state)
{
    (void)state;
    registry_name_remove(&registry, name(run, "blue", 100, 10));
    name(docker, "renamed", 100, 10);
    assert_true(list_empty(&registry.orphans));
    registry_flush(&registry);
    told("ready 1 blue, changed 1 renamed");
}

static void own_namespace_stays_default(void **state)
{
    (void)state;
    const struct identity own = {.cookie = 1, .inode = 1};
    assert_int_equal(registry_add_own(&registry, &own), 0);
    struct ns_name *n = name(run, "host", 1, 1);
    registry_flush(&registry);
    registry_name_remove(&registry, n);
    registry_flush(&registry);
    told("ready 1 default, changed 1 default, changed 1 default");
    assert_true(list_empty(&registry.orphans));
}

static void anonymous_gets_and_loses_a_name(void **state)
{
    (void)state;
    const struct identity id = {.cookie = 100, .inode = 10};
    struct ns_object *o = registry_add_anonymous(&registry, 42, &id);
    assert_int_equal(registry.counts.anonymous, 1);
    struct ns_name *n = name(run, "blue", 100, 10);
    assert_int_equal(o->pid, 0);
    assert_int_equal(registry.counts.anonymous, 0);
    registry_flush(&registry);
    registry_name_remove(&registry, n);
    registry_live_in(&registry, o, 43);
    registry_live_in(&registry, o, 43);
    registry_flush(&registry);
    registry_remove(&registry, o);
    told("ready 1 netns:[10], changed 1 blue, changed 1 netns:[10], removed 1 netns:[10]");
    assert_int_equal(registry.counts.anonymous, 0);
}

static void what_cannot_be_entered_fails_once_and_heals(void **state)
{
    (void)state;
    const struct identity refused = {.inode = 10, .error = -EPERM};
    struct ns_name *n = registry_name_add(&registry, run, "blue");
    struct ns_name *second = registry_name_add(&registry, run, "green");
    registry_resolve(&registry, n, &refused, true);
    registry_resolve(&registry, n, &refused, true);
    registry_resolve(&registry, second, &refused, true);
    registry_flush(&registry);
    told("failed 1 blue, changed 1 blue");
    assert_int_equal(registry.counts.failed, 1);
    assert_int_equal(registry.counts.not_permitted, 1);
    resolve(n, 100, 10);
    told("ready 1 blue");
    assert_int_equal(registry.counts.not_permitted, 0);
    assert_int_equal(registry.counts.namespaces, 1);
}

/* Many of them: the tables grow, nothing gets lost. */
static void ten_thousand(void **state)
{
    (void)state;
    registry.sink = sink;
    char text[32];
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "n%u", i);
        name(i % 2 ? run : docker, text, 1000 + i, 50 + i);
        heard[0] = '\0';
    }
    for (unsigned i = 0; i < 10000; i++) {
        const struct identity id = {.cookie = 1000 + i, .inode = 50 + i};
        snprintf(text, sizeof(text), "n%u", i);
        struct ns_name *n = registry_name_find(&registry, i % 2 ? run : docker, text);
        assert_non_null(n);
        assert_ptr_equal(registry_find(&registry, &id), n->object);
    }
    assert_int_equal(registry.counts.namespaces, 10000);
    registry_dir_remove(&registry, run);
    size_t orphans = 0;
    list_each(at, &registry.orphans)
    {
        registry_remove(&registry, container_of(at, struct ns_object, in_orphans));
        orphans++;
        heard[0] = '\0';
    }
    assert_int_equal(orphans, 5000);
    assert_int_equal(registry.counts.namespaces, 5000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_goes_its_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_called_default, setup, teardown),
        cmocka_unit_test_setup_teardown(unannounced_names_end_in_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(second_name_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(all_names_of_a_directory_move, setup, teardown),
        cmocka_unit_test_setup_teardown(same_inode_is_not_the_same_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(without_cookies_the_inode_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_for_another_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(an_orphan_that_gets_a_name_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(own_namespace_stays_default, setup, teardown),
        cmocka_unit_test_setup_teardown(anonymous_gets_and_loses_a_name, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_entered_fails_once_and_heals, setup, teardown),
        cmocka_unit_test_setup_teardown(ten_thousand, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
