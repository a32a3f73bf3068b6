/* Texts with backslashes, for forms from which hidden characters can be read back. */
#ifndef XTCP_OUTPUTS_FORMAT_ESCAPE_H
#define XTCP_OUTPUTS_FORMAT_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

/* The way that a form escapes. */
struct escape {
    const char *letters; /* pairs: a character, and the letter that stands behind a backslash for it */
    void (*put_byte)(struct buf *out, uint8_t byte); /* any other byte */
    const char *invalid; /* in a text, for a byte that is not UTF-8; NULL: it is escaped */
};

/* Appends |text| with the characters of |e->letters|, those that are hidden (utf8_is_hidden) and bytes
 * that are not UTF-8 escaped, or |e->invalid| instead of these. */
void escape_text(struct buf *out, const struct escape *e, const void *text, size_t n);

/* Appends |data|, which is no text, with all bytes escaped but the visible ones of ASCII. */
void escape_bytes(struct buf *out, const struct escape *e, const void *data, size_t n);

#endif
