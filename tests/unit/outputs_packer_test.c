/* outputs/packer.c: rows become messages, and what was not delivered becomes rows again. */
#include "outputs_rows.h"

#include "config/output.h"
#include "lib/varint.h"
#include "outputs/packer.h"

enum { ROWS_MAX = 200, KEYS = 5 };

/* ---- The allocator, in whose place the linker puts these (--wrap) ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long allowed = -1; /* allocations until one fails; negative: none does */
static bool failed;       /* it has */

static bool fails(void)
{
    if (allowed < 0 || allowed-- > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- What the tests have in common ---- */

static const struct config_strings all_columns = {0};

static char *names[] = {(char *)(uintptr_t) "record_counter", (char *)(uintptr_t) "netns"};
static const struct config_strings two_columns = {.items = names, .n = 2};

static struct {
    struct packer *packer;
    const struct format *format;
    struct buf rows;
    uint32_t bad; /* of the last packing */
} t;

static int setup(void **state)
{
    (void)state;
    buf_init(&t.rows);
    t.packer = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    packer_free(t.packer);
    buf_free(&t.rows);
    return 0;
}

static void begin(const char *format)
{
    t.format = format_by_name(format);
    assert_non_null(t.format);
    bool table = t.format->flags & FORMAT_HEADER;
    const struct packer_options o = {
        .format = t.format, .columns = table ? &two_columns : &all_columns, .hostname = "host-1"};
    packer_free(t.packer);
    assert_int_equal(packer_new(&o, &t.packer), 0);
    buf_reset(&t.rows);
}

/* Rows |first| up to |end|, each |pad| bytes longer than it has to be. */
static void add_rows(uint64_t first, uint64_t end, size_t pad)
{
    for (uint64_t id = first; id < end; id++)
        rows_add(&t.rows, &(struct test_row){.id = id, .netns = "blue", .pad = pad});
}

static struct sink_message *pack(const struct packer_rules *rules, size_t *n)
{
    int64_t loaded = packer_load(t.packer, (const uint8_t *)t.rows.data, t.rows.len);
    assert_true(loaded >= 0);
    t.bad = 77;
    assert_int_equal(packer_pack(t.packer, rules, &t.bad), 0);
    struct sink_message *list = packer_messages(t.packer, n);
    for (size_t i = 0; i < *n; i++)
        assert_int_equal(list[i].result, SINK_AGAIN);
    return list;
}

static size_t ids_of(const struct sink_message *m, uint64_t *ids, bool *header)
{
    size_t n = rows_of_message(t.format, m->data, m->len, ids, ROWS_MAX, header);
    assert_int_equal(n, m->rows);
    return n;
}

/* |m| has the rows |first| up to |end| in their order. */
static void expect_message(const struct sink_message *m, uint64_t first, uint64_t end, bool header)
{
    uint64_t ids[ROWS_MAX] = {0};
    bool has_header;
    size_t n = ids_of(m, ids, &has_header);
    assert_int_equal(n, end - first);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids[i], first + i);
    assert_int_equal(has_header, header);
}

/* The Envelope |b| has the rows |ids|, up to a 0. */
static void expect_rows(const struct buf *b, const uint64_t *ids)
{
    uint64_t got[ROWS_MAX] = {0};
    size_t n = rows_of_envelope(b->data, b->len, got, ROWS_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], ids[i]);
    assert_int_equal(ids[n], 0);
}

static const char *const forms[] = {
    "protobuf-list", "protobuf-delimited", "jsonl", "protojson-envelope", "msgpack", "csv", "tsv"};

static bool is_table(size_t form)
{
    return strcmp(forms[form], "csv") == 0 || strcmp(forms[form], "tsv") == 0;
}

/* ---- One message ---- */

static void test_one_message(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        for (int round = 0; round < 3; round++) { /* nothing stays of the round before */
            const struct packer_rules rules = {.poll_id = 9};
            buf_reset(&t.rows);
            add_rows(1, 21, 10);
            const struct sink_message *m = pack(&rules, &n);
            assert_int_equal(n, 1);
            assert_int_equal(m->poll_id, 9);
            assert_null(m->key);
            assert_int_equal(m->key_len, 0);
            expect_message(m, 1, 21, false);
            assert_int_equal(t.bad, 0);
        }
    }
}

