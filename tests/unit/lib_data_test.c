/* The small readers and sets: ASCII, cursor, varints, UTF-8, sets of keys, names and
 * patterns. */
#include "lib_test.h"

#include "lib/ascii.h"
#include "lib/cursor.h"
#include "lib/decimal.h"
#include "lib/glob.h"
#include "lib/nearest.h"
#include "lib/u64set.h"
#include "lib/utf8.h"
#include "lib/varint.h"

/* ---- ASCII ---- */

/* Every byte against lists of them. */
static void test_ascii(void **state)
{
    (void)state;
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz", upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char digits[] = "0123456789", hex[] = "00112233445566778899aAbBcCdDeEfF";
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        const char *small = i ? strchr(lower, c) : NULL, *large = i ? strchr(upper, c) : NULL;
        const char *digit = i ? strchr(digits, c) : NULL;
        assert_int_equal(ascii_is_lower(c), small != NULL);
        assert_int_equal(ascii_is_upper(c), large != NULL);
        assert_int_equal(ascii_is_letter(c), small || large);
        assert_int_equal(ascii_is_digit(c), digit != NULL);
        assert_int_equal(ascii_lower(c), large ? lower[large - upper] : c);
        assert_int_equal(ascii_upper(c), small ? upper[small - lower] : c);
        int value = -1;
        for (int v = 0; v < 16; v++)
            value = hex[2 * v] == c || hex[2 * v + 1] == c ? v : value;
        assert_int_equal(ascii_hex_value(c), value);
    }
}

static void test_ascii_begins(void **state)
{
    (void)state;
    assert_true(ascii_begins("Bearer x", 8, "bEARER "));
    assert_true(ascii_begins("ID", 2, "id"));
    assert_true(ascii_begins("", 0, ""));
    assert_false(ascii_begins("Bearer", 6, "Bearer "));
    assert_false(ascii_begins("bearer ", 3, "bearer")); /* the rest is not its own */
    assert_false(ascii_begins("x", 1, "y"));
    assert_false(ascii_begins("\xc4\xb0", 2, "i"));
}

/* ---- cursor ---- */

static void test_cursor_reads(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 9};
    struct cursor c = cursor_over(data, sizeof(data));
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_u16(&c), 2);
    assert_int_equal(cursor_u32(&c), 3);
    assert_int_equal(cursor_u64(&c), 4);
    assert_int_equal(cursor_left(&c), 2);
    assert_ptr_equal(cursor_take(&c, 2), data + 15);
    assert_int_equal(cursor_left(&c), 0);
    assert_non_null(cursor_take(&c, 0));
    assert_false(c.failed);
}

static void test_cursor_error_is_sticky(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3};
    struct cursor c = cursor_over(data, sizeof(data));
    assert_int_equal(cursor_u32(&c), 0);
    assert_true(c.failed);
    assert_int_equal(cursor_u8(&c), 0); /* although three bytes are left */
    assert_null(cursor_take(&c, 0));
    uint8_t copy[4] = {7, 7, 7, 7};
    cursor_copy(&c, copy, sizeof(copy));
    assert_memory_equal(copy, "\0\0\0\0", 4);
    c = cursor_over(data, sizeof(data));
    assert_null(cursor_take(&c, SIZE_MAX));
    c = cursor_over(NULL, 0);
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(c.failed);
}

static void test_cursor_align(void **state)
{
    (void)state;
    uint8_t data[10] = {0};
    struct cursor c = cursor_over(data, sizeof(data));
    cursor_align(&c, data, 4);
    assert_ptr_equal(c.at, data);
    cursor_u8(&c);
    cursor_align(&c, data, 4);
    assert_ptr_equal(c.at, data + 4);
    cursor_take(&c, 5);
    cursor_align(&c, data, 4); /* 12 lies behind the end */
    assert_ptr_equal(c.at, data + 10);
    assert_false(c.failed);
}

/* ---- varints ---- */

