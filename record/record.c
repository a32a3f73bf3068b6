/* The encoder is one straight line of code per field, made from the field table: every offset, width and tag
 * is a constant of the instruction that uses it. A socket has about a hundred fields and the budget is a
 * hundred nanoseconds, which no loop over a table keeps. */
#include "record/record.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/utf8.h"
#include "lib/varint.h"
#include "record/envelope.h"
#include "record/fields.h"
#include "record/names.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are stored as they lie on the wire");

#define INLINE static inline __attribute__((always_inline))

/* Bound of a congestion control algorithm's name: TCP_CA_NAME_MAX of the kernel's include/net/tcp.h. */
#define NAME_MAX_BYTES 16
/* The same on the wire, when each byte of it is replaced. */
#define NAME_MAX_WIRE (NAME_MAX_BYTES * (sizeof(UTF8_REPLACEMENT) - 1))

/* Stores are whole words: up to this much behind the last byte of a row is overwritten with garbage. */
#define STORE_SLACK 16

/* ---- properties of sections, at compile time ---- */

enum {
#define SECTION(id, from, group, title) from_of_##id = (from),
#define RECORD_FIELD(number, name, ...) number_of_##name = (number),
#include "record/fields.def"
};

/* The most bytes that a field of each type takes on the wire: tag (3 bytes up to number 262143), length,
 * value. */
enum {
    wire_max_U32 = 3 + 5,
    wire_max_U64 = 3 + 10,
    wire_max_I64 = 3 + 10,
    wire_max_ENUM = 3 + 5,
    wire_max_BYTES = 3 + 1 + 16,
    wire_max_STRING = 3 + 1 + NAME_MAX_WIRE,
};

#define in_frame_or_nowhere(from) ((from) == FROM_CONTEXT || (from) == FROM_NOTHING)