/* The bytes that a reader of the form gets are those of one Envelope with all rows. */
static void test_one_envelope(void **state)
{
    (void)state;
    size_t n;
    uint64_t len = 0;
    begin("protobuf-list");
    add_rows(1, 10, 100);
    const struct sink_message *m = pack(&(struct packer_rules){0}, &n);
    assert_int_equal(n, 1);
    size_t head = varint_get(m->data, m->len, &len);
    assert_int_equal(len, m->len - head);
    assert_int_equal(len, t.rows.len);
    assert_memory_equal(m->data + head, t.rows.data, len);
}

static void test_nothing(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        pack(&(struct packer_rules){.header = true, .headers = true, .key = OUTPUT_KEY_SOCKET}, &n);
        assert_int_equal(n, 0);
        assert_int_equal(packer_rest(t.packer, &t.rows), 0);
    }
    packer_free(NULL);
}

/* A form that writes nothing has messages for its rows all the same. */
static void test_empty_messages(void **state)
{
    (void)state;
    size_t n;
    begin("null");
    add_rows(1, 6, 0);
    const struct sink_message *m = pack(&(struct packer_rules){0}, &n);
    assert_int_equal(n, 1);
    assert_int_equal(m->rows, 5);
    assert_int_equal(m->len, 0);
    assert_non_null(m->data);
}

/* ---- Headers ---- */

static void test_headers(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        bool table = is_table(f);
        for (int headers = 0; headers < 2; headers++) {
            for (int header = 0; header < 2; header++) {
                begin(forms[f]);
                add_rows(1, 41, 100);
                const struct sink_message *m =
                    pack(&(struct packer_rules){.header = header, .headers = headers, .largest = 600}, &n);
                assert_true(n > 1 || table);
                uint64_t first = 1;
                for (size_t i = 0; i < n; i++) {
                    expect_message(&m[i], first, first + m[i].rows, table && (headers || (header && i == 0)));
                    first += m[i].rows;
                }
                assert_int_equal(first, 41);
            }
        }
    }
}

/* Where the first rows cannot be read, the header is in the first message there is. */
static void test_header_behind_unreadable_rows(void **state)
{
    (void)state;
    size_t n;
    begin("csv");
    rows_add_unreadable(&t.rows);
    rows_add_unreadable(&t.rows);
    add_rows(1, 4, 0);
    const struct sink_message *m = pack(&(struct packer_rules){.header = true}, &n);
    assert_int_equal(n, 1);
    assert_int_equal(t.bad, 2);
    expect_message(m, 1, 4, true);
}

/* ---- The largest message ---- */

static void test_largest(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        add_rows(1, 3, 100);
        size_t two = pack(&(struct packer_rules){0}, &n)->len;

        /* Exactly two fit. */
        buf_reset(&t.rows);
        add_rows(1, 8, 100);
        const struct sink_message *m = pack(&(struct packer_rules){.largest = two}, &n);
        assert_int_equal(n, 4);
        for (size_t i = 0; i < n; i++) {
            expect_message(&m[i], 1 + 2 * i, i < 3 ? 3 + 2 * i : 8, false);
            assert_true(m[i].len <= two);
        }

        /* One byte less, and each is alone. */
        m = pack(&(struct packer_rules){.largest = two - 1}, &n);
        assert_int_equal(n, 7);
        for (size_t i = 0; i < n; i++)
            expect_message(&m[i], 1 + i, 2 + i, false);
    }
}

/* A row that is longer on its own has a message of its own; those around it are together as they were. */
static void test_longer_than_largest(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        if (is_table(f))
            continue; /* their rows have no pad */
        add_rows(1, 3, 0);
        size_t two = pack(&(struct packer_rules){0}, &n)->len;
        add_rows(3, 4, 400);
        add_rows(4, 6, 0);
        const struct sink_message *m = pack(&(struct packer_rules){.largest = two}, &n);
        assert_int_equal(n, 3);
        expect_message(&m[0], 1, 3, false);
        expect_message(&m[1], 3, 4, false);
        assert_true(m[1].len > two);
        expect_message(&m[2], 4, 6, false);
        assert_int_equal(m[2].len, two);

        pack(&(struct packer_rules){.largest = 1}, &n);
        assert_int_equal(n, 5);
    }
}