static void test_varints(void **state)
{
    (void)state;
    uint64_t values[64 * 3 + 1] = {0};
    for (size_t i = 0; i < 64; i++) {
        values[3 * i] = 1ULL << i;
        values[3 * i + 1] = (1ULL << i) - 1;
        values[3 * i + 2] = ~(1ULL << i);
    }
    for (size_t i = 0; i < COUNT(values); i++) {
        uint8_t bytes[VARINT_MAX];
        uint64_t again = ~values[i];
        size_t n = (size_t)(varint_put(bytes, values[i]) - bytes);
        assert_int_equal(varint_size(values[i]), n);
        assert_int_equal(varint_get(bytes, sizeof(bytes), &again), n);
        assert_true(again == values[i]);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(varint_get(bytes, cut, &again), 0);
    }
    uint8_t bytes[VARINT_MAX];
    assert_int_equal(varint_put(bytes, 300) - bytes, 2);
    assert_memory_equal(bytes, "\xac\x02", 2);
    assert_int_equal(varint_put(bytes, UINT64_MAX) - bytes, VARINT_MAX);
}

static void test_overlong_varints(void **state)
{
    (void)state;
    uint64_t v;
    const uint8_t padded[] = {0x81, 0x80, 0x00};
    assert_int_equal(varint_get(padded, sizeof(padded), &v), 3); /* legal in protobuf */
    assert_int_equal(v, 1);
    uint8_t bytes[12];
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(varint_get(bytes, sizeof(bytes), &v), 0);
    bytes[9] = 2; /* bit 64 */
    assert_int_equal(varint_get(bytes, sizeof(bytes), &v), 0);
    bytes[9] = 1;
    assert_int_equal(varint_get(bytes, sizeof(bytes), &v), 10);
    assert_true(v == UINT64_MAX);
    bytes[9] = 0x80;
    bytes[10] = 0;
    assert_int_equal(varint_get(bytes, sizeof(bytes), &v), 0);
    assert_int_equal(WIRE_TAG(3000, WIRE_LEN), 24002);
}

/* ---- UTF-8 ---- */

/* Every code point against the definition, computed the other way round. */
static void test_utf8_of_every_code_point(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < 0x110100; p++) {
        unsigned char s[4];
        size_t n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n - 1; i > 0; i--)
            s[i] = (unsigned char)(0x80 | ((p >> (6 * (n - 1 - i))) & 0x3f));
        s[0] = (unsigned char)(lead[n] | (p >> (6 * (n - 1))));
        bool valid = p < 0xd800 || (p > 0xdfff && p < 0x110000);
        if (utf8_length(s, 4) != (valid ? n : 0) || utf8_length(s, n - 1 ? n - 1 : 1) != (n == 1 ? 1 : 0))
            fail_msg("U+%04X", p);
        if (valid && utf8_is_control(s, n) != (p < 0x20 || (p >= 0x7f && p < 0xa0)))
            fail_msg("control U+%04X", p);
    }
}

/* Writes the code point |p| as UTF-8. Returns its length. */
static size_t encode(uint32_t p, char out[5])
{
    size_t n = p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--)
        out[i] = (char)(0x80 | ((p >> (6 * (n - 1 - i))) & 0x3f));
    out[0] = (char)(lead[n] | (p >> (6 * (n - 1))));
    out[n] = '\0';
    return n;
}

