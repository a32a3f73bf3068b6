#include "outputs_rows.h"

#include "lib/varint.h"
#include "record/envelope.h"
#include "record/unpack.h"

/* ---- Writing ---- */

static void add_record(struct buf *envelope, const void *record, size_t len)
{
    uint8_t head[2 * VARINT_MAX];
    uint8_t *end = varint_put(varint_put(head, WIRE_TAG(10, WIRE_LEN)), len);
    buf_bytes(envelope, head, (size_t)(end - head));
    buf_bytes(envelope, record, len);
    assert_false(envelope->failed);
}

void rows_add(struct buf *envelope, const struct test_row *row)
{
    record_message r = XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__INIT;
    char pad[401] = "";
    uint8_t record[1024];
    assert_true(row->pad < sizeof(pad));
    memset(pad, 'x', row->pad);
    r.schema_version = 1;
    r.hostname = (char *)(uintptr_t) "host, \"one\"";
    r.label = pad;
    if (row->netns)
        r.netns = (char *)(uintptr_t)row->netns;
    r.record_counter = row->id;
    r.netns_cookie = row->netns_cookie;
    r.inet_diag_msg_socket_cookie = row->cookie;
    assert_true(xtcp_flat_record__v1__xtcp_flat_record__get_packed_size(&r) <= sizeof(record));
    add_record(envelope, record, xtcp_flat_record__v1__xtcp_flat_record__pack(&r, record));
}

void rows_add_unreadable(struct buf *envelope)
{
    static const uint8_t cut[] = {0xa2, 0x01, 0x7f, 'h'}; /* hostname, 127 bytes long */
    add_record(envelope, cut, sizeof(cut));
}

/* ---- Reading ---- */

static uint64_t id_of(const uint8_t *record, size_t n)
{
    struct record_reader reader = {0};
    const record_message *r;
    assert_int_equal(record_unpack(&reader, record, n, &r), 0);
    uint64_t id = r->record_counter;
    record_reader_free(&reader);
    return id;
}

size_t rows_of_envelope(const void *bytes, size_t n, uint64_t *ids, size_t max)
{
    struct wire w = wire_over(bytes, n);
    const uint8_t *record;
    size_t len, count = 0;
    int rc;
    while ((rc = envelope_next(&w, &record, &len)) > 0) {
        assert_true(count < max);
        ids[count++] = id_of(record, len);
    }
    assert_int_equal(rc, 0);
    return count;
}

/* Envelopes, or records, behind their lengths. */
static size_t rows_delimited(bool envelopes, const uint8_t *at, size_t n, uint64_t *ids, size_t max)
{
    size_t count = 0;
    while (n) {
        uint64_t len = 0;
        size_t head = varint_get(at, n, &len);
        assert_true(head > 0 && len <= n - head);
        if (envelopes) {
            count += rows_of_envelope(at + head, len, ids + count, max - count);
        } else {
            assert_true(count < max);
            ids[count++] = id_of(at + head, len);
        }
        at += head + len;
        n -= head + len;
    }
    return count;
}

static uint64_t number(const char *text, const char *end)
{
    uint64_t v = 0;
    assert_true(text < end && *text >= '0' && *text <= '9');
    while (text < end && *text >= '0' && *text <= '9')
        v = 10 * v + (uint64_t)(*text++ - '0');
    return v;
}

/* The numbers behind each |key|. */
static size_t rows_by_key(const char *key, const char *text, size_t n, uint64_t *ids, size_t max)
{
    const char *end = text + n;
    size_t count = 0;
    while ((text = memmem(text, (size_t)(end - text), key, strlen(key)))) {
        text += strlen(key);
        assert_true(count < max);
        ids[count++] = number(text, end);
    }
    return count;
}

/* Lines, each of which begins with the id; where that is missing, it is 0. */
static size_t rows_of_table(const char *text, size_t n, uint64_t *ids, size_t max, bool *header)
{
    static const char title[] = "record_counter";
    const char *end = text + n;
    size_t count = 0;
    assert_true(n > 0 && end[-1] == '\n');
    *header = n > sizeof(title) && memcmp(text, title, sizeof(title) - 1) == 0;
    if (*header)
        text = (const char *)memchr(text, '\n', n) + 1;
    while (text < end) {
        assert_true(count < max);
        ids[count++] = *text == ',' ? 0 : number(text, end);
        text = (const char *)memchr(text, '\n', (size_t)(end - text)) + 1;
    }
    return count;
}

/* One line for each row, an object. */
static void check_lines(const char *text, size_t n, size_t rows)
{
    const char *end = text + n;
    size_t lines = 0;
    for (; text < end; lines++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        assert_non_null(newline);
        assert_true(text[0] == '{' && newline[-1] == '}');
        text = newline + 1;
    }
    assert_int_equal(lines, rows);
}

static void check_around(const char *text, size_t n, const char *begin, const char *end)
{
    assert_true(n >= strlen(begin) + strlen(end));
    assert_memory_equal(text, begin, strlen(begin));
    assert_memory_equal(text + n - strlen(end), end, strlen(end));
}

/* Numbers below 2^32 behind the key, which is a text of 14 bytes. */
static size_t rows_of_msgpack(const char *text, size_t n, uint64_t *ids, size_t max)
{
    static const char key[] = "\xaerecord_counter";
    const char *end = text + n;
    size_t count = 0;
    while ((text = memmem(text, (size_t)(end - text), key, sizeof(key) - 1))) {
        const uint8_t *at = (const uint8_t *)text + sizeof(key) - 1;
        size_t bytes = *at < 0x80 ? 0 : *at == 0xcc ? 1 : *at == 0xcd ? 2 : *at == 0xce ? 4 : 8;
        uint64_t v = bytes ? 0 : *at;
        assert_true(bytes < 8 && (const char *)at + bytes < end && count < max);
        for (size_t i = 1; i <= bytes; i++)
            v = v << 8 | at[i];
        ids[count++] = v;
        text = (const char *)at + bytes;
    }
    return count;
}

size_t rows_of_message(const struct format *f, const void *bytes, size_t n, uint64_t *ids, size_t max,
                       bool *header)
{
    size_t count = 0;
    *header = false;
    if (strncmp(f->name, "protobuf-", 9) == 0)
        return rows_delimited(f->envelope != NULL, bytes, n, ids, max);
    if (strcmp(f->name, "msgpack") == 0)
        return rows_of_msgpack(bytes, n, ids, max);
    if (f->flags & FORMAT_HEADER)
        return rows_of_table(bytes, n, ids, max, header);
    if (strcmp(f->name, "jsonl") == 0) {
        count = rows_by_key("\"record_counter\":", bytes, n, ids, max);
        check_lines(bytes, n, count);
    } else {
        assert_string_equal(f->name, "protojson-envelope");
        count = rows_by_key("\"recordCounter\":\"", bytes, n, ids, max);
        check_around(bytes, n, "{\"row\":[{", "}]}\n");
        assert_null(memmem(bytes, n, "}{", 2));
    }
    return count;
}