/* A header counts. */
static void test_largest_with_header(void **state)
{
    (void)state;
    size_t n;
    begin("csv");
    add_rows(1, 10, 0);
    size_t line = strlen("1,blue\n"), header = strlen("record_counter,netns\n");
    const struct sink_message *m =
        pack(&(struct packer_rules){.largest = header + 3 * line, .headers = true}, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        expect_message(&m[i], 1 + 3 * i, 4 + 3 * i, true);
}

/* ---- Keys ---- */

static void expect_key(const struct sink_message *m, const char *key)
{
    assert_int_equal(m->key_len, strlen(key));
    assert_memory_equal(m->key, key, m->key_len);
}

static void test_key_hostname(void **state)
{
    (void)state;
    size_t n;
    begin("protobuf-list");
    add_rows(1, 10, 50);
    const struct sink_message *m =
        pack(&(struct packer_rules){.key = OUTPUT_KEY_HOSTNAME, .largest = 300}, &n);
    assert_true(n > 1);
    uint64_t first = 1;
    for (size_t i = 0; i < n; i++) {
        expect_key(&m[i], "host-1");
        expect_message(&m[i], first, first + m[i].rows, false);
        first += m[i].rows;
    }
    assert_int_equal(first, 10);
}

static void test_key_netns(void **state)
{
    (void)state;
    static const char *const netns[] = {"b", "", "bb", "b", "", "a", "b", "bb"};
    size_t n;
    begin("jsonl");
    for (size_t i = 0; i < COUNT(netns); i++)
        rows_add(&t.rows, &(struct test_row){.id = i + 1, .netns = netns[i]});
    const struct sink_message *m = pack(&(struct packer_rules){.key = OUTPUT_KEY_NETNS}, &n);
    static const struct {
        const char *key;
        uint64_t ids[4];
    } expected[] = {{"", {2, 5}}, {"a", {6}}, {"b", {1, 4, 7}}, {"bb", {3, 8}}};
    assert_int_equal(n, COUNT(expected));
    for (size_t i = 0; i < n; i++) {
        uint64_t ids[ROWS_MAX];
        bool header;
        expect_key(&m[i], expected[i].key);
        size_t rows = ids_of(&m[i], ids, &header);
        for (size_t k = 0; k < rows; k++)
            assert_int_equal(ids[k], expected[i].ids[k]);
        assert_int_equal(expected[i].ids[rows], 0);
    }
}

/* The same socket cookie in two namespaces is of two sockets. */
static void test_key_socket(void **state)
{
    (void)state;
    size_t n;
    begin("protobuf-list");
    for (uint64_t i = 0; i < 8; i++)
        rows_add(&t.rows,
                 &(struct test_row){.id = i + 1, .netns_cookie = i % 2, .cookie = 0xabc + i / 2 % 2});
    const struct sink_message *m = pack(&(struct packer_rules){.key = OUTPUT_KEY_SOCKET}, &n);
    static const char *const keys[] = {"00000000000000000000000000000abc", "00000000000000000000000000000abd",
                                       "00000000000000010000000000000abc",
                                       "00000000000000010000000000000abd"};
    static const uint64_t first[] = {1, 3, 2, 4};
    assert_int_equal(n, COUNT(keys));
    for (size_t i = 0; i < n; i++) {
        uint64_t ids[ROWS_MAX];
        bool header;
        expect_key(&m[i], keys[i]);
        assert_int_equal(ids_of(&m[i], ids, &header), 2);
        assert_true(ids[0] == first[i] && ids[1] == first[i] + 4);
    }
}

/* ---- Rows that cannot be read ---- */

static void test_unreadable(void **state)
{
    (void)state;
    size_t n;
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        if (t.format->envelope)
            continue; /* it looks into no record */
        add_rows(1, 3, 0);
        rows_add_unreadable(&t.rows);
        add_rows(3, 4, 0);
        rows_add_unreadable(&t.rows);
        rows_add_unreadable(&t.rows);
        struct sink_message *m = pack(&(struct packer_rules){0}, &n);
        assert_int_equal(n, 1);
        assert_int_equal(t.bad, 3);
        expect_message(m, 1, 4, false);
        m->result = SINK_BROKEN;
        assert_int_equal(packer_rest(t.packer, &t.rows), 3); /* they do not come back */
        expect_rows(&t.rows, (const uint64_t[]){1, 2, 3, 0});

        buf_reset(&t.rows);
        rows_add_unreadable(&t.rows);
        pack(&(struct packer_rules){0}, &n);
        assert_int_equal(n, 0);
        assert_int_equal(t.bad, 1);
        assert_int_equal(packer_rest(t.packer, &t.rows), 0);
        assert_int_equal(t.rows.len, 0);
    }
}

