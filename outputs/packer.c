#include "outputs/packer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/wire.h"
#include "record/envelope.h"
#include "record/fields.h"

#define SOCKET_KEY_LEN 32 /* two numbers of 16 hexadecimal digits */

/* A row that was taken, in place. */
struct row {
    const uint8_t *record;
    uint32_t len;
    uint32_t place;     /* among all */
    const uint8_t *key; /* what it is grouped by; NULL: nothing */
    size_t key_len;
    uint64_t netns_cookie; /* with OUTPUT_KEY_SOCKET the key is this and the next, in |socket_keys| */
    uint64_t cookie;
};

/* A message: rows |first| up to |first| + sink_message.rows; its bytes begin at |offset| of |out|. */
struct packed {
    size_t first;
    size_t offset;
};

struct packer {
    struct format_writer *writer;
    const struct format *format;
    char *hostname;
    struct row *rows;
    size_t n_rows, rows_cap;
    char (*socket_keys)[SOCKET_KEY_LEN + 1];
    size_t socket_keys_cap;
    struct sink_message *messages;
    struct packed *packed; /* beside |messages| */
    size_t n_messages, messages_cap;
    struct buf out;     /* the bytes of all messages */
    struct buf scratch; /* an Envelope that is being gathered */
};

/* ---- Life ---- */

/* The columns by which |format| writes; those of a form of serialized records are cut elsewhere, all at once. */
static int make_writer(struct packer *p, const struct packer_options *o)
{
    const struct record_field *fields[FIELD_COUNT];
    size_t n = 0;
    if (o->columns->n && (o->format->flags & FORMAT_COLUMNS) && !o->format->serialized)
        for (; n < o->columns->n && n < FIELD_COUNT; n++)
            fields[n] = record_field_by_name(o->columns->items[n], strlen(o->columns->items[n]));
    return format_writer_new(o->format, n ? fields : NULL, n, &p->writer);
}

int packer_new(const struct packer_options *o, struct packer **out)
{
    struct packer *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->format = o->format;
    p->hostname = strdup(o->hostname);
    buf_init(&p->out);
    buf_init(&p->scratch);
    if (!p->hostname || make_writer(p, o)) {
        packer_free(p);
        return -ENOMEM;
    }
    *out = p;
    return 0;
}

void packer_free(struct packer *p)
{
    if (!p)
        return;
    format_writer_free(p->writer);
    free(p->hostname);
    free(p->rows);
    free(p->socket_keys);
    free(p->messages);
    free(p->packed);
    buf_free(&p->out);
    buf_free(&p->scratch);
    free(p);
}

/* ---- Rows ---- */

