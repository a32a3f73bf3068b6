#include "rpc/codec/config/msg_config_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/decimal.h"
#include "lib/duration.h"
#include "lib/nearest.h"
#include "rpc/codec/config/msg_config_draft.h"
#include "rpc/codec/config/msg_config_internal.h"

/* ---- Names ---- */

/* Whether |f| can be told or set by its own name. */
static bool is_key(const struct config_field *f)
{
    return f->kind != CONFIG_FIELD_OPTIONS && f->kind != CONFIG_FIELD_GENERATION;
}

const char *config_key_name(size_t i)
{
    for (size_t k = 0; k < config_field_count; k++) {
        if (is_key(&config_fields[k]) && i-- == 0)
            return config_fields[k].name;
    }
    const struct config_option *option = config_nested_option(i);
    return option ? option->wire : NULL;
}

/* |path| without "options." before it. */
static const char *short_path(const char *path)
{
    size_t n = strlen(CONFIG_NESTED_PREFIX);
    return strncmp(path, CONFIG_NESTED_PREFIX, n) == 0 ? path + n : path;
}

/* The path that equals |key|, with or without "options.", or that of the option called |key|; NULL: none. */
static const char *find_path(const char *key)
{
    const char *path;
    for (size_t i = 0; (path = config_key_name(i)); i++) {
        if (strcmp(path, key) == 0 || strcmp(short_path(path), key) == 0)
            return path;
    }
    const struct config_option *option = config_option_find(key);
    return option ? option->wire : NULL;
}

const char *config_path_of(const char *key, struct err *e)
{
    const char *path = find_path(key);
    if (path)
        return path;
    struct nearest nearest = {.typed = key};
    const struct config_option *option;
    for (size_t i = 0; (path = config_key_name(i)); i++)
        nearest_offer(&nearest, path);
    for (size_t i = 0; (option = config_nested_option(i)); i++)
        nearest_offer(&nearest, option->name);
    char quoted[CONFIG_QUOTE_MAX];
    config_quote(key, quoted);
    if (nearest.name)
        err_set(e, ERR_UNKNOWN, "there is no field \"%s\"; did you mean \"%s\"?", quoted, nearest.name);
    else
        err_set(e, ERR_UNKNOWN, "there is no field \"%s\"", quoted);
    return NULL;
}

/* ---- From text ---- */

static int wrong(const char *path, int code, const char *text, const char *wanted, struct err *e)
{
    char quoted[CONFIG_QUOTE_MAX];
    return err_set(e, code, "%s: value \"%s\" is not %s", path, config_quote(text, quoted), wanted);
}

static int set_number(const struct config_place *p, const char *path, const char *text, bool *zero,
                      struct err *e)
{
    uint64_t max = p->f->type == PROTOBUF_C_TYPE_UINT64 ? UINT64_MAX : UINT32_MAX, v;
    int rc = decimal_parse(text, max, &v);
    if (rc == ERR_RANGE)
        return err_set(e, rc, "%s: value \"%.30s\" is out of range; allowed 0 to %" PRIu64, path, text, max);
    if (rc)
        return wrong(path, ERR_TYPE, text, "a whole number", e);
    config_place_set_number(p, v);
    *zero = v == 0;
    return 0;
}

static int set_bool(const struct config_place *p, const char *path, const char *text, bool *zero,
                    struct err *e)
{
    bool on = strcmp(text, "true") == 0;
    if (!on && strcmp(text, "false") != 0)
        return wrong(path, ERR_TYPE, text, "a switch; allowed true and false", e);
    config_place_set_number(p, on);
    *zero = !on;
    return 0;
}

static int set_duration(const struct config_place *p, const char *path, const char *text, struct err *e)
{
    int64_t ns;
    int rc = duration_parse(text, &ns);
    if (rc < 0)
        return wrong(path, rc == ERR_RANGE ? rc : ERR_TYPE, text, "a duration such as 250ms or 1m30s", e);
    return config_place_set_duration(p, ns);
}

/* The next item of the list at |*at|: its bytes in |*item|, |*n|. */
static bool next_item(const char **at, const char **item, size_t *n)
{
    if (!*at)
        return false;
    *item = *at + strspn(*at, " ");
    size_t len = strcspn(*item, ",");
    *at = (*item)[len] ? *item + len + 1 : NULL;
    while (len && (*item)[len - 1] == ' ')
        len--;
    if (len >= 2 && (**item == '"' || **item == '\'') && (*item)[len - 1] == **item) {
        ++*item;
        len -= 2;
    }
    *n = len;
    return true;
}

/* Takes the brackets off a list: |storage| is what remains, a copy. NULL without memory. */
static char *without_brackets(const char *text)
{
    size_t n = strlen(text);
    bool brackets = n >= 2 && *text == '[' && text[n - 1] == ']';
    return brackets ? strndup(text + 1, n - 2) : strdup(text);
}