static void test_no_envelope(void **state)
{
    (void)state;
    static const uint8_t cut[] = {0x52, 0x05, 0x08};
    size_t n;
    begin("jsonl");
    add_rows(1, 3, 0);
    pack(&(struct packer_rules){0}, &n);
    assert_int_equal(packer_load(t.packer, cut, sizeof(cut)), ERR_TRUNCATED);
    packer_messages(t.packer, &n);
    assert_int_equal(n, 0);
    assert_int_equal(packer_load(t.packer, NULL, 0), 0);
    uint32_t bad;
    assert_int_equal(packer_pack(t.packer, &(struct packer_rules){0}, &bad), 0);
}

/* ---- What stays ---- */

static void test_rest(void **state)
{
    (void)state;
    size_t n;
    struct buf delivered;
    buf_init(&delivered);
    begin("protobuf-list");
    for (uint64_t i = 0; i < 9; i++) /* three keys, each with every third row */
        rows_add(&t.rows, &(struct test_row){.id = i + 1, .cookie = i % 3, .pad = 20 * i});
    struct sink_message *m = pack(&(struct packer_rules){.key = OUTPUT_KEY_SOCKET}, &n);
    assert_int_equal(n, 3);
    m[0].result = SINK_BROKEN;
    m[1].result = SINK_DONE;
    m[2].result = SINK_AGAIN;
    assert_int_equal(packer_delivered(t.packer, &delivered), 3);
    expect_rows(&delivered, (const uint64_t[]){2, 5, 8, 0});
    assert_int_equal(packer_rest(t.packer, &t.rows), 6);
    expect_rows(&t.rows, (const uint64_t[]){1, 3, 4, 6, 7, 9, 0});
    packer_messages(t.packer, &n);
    assert_int_equal(n, 0);

    m = pack(&(struct packer_rules){.key = OUTPUT_KEY_SOCKET}, &n);
    assert_int_equal(n, 2);
    m[0].result = SINK_REFUSED;
    buf_reset(&delivered);
    assert_int_equal(packer_delivered(t.packer, &delivered), 0);
    assert_int_equal(packer_rest(t.packer, &t.rows), 3);
    expect_rows(&t.rows, (const uint64_t[]){3, 6, 9, 0});
    buf_free(&delivered);
}

/* Another writer may have put rows differently: longer lengths than needed, fields of its own between them. */
static void test_rest_of_foreign_bytes(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x08, 0x01,                                     /* a field that is not a row */
        0xd2, 0x80, 0x00, 0x82, 0x00, 0xe0, 0x03,       /* netlinker_id, too long */
        0x52, 0x03, 0xe0, 0x03, 0x01,                   /* record_counter 1 */
        0x18, 0x07,                                     /* another such field */
        0x52, 0x83, 0x80, 0x80, 0x00, 0xe0, 0x03, 0x02, /* record_counter 2 */
        0x52, 0x03, 0xe0, 0x03, 0x03,                   /* record_counter 3 */
    };
    size_t n;
    begin("jsonl");
    buf_bytes(&t.rows, bytes, sizeof(bytes));
    struct sink_message *m = pack(&(struct packer_rules){.largest = 1}, &n);
    assert_int_equal(t.bad, 1);
    assert_int_equal(n, 3);
    m[1].result = SINK_DONE;
    assert_int_equal(packer_rest(t.packer, &t.rows), 2);
    expect_rows(&t.rows, (const uint64_t[]){1, 3, 0});
}

