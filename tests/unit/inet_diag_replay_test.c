/* Captures: files made here byte by byte, those of tests/data/captures, and those that XTCP2_CAPTURES names.
 */
#include <byteswap.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/replay.h"
#include "tests/unit/inet_diag_message.h"

#define DATA_DIR XTCP_SOURCE_DIR "/tests/data/captures"

struct file {
    uint8_t bytes[32768];
    size_t len;
    bool swapped;
};

static void file_u32(struct file *f, uint32_t v)
{
    if (f->swapped)
        v = bswap_32(v);
    memcpy(f->bytes + f->len, &v, sizeof(v));
    f->len += sizeof(v);
}

static void file_begin(struct file *f, uint32_t magic, uint32_t linktype, bool swapped)
{
    *f = (struct file){.swapped = swapped};
    file_u32(f, magic);
    file_u32(f, swapped ? 0x00020004 : 0x00040002); /* major 2, minor 4 as two u16 */
    file_u32(f, 0);
    file_u32(f, 0);
    file_u32(f, 262144);
    file_u32(f, linktype);
}

static void file_packet(struct file *f, uint16_t arphrd, uint16_t family, const struct message *m)
{
    const uint8_t cooked[16] = {
        0, 4, (uint8_t)(arphrd >> 8), (uint8_t)arphrd, [14] = (uint8_t)(family >> 8), [15] = (uint8_t)family};
    file_u32(f, 1700000000);
    file_u32(f, 0);
    file_u32(f, (uint32_t)(sizeof(cooked) + m->len));
    file_u32(f, (uint32_t)(sizeof(cooked) + m->len));
    memcpy(f->bytes + f->len, cooked, sizeof(cooked));
    memcpy(f->bytes + f->len + sizeof(cooked), m->bytes, m->len);
    f->len += sizeof(cooked) + m->len;
}

struct seen {
    uint64_t cookies[64];
    size_t count;
    int answer; /* what the callback returns */
};

static int see(void *arg, const struct record_source *s)
{
    struct seen *seen = arg;
    assert_true(seen->count < 64);
    seen->cookies[seen->count++] = diag_cookie(s);
    return seen->answer;
}

/* Reads an exact heap copy, so that a sanitizer sees the first byte read past the end. */
static int replay(const struct file *f, struct seen *seen, struct replay_result *result, struct err *e)
{
    uint8_t *copy = malloc(f->len ? f->len : 1);
    assert_non_null(copy);
    memcpy(copy, f->bytes, f->len);
    *e = (struct err){0};
    *seen = (struct seen){.answer = seen->answer};
    int rc = replay_pcap(copy, f->len, see, seen, result, e);
    assert_int_equal(rc, e->code);
    free(copy);
    return rc;
}

static void two_sockets(struct message *m)
{
    m->len = 0;
    put_socket(m, TCPDIAG_GETSOCK, AF_INET, 1);
    put_socket(m, SOCK_DIAG_BY_FAMILY, AF_INET6, 2);
}

static void test_every_header_variant(void **state)
{
    (void)state;
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};
    struct message m;
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    two_sockets(&m);
    for (size_t i = 0; i < 4; i++) {
        file_begin(&f, magics[i / 2], 253 | (i % 2 ? 0xf0000000 : 0), i % 2);
        file_packet(&f, 824, 4, &m);
        assert_int_equal(replay(&f, &seen, &result, &e), 0);
        assert_int_equal(seen.count, 2);
        assert_int_equal(result.sockets, 2);
        assert_int_equal(result.packets, 1);
    }
}

static void test_not_a_capture_of_ours(void **state)
{
    (void)state;
    struct message m;
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    two_sockets(&m);

    file_begin(&f, 0x0a0d0d0a, 253, false);
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "pcapng"));
    file_begin(&f, 0x464c457f, 253, false);
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_MALFORMED);
    file_begin(&f, 0xa1b2c3d4, 1, false);
    file_packet(&f, 824, 4, &m);
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "offset 20"));
    assert_int_equal(seen.count, 0);
    file_begin(&f, 0xa1b2c3d4, 253, false);
    f.bytes[4] = 3;
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "offset 4"));

    file_begin(&f, 0xa1b2c3d4, 253, false);
    file_packet(&f, 824, 4, &m);
    size_t second = f.len;
    file_packet(&f, 1, 4, &m); /* an Ethernet packet among them */
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNSUPPORTED);
    char offset[32];
    snprintf(offset, sizeof(offset), "offset %zu", second + 16 + 2);
    assert_non_null(strstr(e.text, offset));
    assert_int_equal(seen.count, 2);

    file_begin(&f, 0xa1b2c3d4, 253, false);
    file_packet(&f, 824, 0, &m); /* rtnetlink: not ours, no error */
    assert_int_equal(replay(&f, &seen, &result, &e), 0);
    assert_int_equal(result.packets, 0);

    struct message big = {.len = 0}; /* netlink in the other byte order */
    put_socket(&big, TCPDIAG_GETSOCK, AF_INET, 1);
    put_length(&big, bswap_32(88));
    file_begin(&f, 0xa1b2c3d4, 253, true);
    file_packet(&f, 824, 4, &big);
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "byte order"));
}