/* Every code point: its value, and whether it is hidden. */
static void test_utf8_hidden(void **state)
{
    (void)state;
    /* DerivedCoreProperties.txt and UnicodeData.txt of Unicode 15, joined where nothing else stands between
     */
    static const uint32_t ranges[][2] = {
        {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},   {0x0600, 0x0605},
        {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x0890, 0x0891},   {0x08e2, 0x08e2},
        {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
        {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
        {0xfff0, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    bool *want = calloc(0x110000, sizeof(*want));
    assert_non_null(want);
    for (size_t i = 0; i < COUNT(ranges); i++)
        memset(want + ranges[i][0], true, ranges[i][1] - ranges[i][0] + 1);
    for (uint32_t p = 0; p < 0x110000; p++) {
        char s[5];
        size_t n = encode(p, s);
        if (utf8_length(s, n) == 0)
            continue;
        if (utf8_code(s, n) != p || utf8_is_hidden(s, n) != want[p])
            fail_msg("U+%04X", p);
    }
    free(want);
}

static void test_utf8_escape(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        const char *escape;
    } cases[] = {
        {0, "\\u0000"},
        {0x1b, "\\u001b"},
        {0x9b, "\\u009b"},
        {0x202e, "\\u202e"},
        {0xfeff, "\\ufeff"},
        {0xffff, "\\uffff"},
        {0x10000, "\\ud800\\udc00"},
        {0xe0001, "\\udb40\\udc01"},
        {0x10ffff, "\\udbff\\udfff"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char s[5], out[UTF8_ESCAPE_MAX];
        size_t n = encode(cases[i].code, s);
        assert_int_equal(utf8_escape(s, n, out), strlen(cases[i].escape));
        assert_string_equal(out, cases[i].escape);
    }
}

static void test_utf8_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t cut[8]; /* indexed by the length asked for */
    } cases[] = {
        {"abc", {0, 1, 2, 3}},
        {"a\xc3\xa9z", {0, 1, 1, 3, 4}},
        {"\xe2\x82\xacz", {0, 0, 0, 3, 4}},
        {"\xf0\x9f\x98\x80z", {0, 0, 0, 0, 4, 5}},
        {"\x80\x80\x80\x80\x80", {0, 1, 2, 3, 4, 5}}, /* not ours to repair */
        {"a\x80\x80", {0, 1, 2, 3}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t n = 0; n <= strlen(cases[i].text); n++)
            assert_int_equal(utf8_cut(cases[i].text, n), cases[i].cut[n]);
    }
}

static void test_utf8_quote(void **state)
{
    (void)state;
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"", ""},
        {"gr\xc3\xbcn", "gr\xc3\xbcn"},
        {"\xff\x39", "?9"},
        {"\xc3", "?"},
        {"\xed\xa0\x80", "???"},
        {"a\nb\x7f\xc2\x9b", "a?b??"},
        {"a\xe2\x80\xae\xf3\xa0\x80\x81z", "a??z"}, /* U+202E, U+E0001 */
        {"eleven byte", "eleven byte"},
        {"twelve bytes", "twelve bytes"},
        {"thirteen byte", "thirteen byt..."},
        {"eleven byte\xc3\xbc", "eleven byte..."},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "????????????..."},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[16];
        assert_string_equal(utf8_quote(cases[i].text, out, sizeof(out)), cases[i].quoted);
    }
}

/* ---- sets ---- */

static void test_u64set(void **state)
{
    (void)state;
    struct u64set s;
    u64set_init(&s);
    assert_int_equal(u64set_add(&s, 0), 1);
    assert_int_equal(u64set_add(&s, 0), 0);
    assert_int_equal(u64set_add(&s, UINT64_MAX), 1);
    for (uint64_t key = 1; key <= 100000; key++) /* consecutive, as cookies are */
        assert_int_equal(u64set_add(&s, key), 1);
    for (uint64_t key = 0; key <= 100000; key++)
        assert_int_equal(u64set_add(&s, key), 0);
    assert_int_equal(s.used, 100002);
    for (uint64_t key = 1; key <= 1000; key++)
        assert_int_equal(u64set_add(&s, key << 40), 1);
    u64set_free(&s);
    assert_int_equal(u64set_add(&s, 1), 1);
    u64set_free(&s);
}

static void test_u64set_reserve(void **state)
{
    (void)state;
    struct u64set s;
    u64set_init(&s);
    u64set_reserve(&s, 0);
    assert_int_equal(u64set_add(&s, 5), 1);
    u64set_reserve(&s, 100000);
    size_t capacity = s.capacity;
    assert_int_equal(u64set_add(&s, 5), 0); /* still there */
    for (uint64_t key = 0; key < 100000; key++)
        assert_int_equal(u64set_add(&s, key), key != 5);
    assert_int_equal(s.capacity, capacity); /* it was enough */
    u64set_reserve(&s, 10);
    u64set_reserve(&s, SIZE_MAX); /* cannot be had: nothing happens */
    assert_int_equal(s.capacity, capacity);
    assert_int_equal(s.used, 100000);
    u64set_free(&s);
}

