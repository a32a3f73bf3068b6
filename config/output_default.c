/* The output called "default", which the options dest, marshal, topic and those beside them make: what the Go daemon's
 * options of these names do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/output_list.h"
#include "config/value.h"
#include "lib/ascii.h"
#include "lib/duration.h"
#include "outputs/format/format.h"
#include "record/fields.h"

/* Names of formats that mean something of their own here. */
static const struct marshal {
    const char *name, *format;
} marshals[] = {
    {"protobufList", "protobuf-list"},
    {"protoJson", "protojson-envelope"},
    {"protoText", "prototext"},
    {"jsonl", "protojson"}, /* a line of protojson for each record, not our jsonl */
};

/* The format that |marshal| means, or NULL. */
static const char *format_of(const char *marshal)
{
    for (size_t i = 0; i < sizeof(marshals) / sizeof(marshals[0]); i++)
        if (strcmp(marshals[i].name, marshal) == 0)
            return marshals[i].format;
    const struct format *f = format_by_name(marshal);
    return f ? f->name : NULL;
}

static bool is_null(const char *dest)
{
    return strcmp(dest, "null") == 0 || strcmp(dest, "null:") == 0;
}

int output_check_dest(const char *text, struct err *e)
{
    const struct output_kind *kind = output_kind_of(text);
    if (!kind)
        return err_set(e, ERR_UNKNOWN,
                       "is no destination (such as null, stdout, file:/var/log/xtcp2/x, kafka:broker:9092)");
    return output_check_url(kind, text, e);
}

int output_check_marshal(const char *text, struct err *e)
{
    if (format_of(text))
        return 0;
    return err_set(
        e, ERR_UNKNOWN,
        "is no format (protobufList, protoJson, protoText, msgpack, jsonl, csv, tsv, humanize, and those of "
        "docs/outputs.md)");
}

int output_check_codec(const char *text, struct err *e)
{
    static const char *const names[] = {"auto", "none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], text) == 0)
            return 0;
    return err_set(e, ERR_UNKNOWN, "is unknown (auto, none, gzip, snappy, lz4, zstd)");
}

/* ---- Columns ---- */

/* The field that is called |name|, |n| bytes, in the spelling of the .proto or of JSON: tcp_info_rtt or tcpInfoRtt. */
static const struct record_field *field_by_name(const char *name, size_t n)
{
    char snake[128];
    size_t len = 0;
    for (size_t i = 0; i < n && len + 2 < sizeof(snake); i++) {
        if (ascii_is_upper(name[i]))
            snake[len++] = '_';
        snake[len++] = ascii_lower(name[i]);
    }
    return record_field_by_name(snake, len);
}

/* Gives each name of |text| to |list| (NULL: only looks at them). Returns 0, ERR_UNKNOWN with |e|, or -ENOMEM. */
static int add_columns(const char *text, struct config_strings *list, struct err *e)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        const struct record_field *f = field_by_name(text, n);
        if (!f)
            return err_set(e, ERR_UNKNOWN, "has \"%.*s\", which is no field of records", n < 60 ? (int)n : 60,
                           text);
        if (list && strings_add(list, f->name))
            return err_set(e, -ENOMEM, "out of memory");
        text += n + (text[n] == ',');
    }
    return 0;
}

int output_check_csv_columns(const char *text, struct err *e)
{
    return add_columns(text, NULL, e);
}

/* ---- The output ---- */

static bool has_option(const struct output_kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->n_options; i++)
        if (strcmp(kind->options[i].name, name) == 0)
            return true;
    return false;
}

/* Sets the option |name| of the destination where it has one and |value| is not empty. */
static int set_option(struct output_config *out, const struct output_kind *kind, const char *name,
                      const char *value, struct err *e)
{
    if (!*value || !has_option(kind, name))
        return 0;
    return value_add_pair(output_option_find("options"), &out->options, name, value, e);
}

/* Whether the destination |to| has a path, which says what |topic| would. */
static bool names_topic(const char *to, const struct output_kind *kind)
{
    struct url url;
    if (kind->url != URL_NET || !has_option(kind, "topic") || url_parse(to, kind->url, &url, NULL))
        return false;
    bool names = url.path[0] == '/' && url.path[1];
    url_free(&url);
    return names;
}

static int set_options(const struct config *c, struct output_config *out, const struct output_kind *kind,
                       struct err *e)
{
    char timeout[DURATION_TEXT_MAX] = "";
    if (c->kafka_produce_timeout)
        duration_format(c->kafka_produce_timeout, timeout);
    int rc = names_topic(c->dest, kind)
                 ? 0
                 : set_option(out, kind, has_option(kind, "channel") ? "channel" : "topic", c->topic, e);
    if (rc == 0)
        rc = set_option(out, kind, "compression", c->kafka_compression, e);
    return rc ? rc : set_option(out, kind, "timeout", timeout, e);
}

static int fill(const struct config *c, struct output_config *out, const struct output_kind *kind,
                struct err *e)
{
    const char *format = format_of(c->marshal);
    if (!format)
        return output_check_marshal(c->marshal, e);
    if (value_string_set(&out->name, OUTPUT_DEFAULT) || value_string_set(&out->to, c->dest) ||
        value_string_set(&out->format, format))
        return err_set(e, -ENOMEM, "out of memory");
    if (c->envelope_flush_rows)
        out->batch_rows = c->envelope_flush_rows;
    if (c->envelope_flush_bytes)
        out->batch_bytes = c->envelope_flush_bytes;
    bool table = strcmp(format, "csv") == 0 || strcmp(format, "tsv") == 0;
    int rc = table ? add_columns(c->csv_columns, &out->columns, e) : 0;
    return rc ? rc : set_options(c, out, kind, e);
}

bool output_config_default(const struct config *c, struct output_config *out, int *rc, struct err *e)
{
    *rc = 0;
    const struct output_kind *kind = output_kind_of(c->dest);
    if (is_null(c->dest) || !kind)
        return false;
    *rc = output_config_init(out);
    if (*rc)
        return err_set(e, *rc, "out of memory") == 0;
    *rc = fill(c, out, kind, e);
    if (*rc == 0)
        *rc = output_config_check(out, e);
    if (*rc == 0)
        return true;
    output_config_free(out);
    return false;
}
