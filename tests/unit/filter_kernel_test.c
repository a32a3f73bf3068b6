/* The code for the kernel, run by a model of it, against our own evaluation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/filter.h"
#include "record/record.h"
#include "tests/unit/filter_model.h"

#define SOCKETS     400
#define EXPRESSIONS 3000

static struct model_socket sockets[SOCKETS];
static const struct record_context context = {.netns = "webshop"};
static struct filter_kernel kernel;

static struct filter *parsed(const char *text)
{
    struct filter *f;
    struct filter_error e;
    if (filter_parse(text, &f, &e))
        fail_msg("%s: %s", text, e.err.text);
    return f;
}

static bool kernel_passes(const struct filter_kernel *k, const struct model_socket *s)
{
    return model_request(k->states, k->sport, k->dport, s) && model_run(k->code, k->len, s);
}

/* The kernel passes on at least what one of the filters wants; nothing else when it says so. */
static void check(struct filter *const *filters, size_t n)
{
    filter_kernel((const struct filter *const *)filters, n, &kernel);
    if (kernel.len && !model_audit(kernel.code, kernel.len))
        fail_msg("%s: refused by the audit", filter_text(filters[0]));
    for (size_t i = 0; i < SOCKETS; i++) {
        bool ours = false;
        for (size_t k = 0; k < n; k++)
            ours |= filter_match(filters[k], &sockets[i].source, &context, NULL);
        bool theirs = kernel_passes(&kernel, &sockets[i]);
        if ((ours && !theirs) || (kernel.exact && theirs && !ours))
            fail_msg("%s (first of %zu), socket %zu: we say %d, the kernel %d", filter_text(filters[0]), n, i,
                     ours, theirs);
    }
}

static void test_single(void **state)
{
    (void)state;
    struct model_random r = {.state = 1};
    unsigned exact = 0;
    unsigned filtered = 0;
    for (unsigned i = 0; i < EXPRESSIONS; i++) {
        char text[4096];
        model_expression(&r, i % 2, text, sizeof(text));
        struct filter *f = parsed(text);
        check(&f, 1);
        exact += kernel.exact;
        filtered += kernel.len > 0 || kernel.states != FILTER_STATES_ALL || kernel.sport || kernel.dport;
        filter_unref(f);
    }
    /* it is worth something: most of what the kernel knows goes there */
    assert_true(exact > EXPRESSIONS / 4);
    assert_true(filtered > EXPRESSIONS / 2);
}

static void test_several(void **state)
{
    (void)state;
    struct model_random r = {.state = 2};
    unsigned filtered = 0;
    for (unsigned i = 0; i < EXPRESSIONS / 4; i++) {
        struct filter *f[8];
        size_t n = 2 + model_below(&r, 7);
        for (size_t k = 0; k < n; k++) {
            char text[4096];
            model_expression(&r, k == 0, text, sizeof(text));
            f[k] = parsed(text);
        }
        check(f, n);
        filtered += kernel.len > 0;
        for (size_t k = 0; k < n; k++)
            filter_unref(f[k]);
    }
    assert_true(filtered > 0);
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t states;
        bool code;
        bool exact;
        bool privileged;
        const char *parts; /* a letter for each: k the kernel, c the collector */
    } cases[] = {
        {"", FILTER_STATES_ALL, false, true, false, ""},
        {"state established", 1 << 1, false, true, false, "k"},
        {"exclude all", 0, false, true, false, "k"},
        {"state established dport = 22", 1 << 1, false, true, false, "kk"},
        {"state established and rtt > 50ms", 1 << 1, false, false, false, "kc"},
        {"dport = 22 and (cong = bbr or sport = 1)", FILTER_STATES_ALL, false, false, false, "kc"},
        {"dport = 22 or rtt > 50ms", FILTER_STATES_ALL, false, false, false, "c"},
        {"state established or dport = 22", FILTER_STATES_ALL, false, false, false, "c"},
        {"(state established dport 22) or (state listening sport 22)", 1 << 1 | 1 << 10, true, false, false,
         "c"},
        {"not (dport = 22 and rtt > 1s)", FILTER_STATES_ALL, false, false, false, "c"},
        {"not (dport = 22 or rtt > 1s)", FILTER_STATES_ALL, true, false, false, "c"},
        {"fwmark = 1", FILTER_STATES_ALL, true, true, true, "k"},
        {"cgroup = 7", FILTER_STATES_ALL, true, true, false, "k"},
        {"c_group != 7", FILTER_STATES_ALL, false, false, false, "c"},
        {"cgroup = /a", FILTER_STATES_ALL, false, false, false, "c"},
        {"dev = 2", FILTER_STATES_ALL, true, true, false, "k"},
        {"dev = lo", FILTER_STATES_ALL, false, false, false, "c"},
        {"autobound", FILTER_STATES_ALL, false, false, false, "c"},
        {"dst inet:10.0.0.0/8", FILTER_STATES_ALL, true, true, false, "kk"},
        {"dst *", FILTER_STATES_ALL, false, true, false, "k"},
        {"dport >= 0", FILTER_STATES_ALL, false, true, false, "k"},
        {"dport > 65535", FILTER_STATES_ALL, true, true, false, "k"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct filter *f = parsed(cases[i].text);
        check(&f, 1);
        char parts[8] = "";
        for (size_t k = 0; k < filter_part_count(f) && k + 1 < sizeof(parts); k++)
            parts[k] = filter_part_in_kernel(f, k) ? 'k' : 'c';
        if (kernel.states != cases[i].states || (kernel.len > 0) != cases[i].code ||
            kernel.exact != cases[i].exact || kernel.privileged != cases[i].privileged ||
            strcmp(parts, cases[i].parts) != 0)
            fail_msg("%s: states %x, %zu bytes, exact %d, privileged %d, parts %s", cases[i].text,
                     kernel.states, kernel.len, kernel.exact, kernel.privileged, parts);
        filter_unref(f);
    }
}

