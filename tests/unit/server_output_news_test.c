/* Who is told what of the outputs, and when. The test plays the outputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/services/output_news.h"

/* ---- The outputs ---- */

struct outputs {
    struct output_status list[40];
    size_t n;
    bool no_memory;
    void (*changed)(void *arg);
    void *changed_arg;
    output_test_fn *done; /* of the test under way */
    void *done_arg;
};

int outputs_list(struct outputs *o, int (*fn)(void *arg, const struct output_status *list, size_t n),
                 void *arg)
{
    return o->no_memory ? -ENOMEM : fn(arg, o->list, o->n);
}

int outputs_test(struct outputs *o, const char *name, output_test_fn *done, void *arg, struct err *e)
{
    if (strcmp(name, "none") == 0)
        return err_set(e, ERR_GONE, "there is no output \"none\"");
    if (strcmp(name, "busy") == 0) {
        const struct output_test busy = {.error = "busy"};
        done(arg, &busy);
        return 0;
    }
    o->done = done;
    o->done_arg = arg;
    return 0;
}

void outputs_listen(struct outputs *o, void (*changed)(void *arg), void *arg)
{
    o->changed = changed;
    o->changed_arg = arg;
}

static void end_test(struct outputs *o, const char *error)
{
    const struct output_test result = {.error = error};
    o->done(o->done_arg, &result);
}

/* ---- The fixture ---- */

struct fixture {
    struct outputs outputs;
    struct output_news *news;
    unsigned wakes;
    int64_t now;
};

/* What one was told: "+a running, a paused, -a " */
struct told {
    char text[2048];
};

static void wake(void *arg)
{
    ((struct fixture *)arg)->wakes++;
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){.now = clock_mono_ns()};
    f->news = output_news_new(&f->outputs, wake, f);
    assert_non_null(f->news);
}

static void teardown(struct fixture *f)
{
    output_news_free(f->news);
    assert_null(f->outputs.changed);
}

static void set(struct fixture *f, size_t i, const char *name, enum output_state state)
{
    f->outputs.list[i] = (struct output_status){.name = name, .state = state, .since_ns = 1};
    f->outputs.n = i + 1 > f->outputs.n ? i + 1 : f->outputs.n;
}

static void change(struct fixture *f)
{
    f->outputs.changed(f->outputs.changed_arg);
}

static void on_event(void *arg, const struct output_event *event)
{
    struct told *t = arg;
    size_t n = strlen(t->text);
    const char *name = event->output->name;
    if (event->removed)
        snprintf(t->text + n, sizeof(t->text) - n, "-%s ", name);
    else
        snprintf(t->text + n, sizeof(t->text) - n, "%s%s %s, ", event->initial ? "+" : "", name,
                 output_state_name(event->output->state));
}

static void on_tested(void *arg, const struct output_test *test)
{
    struct told *t = arg;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof(t->text) - n, "[%.24s]", test->error);
}

/* |t| has been told |text| since the last time. */
static void assert_told(struct told *t, const char *text)
{
    assert_string_equal(t->text, text);
    t->text[0] = '\0';
}

/* ---- Watchers ---- */

static void test_all_at_first(void **state)
{
    (void)state;
    struct fixture f;
    struct told a = {0}, b = {0};
    setup(&f);
    assert_int_equal(output_news_watch(f.news, on_event, &a), 0);
    assert_told(&a, "");
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    set(&f, 1, "y", OUTPUT_STATE_STARTING);
    assert_int_equal(output_news_watch(f.news, on_event, &b), 0);
    assert_told(&b, "+x running, +y starting, ");
    change(&f);
    assert_int_equal(output_news_step(f.news, f.now), INT64_MAX);
    assert_told(&a, "x running, y starting, ");
    assert_told(&b, "");
    output_news_unwatch(f.news, &a);
    set(&f, 0, "x", OUTPUT_STATE_PAUSED);
    change(&f);
    output_news_step(f.news, f.now + OUTPUT_NEWS_LOOK_NS);
    assert_told(&a, "");
    assert_told(&b, "x paused, ");
    teardown(&f); /* with a watcher left */
}

static void test_once_a_second(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    set(&f, 0, "x", OUTPUT_STATE_STARTING);
    output_news_watch(f.news, on_event, &t);
    assert_told(&t, "+x starting, ");
    assert_int_equal(output_news_step(f.news, f.now), INT64_MAX);
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    change(&f);
    assert_int_equal(f.wakes, 1);
    assert_int_equal(output_news_step(f.news, f.now), INT64_MAX);
    assert_told(&t, "x running, ");
    /* Within the second nothing is told; there and back is no change. */
    int64_t next = f.now + OUTPUT_NEWS_LOOK_NS;
    set(&f, 0, "x", OUTPUT_STATE_RETRYING);
    change(&f);
    change(&f);
    assert_int_equal(f.wakes, 2);
    assert_int_equal(output_news_step(f.news, f.now + 1), next);
    assert_int_equal(output_news_step(f.news, next - 1), next);
    assert_told(&t, "");
    assert_int_equal(output_news_step(f.news, next), INT64_MAX);
    assert_told(&t, "x retrying, ");
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    change(&f);
    set(&f, 0, "x", OUTPUT_STATE_RETRYING);
    change(&f);
    output_news_step(f.news, next + OUTPUT_NEWS_LOOK_NS);
    assert_told(&t, "");
    teardown(&f);
}

