/* The forms of records that are read in place, against the same records decoded by protobuf-c, byte for byte; and jsonl against
 * a writer of its own, which is slow and simple. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/varint.h"
#include "outputs/format/format.h"
#include "record/names.h"
#include "record_random.h"

#define RECORDS 3000 /* of each form and choice of columns */

/* The columns of a writer, and its labels. */
struct choice {
    const struct record_field *columns[FIELD_COUNT];
    size_t n; /* 0: all of them */
    bool labels;
};

static struct format_writer *writer(const struct format *f, const struct choice *c)
{
    struct format_writer *w;
    assert_int_equal(format_writer_new(f, c->n ? c->columns : NULL, c->n, &w), 0);
    if (c->labels) {
        format_add_label(w, "node");
        format_add_label(w, "none");
        format_set_label(w, 0, "a \"node\"", 8);
    }
    return w;
}

/* Some fields in any order, some of them twice. */
static void choose(struct choice *c, uint64_t *rng)
{
    c->n = 1 + random_below(rng, 40);
    c->labels = random_below(rng, 2);
    for (size_t i = 0; i < c->n; i++)
        c->columns[i] = &record_fields[random_below(rng, FIELD_COUNT)];
}

/* ---- Read in place, and decoded ---- */

static void expect_same(const struct buf *a, const struct buf *b, const char *form)
{
    size_t at = 0;
    while (at < a->len && at < b->len && a->data[at] == b->data[at])
        at++;
    if (at < a->len || at < b->len)
        fail_msg("%s: %zu bytes, and %zu, differ at %zu: %.*s", form, a->len, b->len, at,
                 (int)(a->len - at < 80 ? a->len - at : 80), a->data ? a->data + at : "");
}

static void compare(const struct format *f, const struct choice *c, uint64_t *rng)
{
    struct format_writer *in_place = writer(f, c), *decoded = writer(f, c);
    struct record_reader reader = {0};
    struct buf record, out[2];
    buf_init(&record);
    buf_init(&out[0]);
    buf_init(&out[1]);
    for (int i = 0; i < RECORDS; i++) {
        const record_message *r;
        random_record(&record, rng, i % 2 ? RANDOM_ALL : RANDOM_ORDER);
        buf_reset(&out[0]);
        buf_reset(&out[1]);
        int rc = format_record(in_place, &out[0], (const uint8_t *)record.data, record.len);
        assert_int_equal(rc, record_unpack(&reader, (const uint8_t *)record.data, record.len, &r));
        if (rc == 0)
            format_message(decoded, &out[1], r);
        expect_same(&out[0], &out[1], f->name);
        if (rc)
            continue;
        buf_reset(&out[0]);
        format_both(in_place, &out[0], r, (const uint8_t *)record.data, record.len);
        buf_reset(&out[1]);
        format_message(decoded, &out[1], r);
        expect_same(&out[0], &out[1], f->name);
    }
    buf_free(&record);
    buf_free(&out[0]);
    buf_free(&out[1]);
    record_reader_free(&reader);
    format_writer_free(in_place);
    format_writer_free(decoded);
}

static void all_forms(void **state)
{
    (void)state;
    uint64_t rng = 1;
    struct choice all = {0}, some = {0};
    for (size_t i = 0; i < format_count; i++) {
        if (!formats[i]->record)
            continue;
        compare(formats[i], &all, &rng);
        for (int k = 0; k < 3 && formats[i]->flags & FORMAT_COLUMNS; k++) {
            choose(&some, &rng);
            compare(formats[i], &some, &rng);
        }
    }
}

/* ---- jsonl, written again ---- */

static void plain_time(struct buf *out, int64_t ns)
{
    char text[64];
    struct tm tm;
    int64_t rest = (ns % 1000000000 + 1000000000) % 1000000000;
    time_t second = (time_t)((ns - rest) / 1000000000);
    if (ns < INT64_MIN + rest) /* the difference would not be a number of 64 bits */
        second = -9223372037;
    assert_non_null(gmtime_r(&second, &tm));
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "\"timestamp\":\"%s.%09" PRId64 "Z\",", text, rest);
}