/* ---- Any rows, any rules, against a model ---- */

static uint64_t random_state = 1;

static uint64_t below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

struct model {
    struct test_row rows[ROWS_MAX]; /* by their ids, from 1 on */
    bool seen[ROWS_MAX];
    size_t n;
    uint32_t bad;
};

static void draw_rows(struct model *m)
{
    static const char *const netns[KEYS] = {"blue", "", "red", "reds", "a"};
    m->n = below(60);
    m->bad = 0;
    for (size_t id = 1; id <= m->n; id++) {
        m->rows[id] = (struct test_row){.id = id,
                                        .netns = netns[below(KEYS)],
                                        .netns_cookie = below(2),
                                        .cookie = below(3),
                                        .pad = below(4) ? below(40) : below(400)};
        m->seen[id] = false;
        rows_add(&t.rows, &m->rows[id]);
        if (!t.format->envelope && below(10) == 0) {
            rows_add_unreadable(&t.rows);
            m->bad++;
        }
    }
}

static bool same_key(enum output_key key, const struct test_row *a, const struct test_row *b)
{
    if (key == OUTPUT_KEY_NETNS)
        return strcmp(a->netns, b->netns) == 0;
    if (key == OUTPUT_KEY_SOCKET)
        return a->cookie == b->cookie && a->netns_cookie == b->netns_cookie;
    return true;
}

/* |message| has one key, and of that the next rows in their order. */
static void check_message(struct model *m, const struct packer_rules *rules,
                          const struct sink_message *message, bool first)
{
    uint64_t ids[ROWS_MAX];
    bool header;
    size_t n = ids_of(message, ids, &header);
    assert_true(n > 0);
    assert_true(rules->largest == 0 || message->len <= rules->largest || n == 1);
    assert_int_equal(header,
                     (t.format->flags & FORMAT_HEADER) && (rules->headers || (rules->header && first)));
    for (size_t i = 0; i < n; i++) {
        assert_in_range(ids[i], 1, m->n);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
        assert_true(same_key(rules->key, &m->rows[ids[0]], &m->rows[ids[i]]));
        assert_false(m->seen[ids[i]]);
        m->seen[ids[i]] = true;
        for (uint64_t id = 1; id < ids[i]; id++) /* those of its key that came before have gone before */
            assert_true(m->seen[id] || !same_key(rules->key, &m->rows[id], &m->rows[ids[i]]));
    }
}

/* Two messages of one key that follow each other: the first row of the second one had no room in the first. */
static void check_full(const struct model *m, const struct packer_rules *rules, const struct sink_message *a,
                       const struct sink_message *b)
{
    uint64_t first[ROWS_MAX], second[ROWS_MAX];
    bool header;
    ids_of(a, first, &header);
    ids_of(b, second, &header);
    if (!same_key(rules->key, &m->rows[first[0]], &m->rows[second[0]]))
        return;
    assert_true(rules->largest > 0);
    if (!t.format->envelope)
        return;
    struct buf row;
    buf_init(&row);
    rows_add(&row, &m->rows[second[0]]);
    uint64_t len = 0;
    size_t head = varint_get(a->data, a->len, &len);
    assert_int_equal(head + len, a->len);
    assert_true(varint_size(len + row.len) + len + row.len > rules->largest);
    buf_free(&row);
}

