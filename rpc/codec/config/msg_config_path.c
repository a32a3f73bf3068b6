#include "rpc/codec/config/msg_config_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/duration.h"
#include "lib/nearest.h"
#include "rpc/codec/config/msg_config_draft.h"
#include "rpc/codec/config/msg_config_int.h"

/* ---- Names ---- */

/* Whether |f| can be told or set by its own name. */
static bool is_key(const struct config_field *f)
{
    return f->kind != CONFIG_FIELD_OPTIONS && f->kind != CONFIG_FIELD_GENERATION;
}

const char *config_key_name(size_t i)
{
    for (size_t k = 0; k < CONFIG_FIELD_COUNT; k++) {
        if (is_key(&config_fields[k]) && i-- == 0)
            return config_fields[k].name;
    }
    return i < CONFIG_OPTION_PATHS ? config_option_paths[i].path : NULL;
}

#define OPTIONS_PREFIX "options."

/* The path that |key| is, with or without "options."; NULL when it is none. */
static const char *find_path(const char *key)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (is_key(&config_fields[i]) && strcmp(config_fields[i].name, key) == 0)
            return config_fields[i].name;
    }
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++) {
        const char *path = config_option_paths[i].path;
        bool nested = strncmp(path, OPTIONS_PREFIX, strlen(OPTIONS_PREFIX)) == 0;
        if (strcmp(path, key) == 0 || (nested && strcmp(path + strlen(OPTIONS_PREFIX), key) == 0))
            return path;
    }
    return NULL;
}

/* The path of the option of xtcp2.yaml called |key|; NULL when there is none. */
static const char *find_option(const char *key)
{
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++) {
        if (strcmp(config_option_paths[i].option, key) == 0)
            return config_option_paths[i].path;
    }
    return NULL;
}

const char *config_path_of(const char *key, struct err *e)
{
    const char *path = find_path(key);
    if (!path)
        path = find_option(key);
    if (path)
        return path;
    struct nearest nearest = {.typed = key};
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (is_key(&config_fields[i]))
            nearest_offer(&nearest, config_fields[i].name);
    }
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++)
        nearest_offer(&nearest, config_option_paths[i].path);
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++)
        nearest_offer(&nearest, config_option_paths[i].option);
    char quoted[CONFIG_QUOTE_MAX];
    config_quote(key, quoted);
    if (nearest.name)
        err_set(e, ERR_UNKNOWN, "there is no field \"%s\"; did you mean \"%s\"?", quoted, nearest.name);
    else
        err_set(e, ERR_UNKNOWN, "there is no field \"%s\"", quoted);
    return NULL;
}

/* ---- The way to a field ---- */

/* A field in the message that has it. */
struct place {
    ProtobufCMessage *parent; /* NULL: a message on the way is absent */
    const ProtobufCFieldDescriptor *f;
    void *at;
};

static ProtobufCMessage *make_message(const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = malloc(type->sizeof_message);
    if (m)
        protobuf_c_message_init(type, m);
    return m;
}

/* Goes down |path|, whose fields exist; |make|: what is absent on the way is made. */
static struct place walk(ProtobufCMessage *root, const char *path, bool make)
{
    struct place p = {.parent = root};
    for (;;) {
        char name[64];
        size_t n = strcspn(path, ".");
        if (n >= sizeof(name))
            return (struct place){0};
        memcpy(name, path, n);
        name[n] = '\0';
        p.f = protobuf_c_message_descriptor_get_field_by_name(p.parent->descriptor, name);
        if (!p.f)
            return (struct place){0};
        p.at = (char *)p.parent + p.f->offset;
        if (!path[n])
            return p;
        ProtobufCMessage **next = p.at;
        if (!*next && make)
            *next = make_message(p.f->descriptor);
        if (!*next)
            return (struct place){.f = NULL};
        p.parent = *next;
        path += n + 1;
    }
}

/* ---- Kinds of fields ---- */

static bool is_duration(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_MESSAGE && f->descriptor == &google__protobuf__duration__descriptor;
}

static bool is_groups(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_MESSAGE &&
           f->descriptor == &xtcp_config__v1__enabled_deserializers__descriptor;
}

static bool is_text_list(const ProtobufCFieldDescriptor *f)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_STRING;
}