static int add_group(const struct config_place *list, const char *item, size_t n)
{
    return config_place_add_group(list, item, n, true);
}

static int set_items(const struct config_place *p, const char *text,
                     int (*add)(const struct config_place *, const char *, size_t))
{
    struct config_place list = config_place_make_list(p);
    char *copy = list.f ? without_brackets(text) : NULL;
    const char *at = copy, *item;
    size_t n;
    int rc = copy ? 0 : -ENOMEM;
    if (copy && !copy[strspn(copy, " ")])
        at = NULL; /* the list is empty */
    while (rc == 0 && next_item(&at, &item, &n))
        rc = add(&list, item, n);
    free(copy);
    return rc;
}

static int set_value(const struct config_place *p, const char *path, const char *text, bool *zero,
                     struct err *e)
{
    int rc;
    switch (config_place_kind(p)) {
    case CONFIG_PLACE_NUMBER:
        return set_number(p, path, text, zero, e);
    case CONFIG_PLACE_BOOL:
        return set_bool(p, path, text, zero, e);
    case CONFIG_PLACE_TEXT:
        *zero = !*text;
        return config_place_set_text(p, text);
    case CONFIG_PLACE_DURATION:
        return set_duration(p, path, text, e);
    case CONFIG_PLACE_LIST:
        rc = set_items(p, text, config_place_add_text);
        *zero = config_place_absent(p);
        return rc;
    case CONFIG_PLACE_WRAPPED:
        return set_items(p, text, config_place_add_text);
    case CONFIG_PLACE_GROUPS:
        return set_items(p, text, add_group);
    case CONFIG_PLACE_OUTPUTS:
        rc = config_set_outputs(p, text, e);
        if (rc && rc != -ENOMEM)
            err_prefix(e, "%s", path);
        return rc;
    case CONFIG_PLACE_OTHER:
        break;
    }
    return err_set(e, ERR_UNSUPPORTED, "%s: cannot be given as KEY=VALUE", path);
}

int config_path_set(ProtobufCMessage *root, const char *path, const char *text, bool *zero, struct err *e)
{
    struct config_place p = config_place_make(root, path);
    *zero = false;
    int rc = p.f ? set_value(&p, path, text, zero, e) : -ENOMEM;
    return rc == -ENOMEM ? err_set(e, rc, "out of memory") : rc;
}

/* ---- To text ---- */

static void print_items(const char *const *items, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i ? "," : "");
        buf_str(out, items[i]);
    }
}

static void print_list(const struct config_place *p, struct buf *out)
{
    struct config_place list = config_place_list(p);
    if (list.f)
        print_items(*(const char *const **)list.at, *config_place_count(&list), out);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of groups in alphabetical order: a map has none. */
static void print_groups(const struct config_place *p, struct buf *out)
{
    struct config_place list = config_place_list(p);
    if (!list.f)
        return;
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry **entries = *(void **)list.at;
    size_t n = 0, count = *config_place_count(&list);
    const char **names = calloc(count ? count : 1, sizeof(*names));
    for (size_t i = 0; names && i < count; i++)
        if (entries[i]->value)
            names[n++] = entries[i]->key;
    if (n)
        qsort(names, n, sizeof(*names), by_text);
    print_items(names, n, out);
    out->failed = out->failed || !names;
    free(names);
}

/* Prints |d|; nothing when it is absent or invalid. */
static void print_duration(const Google__Protobuf__Duration *d, struct buf *out)
{
    char text[DURATION_TEXT_MAX];
    int64_t ns;
    if (!d || config_duration_ns(d, "", &ns, NULL) != 0)
        return;
    duration_format(ns, text);
    buf_str(out, text);
}

void config_path_print(const ProtobufCMessage *root, const char *path, struct buf *out)
{
    struct config_place p = config_place_find(root, path);
    if (!p.f)
        return;
    switch (config_place_kind(&p)) {
    case CONFIG_PLACE_NUMBER:
        buf_u64(out, config_place_number(&p));
        break;
    case CONFIG_PLACE_BOOL:
        buf_str(out, config_place_number(&p) ? "true" : "false");
        break;
    case CONFIG_PLACE_TEXT:
        buf_str(out, *(char **)p.at);
        break;
    case CONFIG_PLACE_DURATION:
        print_duration(*(Google__Protobuf__Duration *const *)p.at, out);
        break;
    case CONFIG_PLACE_LIST:
    case CONFIG_PLACE_WRAPPED:
        print_list(&p, out);
        break;
    case CONFIG_PLACE_GROUPS:
        print_groups(&p, out);
        break;
    case CONFIG_PLACE_OUTPUTS:
        config_print_outputs(&p, out);
        break;
    case CONFIG_PLACE_OTHER:
        break;
    }
}

bool config_path_absent(const ProtobufCMessage *root, const char *path)
{
    struct config_place p = config_place_find(root, path);
    return !p.f || config_place_absent(&p);
}
