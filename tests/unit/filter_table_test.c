/* Filters over another table than that of records: its names, its words, its values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "filter/filter.h"
#include "filter/table.h"
#include "record/fields.h"

enum { NAME, STACK_RTT, PHASE, FIELDS };

#define FIELD(text) .name = (text), .name_len = sizeof(text) - 1, .group = GROUP_NONE

static const struct record_field fields[FIELDS] = {
    [NAME] = {FIELD("name"), .type = TYPE_STRING, .print = PRINT_TEXT},
    [STACK_RTT] = {FIELD("stack_rtt"), .type = TYPE_U32, .unit = UNIT_US},
    [PHASE] = {FIELD("phase"), .type = TYPE_ENUM, .print = PRINT_STATE},
};
static const struct filter_name short_names[] = {{"n", NAME}};
static const struct filter_name titles[] = {{"roundtrip", STACK_RTT}};
static const struct filter_prefix prefixes[] = {{"", "stack_"}};

static struct filter_table table(void)
{
    struct filter_table t = {.fields = fields,
                             .n_fields = FIELDS,
                             .short_names = short_names,
                             .n_short_names = 1,
                             .titles = titles,
                             .n_titles = 1,
                             .prefixes = prefixes,
                             .n_prefixes = 1,
                             .bare = FILTER_NO_FIELD};
    for (size_t i = 0; i < FILTER_ROLES; i++)
        t.roles[i] = FILTER_NO_FIELD;
    return t;
}

static void test_names(void **state)
{
    (void)state;
    const struct filter_table t = table();
    assert_ptr_equal(filter_table_field(&t, "Stack-RTT", 9), &fields[STACK_RTT]);
    assert_ptr_equal(filter_table_field(&t, "rtt", 3), &fields[STACK_RTT]);
    assert_ptr_equal(filter_table_field(&t, "roundtrip", 9), &fields[STACK_RTT]);
    assert_null(filter_table_field(&t, "tcp_info_rtt", 12));
    assert_string_equal(filter_table_name(&t, &fields[STACK_RTT]), "rtt");
    assert_string_equal(filter_table_alias(&t, &fields[NAME], 0), "n");
    assert_null(filter_table_alias(&t, &fields[NAME], 1));
}

/* The values of one thing. */
struct thing {
    const char *name;
    uint64_t numbers[FIELDS];
};

static bool get(const void *arg, const struct record_field *field, struct filter_value *v)
{
    const struct thing *thing = arg;
    assert_in_range(field - fields, 0, FIELDS - 1);
    v->number = thing->numbers[field - fields];
    v->data = (const uint8_t *)thing->name;
    v->len = strlen(thing->name);
    return true;
}

static void test_match(void **state)
{
    (void)state;
    struct filter_table t = table();
    struct filter *f;
    struct filter_error e;
    const struct thing thing = {.name = "en0", .numbers = {[STACK_RTT] = 1500, [PHASE] = 10}};
    t.roles[FILTER_STATE] = PHASE;
    assert_int_equal(filter_parse_by(&t, "name = en* and roundtrip > 1ms and state listening", &f, &e), 0);
    assert_string_equal(filter_text(f), "n = en* and rtt > 1ms and state listening");
    assert_true(filter_match_values(f, get, &thing, NULL));
    filter_unref(f);
    assert_int_equal(filter_parse_by(&t, "rtt < 1500us or phase != 10", &f, &e), 0);
    assert_false(filter_match_values(f, get, &thing, NULL));
    filter_unref(f);
}

/* Words whose fields the table does not have are names like others. */
static void test_words(void **state)
{
    (void)state;
    const struct filter_table t = table();
    static const char *const words[] = {"dport = 443", "src 10.0.0.1",    "dev eth0",  "fwmark = 1",
                                        "cgroup = /a", "state all",       "idle > 1s", "autobound",
                                        "limit",       "cwnd_clamped = 1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct filter *f;
        struct filter_error e;
        assert_int_equal(filter_parse_by(&t, words[i], &f, &e), ERR_UNKNOWN);
        assert_non_null(strstr(e.err.text, "unknown field"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_match),
                                       cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