static void check_rest(const struct model *m, struct sink_message *list, size_t n)
{
    bool stays[ROWS_MAX] = {false}, done[ROWS_MAX] = {false};
    uint64_t ids[ROWS_MAX], expected[ROWS_MAX] = {0};
    bool header;
    size_t count = 0;
    struct buf delivered;
    for (size_t i = 0; i < n; i++) {
        static const enum sink_result results[] = {SINK_DONE, SINK_AGAIN, SINK_REFUSED, SINK_BROKEN};
        list[i].result = results[below(4)];
        size_t rows = ids_of(&list[i], ids, &header);
        for (size_t k = 0; k < rows; k++) {
            stays[ids[k]] = list[i].result == SINK_AGAIN || list[i].result == SINK_BROKEN;
            done[ids[k]] = list[i].result == SINK_DONE;
        }
    }
    buf_init(&delivered);
    size_t n_delivered = packer_delivered(t.packer, &delivered);
    assert_int_equal(rows_of_envelope(delivered.data, delivered.len, ids, ROWS_MAX), n_delivered);
    for (size_t i = 0; i < n_delivered; i++) {
        assert_true(done[ids[i]]);
        done[ids[i]] = false;
    }
    buf_free(&delivered);
    for (uint64_t id = 1; id <= m->n; id++) {
        assert_false(done[id]);
        if (stays[id])
            expected[count++] = id;
    }
    assert_int_equal(packer_rest(t.packer, &t.rows), count);
    expect_rows(&t.rows, expected);
}

static void test_any_rows(void **state)
{
    (void)state;
    static struct model m;
    for (int round = 0; round < 4000; round++) {
        size_t n;
        begin(forms[below(COUNT(forms))]);
        draw_rows(&m);
        const struct packer_rules rules = {.key = (enum output_key)below(4),
                                           .largest = below(3) ? below(1500) : 0,
                                           .header = below(2),
                                           .headers = below(2),
                                           .poll_id = below(100)};
        struct sink_message *list = pack(&rules, &n);
        assert_int_equal(t.bad, m.bad);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(list[i].poll_id, rules.poll_id);
            check_message(&m, &rules, &list[i], i == 0);
            if (i > 0)
                check_full(&m, &rules, &list[i - 1], &list[i]);
        }
        for (uint64_t id = 1; id <= m.n; id++)
            assert_true(m.seen[id]);
        check_rest(&m, list, n);
    }
}

/* Whether the rows could be packed, from the making of the packer on; then the messages have all of them. */
static bool pack_without_memory(const struct packer_options *o, const struct packer_rules *rules)
{
    size_t n = 0;
    uint32_t bad;
    failed = false;
    packer_free(t.packer);
    t.packer = NULL;
    int64_t rc = packer_new(o, &t.packer);
    if (rc == 0)
        rc = packer_load(t.packer, (const uint8_t *)t.rows.data, t.rows.len);
    if (rc >= 0)
        rc = packer_pack(t.packer, rules, &bad);
    allowed = -1;
    assert_true(rc == 0 || (rc == -ENOMEM && failed));
    if (rc)
        return false;
    uint64_t rows = 0;
    const struct sink_message *list = packer_messages(t.packer, &n);
    for (size_t i = 0; i < n; i++)
        rows += list[i].rows;
    assert_int_equal(rows, 99);
    assert_int_equal(bad, 0); /* it is not the row's fault */
    return true;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    const struct packer_rules rules = {.key = OUTPUT_KEY_SOCKET, .largest = 500};
    for (size_t f = 0; f < COUNT(forms); f++) {
        begin(forms[f]);
        add_rows(1, 100, 20);
        const struct packer_options o = {
            .format = t.format, .columns = is_table(f) ? &two_columns : &all_columns, .hostname = "h"};
        long n = 0;
        do
            allowed = n++;
        while (!pack_without_memory(&o, &rules) || failed);
        assert_true(n > 8);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_message),
        TEST(test_one_envelope),
        TEST(test_nothing),
        TEST(test_empty_messages),
        TEST(test_headers),
        TEST(test_header_behind_unreadable_rows),
        TEST(test_largest),
        TEST(test_longer_than_largest),
        TEST(test_largest_with_header),
        TEST(test_key_hostname),
        TEST(test_key_netns),
        TEST(test_key_socket),
        TEST(test_unreadable),
        TEST(test_no_envelope),
        TEST(test_rest),
        TEST(test_rest_of_foreign_bytes),
        TEST(test_any_rows),
        TEST(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