static void test_what_comes_and_goes(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    set(&f, 1, "y", OUTPUT_STATE_RUNNING);
    set(&f, 2, "z", OUTPUT_STATE_RUNNING);
    output_news_watch(f.news, on_event, &t);
    assert_told(&t, "+x running, +y running, +z running, ");
    set(&f, 0, "z", OUTPUT_STATE_RUNNING);
    set(&f, 1, "w", OUTPUT_STATE_RUNNING);
    f.outputs.n = 2;
    change(&f);
    output_news_step(f.news, f.now);
    assert_told(&t, "-x -y w running, ");
    /* One that was made anew is another, whatever its state. */
    f.outputs.list[0].since_ns = 2;
    change(&f);
    output_news_step(f.news, f.now + OUTPUT_NEWS_LOOK_NS);
    assert_told(&t, "z running, ");
    /* Counters are no change. */
    f.outputs.list[0].rows_sent = 2;
    change(&f);
    output_news_step(f.news, f.now + 2 * OUTPUT_NEWS_LOOK_NS);
    assert_told(&t, "");
    f.outputs.n = 0;
    change(&f);
    output_news_step(f.news, f.now + 3 * OUTPUT_NEWS_LOOK_NS);
    assert_told(&t, "-z -w ");
    teardown(&f);
}

static void test_nobody_is_woken_for_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    change(&f);
    assert_int_equal(f.wakes, 0);
    assert_int_equal(output_news_step(f.news, f.now), INT64_MAX);
    /* The change that nobody was there for does not hide the next one. */
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    output_news_watch(f.news, on_event, &t);
    assert_int_equal(f.wakes, 1);
    output_news_step(f.news, f.now);
    assert_told(&t, "+x running, ");
    set(&f, 0, "x", OUTPUT_STATE_FAILED);
    change(&f);
    assert_int_equal(f.wakes, 2);
    output_news_step(f.news, f.now + OUTPUT_NEWS_LOOK_NS);
    assert_told(&t, "x failed, ");
    teardown(&f);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    f.outputs.no_memory = true;
    assert_int_equal(output_news_watch(f.news, on_event, &t), -ENOMEM);
    f.outputs.no_memory = false;
    assert_int_equal(output_news_watch(f.news, on_event, &t), 0);
    set(&f, 0, "x", OUTPUT_STATE_RUNNING);
    change(&f);
    f.outputs.no_memory = true;
    assert_int_equal(output_news_step(f.news, f.now), f.now + OUTPUT_NEWS_LOOK_NS);
    f.outputs.no_memory = false;
    assert_told(&t, "");
    assert_int_equal(output_news_step(f.news, f.now + OUTPUT_NEWS_LOOK_NS), INT64_MAX);
    assert_told(&t, "x running, ");
    teardown(&f);
}

/* More than can be configured: those beyond the bound are not told, and the others are. */
static void test_too_many(void **state)
{
    (void)state;
    static char names[40][8];
    struct fixture f;
    struct told t = {0};
    setup(&f);
    for (size_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "%02zu", i);
        set(&f, i, names[i], OUTPUT_STATE_RUNNING);
    }
    output_news_watch(f.news, on_event, &t);
    assert_int_equal(strlen(t.text), (size_t)(OUTPUTS_MAX + 1) * strlen("+00 running, "));
    t.text[0] = '\0';
    f.outputs.n = 1;
    change(&f);
    output_news_step(f.news, f.now);
    assert_int_equal(strlen(t.text), (size_t)OUTPUTS_MAX * strlen("-01 "));
    teardown(&f);
}

/* ---- Tests ---- */

static void test_result(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    struct err e;
    setup(&f);
    assert_int_equal(output_news_test(f.news, "x", on_tested, &t, &e), 0);
    assert_int_equal(f.wakes, 1);
    assert_told(&t, "");
    end_test(&f.outputs, "refused");
    assert_told(&t, "[refused]");
    assert_int_equal(output_news_step(f.news, f.now + 2 * OUTPUT_NEWS_TEST_NS), INT64_MAX);
    assert_told(&t, "");
    assert_int_equal(output_news_test(f.news, "busy", on_tested, &t, &e), 0);
    assert_told(&t, "[busy]");
    assert_int_equal(output_news_test(f.news, "none", on_tested, &t, &e), ERR_GONE);
    assert_string_equal(e.text, "there is no output \"none\"");
    assert_told(&t, "");
    assert_int_equal(output_news_step(f.news, f.now + 2 * OUTPUT_NEWS_TEST_NS), INT64_MAX);
    teardown(&f);
}

static void test_result_that_does_not_come(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    int64_t begin = clock_mono_ns();
    output_news_test(f.news, "x", on_tested, &t, NULL);
    int64_t due = output_news_step(f.news, begin);
    assert_in_range(due - begin, OUTPUT_NEWS_TEST_NS, OUTPUT_NEWS_TEST_NS + 60 * NS_PER_S);
    assert_int_equal(output_news_step(f.news, due - 1), due);
    assert_told(&t, "");
    assert_int_equal(output_news_step(f.news, due), INT64_MAX);
    assert_told(&t, "[there is no result withi]");
    end_test(&f.outputs, "too late");
    assert_told(&t, "");
    teardown(&f);
}

static void test_caller_that_has_gone(void **state)
{
    (void)state;
    struct fixture f;
    struct told t = {0};
    setup(&f);
    output_news_test(f.news, "x", on_tested, &t, NULL);
    output_news_forget(f.news, &t);
    assert_int_equal(output_news_step(f.news, f.now + 2 * OUTPUT_NEWS_TEST_NS), INT64_MAX);
    end_test(&f.outputs, "refused");
    assert_told(&t, "");
    output_news_test(f.news, "x", on_tested, &t, NULL); /* is under way to the end */
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_first),
        cmocka_unit_test(test_once_a_second),
        cmocka_unit_test(test_what_comes_and_goes),
        cmocka_unit_test(test_nobody_is_woken_for_nothing),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_result_that_does_not_come),
        cmocka_unit_test(test_caller_that_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
