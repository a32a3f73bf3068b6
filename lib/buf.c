#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/digits.h"
#include "lib/utf8.h"

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_init_fixed(struct buf *b, char *storage, size_t size)
{
    *b = (struct buf){.data = storage, .cap = size, .fixed = true};
}

void buf_free(struct buf *b)
{
    if (!b->fixed)
        free(b->data);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->data && n <= b->cap - b->len)
        return b->data + b->len;
    size_t need;
    if (b->fixed || b->failed || __builtin_add_overflow(b->len, n, &need)) {
        b->failed = true;
        return NULL;
    }
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, (size_t)2, &cap)) {
            b->failed = true;
            return NULL;
        }
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

void buf_grow_bytes(struct buf *b, const void *data, size_t n)
{
    char *to = buf_reserve(b, n);
    if (!to) {
        if (!b->fixed)
            return;
        n = b->cap - b->len; /* a fixed buffer keeps the beginning */
        to = b->data + b->len;
    }
    memcpy(to, data, n);
    b->len += n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if ((size_t)n < sizeof(small)) {
        buf_bytes(b, small, (size_t)n);
        return;
    }
    char *large = malloc((size_t)n + 1);
    if (!large) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    buf_bytes(b, large, (size_t)n);
    free(large);
}

void buf_u64(struct buf *b, uint64_t v)
{
    char digits[DIGITS_MAX];
    if (b->cap - b->len >= sizeof(digits))
        b->len = (size_t)(digits_put(b->data + b->len, v) - b->data);
    else
        buf_bytes(b, digits, (size_t)(digits_put(digits, v) - digits));
}

void buf_i64(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_char(b, '-');
    buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void put_escape(struct buf *b, const void *text, size_t len)
{
    char escape[UTF8_ESCAPE_MAX];
    buf_bytes(b, escape, utf8_escape(text, len, escape));
}

static void json_escape(struct buf *b, unsigned char c)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *p = short_forms; *p; p += 2) {
        if ((unsigned char)p[0] == c) {
            buf_char(b, '\\');
            buf_char(b, p[1]);
            return;
        }
    }
    put_escape(b, &c, 1);
}

void buf_json_text(struct buf *b, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t plain = i;
        while (plain < n && s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\')
            plain++;
        buf_bytes(b, s + i, plain - i);
        i = plain;
        if (i == n)
            break;
        size_t len = utf8_length(s + i, n - i);
        if (len == 0) {
            buf_str(b, "\xef\xbf\xbd");
            i++;
        } else if (len == 1) {
            json_escape(b, s[i++]);
        } else {
            if (utf8_is_hidden(s + i, len))
                put_escape(b, s + i, len);
            else
                buf_bytes(b, s + i, len);
            i += len;
        }
    }
}

void buf_json_string(struct buf *b, const char *text, size_t n)
{
    buf_char(b, '"');
    buf_json_text(b, text, n);
    buf_char(b, '"');
}

void buf_base64(struct buf *b, const uint8_t *data, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < n)
            v |= data[i + 2];
        char out[4] = {alphabet[v >> 18], alphabet[(v >> 12) & 63], i + 1 < n ? alphabet[(v >> 6) & 63] : '=',
                       i + 2 < n ? alphabet[v & 63] : '='};
        buf_bytes(b, out, 4);
    }
}

const char *buf_cstr(struct buf *b)
{
    if (b->len == b->cap && !buf_reserve(b, 1)) {
        if (b->len == 0)
            return "";
        b->len--;
    }
    b->data[b->len] = '\0';
    return b->data;
}
