/* The forms that records are written in. Pure: bytes in, bytes out.
 *
 * A form is a row of formats[]; a writer is a form with its columns. Where the bytes go is the caller's
 * matter. */
#ifndef XTCP_OUTPUTS_FORMAT_H
#define XTCP_OUTPUTS_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "record/fields.h"
#include "record/text.h"
#include "record/unpack.h"

enum format_flag {
    FORMAT_BINARY = 1 << 0,  /* not for a terminal */
    FORMAT_COLUMNS = 1 << 1, /* can write some of the fields only */
    FORMAT_HEADER = 1 << 2,  /* begins with a line that is no record */
};

/* A field that is written, and what the form made of its name. */
struct format_column {
    const struct record_field *field;
    char *key; /* NULL when the form has no keys */
    size_t key_len;
};

struct format_columns {
    size_t count;
    struct format_column *list;
};

/* One form. begin and envelope may be NULL: there is no header; an envelope is written record by record. */
struct format {
    const char *name;
    const char *doc; /* one line */
    unsigned flags;  /* enum format_flag */
    void (*key)(struct buf *out, const struct record_field *f);
    void (*begin)(const struct format_columns *columns, struct buf *out);
    void (*record)(const struct format_columns *columns, struct buf *out, const record_message *r);
    void (*envelope)(struct buf *out, const uint8_t *bytes, size_t n);
};

/* jsonl, protojson, csv, proto, null. */
extern const struct format *const formats[];
extern const size_t format_count;

/* The form called |name|, or NULL. */
const struct format *format_by_name(const char *name);

struct format_writer;

/* A writer of |f| for the |n| fields |columns| in that order; NULL and 0: all fields in the order of the
 * table. Returns 0 and the writer in |out| (free with format_writer_free), ERR_UNSUPPORTED when |f| has no
 * columns to choose, -ENOMEM. A writer belongs to one thread. */
int format_writer_new(const struct format *f, const struct record_field *const *columns, size_t n,
                      struct format_writer **out);
void format_writer_free(struct format_writer *w);

/* Appends what comes before the first record. */
void format_begin(struct format_writer *w, struct buf *out);

/* Appends one decoded record. */
void format_message(struct format_writer *w, struct buf *out, const record_message *r);

/* Appends one serialized record. Returns 0 or as record_unpack. */
int format_record(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n);

/* Appends the rows of a serialized Envelope. Returns how many, or a negative code (as envelope_next and
 * record_unpack); the rows before the broken one have been appended then. */
int64_t format_envelope(struct format_writer *w, struct buf *out, const uint8_t *bytes, size_t n);

/* For the forms that are JSON: writes the value |v| that field |f| has in |r|. */
typedef void format_put_value(struct buf *out, const record_message *r, const struct record_field *f,
                              const struct record_value *v);

/* Appends the members of an object that has been begun, those of |columns| that are present in |r|, and its
 * end with a newline. */
void format_put_members(const struct format_columns *columns, struct buf *out, const record_message *r,
                        format_put_value *put_value);

/* The forms, for formats[] alone. */
extern const struct format format_jsonl, format_protojson, format_csv, format_proto, format_null;

#endif
