#include "record/values.h"

#include <string.h>

#include "lib/wire.h"
#include "record/envelope.h"

/* ---- Zeros ---- */

bool record_sends(uint32_t attributes, uint32_t info_len, const struct record_field *f)
{
    if (f->from < 0 || attributes == 0)
        return false;
    if (f->from == PART_MSG)
        return true;
    if (!record_part_attributes[f->from] || !(attributes >> record_part_attributes[f->from] & 1))
        return false;
    return f->from != PART_INFO || (uint32_t)f->offset + f->width <= info_len;
}

static void find_sent(struct record_sent *s, uint32_t attributes, uint32_t info_len)
{
    *s = (struct record_sent){.attributes = attributes, .info_len = info_len};
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (record_is_number(&record_fields[i]) && record_sends(attributes, info_len, &record_fields[i]))
            record_set_add(&s->numbers, i);
}

/* The numbers that were sent in an answer as this one. */
static const struct record_set *sent_numbers(struct record_values *v, uint32_t attributes, uint32_t info_len)
{
    for (unsigned i = 0; i < RECORD_SENT_KINDS; i++)
        if (v->sent[i].attributes == attributes && v->sent[i].info_len == info_len)
            return &v->sent[i].numbers;
    struct record_sent *s = &v->sent[v->next++ % RECORD_SENT_KINDS];
    find_sent(s, attributes, info_len);
    return &s->numbers;
}

void record_values_find_zeros(struct record_values *v)
{
    const struct record_set *sent = sent_numbers(v, (uint32_t)record_values_number(v, FIELD_diag_attributes),
                                                 (uint32_t)record_values_number(v, FIELD_tcp_info_len));
    for (unsigned i = 0; i < RECORD_SET_WORDS; i++) {
        uint64_t zeros = sent->words[i] & ~v->in_record.words[i];
        v->present.words[i] = v->in_record.words[i] | zeros;
        for (; zeros; zeros &= zeros - 1)
            v->slots[64 * i + (unsigned)__builtin_ctzll(zeros)].number = 0;
    }
}

/* ---- The walk ---- */

/* The meaning of a number in a tag. */
struct place {
    uint8_t index; /* of the field in record_fields[] */
    uint8_t type;  /* enum record_type */
    uint8_t wire;  /* 1 + enum wire_type of its values; NO_FIELD: there is no such field */
};
#define NO_FIELD 0 /* in the gaps between the fields */

enum {
    wire_U32 = 1 + WIRE_VARINT,
    wire_U64 = 1 + WIRE_VARINT,
    wire_I64 = 1 + WIRE_VARINT,
    wire_ENUM = 1 + WIRE_VARINT,
    wire_STRING = 1 + WIRE_LEN,
    wire_BYTES = 1 + WIRE_LEN,
};

static const struct place places[] = {
#define RECORD_FIELD(number, name, type, ...) [number] = {FIELD_##name, TYPE_##type, wire_##type},
#include "record/fields.def"
};
_Static_assert(FIELD_COUNT <= UINT8_MAX, "an index fits in a byte");

#define TAG_BYTES    3 /* of the highest numbers that there are */
#define LENGTH_BYTES 3 /* of RECORD_UNPACK_MAX */
#define FAST_BYTES   (TAG_BYTES + 8)

/* The functions of the walk are made twice: |fast|, a constant, for a place where FAST_BYTES are left, which are read without
 * looking for the end, and for the last fields. */
#define INLINE static inline __attribute__((always_inline))