/* A message of its own around a list, so that an empty one can be told from an absent one. */
static bool is_wrapped_list(const ProtobufCFieldDescriptor *f)
{
    if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED)
        return false;
    const ProtobufCMessageDescriptor *type = f->descriptor;
    return type->n_fields == 1 && is_text_list(&type->fields[0]);
}

/* The place of the list in the message |m|. */
static struct place list_in(ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *f = &m->descriptor->fields[0];
    return (struct place){.parent = m, .f = f, .at = (char *)m + f->offset};
}

static size_t *count_of(const struct place *p)
{
    return (size_t *)((char *)p->parent + p->f->quantifier_offset);
}

/* ---- From text ---- */

static int wrong(const char *path, int code, const char *text, const char *wanted, struct err *e)
{
    char quoted[CONFIG_QUOTE_MAX];
    return err_set(e, code, "%s: value \"%s\" is not %s", path, config_quote(text, quoted), wanted);
}

static int set_number(const struct place *p, const char *path, const char *text, bool *zero, struct err *e)
{
    bool wide = p->f->type == PROTOBUF_C_TYPE_UINT64;
    uint64_t max = wide ? UINT64_MAX : UINT32_MAX, v = 0;
    if (!*text || text[strspn(text, "0123456789")])
        return wrong(path, ERR_TYPE, text, "a whole number", e);
    for (const char *at = text; *at; at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v) ||
            v > max)
            return err_set(e, ERR_RANGE, "%s: value \"%.30s\" is out of range; allowed 0 to %" PRIu64, path,
                           text, max);
    if (wide)
        *(uint64_t *)p->at = v;
    else
        *(uint32_t *)p->at = (uint32_t)v;
    *zero = v == 0;
    return 0;
}

static int set_bool(const struct place *p, const char *path, const char *text, bool *zero, struct err *e)
{
    bool on = strcmp(text, "true") == 0;
    if (!on && strcmp(text, "false") != 0)
        return wrong(path, ERR_TYPE, text, "a switch; allowed true and false", e);
    *(protobuf_c_boolean *)p->at = on;
    *zero = !on;
    return 0;
}

static int set_text(const struct place *p, const char *text, bool *zero)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *(char **)p->at = copy; /* what was there is a constant: each field is set once */
    *zero = !*text;
    return 0;
}