/* Cut anywhere: never more sockets than were whole, always an error with an offset, but for the cut between
 * packets. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    struct message m;
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    two_sockets(&m);
    file_begin(&f, 0xa1b2c3d4, 253, false);
    size_t header = f.len;
    file_packet(&f, 824, 4, &m);
    size_t first = f.len;
    file_packet(&f, 824, 4, &m); /* the same two cookies: another dump only after NLMSG_DONE */
    size_t whole = f.len;
    for (size_t cut = 0; cut <= whole; cut++) {
        f.len = cut;
        int rc = replay(&f, &seen, &result, &e);
        if (cut == header || cut == first || cut == whole) {
            assert_int_equal(rc, 0);
        } else {
            assert_int_equal(rc, ERR_TRUNCATED);
            assert_non_null(strstr(e.text, "offset"));
        }
        size_t at = cut < first ? header : first;
        size_t messages = cut > at + 32 ? (cut - at - 32) / 88 : 0;
        assert_int_equal(seen.count + result.duplicates, (cut < first ? 0 : 2) + messages);
    }
}

static void test_snapped_packet(void **state)
{
    (void)state;
    struct message m;
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    two_sockets(&m);
    file_begin(&f, 0xa1b2c3d4, 253, false);
    file_packet(&f, 824, 4, &m);
    uint32_t captured = 16 + 88 + 20;
    memcpy(f.bytes + 24 + 8, &captured, sizeof(captured));
    f.len = 24 + 16 + captured;
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_TRUNCATED);
    assert_string_equal(e.text, "offset 40: the capture has 124 bytes of a packet of 192");
    assert_int_equal(seen.count, 1);
}

static void test_dumps_are_told_apart(void **state)
{
    (void)state;
    struct message m, done = {.len = 0}, request = {.len = 0};
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    two_sockets(&m);
    put_code(&done, NLMSG_DONE, 0);

    file_begin(&f, 0xa1b2c3d4, 253, false);
    file_packet(&f, 824, 4, &m);
    file_packet(&f, 824, 4, &m); /* twice in one dump */
    file_packet(&f, 824, 4, &done);
    file_packet(&f, 824, 4, &m); /* and in another one */
    assert_int_equal(replay(&f, &seen, &result, &e), 0);
    assert_int_equal(result.sockets, 4);
    assert_int_equal(result.duplicates, 2);

    /* Answers to a request for UDP sockets are left out. */
    struct inet_diag_req_v2 udp = {.sdiag_family = AF_INET, .sdiag_protocol = 17};
    put_header(&request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP);
    put(&request, &udp, sizeof(udp));
    put_end(&request);
    file_packet(&f, 824, 4, &request);
    file_packet(&f, 824, 4, &m);
    assert_int_equal(replay(&f, &seen, &result, &e), 0);
    assert_int_equal(result.sockets, 4);
    request.bytes[17] = 6; /* sdiag_protocol: TCP again */
    file_packet(&f, 824, 4, &request);
    file_packet(&f, 824, 4, &m);
    assert_int_equal(replay(&f, &seen, &result, &e), 0);
    assert_int_equal(result.sockets, 6);
}

static void test_errors_inside(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        int code;
        int rc;
    } cases[] = {
        {NLMSG_DONE, -ENOMEM, -ENOMEM},
        {NLMSG_ERROR, -ENOENT, -ENOENT},
        {NLMSG_OVERRUN, 0, -ENOBUFS},
        {NLMSG_ERROR, 0, 0},
    };
    struct file f;
    struct seen seen = {.count = 0};
    struct replay_result result;
    struct err e;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message m;
        two_sockets(&m);
        put_code(&m, cases[i].type, cases[i].code);
        file_begin(&f, 0xa1b2c3d4, 253, false);
        file_packet(&f, 824, 4, &m);
        assert_int_equal(replay(&f, &seen, &result, &e), cases[i].rc);
        assert_int_equal(seen.count, 2);
        if (cases[i].rc)
            assert_non_null(strstr(e.text, "offset 232:")); /* 24 + 16 + 16 + 2 * 88 */
    }
    struct message m;
    two_sockets(&m);
    file_begin(&f, 0xa1b2c3d4, 253, false);
    file_packet(&f, 824, 4, &m);
    seen.answer = ERR_UNAVAILABLE;
    assert_int_equal(replay(&f, &seen, &result, &e), ERR_UNAVAILABLE);
    assert_int_equal(seen.count, 1);
}

