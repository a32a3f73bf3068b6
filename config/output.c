/* One output of the configuration: the table of what every output has, its check, and its text. */
#include "config/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/output_list.h"
#include "config/value.h"
#include "filter/filter.h"
#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/netns_pattern.h"
#include "outputs/format/format.h"
#include "record/fields.h"

#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

const char *const output_on_full_names[OUTPUT_ON_FULLS] = {
    [OUTPUT_DROP_OLDEST] = "drop_oldest", [OUTPUT_DROP_NEWEST] = "drop_newest", [OUTPUT_SPOOL] = "spool"};

static const char *const start_names[OUTPUT_STARTS] = {
    [OUTPUT_OPTIONAL] = "optional", [OUTPUT_REQUIRED] = "required"};

/* ---- Checks of single values; the error follows after the value ---- */

static int check_name(const char *text, struct err *e)
{
    size_t n = 0;
    while (ascii_is_letter(text[n]) || ascii_is_digit(text[n]) || text[n] == '-' || text[n] == '_')
        n++;
    if (n == 0 || text[n])
        return err_set(e, ERR_MALFORMED, "has other characters than letters, digits, - and _");
    return 0;
}

static int check_format(const char *text, struct err *e)
{
    if (format_by_name(text))
        return 0;
    char names[256];
    struct buf list;
    buf_init_fixed(&list, names, sizeof(names));
    for (size_t i = 0; i < format_count; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", formats[i]->name);
    return err_set(e, ERR_UNKNOWN, "is no format (%s)", buf_cstr(&list));
}

static int check_filter(const char *text, struct err *e)
{
    struct filter *f;
    struct filter_error why;
    int rc = filter_parse(text, &f, &why);
    if (rc == -ENOMEM)
        return err_set(e, rc, "cannot be read: out of memory");
    if (rc)
        return err_set(e, ERR_MALFORMED, "is no filter: %s", why.err.text);
    filter_unref(f);
    return 0;
}

static int check_column(const char *item, struct err *e)
{
    if (record_field_by_name(item, strlen(item)))
        return 0;
    return err_set(e, ERR_UNKNOWN, "is no field of records");
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- The table ---- */

#define ROW(name_, member_, type_, ...)                                                                      \
    {                                                                                                        \
        .name = (name_), .type = (type_), .offset = offsetof(struct output_config, member_),                 \
        .wire = (name_), .section = "Outputs", __VA_ARGS__                                                   \
    }

const struct config_option output_options[] = {
    ROW("name", name, CONFIG_STRING, .default_value = "", .max = OUTPUT_NAME_MAX, .metavar = "NAME",
        .help = "Its name in the status, on the log and for xtcp2client.", .check_item = check_name),
    ROW("to", to, CONFIG_STRING, .default_value = "", .max = URL_TEXT_MAX, .metavar = "URL",
        .help = "The destination."),
    ROW("format", format, CONFIG_STRING, .default_value = "", .max = 40, .metavar = "FORMAT",
        .help = "The form of the records; when empty, that of the destination.", .check_item = check_format),
    ROW("filter", filter, CONFIG_STRING, .default_value = "", .max = 4096, .metavar = "EXPRESSION",
        .help = "Which sockets it gets, in the filter language; when empty, all.",
        .check_item = check_filter),
    ROW("columns", columns, CONFIG_LIST, .default_value = "", .max = FIELD_COUNT, .metavar = "FIELD",
        .help = "Which fields of records it gets, and in csv and tsv their order; when empty, all.",
        .check_item = check_column, .same_item = same_text),
    ROW("netns", netns, CONFIG_LIST, .default_value = "", .max = 64, .metavar = "PATTERN",
        .help = "Which namespaces it gets, by patterns as in netns_include; when empty, all.",
        .check_item = netns_pattern_check, .same_item = netns_pattern_same),
    ROW("batch.rows", batch_rows, CONFIG_UINT, .default_value = "10000", .min = 1, .max = 1000000,
        .metavar = "ROWS",
        .help = "A message has at most this many records. A batch ends with its poll at the latest."),
    ROW("batch.bytes", batch_bytes, CONFIG_SIZE, .default_value = "768KiB", .min = 4 * KIB, .max = 8 * MIB,
        .metavar = "BYTES", .help = "A message has at most this many bytes of records, counted as protobuf."),
    ROW("batch.interval", batch_interval, CONFIG_DURATION, .default_value = "0s", .min = 10 * NS_PER_MS,
        .max = 3600 * NS_PER_S, .zero = "the end of the poll", .metavar = "DURATION",
        .help = "A batch is sent after this time, though its poll is not over."),
    ROW("queue", queue, CONFIG_SIZE, .default_value = "32MiB", .min = 256 * KIB, .max = 4 * GIB,
        .metavar = "BYTES", .help = "Memory for records that wait."),
    ROW("on_full", on_full, CONFIG_ENUM, .default_value = "drop_oldest", .metavar = "HOW",
        .help =
            "What happens when they have no room: the oldest or the newest are dropped, or the oldest go to the "
            "spool, on disk.",
        .names = output_on_full_names, .n_names = OUTPUT_ON_FULLS),
    ROW("spool.bytes", spool_bytes, CONFIG_SIZE, .default_value = "1GiB", .min = MIB, .max = 1024 * GIB,
        .metavar = "BYTES", .help = "The size of the spool; the oldest records make room."),
    ROW("spool.age", spool_age, CONFIG_DURATION, .default_value = "0s", .min = NS_PER_S,
        .max = 365 * 86400 * NS_PER_S, .zero = "no bound", .metavar = "DURATION",
        .help = "Older records are dropped from the spool."),
    ROW("start", start, CONFIG_ENUM, .default_value = "optional", .metavar = "HOW",
        .help = "Whether the daemon starts though the destination cannot be reached.", .names = start_names,
        .n_names = OUTPUT_STARTS),
    ROW("options", options, CONFIG_PAIRS, .default_value = "", .max = 64, .metavar = "KEY=VALUE",
        .help = "Options of the destination."),
};
const size_t output_option_count = sizeof(output_options) / sizeof(output_options[0]);

const struct config_option *output_option_find(const char *name)
{
    for (size_t i = 0; i < output_option_count; i++)
        if (strcmp(output_options[i].name, name) == 0)
            return &output_options[i];
    return NULL;
}

void *output_field(const struct config_option *o, struct output_config *c)
{
    return (char *)c + o->offset;
}

static const void *field_of(const struct config_option *o, const struct output_config *c)
{
    return (const char *)c + o->offset;
}

/* ---- Life ---- */

int output_config_init(struct output_config *c)
{
    *c = (struct output_config){0};
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *o = &output_options[i];
        int rc = o->type == CONFIG_STRING ? value_string_set(output_field(o, c), o->default_value)
                                          : value_type(o)->set(o, output_field(o, c), o->default_value, NULL);
        if (rc) {
            output_config_free(c);
            return -ENOMEM;
        }
    }
    return 0;
}

void output_config_free(struct output_config *c)
{
    for (size_t i = 0; i < output_option_count; i++)
        value_clear(&output_options[i], output_field(&output_options[i], c));
}

int output_config_copy(struct output_config *to, const struct output_config *from)
{
    *to = (struct output_config){0};
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *o = &output_options[i];
        if (value_copy(o, output_field(o, to), field_of(o, from))) {
            output_config_free(to);
            return -ENOMEM;
        }
    }
    to->line = from->line;
    return 0;
}