static void plain_address(struct buf *out, const record_message *r, const struct record_value *v)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (v->len == 4 || (v->len == 16 && r->inet_diag_msg_family == AF_INET))
        inet_ntop(AF_INET, v->data, text, sizeof(text));
    else if (v->len == 16)
        inet_ntop(AF_INET6, v->data, text, sizeof(text));
    buf_printf(out, "\"%s", text);
    for (size_t i = 0; !*text && i < v->len && i < 23; i++)
        buf_printf(out, "%02x", v->data[i]);
    buf_str(out, "\"");
}

static void plain_member(struct buf *out, const record_message *r, const struct record_field *f)
{
    struct record_value v = record_get(r, f);
    if (!v.present)
        return;
    const char *name = record_value_name(f, v.number);
    buf_printf(out, "\"%s\":", f->name);
    if (f->type == TYPE_STRING)
        buf_json_string(out, (const char *)v.data, v.len);
    else if (f->type == TYPE_BYTES)
        plain_address(out, r, &v);
    else if (name)
        buf_printf(out, "\"%s\"", name);
    else if (f->type == TYPE_I64 || f->type == TYPE_ENUM)
        buf_printf(out, "%" PRId64, (int64_t)v.number);
    else
        buf_printf(out, "%" PRIu64, v.number);
    buf_str(out, ",");
}

static void plain_jsonl(struct buf *out, const record_message *r, const struct choice *c)
{
    bool with_time = c->n == 0;
    for (size_t i = 0; i < c->n; i++)
        with_time = with_time || c->columns[i] == &record_fields[FIELD_timestamp_ns];
    buf_str(out, c->labels ? "{\"node\":\"a \\\"node\\\"\"," : "{");
    if (with_time && r->timestamp_ns)
        plain_time(out, r->timestamp_ns);
    for (size_t i = 0; i < (c->n ? c->n : FIELD_COUNT); i++)
        plain_member(out, r, c->n ? c->columns[i] : &record_fields[i]);
    if (out->data[out->len - 1] == ',')
        out->len--;
    buf_str(out, "}\n");
}

static void jsonl_is_what_it_should_be(void **state)
{
    (void)state;
    uint64_t rng = 2;
    struct record_reader reader = {0};
    struct choice c = {0};
    struct buf record, out[2];
    buf_init(&record);
    buf_init(&out[0]);
    buf_init(&out[1]);
    for (int i = 0; i < 20; i++) {
        struct format_writer *w = writer(&format_jsonl, &c);
        for (int k = 0; k < RECORDS; k++) {
            const record_message *r;
            random_record(&record, &rng, k % 2 ? RANDOM_ALL : RANDOM_ORDER);
            buf_reset(&out[0]);
            if (format_record(w, &out[0], (const uint8_t *)record.data, record.len))
                continue;
            assert_int_equal(record_unpack(&reader, (const uint8_t *)record.data, record.len, &r), 0);
            buf_reset(&out[1]);
            plain_jsonl(&out[1], r, &c);
            expect_same(&out[0], &out[1], "jsonl");
        }
        format_writer_free(w);
        choose(&c, &rng);
    }
    buf_free(&record);
    buf_free(&out[0]);
    buf_free(&out[1]);
    record_reader_free(&reader);
}

/* A text may take six times its length. */
static void long_texts(void **state)
{
    (void)state;
    enum { LENGTH = 60000 };
    static uint8_t record[2 + VARINT_MAX + LENGTH] = {0xf2, 0x01}; /* netns */
    struct choice all = {0};
    struct format_writer *w = writer(&format_jsonl, &all);
    struct buf out;
    size_t n = (size_t)(varint_put(record + 2, LENGTH - 1) - record);
    memset(record + n, 0x1b, LENGTH - 1);
    buf_init(&out);
    assert_int_equal(format_record(w, &out, record, n + LENGTH - 1), 0);
    assert_int_equal(out.len, strlen("{\"netns\":\"\"}\n") + 6 * (size_t)(LENGTH - 1));
    assert_memory_equal(out.data, "{\"netns\":\"\\u001b\\u001b", 22);
    assert_memory_equal(out.data + out.len - 9, "\\u001b\"}\n", 9);
    buf_free(&out);
    format_writer_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms),
        cmocka_unit_test(jsonl_is_what_it_should_be),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests_name("outputs_values", tests, NULL, NULL);
}