/* Nearly all tags of a record are as long as the one before: the branches on the length come as no surprise. */
INLINE bool take_tag(struct wire *w, uint32_t *tag, bool fast)
{
    const uint8_t *at = w->at;
    if (!fast) {
        uint64_t v = 0;
        size_t n = varint_get(at, (size_t)(w->end - at), &v);
        *tag = (uint32_t)v;
        w->at += n;
        return n > 0 && n <= TAG_BYTES;
    }
    if (at[0] < 0x80) {
        *tag = at[0];
        w->at += 1;
        return true;
    }
    if (at[1] < 0x80) {
        *tag = (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
        w->at += 2;
        return true;
    }
    *tag = (at[0] & 0x7fu) | (at[1] & 0x7fu) << 7 | (uint32_t)at[2] << 14;
    w->at += 3;
    return at[2] < 0x80;
}

INLINE bool take_varint(struct wire *w, uint64_t *v, bool fast)
{
    size_t n = fast ? varint_get_short(w->at, v) : 0;
    if (n == 0)
        n = varint_get(w->at, (size_t)(w->end - w->at), v);
    w->at += n;
    return n != 0;
}

INLINE bool take_bytes(struct wire *w, const uint8_t **data, size_t *n, bool fast)
{
    const uint8_t *begin = w->at;
    uint64_t len;
    if (!take_varint(w, &len, fast) || w->at - begin > LENGTH_BYTES || len > (uint64_t)(w->end - w->at))
        return false;
    *data = w->at;
    *n = (size_t)len;
    w->at += len;
    return true;
}

/* Of a repeated field the last value counts, also if that is zero. */
INLINE void set(struct record_values *v, unsigned i, bool in_record)
{
    if (in_record)
        record_set_add(&v->in_record, i);
    else
        record_set_remove(&v->in_record, i);
}

/* |number| as a value of |type|: protobuf cuts off what is too wide for it. */
INLINE uint64_t narrow(uint64_t number, enum record_type type)
{
    if (number <= INT32_MAX)
        return number;
    return type == TYPE_U32 ? (uint32_t)number : type == TYPE_ENUM ? (uint64_t)(int32_t)number : number;
}

INLINE bool take_number(struct record_values *v, struct wire *w, struct place p, bool fast)
{
    uint64_t number;
    if (!take_varint(w, &number, fast))
        return false;
    number = narrow(number, p.type);
    v->slots[p.index].number = number;
    set(v, p.index, number != 0);
    return true;
}

INLINE bool take_text(struct record_values *v, struct wire *w, struct place p, bool fast)
{
    const uint8_t *data;
    size_t len;
    if (!take_bytes(w, &data, &len, fast))
        return false;
    if (p.type == TYPE_STRING)
        len = strnlen((const char *)data, len);
    v->slots[p.index] = (struct record_slot){.data = data, .len = len};
    set(v, p.index, len != 0);
    return true;
}

static bool skip(struct wire *w, size_t n)
{
    if (n > (size_t)(w->end - w->at))
        return false;
    w->at += n;
    return true;
}

/* A value of a field that has no place. */
static bool skip_value(struct wire *w, enum wire_type type)
{
    const uint8_t *data;
    uint64_t number;
    size_t len;
    switch (type) {
    case WIRE_VARINT:
        return take_varint(w, &number, false);
    case WIRE_LEN:
        return take_bytes(w, &data, &len, false);
    case WIRE_I64:
        return skip(w, 8);
    case WIRE_I32:
        return skip(w, 4);
    default:
        return false;
    }
}

INLINE bool take_field(struct record_values *v, struct wire *w, bool fast)
{
    uint32_t tag;
    if (!take_tag(w, &tag, fast))
        return false;
    const uint32_t number = tag >> 3;
    const enum wire_type type = (enum wire_type)(tag & 7);
    struct place p = {.wire = NO_FIELD};
    if (number < sizeof(places) / sizeof(places[0]))
        p = places[number];
    if (p.wire != 1 + type)
        return p.wire == NO_FIELD && number != 0 && skip_value(w, type);
    return type == WIRE_VARINT ? take_number(v, w, p, fast) : take_text(v, w, p, fast);
}

bool record_values_read(struct record_values *v, const uint8_t *bytes, size_t n)
{
    struct wire w = wire_over(bytes, n);
    bool ok = n <= RECORD_UNPACK_MAX;
    v->in_record = (struct record_set){0};
    while (ok && w.end - w.at >= FAST_BYTES)
        ok = take_field(v, &w, true);
    while (ok && w.at < w.end)
        ok = take_field(v, &w, false);
    if (ok)
        record_values_find_zeros(v);
    return ok;
}