bool output_config_equal(const struct output_config *a, const struct output_config *b)
{
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *o = &output_options[i];
        if (!value_equal(o, field_of(o, a), field_of(o, b)))
            return false;
    }
    return true;
}

bool output_config_has(const struct config_option *o, const struct output_config *c)
{
    struct output_config defaults;
    if (output_config_init(&defaults))
        return true;
    bool has = !value_equal(o, field_of(o, c), field_of(o, &defaults));
    output_config_free(&defaults);
    return has;
}

/* ---- Lists ---- */

const struct output_config *outputs_find(const struct config_outputs *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

void outputs_clear(struct config_outputs *list)
{
    for (size_t i = 0; i < list->n; i++)
        output_config_free(&list->items[i]);
    free(list->items);
    *list = (struct config_outputs){0};
}

struct output_config *outputs_add(struct config_outputs *list)
{
    struct output_config *items = realloc(list->items, (list->n + 1) * sizeof(*items));
    if (!items)
        return NULL;
    list->items = items;
    return output_config_init(&items[list->n]) ? NULL : &items[list->n++];
}

/* ---- Check ---- */

static int check_values(const struct output_config *c, struct err *e)
{
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *o = &output_options[i];
        const struct value_type *type = value_type(o);
        int rc = type->check ? type->check(o, field_of(o, c), e) : 0;
        if (rc) {
            err_prefix(e, "%s", o->name);
            return rc;
        }
    }
    return *c->name ? 0 : err_set(e, ERR_RANGE, "name: is missing");
}