/* The fields that are not part of a frame, all at their longest. */
enum {
    fields_max = 0
#define RECORD_FIELD(number, name, type, section, ...)                                                       \
    +(in_frame_or_nowhere((int)from_of_##section) ? 0 : (int)wire_max_##type)
#include "record/fields.def"
};

#define ROW_HEADER_MAX 3 /* that tag and the length */
_Static_assert(RECORD_ROW_MAX >=
                   ROW_HEADER_MAX + RECORD_FRAME_HEAD_MAX + RECORD_FRAME_TAIL_MAX + fields_max + STORE_SLACK,
               "the longest row fits");
_Static_assert(RECORD_ROW_MAX < 1 << 14, "the length of a row fits in two bytes");

/* The longest part that has a size: struct tcp_info, as far as we know it. */
#define PART_MAX 280

/* Integers have a width that can be loaded and lie on it, inside of their part. */
#define RECORD_FIELD(number, name, type, section, offset, width, convert, ...)                               \
    _Static_assert(CONVERT_##convert != CONVERT_INT || (width) == 1 || (width) == 2 || (width) == 4 ||       \
                       (width) == 8,                                                                         \
                   #name ": an integer's width");                                                            \
    _Static_assert((int)from_of_##section < 0 || (offset) + (width) <= PART_MAX,                             \
                   #name ": inside of its part");                                                            \
    _Static_assert((int)from_of_##section != PART_INFO || (offset) % (width) == 0, #name ": aligned");       \
    _Static_assert((number) < 1 << 18, #name ": the tag has at most three bytes");
#include "record/fields.def"

/* The offset of the first value of |section| in its part. Folds to a constant. */
INLINE size_t section_begin(enum record_section_id section)
{
    int begin = PART_MAX;
#define RECORD_FIELD(number, name, type, section_, offset, width, ...)                                       \
    if (section == SECTION_##section_ && (int)(offset) < begin)                                              \
        begin = (int)(offset);
#include "record/fields.def"
    return (size_t)begin;
}

/* End of the last value of |section| in its part. Folds to a constant. */
INLINE size_t section_end(enum record_section_id section)
{
    int end = 0;
#define RECORD_FIELD(number, name, type, section_, offset, width, ...)                                       \
    if (section == SECTION_##section_ && (int)((offset) + (width)) > end)                                    \
        end = (int)((offset) + (width));
#include "record/fields.def"
    return (size_t)end;
}

/* ---- the wire format ---- */

INLINE uint8_t *put_bytes(uint8_t *out, const void *data, size_t n)
{
    memcpy(out, data, n);
    return out + n;
}

INLINE void store_u64(uint8_t *out, uint64_t v)
{
    memcpy(out, &v, sizeof(v));
}

/* A tag as it lies on the wire, and its number of bytes. Constants where |number| is. */
INLINE uint32_t tag_word(uint32_t number, enum wire_type type)
{
    uint32_t t = WIRE_TAG(number, type);
    if (t < 1 << 7)
        return t;
    if (t < 1 << 14)
        return (t & 0x7f) | 0x80 | (t >> 7) << 8;
    return (t & 0x7f) | 0x80 | (t >> 7 & 0x7f) << 8 | 0x8000 | (t >> 14) << 16;
}

INLINE unsigned tag_size(uint32_t number)
{
    return number < 1 << 4 ? 1 : number < 1 << 11 ? 2 : 3;
}

/* The varint of |v| < 2^56, or < 2^32 when |width| (a constant) is at most 4, as a word of |*n| <= 8 bytes.
 * No branch on its length: the seven-bit groups are moved apart step by step, then the continuation bits are
 * set below the last. */
INLINE uint64_t varint_word(uint64_t v, size_t width, unsigned *n)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
    unsigned size = (bits * 9 + 64) >> 6;
    uint64_t more = (uint64_t)0x0080808080808080 >> (64 - 8 * size);
    *n = size;
    if (width <= 4) {
        uint32_t low = ((uint32_t)v & 0x3fff) | ((uint32_t)v & 0x0fffc000) << 2;
        low = (low & 0x007f007f) | (low & 0x3f803f80) << 1;
        return low | (v & 0xf0000000) << 4 | more;
    }
    v = (v & 0x000000000fffffff) | (v & 0x00fffffff0000000) << 4;
    v = (v & 0x00003fff00003fff) | (v & 0x0fffc0000fffc000) << 2;
    v = (v & 0x007f007f007f007f) | (v & 0x3f803f803f803f80) << 1;
    return v | more;
}

/* Field |number| with value |v|, which has |width| bytes (a constant); nothing when it is 0. Lengths vary
 * from socket to socket, so the only branch is the one on zero: a mispredicted one costs more than a long
 * varint. */
INLINE uint8_t *put_uint(uint8_t *out, uint32_t number, uint64_t v, size_t width)
{
    const uint64_t tag = tag_word(number, WIRE_VARINT);
    const unsigned n = tag_size(number);
    if (v == 0)
        return out;
    if (width == 1) {
        uint64_t two =
            v >> 7; /* whether the varint has two bytes: then bit 7 of |v| is its continuation bit */
        store_u64(out, tag | (v | two << 8) << (8 * n));
        return out + n + 1 + two;
    }
    if (width == 8 && v >> 56) {
        store_u64(out, tag);
        return varint_put(out + n, v);
    }
    unsigned size;
    uint64_t word = varint_word(v, width, &size);
    store_u64(out, tag | word << (8 * n)); /* 3 + 5 bytes at most of a narrow one */
    if (width == 8)
        store_u64(out + n, word);
    return out + n + size;
}

INLINE uint8_t *put_chunk(uint8_t *out, uint32_t number, const void *data, size_t n)
{
    store_u64(out, tag_word(number, WIRE_LEN));
    out = varint_put(out + tag_size(number), n);
    return put_bytes(out, data, n);
}

/* Copies |n| bytes of |text| to |out|, each byte that is no valid UTF-8 replaced; returns the bytes written,
 * 0 when they would exceed |room|. */
static size_t copy_utf8(uint8_t *out, size_t room, const uint8_t *text, size_t n)
{
    const size_t replacement = sizeof(UTF8_REPLACEMENT) - 1;
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        size_t valid = utf8_length(text + i, n - i);
        size_t put = valid ? valid : replacement;
        if (put > room - used)
            return 0;
        memcpy(out + used, valid ? text + i : (const uint8_t *)UTF8_REPLACEMENT, put);
        used += put;
        i += valid ? valid : 1;
    }
    return used;
}

/* ---- one part of the kernel's answer ---- */

/* A part that can be read up to the end of its section: the kernel's bytes, or a copy filled up with zeros,
 * which are not sent. */
struct view {
    const uint8_t *at;
    size_t len; /* as the kernel sent it */
};

/* Zeroes a value that the end of a part of |len| bytes has cut in two. */
static void clear_cut_field(enum record_section_id section, size_t len, uint8_t *copy)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        if (f->section == section && f->offset < len && len < (size_t)f->offset + f->width)
            memset(copy + f->offset, 0, f->width);
    }
}

/* A copy of |size| bytes of a part that has only |len|. The values of struct tcp_info lie on multiples of
 * their width, and its length is a multiple of 8 on every kernel: then none of them is cut. */
static void complete(enum record_section_id section, const uint8_t *part, size_t len, size_t size,
                     uint8_t *copy)
{
    memcpy(copy, part, len);
    memset(copy + len, 0, size - len);
    if (record_sections[section].from != PART_INFO || len % 8 != 0)
        clear_cut_field(section, len, copy);
}

INLINE uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t v = 0;
    memcpy(&v, at, width);
    return v;
}

/* The conversions of enum record_convert, each for a field |number|. */
#define CONVERSION(name)                                                                                     \
    INLINE uint8_t *put_##name(uint8_t *out, struct view part, uint32_t number, size_t offset, size_t width)

CONVERSION(INT)
{
    return put_uint(out, number, load(part.at + offset, width), width);
}

CONVERSION(PORT)
{
    return put_uint(out, number, __builtin_bswap16((uint16_t)load(part.at + offset, width)), width);
}

CONVERSION(LOW_NIBBLE)
{
    return put_uint(out, number, load(part.at + offset, width) & 0x0f, width);
}

CONVERSION(HIGH_NIBBLE)
{
    return put_uint(out, number, load(part.at + offset, width) >> 4, width);
}

CONVERSION(BIT_0)
{
    return put_uint(out, number, load(part.at + offset, width) & 1, width);
}

CONVERSION(BITS_1_2)
{
    return put_uint(out, number, load(part.at + offset, width) >> 1 & 3, width);
}

CONVERSION(ADDRESS)
{
    if (part.len < offset + width)
        return out;
    size_t n = part.at[offsetof(struct inet_diag_msg, idiag_family)] == AF_INET ? 4 : 16;
    store_u64(out, tag_word(number, WIRE_LEN) | (uint64_t)n << (8 * tag_size(number)));
    out += tag_size(number) + 1;
    memcpy(out, part.at + offset, 16);
    return out + n;
}

/* The first eight bytes of a name as one word, the first byte lowest, zero from its NUL on: names are
 * compared and copied as words. */
INLINE uint64_t name_word(const uint8_t *name, size_t len)
{
    uint64_t word = 0;
    if (len >= 8)
        memcpy(&word, name, 8);
    else if (len >= 4)
        word = load(name, 4) | load(name + len - 4, 4) << (8 * (len - 4));
    else
        for (size_t i = 0; i < len; i++)
            word |= (uint64_t)name[i] << (8 * i);
    /* the lowest byte that is zero has its top bit in |zeros|; bits above it may be set too */
    uint64_t zeros = (word - 0x0101010101010101) & ~word & 0x8080808080808080;
    return zeros ? word & (((zeros & -zeros) >> 7) - 1) : word;
}

INLINE size_t name_length(const uint8_t *name, size_t len)
{
    return strnlen((const char *)name, len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES);
}

static uint8_t *put_long_name(uint8_t *out, uint32_t number, const uint8_t *name, size_t len)
{
    uint8_t text[NAME_MAX_WIRE];
    size_t n = copy_utf8(text, sizeof(text), name, name_length(name, len));
    return n ? put_chunk(out, number, text, n) : out;
}

CONVERSION(NAME)
{
    (void)offset, (void)width;
    uint64_t word = name_word(part.at, part.len);
    if (word >> 56 || word & 0x8080808080808080)
        return put_long_name(out, number, part.at, part.len);
    if (word == 0)
        return out;
    unsigned n = 8 - (unsigned)__builtin_clzll(word) / 8;
    store_u64(out, tag_word(number, WIRE_LEN) | (uint64_t)n << (8 * tag_size(number)));
    out += tag_size(number) + 1;
    store_u64(out, word);
    return out + n;
}

CONVERSION(ALGORITHM)
{
    (void)offset, (void)width;
    uint64_t word = name_word(part.at, part.len);
    if (word >> 56) /* none of them has eight letters */
        return out;
    for (unsigned i = 1; i < RECORD_ALGORITHMS; i++) {
        if (word == load((const uint8_t *)record_algorithm_names[i], 8))
            return put_uint(out, number, i, 1);
    }
    return out;
}

/* The other conversions are of sections that put_section does not take from a part: never reached. */
CONVERSION(TEXT)
{
    (void)part, (void)number, (void)offset, (void)width;
    return out;
}
#define put_VERSION    put_TEXT
#define put_COUNTER    put_TEXT
#define put_NOTHING    put_TEXT
#define put_ATTRIBUTES put_TEXT
#define put_INFO_LEN   put_TEXT

/* The fields of |section|, read from |part|. */
INLINE uint8_t *put_fields(uint8_t *out, enum record_section_id section, struct view part)
{
#define RECORD_FIELD(number, name, type, section_, offset, width, convert, ...)                              \
    if (section == SECTION_##section_)                                                                       \
        out = put_##convert(out, part, number, offset, width);
#include "record/fields.def"
    return out;
}

INLINE uint8_t *put_part(uint8_t *out, enum record_section_id section, enum record_part part,
                         const struct record_source *s)
{
    const size_t size = section_end(section);
    struct view view = {.at = s->data[part], .len = s->len[part]};
    if (view.len <= section_begin(section))
        return out;
    if (view.len >= size)
        return put_fields(out, section, view);
    uint8_t copy[PART_MAX];
    complete(section, view.at, view.len, size, copy);
    view.at = copy;
    return put_fields(out, section, view);
}

/* The two fields of |s| as a whole. Nearly all sockets have attributes with numbers of which the highest is
 * from 21 to 27, and a tcp_info of 128 bytes or more: then the lengths of these two fields are known. */
INLINE uint8_t *put_answer(uint8_t *out, const struct record_frame *f, const struct record_source *s)
{
    const unsigned n = tag_size(number_of_diag_attributes);
    uint32_t sent = record_attributes_sent(s, f->attributes);
    uint32_t info = f->groups & GROUP_BIT(GROUP_INFO) ? s->len[PART_INFO] : 0;
    _Static_assert(number_of_tcp_info_len == number_of_diag_attributes + 1, "they are neighbours");
    if (sent >> 28 == 0 && sent >> 21 && info >> 14 == 0 && info >> 7) {
        uint64_t four = (sent & 0x3fff) | (sent & 0x0fffc000) << 2;
        four = (four & 0x007f007f) | (four & 0x3f803f80) << 1 | 0x00808080;
        uint64_t two = (info & 0x7f) | 0x80 | info >> 7 << 8;
        store_u64(out, tag_word(number_of_diag_attributes, WIRE_VARINT) | four << (8 * n));
        store_u64(out + n + 4, tag_word(number_of_tcp_info_len, WIRE_VARINT) | two << (8 * n));
        return out + n + 4 + n + 2;
    }
    out = put_uint(out, number_of_diag_attributes, sent, sizeof(sent));
    return put_uint(out, number_of_tcp_info_len, info, sizeof(info));
}

/* One section of the record. */
INLINE uint8_t *put_section(uint8_t *out, enum record_section_id section, int from, int group,
                            const struct record_frame *f, const struct record_source *s, uint64_t counter)
{
    if (from == FROM_NOTHING)
        return out;
    if (from == FROM_COUNTER)
        return put_uint(out, number_of_record_counter, counter, sizeof(counter));
    if (from == FROM_CONTEXT)
        return section == SECTION_HEAD ? put_bytes(out, f->head, f->head_len)
                                       : put_bytes(out, f->tail, f->tail_len);
    if (from == FROM_ANSWER)
        return section == SECTION_ANSWER ? put_answer(out, f, s) : out; /* both of its sections at once */
    if (group != GROUP_NONE && !(f->groups & GROUP_BIT(group)))
        return out;
    return put_part(out, section, (enum record_part)from, s);
}

size_t record_encode(const struct record_frame *f, const struct record_source *s, uint64_t counter,
                     uint8_t *out)
{
    uint8_t *const record = out + ROW_HEADER_MAX;
    uint8_t *end = record;
#define SECTION(id, from, group, title) end = put_section(end, SECTION_##id, from, group, f, s, counter);
#define RECORD_FIELD(...)
#include "record/fields.def"

    size_t len = (size_t)(end - record);
    out[0] = ENVELOPE_ROW_TAG;
    if (len >= 0x80) {
        varint_put(out + 1, len);
        return ROW_HEADER_MAX + len;
    }
    out[1] = (uint8_t)len;
    memmove(out + 2, record, len);
    return 2 + len;
}

/* ---- the frame ---- */

/* Appends a field of the context at |*used| of |to|; ERR_LIMIT when it exceeds |room|. */
static int frame_field(const struct record_field *f, const struct record_context *c, uint8_t *to, size_t room,
                       size_t *used)
{
    const uint8_t *at = (const uint8_t *)c + f->offset;
    uint8_t tag[VARINT_MAX * 2];
    if (f->convert != CONVERT_TEXT) {
        uint64_t v = f->convert == CONVERT_VERSION ? RECORD_SCHEMA_VERSION : load(at, f->width);
        uint8_t *end = varint_put(varint_put(tag, WIRE_TAG(f->number, WIRE_VARINT)), v);
        size_t n = v ? (size_t)(end - tag) : 0;
        if (n > room - *used)
            return ERR_LIMIT;
        memcpy(to + *used, tag, n);
        *used += n;
        return 0;
    }
    const char *text;
    memcpy(&text, at, sizeof(text));
    uint8_t clean[RECORD_FRAME_HEAD_MAX];
    if (!text || !*text)
        return 0;
    size_t n = copy_utf8(clean, sizeof(clean), (const uint8_t *)text, strlen(text));
    size_t tag_len = (size_t)(varint_put(varint_put(tag, WIRE_TAG(f->number, WIRE_LEN)), n) - tag);
    if (n == 0 || tag_len + n > room - *used)
        return ERR_LIMIT;
    memcpy(to + *used, tag, tag_len);
    memcpy(to + *used + tag_len, clean, n);
    *used += tag_len + n;
    return 0;
}

uint32_t record_attributes(groups_t groups)
{
    uint32_t told = UINT32_MAX;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct record_section *section = &record_sections[i];
        if (section->from > PART_MSG && section->group != GROUP_NONE && !(groups & GROUP_BIT(section->group)))
            told &= ~(UINT32_C(1) << record_part_attributes[section->from]);
    }
    return told;
}

int record_frame_init(struct record_frame *f, const struct record_context *c)
{
    size_t head = 0;
    size_t tail = 0;
    f->groups = c->groups;
    f->attributes = record_attributes(c->groups);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *field = &record_fields[i];
        int rc = 0;
        if (field->section == SECTION_HEAD)
            rc = frame_field(field, c, f->head, sizeof(f->head), &head);
        else if (field->section == SECTION_TAIL)
            rc = frame_field(field, c, f->tail, sizeof(f->tail), &tail);
        if (rc < 0)
            return rc;
    }
    f->head_len = (uint32_t)head;
    f->tail_len = (uint32_t)tail;
    return 0;
}