static uint8_t *read_file(const char *directory, const char *name, size_t *len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*len + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *len, file), *len);
    data[*len] = '\0';
    fclose(file);
    return data;
}

static int count_socket(void *arg, const struct record_source *s)
{
    assert_non_null(s->data[PART_MSG]);
    ++*(size_t *)arg;
    return 0;
}

static void check_capture(const char *directory, const char *name)
{
    size_t len, count = 0;
    struct replay_result result;
    struct err e = {0};
    uint8_t *data = read_file(directory, name, &len);
    int rc = replay_pcap(data, len, count_socket, &count, &result, &e);
    int expected = strcmp(name, "refused.pcap") == 0 ? -ENOENT : 0;
    if (rc != expected)
        print_error("%s/%s: %s\n", directory, name, e.text);
    assert_int_equal(rc, expected);
    assert_int_equal(result.sockets, count);
    assert_int_equal(result.malformed + result.duplicates + result.interrupted, 0);
    assert_true(expected || strstr(name, "request") ? count == 0 : count > 0);
    free(data);
}

/* attribute_X.bin: one attribute, whole; it must be the part that its name says. */
static void check_attribute(const char *directory, const char *name)
{
    static const struct {
        const char *name;
        enum record_part part;
    } names[] = {
        {"attribute_info", PART_INFO},           {"attribute_meminfo", PART_MEMINFO},
        {"attribute_skmeminfo", PART_SKMEMINFO}, {"attribute_bbrinfo", PART_BBR},
        {"attribute_cgroup", PART_CGROUP_ID},    {"attribute_cong", PART_CONG},
        {"attribute_sockopt", PART_SOCKOPT},     {"attribute_class_id", PART_CLASS_ID},
        {"attribute_dctcpinfo", PART_DCTCP},     {"attribute_shutdown", PART_SHUTDOWN},
        {"attribute_tcclass", PART_TCLASS},      {"attribute_tos", PART_TOS},
        {"attribute_vegasinfo", PART_VEGAS},
    };
    size_t len;
    struct record_source s = {0};
    struct diag_counts counts = {0};
    uint8_t *data = read_file(directory, name, &len);
    assert_int_equal(diag_parse_attributes(data, len, &s, &counts), 0);
    assert_int_equal(counts.unknown_attrs + counts.short_attrs, 0);
    bool known = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(name, names[i].name, strlen(names[i].name)))
            continue;
        known = true;
        assert_ptr_equal(s.data[names[i].part], data + sizeof(struct rtattr));
        assert_int_equal(s.len[names[i].part], len - sizeof(struct rtattr));
        if (names[i].part == PART_CONG)
            assert_non_null(strstr(name, (const char *)s.data[PART_CONG]));
    }
    assert_true(known);
    free(data);
}

static unsigned check_directory(const char *directory)
{
    unsigned files = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n > 5 && strcmp(e->d_name + n - 5, ".pcap") == 0)
            check_capture(directory, e->d_name);
        else if (n > 4 && strcmp(e->d_name + n - 4, ".bin") == 0)
            check_attribute(directory, e->d_name);
        else
            continue;
        files++;
    }
    closedir(d);
    return files;
}

static void test_captures_of_this_tree(void **state)
{
    (void)state;
    assert_int_equal(check_directory(DATA_DIR), 3);
}

static void test_captures_of_other_kernels(void **state)
{
    (void)state;
    const char *root = getenv("XTCP2_CAPTURES");
    if (!root || !*root) {
        print_message("skipped: XTCP2_CAPTURES is not set\n");
        skip();
        return;
    }
    unsigned files = 0;
    DIR *d = opendir(root);
    if (!d) {
        fail_msg("cannot read %s: %s", root, strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        char path[512];
        if (e->d_name[0] == '.' || e->d_type == DT_REG)
            continue;
        snprintf(path, sizeof(path), "%s/%s", root, e->d_name);
        files += check_directory(path);
    }
    closedir(d);
    assert_true(files > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_header_variant),  cmocka_unit_test(test_not_a_capture_of_ours),
        cmocka_unit_test(test_cut_anywhere),          cmocka_unit_test(test_snapped_packet),
        cmocka_unit_test(test_dumps_are_told_apart),  cmocka_unit_test(test_errors_inside),
        cmocka_unit_test(test_captures_of_this_tree), cmocka_unit_test(test_captures_of_other_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