int output_check_url(const struct output_kind *kind, const char *to, struct err *why)
{
    struct url url;
    int rc = url_parse(to, kind->url, &url, why);
    if (rc)
        return rc;
    for (size_t i = 0; i < url.n_hosts && !rc; i++)
        if (url.hosts[i].port == 0 && kind->port == 0)
            rc = err_set(why, ERR_MALFORMED, "has no port");
    if (!rc && (url.user || url.password) && !(kind->flags & OUTPUT_SECRET_URL))
        rc = err_set(why, ERR_UNSUPPORTED, "has a user, which %s does not take", kind->name);
    url_free(&url);
    return rc;
}

static int check_to(const struct output_config *c, const struct output_kind *kind, struct err *e)
{
    struct err why;
    char quoted[VALUE_QUOTED_MAX];
    int rc = output_check_url(kind, c->to, &why);
    if (rc == 0)
        return 0;
    char *safe = url_safe(c->to);
    err_set(e, rc, "to: value \"%s\" %s; such as %s", value_quote(safe ? safe : "", quoted), why.text,
            kind->example);
    free(safe);
    return rc;
}

static int unknown_kind(const struct output_config *c, struct err *e)
{
    char names[256], scheme[32], quoted[VALUE_QUOTED_MAX];
    struct buf list;
    if (!*c->to)
        return err_set(e, ERR_RANGE, "to: is missing");
    buf_init_fixed(&list, names, sizeof(names));
    for (size_t i = 0; i < output_kind_count; i++)
        for (size_t k = 0; k < 3 && output_kinds[i].schemes[k]; k++)
            buf_printf(&list, "%s%s", list.len ? ", " : "", output_kinds[i].schemes[k]);
    url_scheme(c->to, scheme, sizeof(scheme));
    return err_set(e, ERR_UNKNOWN, "to: there is no destination \"%s\"; allowed are %s",
                   value_quote(scheme, quoted), buf_cstr(&list));
}

/* The rules between format and destination. */
static int check_fit(const struct output_config *c, const struct output_kind *kind, struct err *e)
{
    const struct format *f = format_by_name(output_config_format(c, kind));
    if (c->columns.n && !(f->flags & FORMAT_COLUMNS) && !f->envelope)
        return err_set(e, ERR_UNSUPPORTED, "columns: format \"%s\" always has all of them", f->name);
    return 0;
}

const char *output_config_format(const struct output_config *c, const struct output_kind *kind)
{
    return *c->format ? c->format : kind->format;
}

int output_config_check(const struct output_config *c, struct err *e)
{
    int rc = check_values(c, e);
    if (rc)
        return rc;
    const struct output_kind *kind = output_kind_of(c->to);
    if (!kind)
        return unknown_kind(c, e);
    rc = check_to(c, kind, e);
    if (rc == 0)
        rc = check_fit(c, kind, e);
    if (rc)
        return rc;
    void *options = calloc(1, kind->options_size ? kind->options_size : 1);
    if (!options)
        return err_set(e, -ENOMEM, "out of memory");
    rc = output_options_read(kind, c, options, e);
    output_options_free(kind, options);
    free(options);
    return rc;
}

/* ---- Options of a kind ---- */

static const struct config_option *kind_option(const struct output_kind *kind, const char *key, size_t n)
{
    for (size_t i = 0; i < kind->n_options; i++)
        if (strncmp(kind->options[i].name, key, n) == 0 && !kind->options[i].name[n])
            return &kind->options[i];
    return NULL;
}

static int unknown_option(const struct output_kind *kind, const char *key, size_t n, struct err *e)
{
    char names[400], name[64], quoted[VALUE_QUOTED_MAX];
    struct buf list;
    buf_init_fixed(&list, names, sizeof(names));
    for (size_t i = 0; i < kind->n_options; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", kind->options[i].name);
    if (kind->passed)
        buf_printf(&list, ", %s…", kind->passed);
    snprintf(name, sizeof(name), "%.*s", (int)n, key);
    return err_set(e, ERR_UNKNOWN, "options: %s has no option \"%s\"%s%s", kind->name,
                   value_quote(name, quoted), list.len ? "; allowed are " : "", buf_cstr(&list));
}

static int set_option(const struct config_option *o, void *options, const char *value, struct err *e)
{
    void *field = (char *)options + o->offset;
    int rc = value_type(o)->set(o, field, value, e);
    if (rc)
        err_prefix(e, "options: %s", o->name);
    return rc;
}

int output_options_read(const struct output_kind *kind, const struct output_config *c, void *options,
                        struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < kind->n_options && !rc; i++)
        rc = set_option(&kind->options[i], options, kind->options[i].default_value, e);
    for (size_t i = 0; i < c->options.n && !rc; i++) {
        const char *key = c->options.items[i];
        size_t n = strcspn(key, "=");
        const struct config_option *o = kind_option(kind, key, n);
        if (o)
            rc = set_option(o, options, key + n + 1, e);
        else if (!kind->passed || strncmp(key, kind->passed, strlen(kind->passed)) != 0)
            rc = unknown_option(kind, key, n, e);
    }
    return rc;
}

