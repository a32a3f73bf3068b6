#include "outputs/sink/resp.h"

#include <string.h>

#include "lib/ascii.h"
#include "lib/err.h"

/* Digits of the largest number of 63 bits. */
#define DIGITS_MAX 18

/* The line at the begin of |in|, without its end, which is CR LF. Returns 1, 0 when it is not complete, or
 * ERR_MALFORMED. */
static int parse_line(const uint8_t *in, size_t n, const char **text, size_t *len)
{
    size_t look = n < RESP_TEXT_MAX + 2 ? n : RESP_TEXT_MAX + 2;
    const uint8_t *cr = memchr(in, '\r', look);
    if (!cr)
        return memchr(in, '\n', look) || n >= RESP_TEXT_MAX + 2 ? ERR_MALFORMED : 0;
    *text = (const char *)in;
    *len = (size_t)(cr - in);
    if (memchr(in, '\n', *len))
        return ERR_MALFORMED;
    if (*len + 1 == n)
        return 0;
    return cr[1] == '\n' ? 1 : ERR_MALFORMED;
}

/* Whether the |len| bytes |text| are a number, with a sign if it is negative. */
static bool parse_number(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    size_t from = negative;
    int64_t value = 0;
    if (len == from || len - from > DIGITS_MAX)
        return false;
    for (size_t i = from; i < len; i++) {
        if (!ascii_is_digit(text[i]))
            return false;
        value = 10 * value + (text[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

/* The text behind the line of a bulk string, which has told its length. */
static int parse_bulk(const uint8_t *in, size_t n, struct resp_answer *a)
{
    if (a->number == -1) {
        a->type = RESP_NULL;
        a->len = 0;
        return 1;
    }
    if (a->number < 0 || a->number > RESP_TEXT_MAX)
        return ERR_MALFORMED;
    size_t from = a->size, len = (size_t)a->number;
    if (n - from < len + 2)
        return 0;
    a->text = (const char *)in + from;
    a->len = len;
    a->size = from + len + 2;
    return memcmp(a->text + len, RESP_END, 2) == 0 ? 1 : ERR_MALFORMED;
}

int resp_parse(const uint8_t *in, size_t n, struct resp_answer *out)
{
    static const char kinds[] = "+-:$"; /* in the order of enum resp_type */
    if (n == 0)
        return 0;
    const char *kind = in[0] ? strchr(kinds, in[0]) : NULL;
    if (!kind)
        return ERR_MALFORMED;
    *out = (struct resp_answer){.type = (enum resp_type)(kind - kinds)};
    int rc = parse_line(in + 1, n - 1, &out->text, &out->len);
    if (rc != 1)
        return rc;
    out->size = 1 + out->len + 2;
    if (out->type != RESP_INTEGER && out->type != RESP_BULK)
        return 1;
    if (!parse_number(out->text, out->len, &out->number))
        return ERR_MALFORMED;
    return out->type == RESP_BULK ? parse_bulk(in, n, out) : 1;
}

bool resp_is_error(const struct resp_answer *a, const char *code)
{
    size_t n = strlen(code);
    return a->type == RESP_ERROR && a->len >= n && memcmp(a->text, code, n) == 0 &&
           (a->len == n || a->text[n] == ' ');
}

void resp_command(struct buf *out, unsigned n)
{
    buf_char(out, '*');
    buf_u64(out, n);
    buf_str(out, RESP_END);
}

void resp_length(struct buf *out, size_t len)
{
    buf_char(out, '$');
    buf_u64(out, len);
    buf_str(out, RESP_END);
}

void resp_argument(struct buf *out, const char *text)
{
    resp_length(out, strlen(text));
    buf_str(out, text);
    buf_str(out, RESP_END);
}
