/* A growable byte buffer with a sticky error: write as much as you like, look at |failed| once at the end.
 * Also the one place that writes JSON strings and numbers. One owner at a time. */
#ifndef XTCP_LIB_BUF_H
#define XTCP_LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data; /* NULL while empty */
    size_t len; /* bytes written */
    size_t cap;
    bool fixed;  /* |data| is the caller's and does not grow; longer contents are cut */
    bool failed; /* out of memory, or cut: the contents are incomplete */
};

/* An empty buffer that grows on the heap; end with buf_free. */
void buf_init(struct buf *b);

/* A buffer over the caller's |storage| of |size| bytes. */
void buf_init_fixed(struct buf *b, char *storage, size_t size);

/* Frees the heap memory; |b| is empty and usable again. */
void buf_free(struct buf *b);

/* Forgets the contents and the error, keeps the memory. */
void buf_reset(struct buf *b);

/* Room for |n| more bytes at data + len; returns that place, or NULL (and failed is set). Add to len what was
 * used. */
char *buf_reserve(struct buf *b, size_t n);

/* buf_bytes where there is no room for them. */
void buf_grow_bytes(struct buf *b, const void *data, size_t n);

static inline void buf_bytes(struct buf *b, const void *data, size_t n)
{
    if (n > b->cap - b->len) {
        buf_grow_bytes(b, data, n);
    } else if (n > 0) {
        memcpy(b->data + b->len, data, n);
        b->len += n;
    }
}

static inline void buf_str(struct buf *b, const char *text)
{
    buf_bytes(b, text, strlen(text));
}

static inline void buf_char(struct buf *b, char c)
{
    if (b->len < b->cap)
        b->data[b->len++] = c;
    else
        buf_grow_bytes(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Decimal digits of |v|; several times faster than buf_printf. */
void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);

/* |text| as a JSON string with its quotes. Bytes that are not valid UTF-8 become U+FFFD, so the output is
 * always valid JSON; control characters and all others that utf8_is_hidden knows are escaped, so that nothing
 * in it drives a terminal or shows a reader another text than the real one. */
void buf_json_string(struct buf *b, const char *text, size_t n);

/* The same without the quotes: for a string that is written in pieces, none of which ends inside of a character. */
void buf_json_text(struct buf *b, const char *text, size_t n);

/* |data| in standard base64 with padding, without quotes. */
void buf_base64(struct buf *b, const uint8_t *data, size_t n);

/* Ends the contents with a NUL that does not count and returns them; "" when it failed with nothing in it. */
const char *buf_cstr(struct buf *b);

#endif