static void test_u64set_clear(void **state)
{
    (void)state;
    struct u64set s;
    u64set_init(&s);
    for (int round = 0; round < 3; round++) {
        for (uint64_t key = 0; key < 100; key++)
            assert_int_equal(u64set_add(&s, key), 1);
        u64set_clear(&s, 1024);
        assert_int_equal(s.used, 0);
        assert_true(s.capacity > 0); /* kept */
    }
    u64set_clear(&s, s.capacity - 1);
    assert_int_equal(s.capacity, 0);
    assert_null(s.slots);
    assert_int_equal(u64set_add(&s, 7), 1);

    /* One of many: the others must not come back, whichever way a set is emptied. */
    for (uint64_t key = 0; key < 1000; key++)
        u64set_add(&s, key);
    u64set_clear(&s, SIZE_MAX);
    for (uint64_t key = 0; key < 3; key++)
        assert_int_equal(u64set_add(&s, key), 1);
    u64set_clear(&s, SIZE_MAX);
    assert_int_equal(s.used, 0);
    for (uint64_t key = 0; key < 2000; key++)
        assert_int_equal(u64set_add(&s, key), 1);
    for (uint64_t key = 0; key < 2000; key++)
        assert_int_equal(u64set_add(&s, key), 0);
    u64set_free(&s);
}

/* Against a plain list, with keys that collide, empty out and come again. */
static void test_u64set_random(void **state)
{
    (void)state;
    struct u64set s;
    uint64_t random = 88172645463325252u;
    u64set_init(&s);
    for (int round = 0; round < 200; round++) {
        bool there[512] = {false};
        size_t n = random % 700, used = 0;
        for (size_t i = 0; i < n; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t pick = random % COUNT(there);
            assert_int_equal(u64set_add(&s, (uint64_t)pick << (pick % 3 * 20)), !there[pick]);
            used += !there[pick];
            there[pick] = true;
        }
        assert_int_equal(s.used, used);
        u64set_clear(&s, round % 7 ? SIZE_MAX : 128);
    }
    u64set_free(&s);
}

/* ---- decimal ---- */

static void test_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        int rc;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0, 0},
        {"007", 7, 0, 7},
        {"65535", UINT16_MAX, 0, 65535},
        {"65536", UINT16_MAX, ERR_RANGE, 0},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, ERR_RANGE, 0},
        {"99999999999999999999999999999999", UINT64_MAX, ERR_RANGE, 0},
        {"9999999999999999999999999x", UINT64_MAX, ERR_MALFORMED,
         0}, /* no number at all, rather than too large a one */
        {"", UINT64_MAX, ERR_MALFORMED, 0},
        {"+1", UINT64_MAX, ERR_MALFORMED, 0},
        {"-1", UINT64_MAX, ERR_MALFORMED, 0},
        {" 1", UINT64_MAX, ERR_MALFORMED, 0},
        {"1 ", UINT64_MAX, ERR_MALFORMED, 0},
        {"0x1", UINT64_MAX, ERR_MALFORMED, 0},
        {"1\xc2\xb2", UINT64_MAX, ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t v = 4711;
        int rc = decimal_parse(cases[i].text, cases[i].max, &v);
        if (rc != cases[i].rc || v != (rc ? 4711 : cases[i].value))
            fail_msg("%s: %d, %llu", cases[i].text, rc, (unsigned long long)v);
    }
    uint64_t v;
    assert_int_equal(decimal_read("123", 2, 100, &v), 0);
    assert_int_equal(v, 12);
    assert_true(decimal_is("4026531840", 4026531840));
    assert_false(decimal_is("4026531840", 4026531841));
    assert_false(decimal_is("", 0));
    assert_true(decimal_is_number("99999999999999999999999999999999"));
    assert_false(decimal_is_number(""));
    assert_false(decimal_is_number("1a"));
}

/* ---- names ---- */

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"netns", "netns_inode", "tcp_info_rtt", "tcp_info_rttvar", "x"};
    static const struct {
        const char *typed;
        const char *name;
    } rows[] = {
        {"netnss", "netns"},
        {"netns-inode", "netns_inode"},
        {"tcp_info_rt", "tcp_info_rtt"},
        {"TCP_INFO_RTT", "tcp_info_rtt"},
        {"color", NULL},
        {"", "x"},
        {"tcp_info_rttx", "tcp_info_rtt"},     /* as far from the one behind it, which comes later */
        {"tcp_info_rttvr", "tcp_info_rttvar"}, /* closer than the one before it */
        {"tcp_xxxx_xxx", NULL},
        {"netns_inode_and_more", NULL}, /* too long for it */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nearest n = {.typed = rows[i].typed};
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            nearest_offer(&n, names[k]);
        if (rows[i].name)
            assert_string_equal(n.name, rows[i].name);
        else
            assert_null(n.name);
    }
    char endless[1000];
    memset(endless, 'x', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    struct nearest n = {.typed = endless};
    nearest_offer(&n, "x");
    assert_null(n.name);
}

