/* server/live/change_log.c: the change log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/live/change_log.h"

static struct config *labelled(const char *label, uint64_t generation)
{
    struct config *c = NULL;
    assert_int_equal(config_defaults(&c), 0);
    assert_int_equal(config_set_string(c, &c->label, label), 0);
    c->generation = generation;
    return c;
}

static void test_a_change(void **state)
{
    (void)state;
    struct change_log *h = change_log_new();
    size_t n;
    struct status_change *list = change_log_list(h, &n);
    assert_non_null(list);
    assert_int_equal(n, 0);
    free(list);

    struct config *a = labelled("a", 1);
    struct config *b = labelled("b", 2);
    b->poll_frequency *= 2;
    change_log_add(h, a, b, 77, "Set", "127.0.0.1:4711");
    list = change_log_list(h, &n);
    assert_int_equal(n, 1);
    assert_true(list[0].generation == 2 && list[0].timestamp_ns == 77);
    assert_string_equal(list[0].origin, "Set");
    assert_string_equal(list[0].peer, "127.0.0.1:4711");
    assert_int_equal(list[0].n_options, 2);
    assert_string_equal(list[0].options[0].name, "poll_frequency");
    assert_string_equal(list[0].options[0].before, "5s");
    assert_string_equal(list[0].options[0].after, "10s");
    assert_string_equal(list[0].options[1].name, "label");
    assert_string_equal(list[0].options[1].before, "a");
    assert_string_equal(list[0].options[1].after, "b");
    free(list);
    config_unref(a);
    config_unref(b);
    change_log_free(h);
}

static void test_the_last_hundred(void **state)
{
    (void)state;
    struct change_log *h = change_log_new();
    struct config *last = labelled("0", 1);
    for (uint64_t i = 1; i <= 3 * CHANGE_LOG_CHANGES / 2; i++) {
        char label[16];
        snprintf(label, sizeof(label), "%d", (int)i);
        struct config *c = labelled(label, i + 1);
        change_log_add(h, last, c, (int64_t)i, "Set", "");
        config_unref(last);
        last = c;
    }
    config_unref(last);
    size_t n;
    struct status_change *list = change_log_list(h, &n);
    assert_int_equal(n, CHANGE_LOG_CHANGES);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].timestamp_ns, CHANGE_LOG_CHANGES / 2 + i + 1);
        assert_int_equal(atoi(list[i].options[0].after), CHANGE_LOG_CHANGES / 2 + i + 1);
        assert_int_equal(atoi(list[i].options[0].before), CHANGE_LOG_CHANGES / 2 + i);
    }
    free(list);
    change_log_free(h);
}

/* Where a long list changes at its end, that is what is told. */
static void test_long_values_show_what_differs(void **state)
{
    (void)state;
    struct change_log *h = change_log_new();
    struct config *a = labelled("", 1), *b = labelled("", 2);
    char names[16][64];
    const char *items[16];
    size_t n;
    for (size_t i = 0; i < 16; i++) {
        snprintf(names[i], sizeof(names[i]), "/var/run/some/long/folder/of/namespaces/%zu", i);
        items[i] = names[i];
    }
    assert_int_equal(config_set_strings(a, &a->netns_dirs, items, 16), 0);
    items[14] = "/new";
    assert_int_equal(config_set_strings(b, &b->netns_dirs, items, 16), 0);
    change_log_add(h, a, b, 0, "Set", "");
    struct status_change *list = change_log_list(h, &n);
    assert_string_equal(list[0].options[0].before, ".../var/run/some/long/folder/of/namespaces/14...");
    assert_string_equal(list[0].options[0].after, ".../new...");
    free(list);
    config_unref(a);
    config_unref(b);
    change_log_free(h);
}

static void test_long_values_are_cut_between_characters(void **state)
{
    (void)state;
    struct change_log *h = change_log_new();
    struct config *a = labelled("", 1);
    char location[CHANGE_LOG_VALUE + 2];
    size_t n;
    for (size_t len = CHANGE_LOG_VALUE - 6; len <= CHANGE_LOG_VALUE + 1; len++) {
        struct config *b = labelled("", 2);
        memset(location, 'x', len);
        location[len] = '\0';
        for (size_t at = len % 2; at + 1 < len; at += 2)
            memcpy(location + at, "\xc3\xbc", 2);
        assert_int_equal(config_set_string(b, &b->location, location), 0);
        change_log_add(h, a, b, 0, "Set", "");
        struct status_change *list = change_log_list(h, &n);
        const char *after = list[n - 1].options[0].after;
        if (len <= CHANGE_LOG_VALUE) {
            assert_string_equal(after, location);
        } else {
            size_t kept = strlen(after) - 3;
            assert_true(strlen(after) <= CHANGE_LOG_VALUE && kept >= CHANGE_LOG_VALUE - 6);
            assert_string_equal(after + kept, "...");
            assert_memory_equal(after, location, kept);
            assert_int_equal((kept - len % 2) % 2, 0);
        }
        free(list);
        config_unref(b);
    }
    config_unref(a);
    change_log_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change),
        cmocka_unit_test(test_the_last_hundred),
        cmocka_unit_test(test_long_values_show_what_differs),
        cmocka_unit_test(test_long_values_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
