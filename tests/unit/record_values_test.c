/* Records read in place, and by protobuf-c: what the one reads the other has to read, with the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/text.h"
#include "record/unpack.h"
#include "record_random.h"

#define RECORDS 20000

static void same_value(const struct record_value *a, const struct record_value *b,
                       const struct record_field *f)
{
    if (a->present != b->present || a->in_record != b->in_record || a->number != b->number ||
        a->len != b->len || (a->len && memcmp(a->data, b->data, a->len) != 0))
        fail_msg("%s: %d %d %llu %zu, and %d %d %llu %zu", f->name, a->present, a->in_record,
                 (unsigned long long)a->number, a->len, b->present, b->in_record,
                 (unsigned long long)b->number, b->len);
}

/* Reads the record in both ways, from memory that has no byte more. Returns whether it was read in place. */
static bool compare(struct record_values *v, struct record_reader *reader, const void *bytes, size_t n)
{
    static struct record_values of; /* what came before must not matter */
    const record_message *r;
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    bool read = record_values_read(v, exact, n);
    int rc = record_unpack(reader, exact, n, &r);
    if (read)
        assert_int_equal(rc, 0);
    if (rc == 0)
        record_values_of(&of, r);
    for (unsigned i = 0; rc == 0 && i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        struct record_value want = record_get(r, f), other = record_value_of(&of, f);
        same_value(&want, &other, f);
        if (!read)
            continue;
        struct record_value value = record_value_of(v, f);
        same_value(&want, &value, f);
        if (f->type != TYPE_STRING && f->type != TYPE_BYTES)
            assert_int_equal(record_values_number(v, i), want.number);
    }
    free(exact);
    return read;
}

/* |must|: all of them are read in place. */
static void compare_many(uint64_t seed, unsigned flags, bool must)
{
    static struct record_values v;
    struct record_reader reader = {0};
    struct buf record;
    unsigned read = 0;
    buf_init(&record);
    for (unsigned i = 0; i < RECORDS; i++) {
        random_record(&record, &seed, flags);
        read += compare(&v, &reader, record.data, record.len);
    }
    if (must)
        assert_int_equal(read, RECORDS);
    else
        assert_true(read > 0 && read < RECORDS);
    buf_free(&record);
    record_reader_free(&reader);
}

/* What an encoder writes is always read in place. */
static void records_as_they_should_be(void **state)
{
    (void)state;
    compare_many(1, 0, true);
    compare_many(2, RANDOM_FOREIGN, true);
    compare_many(3, RANDOM_ORDER, true);
}

static void records_as_they_are(void **state)
{
    (void)state;
    compare_many(4, RANDOM_ORDER | RANDOM_UNKNOWN, false); /* some numbers are too large */
    compare_many(5, RANDOM_LONG, false);
    compare_many(6, RANDOM_TYPES, false);
    compare_many(7, RANDOM_DAMAGED, false);
    compare_many(8, RANDOM_ALL, false);
    compare_many(9, RANDOM_ALL & ~(unsigned)RANDOM_FOREIGN, false);
}

#define EXPECT(read, ...)                                                                                    \
    do {                                                                                                     \
        static const uint8_t bytes[] = {__VA_ARGS__};                                                        \
        assert_int_equal(compare(&v, &reader, bytes, sizeof(bytes)), read);                                  \
    } while (0)

static void edges(void **state)
{
    (void)state;
    static struct record_values v;
    struct record_reader reader = {0};
    assert_true(compare(&v, &reader, "", 0));
    assert_true(record_values_read(&v, NULL, 0));
    EXPECT(true, 0x08, 0x01);                               /* schema_version */
    EXPECT(true, 0x08, 0x81, 0x80, 0x80, 0x80, 0x10);       /* more than 32 bits: the low ones count */
    EXPECT(true, 0x08, 0x80, 0x80, 0x80, 0x80, 0x10);       /* which are zero */
    EXPECT(true, 0x08, 0x01, 0x08, 0x00);                   /* the last one counts */
    EXPECT(true, 0x12, 0x01, 'x', 0x12, 0x00);              /* daemon_version */
    EXPECT(true, 0x12, 0x03, 'x', 0x00, 'y');               /* a text ends at its NUL */
    EXPECT(true, 0x88, 0x00, 0x01);                         /* a tag that is longer than it has to be */
    EXPECT(false, 0x88, 0x80, 0x80, 0x00, 0x01);            /* much longer: protobuf takes it */
    EXPECT(true, 0x1a, 0x00, 0x19, 1, 2, 3, 4, 5, 6, 7, 8); /* field 3, unknown */
    EXPECT(true, 0x1d, 1, 2, 3, 4, 0x18, 0x00);
    EXPECT(false, 0x1d, 1, 2, 3); /* cut */
    EXPECT(false, 0x19, 1, 2, 3, 4, 5, 6, 7);
    EXPECT(false, 0x12, 0x02, 'x');
    EXPECT(false, 0x08);
    EXPECT(false, 0x88);
    EXPECT(false, 0x00, 0x01);                                                      /* field 0 */
    EXPECT(false, 0x1b, 0x1c);                                                      /* a group */
    EXPECT(false, 0x0a, 0x01, 0x01);                                                /* a text for a number */
    EXPECT(false, 0x10, 0x01);                                                      /* a number for a text */
    EXPECT(true, 0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01); /* timestamp_ns -1 */
    EXPECT(false, 0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
    EXPECT(true, 0xd0, 0xbb, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f); /* event -1, in 32 bits */
    record_reader_free(&reader);
}

static void the_longest_record(void **state)
{
    (void)state;
    static struct record_values v;
    static uint8_t bytes[RECORD_UNPACK_MAX + 2];
    for (size_t i = 0; i < sizeof(bytes); i += 2)
        bytes[i] = 0x08;
    assert_true(record_values_read(&v, bytes, RECORD_UNPACK_MAX));
    assert_false(record_values_read(&v, bytes, RECORD_UNPACK_MAX + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_as_they_should_be),
        cmocka_unit_test(records_as_they_are),
        cmocka_unit_test(edges),
        cmocka_unit_test(the_longest_record),
    };
    return cmocka_run_group_tests_name("record_values", tests, NULL, NULL);
}
