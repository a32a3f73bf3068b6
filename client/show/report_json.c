#include "client/show/report_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/clock.h"

static void separate(struct json *j)
{
    if (j->comma)
        buf_char(j->out, ',');
    j->comma = true;
}

/* The key as it stands in the output: proto names, or lowerCamelCase of them. */
static void put_key(struct json *j, const char *key, size_t n)
{
    separate(j);
    if (!key)
        return;
    buf_char(j->out, '"');
    for (size_t i = 0; i < n; i++) {
        if (j->canonical && key[i] == '_' && i + 1 < n)
            buf_char(j->out, ascii_upper(key[++i]));
        else
            buf_char(j->out, key[i]);
    }
    buf_str(j->out, "\":");
}

static void key_of(struct json *j, const char *key)
{
    put_key(j, key, key ? strlen(key) : 0);
}

static void begin(struct json *j, const char *key, char bracket)
{
    key_of(j, key);
    buf_char(j->out, bracket);
    j->comma = false;
}

static void end(struct json *j, char bracket)
{
    buf_char(j->out, bracket);
    j->comma = true;
}

void json_object(struct json *j, const char *key)
{
    begin(j, key, '{');
}

void json_object_end(struct json *j)
{
    end(j, '}');
}

void json_array(struct json *j, const char *key)
{
    begin(j, key, '[');
}

void json_array_end(struct json *j)
{
    end(j, ']');
}

bool json_wants_array(const struct json *j, size_t n)
{
    return n || !j->canonical;
}

void json_string(struct json *j, const char *key, const char *value)
{
    if (!value)
        value = "";
    if (j->canonical && key && !*value)
        return;
    key_of(j, key);
    buf_json_string(j->out, value, strlen(value));
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
    if (j->canonical && !value)
        return;
    key_of(j, key);
    if (j->canonical)
        buf_char(j->out, '"');
    buf_u64(j->out, value);
    if (j->canonical)
        buf_char(j->out, '"');
}

void json_u32(struct json *j, const char *key, uint32_t value)
{
    if (j->canonical && !value)
        return;
    key_of(j, key);
    buf_u64(j->out, value);
}

void json_i32(struct json *j, const char *key, int32_t value)
{
    if (j->canonical && !value)
        return;
    key_of(j, key);
    buf_i64(j->out, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    if (j->canonical && !value)
        return;
    key_of(j, key);
    buf_str(j->out, value ? "true" : "false");
}

void json_double(struct json *j, const char *key, double value)
{
    char text[32];
    if (j->canonical && value == 0)
        return;
    key_of(j, key);
    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value) /* the shorter form does not read back */
        snprintf(text, sizeof(text), "%.17g", value);
    buf_str(j->out, isfinite(value) ? text : "null");
}

void json_enum(struct json *j, const char *key, const char *prefix, const char *name, uint32_t value)
{
    if (j->canonical && !value)
        return;
    key_of(j, key);
    if (j->canonical && strcmp(name, "unknown") == 0) { /* a value that this program does not know */
        buf_u64(j->out, value);
        return;
    }
    buf_char(j->out, '"');
    if (j->canonical)
        buf_str(j->out, prefix);
    for (; *name; name++)
        buf_char(j->out, j->canonical ? ascii_upper(*name) : *name);
    buf_char(j->out, '"');
}

void json_time(struct json *j, const char *key, int64_t ns)
{
    if (j->canonical && !ns)
        return;
    key_of(j, key);
    if (j->canonical)
        buf_char(j->out, '"');
    buf_i64(j->out, ns);
    if (j->canonical)
        buf_char(j->out, '"');
    if (j->canonical || !ns)
        return;
    char text[CLOCK_TEXT_MAX];
    clock_format(ns, 9, text);
    put_key(j, key, strlen(key) - strlen("_ns"));
    buf_json_string(j->out, text, strlen(text));
}

void json_strings(struct json *j, const char *key, const char *const *values, size_t n)
{
    if (!json_wants_array(j, n))
        return;
    json_array(j, key);
    for (size_t i = 0; i < n; i++)
        json_string(j, NULL, values[i]);
    json_array_end(j);
}
