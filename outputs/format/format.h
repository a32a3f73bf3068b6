/* The forms that records are written in. Pure: bytes in, bytes out.
 *
 * A form is a row of formats[]; a writer is a form with its columns. The caller decides where the bytes
 * go. */
#ifndef XTCP_OUTPUTS_FORMAT_FORMAT_H
#define XTCP_OUTPUTS_FORMAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/buf.h"
#include "record/fields.h"
#include "record/text.h"
#include "record/unpack.h"
#include "record/values.h"

enum format_flag {
    FORMAT_BINARY = 1 << 0,  /* not for a terminal */
    FORMAT_COLUMNS = 1 << 1, /* can write some of the fields only */
    FORMAT_HEADER = 1 << 2,  /* begins with a line that is no record */
    FORMAT_SORTED = 1 << 3, /* columns are in the order of the bytes of their keys, however they are chosen */
};

#define FORMAT_KEY_MAX                                                                                       \
    48 /* bytes of the longest key: the name of a field, and what the form puts around it */

/* A field that is written, and its name in the form: in a place of a fixed size, so that it can be copied whole, without a look
 * at its length. */
struct format_column {
    const struct record_field *field;
    uint8_t index; /* of |field| in record_fields[] */
    uint8_t type;  /* of |field|; it stands here, too, to be at hand */
    uint8_t print;
    uint8_t key_len; /* 0 when the form has no keys */
    char key[FORMAT_KEY_MAX];
};

/* Writes the key of |c| at |at|, where FORMAT_KEY_MAX bytes are overwritten. Returns the place behind it. */
static inline char *format_put_key(char *at, const struct format_column *c)
{
    memcpy(at, c->key, FORMAT_KEY_MAX);
    return at + c->key_len;
}

/* A value beside a record that is no field of it, such as the node that it came from. */
struct format_label {
    const char *name;
    const char *value; /* of the record at hand; NULL: none */
    size_t len;        /* bytes of |value| */
};

#define FORMAT_LABELS_MAX 4

struct format_labels {
    size_t count;
    struct format_label list[FORMAT_LABELS_MAX];
};

/* Everything that is written of a record: labels in front, then fields. */
struct format_columns {
    struct format_labels labels; /* ignored by the forms that have no place for them */
    size_t count;                /* of |list| */
    struct format_column *list;
};

/* One form. These may be NULL: alias (it has one name), key (it has no names of fields), begin (there is no header),
 * between, last and end (nothing), serialized and envelope (records are read and written one by one), and one of record and
 * message: a form is made from the values of a record or, if it is one of protobuf's own, from the decoded message. */
struct format {
    const char *name;
    const char *alias;        /* another name, which it had before */
    const char *doc;          /* one line */
    const char *content_type; /* as HTTP calls what it writes; NULL: bytes, see format_content_type */
    unsigned flags;           /* enum format_flag */
    void (*key)(struct buf *out, const struct record_field *f);
    void (*begin)(const struct format_columns *columns, struct buf *out);
    void (*record)(const struct format_columns *columns, struct buf *out, const struct record_values *v);
    void (*message)(const struct format_columns *columns, struct buf *out, const record_message *r);
    const char *between; /* any two records */
    const char *last;    /* behind the last one, if there is one */
    const char *end;     /* behind everything, also when there is no record */
    void (*serialized)(struct buf *out, const uint8_t *bytes, size_t n); /* a whole record */
    void (*envelope)(struct buf *out, const uint8_t *bytes, size_t n);
};

/* All forms, in the order of formats.def. */
extern const struct format *const formats[];
extern const size_t format_count;

/* The type of what |f| writes, as HTTP calls it. */
const char *format_content_type(const struct format *f);

/* The form whose name or alias is |name|, or NULL. */
const struct format *format_by_name(const char *name);

struct format_writer;

/* A writer of |f| for the |n| fields |columns| in that order; NULL and 0: all fields in the order of the
 * table. Returns 0 and the writer in |out| (free with format_writer_free), ERR_UNSUPPORTED when |f| has no
 * columns to choose, -ENOMEM. A writer belongs to one thread. */
int format_writer_new(const struct format *f, const struct record_field *const *columns, size_t n,
                      struct format_writer **out);
void format_writer_free(struct format_writer *w);

/* Adds the label |name|, which stays the caller's, to all records, behind those added before; for the forms
 * that have a place for labels (the others ignore it). Before format_begin, FORMAT_LABELS_MAX times at
 * most. */
void format_add_label(struct format_writer *w, const char *name);

/* The value of the label |i| for the records to come: |n| bytes, which must stay valid. */
void format_set_label(struct format_writer *w, size_t i, const char *value, size_t n);

/* Appends the text before the first record; |header|: also a line that only titles the columns. */
void format_begin(struct format_writer *w, struct buf *out, bool header);

/* Begins another document: another file, connection or message. */
void format_restart(struct format_writer *w);

/* Bytes that format_end appends behind a record, at most. */
size_t format_end_size(const struct format_writer *w);

/* Appends the text behind the last record. */
void format_end(struct format_writer *w, struct buf *out);

/* Appends one decoded record. */
void format_message(struct format_writer *w, struct buf *out, const record_message *r);

/* Appends a record that is there in both forms: |r| and the |n| |bytes| that it was decoded from. The bytes
 * are used as they came, with fields that this program does not know, if the form and its columns allow
 * that. */
void format_both(struct format_writer *w, struct buf *out, const record_message *r, const uint8_t *bytes,
                 size_t n);

/* Appends one serialized record, as format_both. Returns 0 or as record_unpack. */
int format_record(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n);

/* Appends the rows of a serialized Envelope. Returns how many, or a negative code (as envelope_next and
 * record_unpack); the rows before the broken one have been appended then. */
int64_t format_envelope(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n);

/* Writes the value |v| that field |f| has in a record of |family|. */
typedef void format_put_value(struct buf *out, uint64_t family, const struct record_field *f,
                              const struct record_value *v);

/* Appends those of |columns| that are in |r|: key, value and the text |behind|. |zeros|: also those that the kernel sent
 * as zero, which are not on the wire. */
void format_put_fields(const struct format_columns *columns, struct buf *out, const struct record_values *r,
                       bool zeros, format_put_value *put_value, const char *behind);

/* For the forms that are JSON: the same as members of an object that has been begun, and its end. */
void format_put_members(const struct format_columns *columns, struct buf *out, const struct record_values *r,
                        bool zeros, format_put_value *put_value);

/* The forms, for formats[] alone. */
#define FORMAT(id, name) extern const struct format format_##name;
#include "outputs/format/formats.def"
#undef FORMAT

#endif