static size_t distance(const char *a, const char *b, size_t most)
{
    return nearest_distance(a, strlen(a), b, strlen(b), most);
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(distance("stream", "stream", 0), 0);
    assert_int_equal(distance("steram", "stream", 0), 1);
    assert_int_equal(distance("Stream", "stream", 9), 0);
    assert_int_equal(distance("MIN-RTT", "min_rtt", 9), 0);
    assert_int_equal(distance("steram", "stream", 9), 1);
    assert_int_equal(distance("tsream", "stream", 1), 1);
    assert_int_equal(distance("strem", "stream", 9), 1);
    assert_int_equal(distance("", "poll", 9), 4);
    assert_int_equal(distance("poll", "", 9), 4);
    assert_int_equal(distance("poll", "get", 9), 4);
    assert_int_equal(distance("poll", "get", 4), 4);
    assert_int_equal(distance("poll", "get", 3), 4);
    assert_int_equal(distance("poll", "get", 1), 2);
    assert_int_equal(distance("ca", "abc", 9), 3); /* nothing changes within what has changed places */
    char name[NEAREST_NAME_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[NEAREST_NAME_MAX + 1] = '\0';
    assert_int_equal(distance(name, name, 5), 6);
    assert_int_equal(distance(name + 1, name + 1, 5), 0);
}

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *text;
        bool match;
    } rows[] = {
        {"web", "web", true},
        {"web", "web1", false},
        {"web", "we", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"web*", "web", true},
        {"web*", "web-1", true},
        {"*web", "myweb", true},
        {"*web", "webs", false},
        {"w*b", "wb", true},
        {"w*b", "w/:b", true},
        {"w*b*", "wxbybz", true},
        {"w*by*z", "wxbybz", true},
        {"?", "a", true},
        {"?", "", false},
        {"a?c", "abc", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]x", "dx", true},
        {"[^a-c]x", "bx", false},
        {"[]x]", "]", true},
        {"[a-]", "-", true},
        {"[abc", "[abc", true},
        {"[abc", "a", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"[\\]]", "]", true},
        {"a\\", "a\\", true},
        {"netns:*", "netns:[4]", true},
        {"**a**", "bab", true},
        {"*a*b", "aab", true},
        {"*[0-9]", "blue7", true},
        {"*[0-9]", "blue", false},
        {"\xff*", "\xff\xfe", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (glob_match(rows[i].pattern, rows[i].text) != rows[i].match)
            fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].text);
    }
}

/* A pattern that would take an unbounded matcher for ever. */
static void test_glob_with_many_stars(void **state)
{
    (void)state;
    char pattern[256];
    char text[256];
    for (size_t i = 0; i < sizeof(pattern) - 2; i++) {
        pattern[i] = i % 2 ? 'a' : '*';
        text[i] = 'a';
    }
    pattern[sizeof(pattern) - 2] = 'b';
    pattern[sizeof(pattern) - 1] = text[sizeof(text) - 2] = '\0';
    assert_false(glob_match(pattern, text));
    text[sizeof(text) - 3] = 'b';
    assert_true(glob_match(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_ascii_begins),
        cmocka_unit_test(test_cursor_reads),
        cmocka_unit_test(test_cursor_error_is_sticky),
        cmocka_unit_test(test_cursor_align),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_overlong_varints),
        cmocka_unit_test(test_utf8_of_every_code_point),
        cmocka_unit_test(test_utf8_hidden),
        cmocka_unit_test(test_utf8_escape),
        cmocka_unit_test(test_utf8_cut),
        cmocka_unit_test(test_utf8_quote),
        cmocka_unit_test(test_u64set),
        cmocka_unit_test(test_u64set_reserve),
        cmocka_unit_test(test_u64set_clear),
        cmocka_unit_test(test_u64set_random),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_with_many_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