void output_options_free(const struct output_kind *kind, void *options)
{
    for (size_t i = 0; i < kind->n_options; i++)
        value_clear(&kind->options[i], (char *)options + kind->options[i].offset);
}

/* ---- Secrets ---- */

bool output_key_is_secret(const char *key)
{
    static const char *const words[] = {"password", "passphrase", "secret",  "token",
                                        "headers",  "jaas",       "key.pem", "oauthbearer.config"};
    static const char file[] = "_file=";
    const char *end = strchr(key, '=');
    size_t n = end ? (size_t)(end - key) : strlen(key);
    if (end && n >= sizeof(file) - 2 && strncmp(end - (sizeof(file) - 2), file, sizeof(file) - 1) == 0)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *at = strstr(key, words[i]);
        if (at && (size_t)(at - key) + strlen(words[i]) <= n)
            return true;
    }
    return false;
}

/* ---- Text ---- */

static void print_text(struct buf *out, const char *text)
{
    yaml_string(out, text, strlen(text));
}

static void print_strings(struct buf *out, const struct config_strings *list)
{
    buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        buf_str(out, i ? ", " : "");
        print_text(out, list->items[i]);
    }
    buf_char(out, ']');
}

static void print_pairs(struct buf *out, const struct config_strings *list, bool secrets)
{
    buf_char(out, '{');
    for (size_t i = 0; i < list->n; i++) {
        const char *key = list->items[i];
        size_t n = strcspn(key, "=");
        buf_str(out, i ? ", " : "");
        yaml_string(out, key, n);
        buf_str(out, ": ");
        print_text(out, !secrets && output_key_is_secret(key) ? URL_HIDDEN : key + n + 1);
    }
    buf_char(out, '}');
}

static void print_value(struct buf *out, const struct config_option *o, const struct output_config *c,
                        bool secrets)
{
    const void *field = field_of(o, c);
    struct buf text;
    switch (o->type) {
    case CONFIG_LIST:
        print_strings(out, field);
        return;
    case CONFIG_PAIRS:
        print_pairs(out, field, secrets);
        return;
    case CONFIG_STRING:
        buf_init(&text);
        if (secrets || field != (const void *)&c->to)
            buf_str(&text, *(char *const *)field);
        else
            url_print_safe(c->to, &text);
        print_text(out, buf_cstr(&text));
        out->failed |= text.failed;
        buf_free(&text);
        return;
    default:
        value_type(o)->print(o, field, out);
    }
}

/* The key of |o|, with the brace of the mapping that it is in: "batch.rows" and "batch.bytes" become batch: {rows: …,
 * bytes: …}. |*group| is the mapping that is open. */
static void print_key(struct buf *out, const struct config_option *o, const char **group)
{
    size_t n = strcspn(o->name, ".");
    bool nested = o->name[n] == '.';
    bool same = nested && *group && strncmp(*group, o->name, n + 1) == 0;
    if (*group && !same)
        buf_char(out, '}');
    if (out->len && out->data[out->len - 1] != '{')
        buf_str(out, ", ");
    if (nested && !same)
        buf_printf(out, "%.*s: {", (int)n, o->name);
    *group = nested ? o->name : NULL;
    buf_printf(out, "%s: ", nested ? o->name + n + 1 : o->name);
}

void output_config_print(const struct output_config *c, bool secrets, struct buf *out)
{
    struct buf text;
    const char *group = NULL;
    buf_init(&text);
    buf_char(&text, '{');
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *o = &output_options[i];
        if (!output_config_has(o, c))
            continue;
        print_key(&text, o, &group);
        print_value(&text, o, c, secrets);
    }
    buf_str(&text, group ? "}}" : "}");
    buf_str(out, buf_cstr(&text));
    out->failed |= text.failed;
    buf_free(&text);
}
