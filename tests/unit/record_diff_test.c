/* Random sockets through the encoder and through protobuf-c: the bytes must be the same.
 *
 * XTCP_ITERATIONS and XTCP_SEED in the environment choose how many and which. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "record_model.h"

#define MAX_SECONDS 5

static uint64_t rng;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static uint64_t below(uint64_t n)
{
    return (next() >> 11) % n;
}

/* Bytes with every kind of number in them: zeros, small ones, large ones, all ones. */
static void fill(uint8_t *to, size_t n)
{
    unsigned kind = (unsigned)below(4);
    for (size_t i = 0; i < n; i += 4) {
        unsigned k = kind < 3 ? kind : (unsigned)below(5);
        uint32_t v = k == 0 ? 0 : k == 1 ? (uint32_t)next() : k == 4 ? ~0u : (uint32_t)next() >> below(32);
        memcpy(to + i, &v, n - i < 4 ? n - i : 4);
    }
}

static const uint16_t sizes[PART_COUNT] = {
    [PART_MSG] = 72, [PART_MEMINFO] = 16, [PART_INFO] = 280,     [PART_VEGAS] = 16,   [PART_CONG] = 6,
    [PART_TOS] = 1,  [PART_TCLASS] = 1,   [PART_SKMEMINFO] = 36, [PART_SHUTDOWN] = 1, [PART_DCTCP] = 16,
    [PART_BBR] = 20, [PART_CLASS_ID] = 4, [PART_CGROUP_ID] = 8,  [PART_SOCKOPT] = 2,  [PART_V6ONLY] = 1,
    [PART_MARK] = 4, [PART_DEVICE] = 4,
};

static uint16_t random_length(enum record_part part)
{
    switch (below(16)) {
    case 0:
        return 0;
    case 1:
    case 2:
        return (uint16_t)below(sizes[part] + 1);
    case 3:
        return (uint16_t)(sizes[part] + below(24));
    case 4:
        return below(64) == 0 ? (uint16_t)(65535 - below(3)) : (uint16_t)(sizes[part] & ~7);
    default:
        return sizes[part];
    }
}

static void random_name(uint8_t *to, size_t n)
{
    static const char *const names[] = {"cubic",    "dctcp",     "vegas",          "prague", "bbr",
                                        "bbr2",     "bbr3",      "reno",           "bb",     "cubics",
                                        "westwood", "highspeed", "a-name-of-15-ch"};
    if (below(3) == 0)
        return; /* random bytes stay */
    const char *name = names[below(sizeof(names) / sizeof(names[0]))];
    for (size_t i = 0; i < n; i++)
        to[i] = i < strlen(name) ? (uint8_t)name[i] : i == strlen(name) ? 0 : to[i];
}

/* Parts of exactly their length on the heap, so that a sanitizer sees what is read beyond. */
static void random_source(struct record_source *s)
{
    *s = (struct record_source){0};
    for (unsigned part = 0; part < PART_COUNT; part++) {
        uint16_t n = part != PART_MSG && below(6) == 0 ? 0 : random_length(part);
        if ((part == PART_CONG || part == PART_DEVICE) && n == sizes[part])
            n = (uint16_t)(1 + below(20));
        if (n == 0)
            continue;
        uint8_t *data = malloc(n);
        assert_non_null(data);
        fill(data, n);
        if (part == PART_MSG && below(8))
            data[0] = below(2) ? 2 : 10;
        if (part == PART_CONG || part == PART_DEVICE)
            random_name(data, n);
        s->data[part] = data;
        s->len[part] = n;
        if (record_part_attributes[part])
            s->attributes |= UINT32_C(1) << record_part_attributes[part];
    }
    if (below(4) == 0) /* those without fields; what is known of them does not matter */
        s->attributes |= (uint32_t)next() & ~UINT32_C(1);
}

static void free_source(struct record_source *s)
{
    for (unsigned part = 0; part < PART_COUNT; part++)
        free((void *)(uintptr_t)s->data[part]);
}