static int set_duration(const struct place *p, const char *path, const char *text, struct err *e)
{
    int64_t ns;
    int rc = duration_parse(text, &ns);
    if (rc < 0)
        return wrong(path, rc == ERR_RANGE ? rc : ERR_TYPE, text, "a duration such as 250ms or 1m30s", e);
    Google__Protobuf__Duration *d =
        (Google__Protobuf__Duration *)make_message(&google__protobuf__duration__descriptor);
    if (!d)
        return -ENOMEM;
    config_duration_set(d, ns);
    *(Google__Protobuf__Duration **)p->at = d;
    return 0;
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

static int add_text(const struct place *p, const char *item, size_t n)
{
    size_t *count = count_of(p);
    char **items = realloc(*(char ***)p->at, (*count + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    *(char ***)p->at = items;
    items[*count] = strndup(item, n);
    if (!items[*count])
        return -ENOMEM;
    ++*count;
    return 0;
}

static int add_group(const struct place *p, const char *item, size_t n)
{
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry *entry =
        (XtcpConfig__V1__EnabledDeserializers__EnabledEntry *)make_message(
            &xtcp_config__v1__enabled_deserializers__enabled_entry__descriptor);
    char *key = entry ? strndup(item, n) : NULL;
    size_t *count = count_of(p);
    void **items = key ? realloc(*(void ***)p->at, (*count + 1) * sizeof(*items)) : NULL;
    if (items)
        *(void ***)p->at = items;
    if (!items) {
        free(key);
        free(entry);
        return -ENOMEM;
    }
    entry->key = key;
    entry->value = true;
    items[(*count)++] = entry;
    return 0;
}

static int add_items(const struct place *p, const char *text,
                     int (*add)(const struct place *, const char *, size_t))
{
    char *list = without_brackets(text);
    const char *at = list, *item;
    size_t n;
    int rc = list ? 0 : -ENOMEM;
    if (list && !list[strspn(list, " ")])
        at = NULL; /* nothing in it */
    while (rc == 0 && next_item(&at, &item, &n))
        rc = add(p, item, n);
    free(list);
    return rc;
}

/* A list in a message of its own. */
static int set_wrapped(const struct place *p, const char *text,
                       int (*add)(const struct place *, const char *, size_t))
{
    ProtobufCMessage *m = make_message(p->f->descriptor);
    if (!m)
        return -ENOMEM;
    *(ProtobufCMessage **)p->at = m;
    struct place list = list_in(m);
    return add_items(&list, text, add);
}

static int set_value(const struct place *p, const char *path, const char *text, bool *zero, struct err *e)
{
    if (is_duration(p->f))
        return set_duration(p, path, text, e);
    if (is_groups(p->f))
        return set_wrapped(p, text, add_group);
    if (is_wrapped_list(p->f))
        return set_wrapped(p, text, add_text);
    if (is_text_list(p->f)) {
        int rc = add_items(p, text, add_text);
        *zero = *count_of(p) == 0;
        return rc;
    }
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return set_text(p, text, zero);
    case PROTOBUF_C_TYPE_BOOL:
        return set_bool(p, path, text, zero, e);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
        return set_number(p, path, text, zero, e);
    default:
        return err_set(e, ERR_UNSUPPORTED, "%s: cannot be given as KEY=VALUE", path);
    }
}

int config_path_set(ProtobufCMessage *root, const char *path, const char *text, bool *zero, struct err *e)
{
    struct place p = walk(root, path, true);
    *zero = false;
    int rc = p.f ? set_value(&p, path, text, zero, e) : -ENOMEM;
    return rc == -ENOMEM ? err_set(e, rc, "out of memory") : rc;
}

/* ---- To text ---- */

static void print_items(const struct place *p, struct buf *out)
{
    char **items = *(char ***)p->at;
    for (size_t i = 0; i < *count_of(p); i++) {
        buf_str(out, i ? "," : "");
        buf_str(out, items[i]);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of groups in alphabetical order: a map has none. */
static void print_groups(const struct place *p, struct buf *out)
{
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry **entries = *(void **)p->at;
    size_t n = 0, count = *count_of(p);
    const char **names = calloc(count ? count : 1, sizeof(*names));
    for (size_t i = 0; names && i < count; i++)
        if (entries[i]->value)
            names[n++] = entries[i]->key;
    if (n)
        qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i ? "," : "");
        buf_str(out, names[i]);
    }
    out->failed = out->failed || !names;
    free(names);
}

static void print_message(const struct place *p, struct buf *out)
{
    ProtobufCMessage *m = *(ProtobufCMessage **)p->at;
    if (!m)
        return;
    struct place list = list_in(m);
    int64_t ns;
    if (is_duration(p->f)) {
        char text[DURATION_TEXT_MAX];
        if (config_duration_ns((const Google__Protobuf__Duration *)m, "", &ns, NULL) == 0) {
            duration_format(ns, text);
            buf_str(out, text);
        }
    } else if (is_groups(p->f)) {
        print_groups(&list, out);
    } else if (is_wrapped_list(p->f)) {
        print_items(&list, out);
    }
}

/* The place of a field in a message that is only looked at. */
static struct place find(const ProtobufCMessage *root, const char *path)
{
    return walk((ProtobufCMessage *)(uintptr_t)root, path, false);
}

void config_path_print(const ProtobufCMessage *root, const char *path, struct buf *out)
{
    struct place p = find(root, path);
    if (!p.f)
        return;
    if (is_text_list(p.f)) {
        print_items(&p, out);
        return;
    }
    switch (p.f->type) {
    case PROTOBUF_C_TYPE_STRING:
        buf_str(out, *(char **)p.at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_str(out, *(protobuf_c_boolean *)p.at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_UINT32:
        buf_u64(out, *(uint32_t *)p.at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        buf_u64(out, *(uint64_t *)p.at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        print_message(&p, out);
        break;
    default:
        break;
    }
}

bool config_path_absent(const ProtobufCMessage *root, const char *path)
{
    struct place p = find(root, path);
    if (!p.f)
        return true;
    if (p.f->label == PROTOBUF_C_LABEL_REPEATED)
        return *count_of(&p) == 0;
    switch (p.f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return !**(char **)p.at;
    case PROTOBUF_C_TYPE_BOOL:
        return !*(protobuf_c_boolean *)p.at;
    case PROTOBUF_C_TYPE_UINT32:
        return *(uint32_t *)p.at == 0;
    case PROTOBUF_C_TYPE_UINT64:
        return *(uint64_t *)p.at == 0;
    default:
        return !*(void **)p.at;
    }
}