/* Ports that all wanted sockets have are in the request and not in the code. */
static void test_ports(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second; /* NULL: there is none */
        uint16_t sport;
        uint16_t dport;
        bool code;
    } cases[] = {
        {"dport = 22", NULL, 0, 22, false},
        {"sport = 22", NULL, 22, 0, false},
        {"sport = 22 and dport = 80 and state established", NULL, 22, 80, false},
        {"rtt > 1s and (dport = 22 and src inet:*)", NULL, 0, 22, true},
        {"dport = 22 and (dport = 22 or src inet:*)", NULL, 0, 22, false},
        {"dport = 22 and (dport < 22 or src inet:*)", NULL, 0, 22, true},
        {"dport = 22 and dport = 23", NULL, 0, 22, true},
        {"dport = 22 and not dport = 22", NULL, 0, 22, true},
        {"dport = 22 and dport != 22", NULL, 0, 22, true},
        {"dport = 22 and dport != 23", NULL, 0, 22, false},
        {"dport = 0", NULL, 0, 0, true},
        {"dport != 22", NULL, 0, 0, true},
        {"not dport = 22", NULL, 0, 0, true},
        {"dport = 22-23", NULL, 0, 0, true},
        {"dport = 22 or sport = 22", NULL, 0, 0, true},
        {"dport = 22", "dport = 22 and rtt > 1s", 0, 22, false},
        {"dport = 22 and sport = 22", "dport = 22 and sport = 23", 0, 22, true},
        {"dport = 22", "dport = 23", 0, 0, true},
        {"dport = 22", "rtt > 1s", 0, 0, false},
        {"dport = 22", "", 0, 0, false},
        {"", "dport = 22", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = cases[i].second ? 2 : 1;
        struct filter *f[2] = {parsed(cases[i].first), n == 2 ? parsed(cases[i].second) : NULL};
        check(f, n);
        if (kernel.sport != cases[i].sport || kernel.dport != cases[i].dport ||
            (kernel.len > 0) != cases[i].code)
            fail_msg("%s: sport %u, dport %u, %zu bytes", cases[i].first, kernel.sport, kernel.dport,
                     kernel.len);
        filter_unref(f[0]);
        filter_unref(f[1]);
    }
}

/* Together they want more than each alone: no filter may be forgotten. */
static void test_nobody_and_everybody(void **state)
{
    (void)state;
    struct filter *all = parsed("");
    struct filter *port = parsed("state listening sport = 22");
    filter_kernel(NULL, 0, &kernel);
    assert_int_equal(kernel.states, 0);
    const struct filter *both[] = {port, all};
    filter_kernel(both, 2, &kernel);
    assert_int_equal(kernel.states, FILTER_STATES_ALL);
    assert_int_equal(kernel.len, 0);
    assert_int_equal(kernel.sport, 0);
    filter_unref(all);
    filter_unref(port);
}

/* Code that would be too long is left away, and everything passes. */
static void test_too_long(void **state)
{
    (void)state;
    static char text[FILTER_TEXT_MAX];
    size_t n = 0;
    for (unsigned i = 0; i < 400; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sdst [2001:db8::%x]",
                              i ? " or " : "state listening (", i);
    snprintf(text + n, sizeof(text) - n, ")");
    struct filter *f = parsed(text);
    check(&f, 1);
    assert_int_equal(kernel.len, 0);
    assert_int_equal(kernel.states, 1 << 10);
    assert_false(kernel.exact);
    filter_unref(f);
}

static int make_sockets(void **state)
{
    (void)state;
    struct model_random r = {.state = 3};
    for (size_t i = 0; i < SOCKETS; i++)
        model_socket(&r, &sockets[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),   cmocka_unit_test(test_several),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_nobody_and_everybody),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests(tests, make_sockets, NULL);
}
