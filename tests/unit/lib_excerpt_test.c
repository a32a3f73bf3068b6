/* The excerpts of two texts that differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/excerpt.h"

static const char *part(const char *text, struct excerpt e, char out[512])
{
    snprintf(out, 512, "%s%.*s%s", e.from ? "<" : "", (int)(e.to - e.from), text + e.from,
             text[e.to] ? ">" : "");
    return out;
}

static void test_cases(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t whole, most;
        const char *of_a, *of_b;
    } cases[] = {
        {"", "", 0, 99, "", ""},
        {"abc", "abd", 3, 99, "abc", "abd"},
        {"abc", "abd", 2, 99, "abc", "abd"}, /* nothing is far enough away */
        {"/run/one,/run/two,/run/three,/run/four", "/run/one,/run/two,/run/THREE,/run/four", 20, 99,
         "</run/three,/run/four", "</run/THREE,/run/four"},
        {"/run/one,/run/two,/run/three,/run/four,/run/five,/run/six",
         "/run/one,/run/two,/run/3,/run/four,/run/five,/run/six", 20, 99, "</run/three>", "</run/3>"},
        {"/run/one,/run/two,/run/three", "/run/one,/run/two,/run/three,/new", 20, 99, "</run/three",
         "</run/three,/new"},
        {"0123456789abcdefghijklmnopqrstuvwxyz", "0123456789abcdefghijKlmnopqrstuvwxyz", 20, 99,
         "<456789abcdefghijklmnopqrstuvwxyz", "<456789abcdefghijKlmnopqrstuvwxyz"},
        {"0123456789abcdefghijklmnopqrstuvwxyz-0123456789",
         "0123456789abcdefghijXklmnopqrstuvwxyz-0123456789", 20, 99, "<456789abcdefghijklmnopqrstuvwxyz>",
         "<456789abcdefghijXklmnopqrstuvwxyz>"},
        {"", "0123456789abcdefghijklmnopqr", 24, 24, "", "0123456789abcdefghijk>"},
        {"0123456789abcdefghijklmnopqr", "", 24, 24, "0123456789abcdefghijk>", ""},
        /* between characters: \xc3\xbc and \xc3\xb6 begin alike */
        {"\xc3\xbc", "\xc3\xb6", 1, 99, "\xc3\xbc", "\xc3\xb6"},
        {"",
         "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
         "\xc3\xbc",
         24, 24, "", "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc>"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct excerpt a, b;
        char text[512];
        excerpt_differing(cases[i].a, cases[i].b, cases[i].whole, cases[i].most, &a, &b);
        assert_string_equal(part(cases[i].a, a, text), cases[i].of_a);
        assert_string_equal(part(cases[i].b, b, text), cases[i].of_b);
    }
}

/* For any texts: the first difference is shown, within the bound, and no character is cut. */
static void test_any(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", ",", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char texts[2][512] = {"", ""};
        struct excerpt e[2];
        size_t same = 0, used[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            random = random * 1103515245 + 12345;
            uint32_t r = k ? random : 7 + (uint32_t)round % 50; /* much of both is the same */
            for (unsigned i = 0; i < 20 + (random >> 16) % 60; i++) {
                r = r * 1664525 + 1013904223;
                unsigned piece = k && i % 40 != (unsigned)round % 40 ? 0 : (r >> 16) % 6;
                used[k] +=
                    (size_t)snprintf(texts[k] + used[k], sizeof(texts[k]) - used[k], "%s", pieces[piece]);
            }
        }
        excerpt_differing(texts[0], texts[1], 16, 24, &e[0], &e[1]);
        while (texts[0][same] && texts[0][same] == texts[1][same])
            same++;
        for (int k = 0; k < 2; k++) {
            size_t len = strlen(texts[k]);
            assert_true(e[k].from <= e[k].to && e[k].to <= len && e[k].from <= same);
            assert_true(e[k].to - e[k].from <= 24);
            assert_true(((unsigned char)texts[k][e[k].from] & 0xc0) != 0x80);
            assert_true(((unsigned char)texts[k][e[k].to] & 0xc0) != 0x80);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