static const char *random_string(char *to, size_t size)
{
    if (below(3) == 0)
        return below(2) ? NULL : "";
    size_t n = below(size);
    bool ascii = below(2);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(ascii ? 'a' + below(26) : 1 + below(255));
    to[n] = '\0';
    return to;
}

static void random_context(struct record_context *c, char (*strings)[120])
{
    *c = (struct record_context){
        .daemon_version = random_string(strings[0], 20),
        .hostname = random_string(strings[1], 64),
        .location = random_string(strings[2], 100),
        .netns = random_string(strings[3], 100),
        .container_id = random_string(strings[4], 70),
        .container_runtime = random_string(strings[5], 20),
        .container_name = random_string(strings[6], 100),
        .container_image = random_string(strings[7], 100),
        .label = random_string(strings[8], 60),
        .tag = random_string(strings[9], 60),
        .timestamp_ns = below(8) ? (int64_t)(next() >> below(64)) : -(int64_t)below(1000),
        .netns_inode = next() >> below(64),
        .netns_cookie = next() >> below(64),
        .poll_id = next() >> below(64),
        .nsid = (uint32_t)(next() >> below(64)),
        .event = (uint32_t)below(2),
        .groups = below(2) ? GROUPS_DEFAULT : (groups_t)next() & GROUPS_ALL,
    };
}

/* The row that protobuf-c makes of |m|: an Envelope with this one record. */
static size_t pack_row(struct record_model *m, uint8_t *out, size_t room)
{
    XtcpFlatRecord__V1__XtcpFlatRecord *rows[] = {&m->record};
    XtcpFlatRecord__V1__Envelope envelope = XTCP_FLAT_RECORD__V1__ENVELOPE__INIT;
    envelope.n_row = 1;
    envelope.row = rows;
    assert_true(xtcp_flat_record__v1__envelope__get_packed_size(&envelope) <= room);
    return xtcp_flat_record__v1__envelope__pack(&envelope, out);
}

static void show(const char *what, const uint8_t *bytes, size_t n)
{
    fprintf(stderr, "%s: ", what);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%02x", bytes[i]);
    fprintf(stderr, "\n");
}

static void compare(const struct record_context *c, const struct record_frame *frame,
                    struct record_model *model, uint8_t *row, uint8_t *packed)
{
    struct record_source s;
    random_source(&s);
    uint64_t counter = next() >> below(64);
    size_t n = record_encode(frame, &s, counter, row);
    record_model_make(model, c, &s, counter);
    size_t expected = pack_row(model, packed, RECORD_ROW_MAX);
    if (n != expected || memcmp(row, packed, n) != 0) {
        show("encoded", row, n);
        show("expected", packed, expected);
        fail_msg("the rows differ; protoc --decode_raw shows where");
    }
    free_source(&s);
}

static void rows_are_what_protobuf_makes(void **state)
{
    (void)state;
    const char *iterations = getenv("XTCP_ITERATIONS");
    const char *seed = getenv("XTCP_SEED");
    uint64_t limit = iterations ? strtoull(iterations, NULL, 10) : 300000;
    uint64_t first = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_ns();
    int64_t deadline = iterations ? INT64_MAX : clock_mono_ns() + MAX_SECONDS * NS_PER_S;
    rng = first | 1;
    printf("XTCP_SEED=%" PRIu64 "\n", first);

    struct record_model *model = malloc(sizeof(*model));
    struct record_frame *frame = malloc(sizeof(*frame));
    uint8_t *row = malloc(RECORD_ROW_MAX);
    uint8_t *packed = malloc(RECORD_ROW_MAX);
    assert_true(model && frame && row && packed);
    uint64_t done = 0;
    for (; done < limit && clock_mono_ns() < deadline; done++) {
        static char strings[10][120];
        static struct record_context context;
        if (done % 16 == 0) {
            random_context(&context, strings);
            assert_int_equal(record_frame_init(frame, &context), 0);
        }
        compare(&context, frame, model, row, packed);
    }
    printf("%" PRIu64 " rows compared\n", done);
    assert_true(done > 0);
    free(model);
    free(frame);
    free(row);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_what_protobuf_makes),
    };
    return cmocka_run_group_tests_name("record_diff", tests, NULL, NULL);
}
