/* The configuration in force beside a disk that does not answer: nobody waits for the state file for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "server/live/live_config.h"

/* ---- The disk ---- */

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER; /* held by the test: it does not answer */
static _Atomic int writes;

int __wrap_config_write_state(const char *path, const void *data, size_t len, struct err *e);
int __wrap_config_write_state(const char *path, const void *data, size_t len, struct err *e)
{
    (void)path, (void)data, (void)len, (void)e;
    pthread_mutex_lock(&disk);
    pthread_mutex_unlock(&disk);
    writes++;
    return 0;
}

/* ---- The owner ---- */

static int reads;

static struct config *labelled(const char *label)
{
    struct config *c;
    assert_int_equal(config_defaults(&c), 0);
    assert_int_equal(config_set_string(c, &c->state_file, "/nowhere/state"), 0);
    assert_int_equal(config_set_string(c, &c->label, label), 0);
    assert_int_equal(config_normalise(c), 0);
    return c;
}

static struct live_config_sources sources(const char *label)
{
    struct config *c = labelled(label);
    config_ref(c);
    return (struct live_config_sources){.config = c, .base = c};
}

static int read_sources(void *arg, struct live_config_sources *out, struct err *e)
{
    (void)arg, (void)e;
    reads++;
    *out = sources("read again");
    return 0;
}

static int accept_all(void *arg, const struct config *new, struct err *e)
{
    (void)arg, (void)new, (void)e;
    return 0;
}

static void changed(void *arg, const struct config *old, const struct config *new)
{
    (void)arg, (void)old, (void)new;
}

static int edit(void *arg, const void *request, size_t len, const struct config *in_force,
                struct config_msg_set *out, struct err *e)
{
    (void)arg, (void)request, (void)len, (void)in_force, (void)e;
    *out = (struct config_msg_set){.candidate = labelled("changed"), .n_changed = 1};
    return 0;
}

static void change(struct live_config *s)
{
    const struct live_config_change how = {.edit = edit, .origin = "Set", .peer = ""};
    struct config_msg_set set;
    const struct config *in_force;
    struct err e;
    assert_int_equal(live_config_change(s, &how, &set, &in_force, &e), 0);
    config_unref(in_force);
}

static void assert_label(struct live_config *s, const char *label)
{
    const struct config *c = live_config_get(s);
    assert_string_equal(c->label, label);
    config_unref(c);
}

static struct live_config *start(void)
{
    const struct live_config_ops ops = {
        .read = read_sources, .check = accept_all, .prepare = accept_all, .changed = changed};
    struct live_config_sources first = sources("");
    struct live_config *s;
    struct err e;
    assert_int_equal(live_config_new(&first, &ops, &s), 0);
    assert_int_equal(live_config_start(s, &e), 0);
    return s;
}

static void test_reload_after_a_change(void **state)
{
    (void)state;
    struct live_config *s = start();
    reads = 0;
    writes = 0;
    change(s);
    live_config_reload(s);
    assert_int_equal(writes, 1); /* before the sources were read, of which it is one */
    assert_int_equal(reads, 1);
    assert_label(s, "read again");
    live_config_stop(s);
    live_config_free(s);
}

static void test_disk_that_does_not_answer(void **state)
{
    (void)state;
    struct live_config *s = start();
    reads = 0;
    pthread_mutex_lock(&disk);
    int64_t begin = clock_mono_ns();
    change(s);
    change(s);
    assert_true(clock_mono_ns() - begin < NS_PER_S);
    live_config_reload(s);
    assert_in_range(clock_mono_ns() - begin, NS_PER_S, 10 * NS_PER_S);
    assert_int_equal(reads, 0); /* not without what was changed */
    assert_label(s, "changed");
    change(s);
    pthread_mutex_unlock(&disk);
    live_config_reload(s);
    assert_int_equal(reads, 1);
    assert_label(s, "read again");
    live_config_stop(s);
    live_config_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload_after_a_change),
        cmocka_unit_test(test_disk_that_does_not_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