static int add_row(struct packer *p, const uint8_t *record, size_t len)
{
    if (p->n_rows == p->rows_cap) {
        size_t cap = p->rows_cap ? 2 * p->rows_cap : 256;
        struct row *rows = realloc(p->rows, cap * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        p->rows = rows;
        p->rows_cap = cap;
    }
    p->rows[p->n_rows] = (struct row){.record = record, .len = (uint32_t)len, .place = (uint32_t)p->n_rows};
    p->n_rows++;
    return 0;
}

int64_t packer_load(struct packer *p, const uint8_t *rows, size_t len)
{
    struct wire w = wire_over(rows, len);
    const uint8_t *record;
    size_t n;
    int rc;
    p->n_rows = 0;
    p->n_messages = 0;
    while ((rc = envelope_next(&w, &record, &n)) > 0) {
        rc = add_row(p, record, n);
        if (rc)
            break;
    }
    return rc < 0 ? rc : (int64_t)p->n_rows;
}

/* ---- Keys ---- */

/* Finds what |row| is grouped by. A record that cannot be read has no key. */
static void find_key(struct row *row, enum output_key key)
{
    struct wire w = wire_over(row->record, row->len);
    struct wire_field f;
    while (wire_next(&w, &f) > 0) {
        if (key == OUTPUT_KEY_NETNS && f.number == record_fields[FIELD_netns].number && f.type == WIRE_LEN) {
            row->key = f.data;
            row->key_len = f.len;
            return;
        }
        if (f.type == WIRE_VARINT && f.number == record_fields[FIELD_netns_cookie].number)
            row->netns_cookie = f.value;
        if (f.type == WIRE_VARINT && f.number == record_fields[FIELD_inet_diag_msg_socket_cookie].number)
            row->cookie = f.value;
    }
}

static int find_socket_keys(struct packer *p)
{
    if (p->n_rows > p->socket_keys_cap) {
        void *keys = realloc(p->socket_keys, p->n_rows * sizeof(*p->socket_keys));
        if (!keys)
            return -ENOMEM;
        p->socket_keys = keys;
        p->socket_keys_cap = p->n_rows;
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        struct row *row = &p->rows[i];
        snprintf(p->socket_keys[i], sizeof(p->socket_keys[i]), "%016" PRIx64 "%016" PRIx64, row->netns_cookie,
                 row->cookie);
        row->key = (const uint8_t *)p->socket_keys[i];
        row->key_len = SOCKET_KEY_LEN;
    }
    return 0;
}

static bool same_key(const struct row *a, const struct row *b)
{
    return a->key_len == b->key_len && (a->key_len == 0 || memcmp(a->key, b->key, a->key_len) == 0);
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->key_len != y->key_len)
        return x->key_len < y->key_len ? -1 : 1;
    int order = x->key_len ? memcmp(x->key, y->key, x->key_len) : 0;
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int by_place(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

/* Gives all rows their keys and puts those of one key together. */
static int group_rows(struct packer *p, enum output_key key)
{
    if (key == OUTPUT_KEY_NONE)
        return 0;
    for (size_t i = 0; i < p->n_rows && key != OUTPUT_KEY_HOSTNAME; i++)
        find_key(&p->rows[i], key);
    if (key == OUTPUT_KEY_SOCKET && find_socket_keys(p))
        return -ENOMEM;
    for (size_t i = 0; i < p->n_rows && key == OUTPUT_KEY_HOSTNAME; i++) {
        p->rows[i].key = (const uint8_t *)p->hostname;
        p->rows[i].key_len = strlen(p->hostname);
    }
    if (key != OUTPUT_KEY_HOSTNAME && p->n_rows)
        qsort(p->rows, p->n_rows, sizeof(*p->rows), by_key);
    return 0;
}

/* ---- Messages ---- */

/* A message that is being made. */
struct making {
    struct packer *p;
    const struct packer_rules *rules;
    size_t first;  /* its first row */
    size_t rows;   /* that are in it */
    size_t offset; /* its place in |out| */
    size_t body;   /* a form of whole Envelopes: bytes of these rows in one */
    uint32_t bad;
};

static int add_message(struct making *m)
{
    struct packer *p = m->p;
    if (p->n_messages == p->messages_cap) {
        size_t cap = p->messages_cap ? 2 * p->messages_cap : 16;
        struct sink_message *messages = realloc(p->messages, cap * sizeof(*messages));
        if (messages)
            p->messages = messages;
        struct packed *packed = messages ? realloc(p->packed, cap * sizeof(*packed)) : NULL;
        if (!packed)
            return -ENOMEM;
        p->packed = packed;
        p->messages_cap = cap;
    }
    const struct row *row = &p->rows[m->first];
    p->packed[p->n_messages] = (struct packed){.first = m->first, .offset = m->offset};
    p->messages[p->n_messages++] = (struct sink_message){
        .len = p->out.len - m->offset,
        .rows = (uint32_t)m->rows,
        .poll_id = m->rules->poll_id,
        .key = row->key,
        .key_len = row->key_len,
        .result = SINK_AGAIN,
    };
    return 0;
}

/* Whether the form takes a whole Envelope at once, as its bytes are. */
static bool takes_envelopes(const struct packer *p)
{
    return p->format->envelope != NULL;
}

static void begin_message(struct making *m, size_t first)
{
    struct packer *p = m->p;
    m->first = first;
    m->rows = 0;
    m->body = 0;
    m->offset = p->out.len;
    format_restart(p->writer);
    format_begin(p->writer, &p->out, m->rules->headers || (m->rules->header && p->n_messages == 0));
}

static int end_message(struct making *m)
{
    struct packer *p = m->p;
    if (takes_envelopes(p)) {
        buf_reset(&p->scratch);
        for (size_t i = 0; i < m->rows; i++)
            envelope_put_row(&p->scratch, p->rows[m->first + i].record, p->rows[m->first + i].len);
        p->format->envelope(&p->out, (const uint8_t *)p->scratch.data, p->scratch.len);
        if (p->scratch.failed)
            return -ENOMEM;
    }
    format_end(p->writer, &p->out);
    return p->out.failed ? -ENOMEM : add_message(m);
}

enum added { ADDED, NO_ROOM, NO_MEMORY, UNREADABLE };

/* Adds |row| if the message may be as long as it is then; a message has one row at least. */
static enum added add_row_to_message(struct making *m, const struct row *row)
{
    struct packer *p = m->p;
    size_t largest = m->rules->largest ? m->rules->largest : SIZE_MAX, before = p->out.len;
    size_t body = m->body + envelope_row_size(row->len), len = varint_size(body) + body;
    if (!takes_envelopes(p)) {
        int rc = format_record(p->writer, &p->out, row->record, row->len);
        if (rc)
            return rc == -ENOMEM ? NO_MEMORY : UNREADABLE;
        len = p->out.len - m->offset + format_end_size(p->writer);
    }
    if (len > largest && m->rows > 0) {
        p->out.len = before;
        return NO_ROOM;
    }
    m->body = body;
    return ADDED;
}

static bool has_other_key(const struct making *m, const struct row *row)
{
    return m->rules->key != OUTPUT_KEY_NONE && !same_key(&m->p->rows[m->first], row);
}

/* Those that cannot be read are left out: the ones behind them move up, so that the rows of a message stand together. */
static int make_messages(struct making *m)
{
    struct packer *p = m->p;
    size_t kept = 0;
    for (size_t i = 0; i < p->n_rows; i++) {
        const struct row row = p->rows[i];
        enum added added = m->rows == 0 || has_other_key(m, &row) ? NO_ROOM : add_row_to_message(m, &row);
        if (added == NO_ROOM) {
            int rc = m->rows ? end_message(m) : 0;
            if (rc)
                return rc;
            begin_message(m, kept);
            added = add_row_to_message(m, &row);
        }
        if (added == NO_MEMORY)
            return -ENOMEM;
        if (added == UNREADABLE) {
            m->bad++;
            if (m->rows == 0)
                p->out.len = m->offset;
            continue;
        }
        p->rows[kept++] = row;
        m->rows++;
    }
    p->n_rows = kept;
    return m->rows ? end_message(m) : 0;
}

int packer_pack(struct packer *p, const struct packer_rules *rules, uint32_t *bad)
{
    struct making m = {.p = p, .rules = rules};
    p->n_messages = 0;
    buf_reset(&p->out);
    int rc = group_rows(p, rules->key);
    if (rc == 0)
        rc = make_messages(&m);
    *bad = m.bad;
    const char *bytes = buf_cstr(&p->out); /* of no message NULL, of whatever length */
    for (size_t i = 0; i < p->n_messages; i++)
        p->messages[i].data = (const uint8_t *)bytes + p->packed[i].offset;
    return rc ? rc : p->out.failed ? -ENOMEM : 0;
}

struct sink_message *packer_messages(struct packer *p, size_t *n)
{
    *n = p->n_messages;
    return p->messages;
}

uint32_t packer_delivered(const struct packer *p, struct buf *rows)
{
    uint32_t n = 0;
    for (size_t i = 0; i < p->n_messages; i++) {
        if (p->messages[i].result != SINK_DONE)
            continue;
        for (uint32_t k = 0; k < p->messages[i].rows; k++, n++)
            envelope_put_row(rows, p->rows[p->packed[i].first + k].record,
                             p->rows[p->packed[i].first + k].len);
    }
    return n;
}

/* Rows whose message is delivered or refused have no place any more. */
static uint32_t mark_rest(struct packer *p)
{
    uint32_t n = 0;
    for (size_t i = 0; i < p->n_messages; i++) {
        bool rest = p->messages[i].result == SINK_AGAIN || p->messages[i].result == SINK_BROKEN;
        for (uint32_t k = 0; rest && k < p->messages[i].rows; k++)
            p->rows[n++] = p->rows[p->packed[i].first + k];
    }
    return n;
}

/* Moves |row| within the Envelope that it is of, to the front of it. It never overwrites what is behind it: rows are in
 * their order, and its head is no longer than it was. Returns its size. */
static size_t move_row(uint8_t *to, const struct row *row)
{
    uint8_t head[ENVELOPE_ROW_HEAD_MAX];
    size_t n = envelope_put_row_head(head, row->len);
    memmove(to + n, row->record, row->len);
    memcpy(to, head, n);
    return n + row->len;
}

uint32_t packer_rest(struct packer *p, struct buf *rows)
{
    uint32_t n = mark_rest(p);
    if (n)
        qsort(p->rows, n, sizeof(*p->rows), by_place);
    rows->len = 0;
    for (uint32_t i = 0; i < n; i++)
        rows->len += move_row((uint8_t *)rows->data + rows->len, &p->rows[i]);
    p->n_rows = 0;
    p->n_messages = 0;
    return n;
}
