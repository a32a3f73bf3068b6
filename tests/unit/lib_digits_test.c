/* Numbers and addresses as text, and varints, that are made word by word: against the slow functions. */
#include "lib_test.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "lib/digits.h"
#include "lib/ip_text.h"
#include "lib/varint.h"

#define TIMES 200000

static uint64_t next(void)
{
    static uint64_t rng = 1;
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void expect_digits(uint64_t v)
{
    char want[DIGITS_MAX + 1], *got = malloc(DIGITS_MAX); /* there is no byte behind it */
    assert_non_null(got);
    int n = snprintf(want, sizeof(want), "%" PRIu64, v);
    assert_int_equal(digits_put(got, v) - got, n);
    assert_memory_equal(got, want, n);
    free(got);
}

static void test_digits(void **state)
{
    (void)state;
    for (uint64_t power = 1;; power *= 10) {
        expect_digits(power - 1);
        expect_digits(power);
        expect_digits(power + 1);
        if (power > UINT64_MAX / 10)
            break;
    }
    expect_digits(UINT64_MAX);
    for (uint64_t v = 0; v < 20000; v++)
        expect_digits(v);
    for (int i = 0; i < TIMES; i++)
        expect_digits(next() >> (i % 64));
}

static void test_digits_of_a_width(void **state)
{
    (void)state;
    char want[16], got[8];
    for (uint32_t v = 0; v < 100000000; v = v < 10000 ? v + 1 : v + 997) {
        snprintf(want, sizeof(want), "%08" PRIu32, v);
        assert_ptr_equal(digits_put_eight(got, v), got + 8);
        assert_memory_equal(got, want, 8);
    }
    assert_ptr_equal(digits_put_eight(got, 99999999), got + 8);
    assert_memory_equal(got, "99999999", 8);
    for (unsigned v = 0; v < 100; v++) {
        snprintf(want, sizeof(want), "%02u", v);
        assert_ptr_equal(digits_put_two(got, v), got + 2);
        assert_memory_equal(got, want, 2);
    }
}

static void expect_ip(int family, const uint8_t *ip)
{
    char want[INET6_ADDRSTRLEN], *got = malloc(IP_TEXT_MAX);
    assert_non_null(got);
    assert_non_null(inet_ntop(family, ip, want, sizeof(want)));
    char *end = family == AF_INET ? ip4_text(ip, got) : ip6_text(ip, got);
    assert_string_equal(got, want);
    assert_ptr_equal(end, got + strlen(got));
    free(got);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "::",
        "::1",
        "1::",
        "::ffff:1.2.3.4",
        "::1.2.3.4",
        "::ffff:0:1.2.3.4",
        "::1:0:0:0",
        "1:0:0:2::",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "1:0:3:4:5:6:7:8",
        "0:0:1::",
        "2001:db8::",
        "2001:0:0:1::1",
        "::2:3:4",
        "::fffe:1.2.3.4",
        "64:ff9b::1.2.3.4",
        "0:1:2:3:4:5:6:7",
        "::ffff:255.255.255.255",
        "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
        "1:2:3:4:5:6:7:0",
    };
    uint8_t ip[16];
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(inet_pton(AF_INET6, texts[i], ip), 1);
        expect_ip(AF_INET6, ip);
    }
    for (int i = 0; i < TIMES; i++) {
        for (size_t k = 0; k < sizeof(ip); k += 2) {
            uint64_t v = next(), group = v & 0x700 ? 0 : v >> 16 >> (v >> 40) % 16;
            ip[k] = (uint8_t)(group >> 8);
            ip[k + 1] = (uint8_t)group;
        }
        expect_ip(AF_INET6, ip);
        uint32_t four = (uint32_t)(next() >> (i % 32));
        memcpy(ip, &four, sizeof(four));
        expect_ip(AF_INET, ip);
    }
}

static void test_varints(void **state)
{
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        uint8_t bytes[16];
        uint64_t v = next() >> (i % 64), got = 0;
        memset(bytes, i, sizeof(bytes)); /* what comes behind it */
        size_t n = (size_t)(varint_put(bytes, v) - bytes);
        assert_int_equal(varint_get_short(bytes, &got), n <= 8 ? n : 0);
        if (n <= 8)
            assert_int_equal(got, v);
    }
    uint64_t got = 1;
    static const uint8_t longer[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    assert_int_equal(varint_get_short(longer, &got), 8);
    assert_int_equal(got, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_digits_of_a_width),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
