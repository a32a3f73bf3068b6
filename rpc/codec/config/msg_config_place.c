#include "rpc/codec/config/msg_config_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/url.h"
#include "rpc/codec/config/msg_config_internal.h"

/* ---- Kinds ---- */

static bool is_text_list(const ProtobufCFieldDescriptor *f)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_STRING;
}

static enum config_place_kind message_kind(const ProtobufCMessageDescriptor *type)
{
    if (type == &google__protobuf__duration__descriptor)
        return CONFIG_PLACE_DURATION;
    if (type == &xtcp_config__v1__enabled_deserializers__descriptor)
        return CONFIG_PLACE_GROUPS;
    if (type == &xtcp_config__v1__outputs__descriptor)
        return CONFIG_PLACE_OUTPUTS;
    return type->n_fields == 1 && is_text_list(&type->fields[0]) ? CONFIG_PLACE_WRAPPED : CONFIG_PLACE_OTHER;
}

enum config_place_kind config_place_kind(const struct config_place *p)
{
    if (p->f->label == PROTOBUF_C_LABEL_REPEATED)
        return is_text_list(p->f) ? CONFIG_PLACE_LIST : CONFIG_PLACE_OTHER;
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
        return CONFIG_PLACE_NUMBER;
    case PROTOBUF_C_TYPE_BOOL:
        return CONFIG_PLACE_BOOL;
    case PROTOBUF_C_TYPE_STRING:
        return CONFIG_PLACE_TEXT;
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_kind(p->f->descriptor);
    default:
        return CONFIG_PLACE_OTHER;
    }
}

/* ---- The way to a field ---- */

ProtobufCMessage *config_message_new(const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = malloc(type->sizeof_message);
    if (m)
        protobuf_c_message_init(type, m);
    return m;
}

struct config_place config_place_in(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    char *bytes = (char *)(uintptr_t)m; /* the places of a constant message are only read */
    return (struct config_place){.parent = (ProtobufCMessage *)bytes, .f = f, .at = bytes + f->offset};
}

/* The field of |m| whose name is the |n| bytes at |name|. */
static const ProtobufCFieldDescriptor *field_by_name(const ProtobufCMessage *m, const char *name, size_t n)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (strncmp(f->name, name, n) == 0 && !f->name[n])
            return f;
    }
    return NULL;
}

/* |make|: messages on the way that are absent are made. */
static struct config_place walk(const ProtobufCMessage *root, const char *path, bool make)
{
    for (;;) {
        size_t n = strcspn(path, ".");
        const ProtobufCFieldDescriptor *f = field_by_name(root, path, n);
        if (!f)
            return (struct config_place){0};
        struct config_place p = config_place_in(root, f);
        if (!path[n])
            return p;
        ProtobufCMessage **next = p.at;
        if (!*next && make)
            *next = config_message_new(f->descriptor);
        if (!*next)
            return (struct config_place){0};
        root = *next;
        path += n + 1;
    }
}

struct config_place config_place_find(const ProtobufCMessage *root, const char *path)
{
    return walk(root, path, false);
}

struct config_place config_place_make(ProtobufCMessage *root, const char *path)
{
    return walk(root, path, true);
}

struct config_place config_place_list(const struct config_place *p)
{
    if (p->f->type != PROTOBUF_C_TYPE_MESSAGE)
        return *p;
    const ProtobufCMessage *around = *(ProtobufCMessage *const *)p->at;
    return around ? config_place_in(around, &around->descriptor->fields[0]) : (struct config_place){0};
}

size_t *config_place_count(const struct config_place *list)
{
    return (size_t *)((char *)list->parent + list->f->quantifier_offset);
}

/* ---- Values ---- */

bool config_place_absent(const struct config_place *p)
{
    if (p->f->label == PROTOBUF_C_LABEL_REPEATED)
        return *config_place_count(p) == 0;
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return !**(char **)p->at;
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(void **)p->at;
    default:
        return config_place_number(p) == 0;
    }
}

uint64_t config_place_number(const struct config_place *p)
{
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)p->at;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)p->at != 0;
    default:
        return *(const uint32_t *)p->at;
    }
}

void config_place_set_number(const struct config_place *p, uint64_t v)
{
    switch (p->f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)p->at = v;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)p->at = v != 0;
        break;
    default:
        *(uint32_t *)p->at = (uint32_t)v;
    }
}

int config_place_set_text(const struct config_place *p, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *(char **)p->at = copy; /* the old value is the default, a constant */
    return 0;
}

int config_place_set_url(const struct config_place *p, const char *url)
{
    char *safe = url_safe(url);
    if (!safe)
        return -ENOMEM;
    *(char **)p->at = safe;
    return 0;
}

int config_place_set_duration(const struct config_place *p, int64_t ns)
{
    ProtobufCMessage *d = config_message_new(p->f->descriptor);
    if (!d)
        return -ENOMEM;
    config_duration_set((Google__Protobuf__Duration *)d, ns);
    *(ProtobufCMessage **)p->at = d;
    return 0;
}

/* ---- Lists ---- */

struct config_place config_place_make_list(const struct config_place *p)
{
    if (p->f->type == PROTOBUF_C_TYPE_MESSAGE && config_place_absent(p))
        *(ProtobufCMessage **)p->at = config_message_new(p->f->descriptor);
    return config_place_list(p);
}

int config_place_append(const struct config_place *list, void *item)
{
    size_t *count = config_place_count(list);
    void **items = realloc(*(void **)list->at, (*count + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    items[(*count)++] = item;
    *(void ***)list->at = items;
    return 0;
}

int config_place_add_text(const struct config_place *list, const char *item, size_t n)
{
    char *copy = strndup(item, n);
    int rc = copy ? config_place_append(list, copy) : -ENOMEM;
    if (rc < 0)
        free(copy);
    return rc;
}

int config_place_add_group(const struct config_place *list, const char *item, size_t n, bool on)
{
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry *entry =
        (XtcpConfig__V1__EnabledDeserializers__EnabledEntry *)config_message_new(list->f->descriptor);
    char *key = entry ? strndup(item, n) : NULL;
    if (!key || config_place_append(list, entry) < 0) {
        free(key);
        free(entry);
        return -ENOMEM;
    }
    entry->key = key;
    entry->value = on;
    return 0;
}
