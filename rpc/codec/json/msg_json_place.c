#include "rpc/codec/json/msg_json_place.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "lib/utf8.h"

/* The rest of the text. It is valid JSON; all the same nothing beyond |end| is read. */
struct scan {
    const char *at;
    const char *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
        s->at++;
}

/* Whether |c| comes next, blanks aside; it is passed then. */
static bool take(struct scan *s, char c)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* Passes a string with its quotes. */
static void skip_string(struct scan *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
    if (s->at < s->end)
        s->at++;
}

/* Passes a value, whatever is inside of it. */
static void skip_value(struct scan *s)
{
    size_t depth = 0;
    do {
        skip_blanks(s);
        if (s->at == s->end)
            return;
        switch (*s->at) {
        case '{':
        case '[':
            depth++;
            s->at++;
            break;
        case '}':
        case ']':
            depth--;
            s->at++;
            break;
        case ',':
        case ':':
            s->at++;
            break;
        case '"':
            skip_string(s);
            break;
        default:
            while (s->at < s->end && !strchr(",:{}[]\" \t\r\n", *s->at))
                s->at++;
            if (s->at < s->end && !*s->at)
                return;
        }
    } while (depth);
}

/* Whether the string from |from| to |to|, with its quotes, says |key|. */
static bool says(const char *from, const char *to, const char *key)
{
    size_t n = (size_t)(to - from);
    if (!memchr(from, '\\', n))
        return n == strlen(key) + 2 && memcmp(from + 1, key, n - 2) == 0;
    json_t *decoded = json_loadb(from, n, JSON_DECODE_ANY, NULL);
    bool same = json_is_string(decoded) && strcmp(json_string_value(decoded), key) == 0;
    json_decref(decoded);
    return same;
}

/* Goes to the member |key| of the object at |s|; |*key_at| becomes the place of the key. */
static bool enter_member(struct scan *s, const char *key, const char **key_at)
{
    if (!take(s, '{'))
        return false;
    for (;;) {
        skip_blanks(s);
        if (s->at == s->end || *s->at != '"')
            return false;
        const char *from = s->at;
        skip_string(s);
        bool found = says(from, s->at, key);
        if (!take(s, ':'))
            return false;
        if (found) {
            *key_at = from;
            return true;
        }
        skip_value(s);
        if (!take(s, ','))
            return false;
    }
}

static bool enter_item(struct scan *s, size_t index)
{
    if (!take(s, '['))
        return false;
    for (; index; index--) {
        skip_value(s);
        if (!take(s, ','))
            return false;
    }
    return true;
}

struct msg_json_place msg_json_place(const char *text, size_t len, const struct msg_json_step *steps,
                                     size_t n)
{
    struct scan s = {.at = text, .end = text + len};
    struct msg_json_place place = {.line = 1, .column = 1};
    skip_blanks(&s);
    const char *at = s.at;
    for (size_t i = 0; i < n; i++) {
        bool found = steps[i].key ? enter_member(&s, steps[i].key, &at) : enter_item(&s, steps[i].index);
        if (!found)
            break;
        if (!steps[i].key) {
            skip_blanks(&s);
            at = s.at;
        }
    }
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') {
            place.line++;
            place.column = 1;
        } else if (!utf8_goes_on(*p)) {
            place.column++;
        }
    }
    return place;
}
