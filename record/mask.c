#include "record/mask.h"

#include <string.h>

#include "lib/nearest.h"
#include "lib/wire.h"

static void add_number(struct record_mask *m, uint32_t number)
{
    m->numbers[number / 64] |= UINT64_C(1) << number % 64;
    m->last = number > m->last ? number : m->last;
}

void record_mask_add_whole(struct record_mask *m, const struct record_field *f)
{
    add_number(m, f->number);
    if (f->from >= 0)
        add_number(m, record_fields[FIELD_diag_attributes].number);
    if (f->from == PART_INFO)
        add_number(m, record_fields[FIELD_tcp_info_len].number);
}

int record_mask_add(struct record_mask *m, const char *name, struct err *e)
{
    const struct record_field *f = record_field_by_name(name, strlen(name));
    if (!f) {
        struct nearest nearest = {.typed = name};
        for (size_t i = 0; i < FIELD_COUNT; i++)
            nearest_offer(&nearest, record_fields[i].name);
        return err_set(e, ERR_UNKNOWN, "'%s' is no field of a record%s%s%s", name,
                       nearest.name ? "; did you mean " : "", nearest.name ? nearest.name : "",
                       nearest.name ? "?" : "");
    }
    if (f->number >= RECORD_MASK_NUMBERS)
        return err_set(e, ERR_UNSUPPORTED, "'%s' cannot be asked for", name);
    add_number(m, f->number);
    return 0;
}

bool record_mask_equal(const struct record_mask *a, const struct record_mask *b)
{
    return memcmp(a->numbers, b->numbers, sizeof(a->numbers)) == 0;
}

/* Finds the message in a row: behind the tag, which is one byte, and the length. */
static int64_t find_record(const uint8_t *row, size_t n, const uint8_t **record, size_t *len)
{
    uint64_t size;
    if (n < 2)
        return ERR_TRUNCATED;
    size_t used = varint_get(row + 1, n - 1, &size);
    if (used == 0)
        return n - 1 < VARINT_MAX ? ERR_TRUNCATED : ERR_MALFORMED;
    if (size > n - 1 - used)
        return ERR_TRUNCATED;
    *record = row + 1 + used;
    *len = (size_t)size;
    return 0;
}

/* Skips the field at the place of |w| and tells its number. As wire_next, to which it leaves all but the
 * short fields that most are: the value is not decoded. */
static inline int skip_field(struct wire *w, uint32_t *number)
{
    const uint8_t *at = w->at;
    if (w->end - at >= 10) { /* two bytes of tag, eight of a value */
        uint32_t tag = at[0] < 0x80 ? at[0] : (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
        bool fits = at[0] < 0x80 || at[1] < 0x80;
        at += 1 + (at[0] >= 0x80);
        uint64_t value;
        memcpy(&value, at, sizeof(value));
        uint64_t ends = ~value & UINT64_C(0x8080808080808080); /* of a varint: its last byte's highest bit */
        if ((tag & 7) == WIRE_VARINT && ends)
            at += __builtin_ctzll(ends) / 8 + 1;
        else if ((tag & 7) == WIRE_LEN && *at < 0x80 && *at < w->end - at)
            at += 1 + *at;
        else
            fits = false;
        if (fits && tag >> 3) {
            w->at = at;
            *number = tag >> 3;
            return 1;
        }
    }
    struct wire_field f;
    int rc = wire_next(w, &f);
    if (rc > 0)
        *number = f.number;
    return rc;
}

/* Copies the fields of |record| that stay to |out|, neighbours together. */
static int64_t cut_record(const struct record_mask *m, const uint8_t *record, size_t len, uint8_t *out)
{
    struct wire w = wire_over(record, len);
    const uint8_t *begin = record; /* of fields that stay and are not copied yet */
    uint8_t *to = out;
    int rc = 1;
    while (rc > 0) {
        const uint8_t *at = w.at;
        uint32_t number = 0;
        rc = skip_field(&w, &number);
        if (rc > 0 && record_mask_has(m, number))
            continue;
        memcpy(to, begin, (size_t)(at - begin));
        to += at - begin;
        begin = w.at;
        if (rc > 0 && number > m->last)
            break;
    }
    return rc < 0 ? rc : to - out;
}

int64_t record_mask_row(const struct record_mask *m, const uint8_t *row, size_t *n, uint8_t *out)
{
    const uint8_t *record;
    size_t len;
    int64_t rc = find_record(row, *n, &record, &len);
    if (rc < 0)
        return rc;
    size_t head = (size_t)(record - row);
    int64_t kept = cut_record(m, record, len, out + head); /* its length takes no more bytes than |len| */
    if (kept < 0)
        return kept;
    out[0] = row[0];
    uint8_t *at = varint_put(out + 1, (uint64_t)kept);
    memmove(at, out + head, (size_t)kept);
    *n = head + len;
    return at - out + kept;
}

/* ---- Batches ---- */

static bool has_row(const uint64_t *rows, uint32_t i)
{
    return !rows || (rows[i / 64] >> i % 64 & 1);
}

static uint32_t row_end(const struct batch *b, uint32_t i)
{
    return i + 1 < b->rows ? b->index[i + 1].offset : b->len;
}

/* Puts row |i| of |b| behind the others of |to|. */
static bool take_row(struct batch *to, const struct batch *b, uint32_t i, const struct record_mask *m)
{
    const uint8_t *row = b->bytes + b->index[i].offset;
    size_t n = row_end(b, i) - b->index[i].offset;
    to->index[to->rows] = b->index[i];
    to->index[to->rows].offset = to->len;
    to->rows++;
    int64_t used = (int64_t)n;
    if (m)
        used = record_mask_row(m, row, &n, to->bytes + to->len);
    else
        memcpy(to->bytes + to->len, row, n);
    if (used < 0)
        return false;
    to->len += (uint32_t)used;
    return true;
}

struct batch *batch_cut(const struct batch *b, const uint64_t *rows, const struct record_mask *m)
{
    struct batch *to = batch_new(b->pool);
    if (!to)
        return NULL;
    to->poll_id = b->poll_id;
    to->netns_cookie = b->netns_cookie;
    to->netns_id = b->netns_id;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (has_row(rows, i) && !take_row(to, b, i, m)) {
            batch_unref(to);
            return NULL;
        }
    }
    return batch_seal(to);
}
