#include <errno.h>
#include <google/protobuf/duration.pb-c.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "rpc/codec/json/msg_json.h"

const char *msg_json_name(const char *name, char out[MSG_JSON_NAME_MAX])
{
    size_t n = 0;
    bool upper = false;
    for (; *name && n + 1 < MSG_JSON_NAME_MAX; name++) {
        if (*name != '_')
            out[n++] = upper ? ascii_upper(*name) : *name;
        upper = *name == '_';
    }
    out[n] = '\0';
    return out;
}

bool msg_json_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f)
{
    static const char suffix[] = "Entry";
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    size_t outer = strlen(parent->name), n = strlen(entry->name);
    return entry->n_fields == 2 && strcmp(entry->fields[0].name, "key") == 0 &&
           strcmp(entry->fields[1].name, "value") == 0 && n > outer + sizeof(suffix) &&
           strncmp(entry->name, parent->name, outer) == 0 && entry->name[outer] == '.' &&
           strcmp(entry->name + n - (sizeof(suffix) - 1), suffix) == 0;
}

/* ---- Values ---- */

static void start_line(struct buf *out, unsigned indent)
{
    buf_char(out, '\n');
    for (unsigned i = 0; i < indent; i++)
        buf_str(out, "  ");
}

/* Seconds with 0, 3, 6 or 9 decimals, as the format wants it. */
static void write_duration(const Google__Protobuf__Duration *d, struct buf *out)
{
    uint32_t nanos = d->nanos < 0 ? 0 - (uint32_t)d->nanos : (uint32_t)d->nanos;
    buf_char(out, '"');
    if (d->seconds < 0 || d->nanos < 0)
        buf_char(out, '-');
    buf_u64(out, d->seconds < 0 ? 0 - (uint64_t)d->seconds : (uint64_t)d->seconds);
    if (nanos % 1000000 == 0) {
        if (nanos)
            buf_printf(out, ".%03" PRIu32, nanos / 1000000);
    } else if (nanos % 1000 == 0) {
        buf_printf(out, ".%06" PRIu32, nanos / 1000);
    } else {
        buf_printf(out, ".%09" PRIu32, nanos);
    }
    buf_str(out, "s\"");
}

static int write_message(const ProtobufCMessage *m, struct buf *out, unsigned indent);

static int write_value(ProtobufCType type, const void *at, struct buf *out, unsigned indent)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_i64(out, *(const int32_t *)at);
        return 0;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_u64(out, *(const uint32_t *)at);
        return 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_printf(out, "\"%" PRId64 "\"", *(const int64_t *)at);
        return 0;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_printf(out, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        buf_str(out, *(const protobuf_c_boolean *)at ? "true" : "false");
        return 0;
    case PROTOBUF_C_TYPE_STRING:
        buf_json_string(out, *(char *const *)at, strlen(*(char *const *)at));
        return 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return write_message(*(ProtobufCMessage *const *)at, out, indent);
    default:
        return ERR_UNSUPPORTED;
    }
}

/* ---- Fields ---- */

/* The value of |f| in |m|, at the place where protobuf-c keeps it. */
static const void *value_at(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (const char *)m + f->offset;
}

/* Whether a field that is not repeated has its zero value, which is not written. */
static bool is_zero(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const void *at = value_at(m, f);
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return *(const uint64_t *)at == 0;
    case PROTOBUF_C_TYPE_STRING:
        return !*(char *const *)at || **(char *const *)at == '\0';
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(ProtobufCMessage *const *)at;
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FLOAT:
        return false; /* write_value refuses them */
    default:
        return *(const uint32_t *)at == 0;
    }
}

/* A list in brackets, or a map in braces, of the repeated field |f|. */
static int write_list(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct buf *out,
                      unsigned indent)
{
    bool map = msg_json_is_map(m->descriptor, f);
    size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
    if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
        return ERR_UNSUPPORTED;
    void *const *items = *(void *const *const *)value_at(m, f);
    buf_char(out, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(out, ',');
        start_line(out, indent + 1);
        int rc;
        if (map) {
            const ProtobufCMessage *entry = items[i];
            const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
            if (fields[0].type != PROTOBUF_C_TYPE_STRING)
                return ERR_UNSUPPORTED;
            rc = write_value(PROTOBUF_C_TYPE_STRING, value_at(entry, &fields[0]), out, 0);
            buf_str(out, ": ");
            if (rc == 0)
                rc = write_value(fields[1].type, value_at(entry, &fields[1]), out, indent + 1);
        } else {
            rc = write_value(f->type, &items[i], out, indent + 1);
        }
        if (rc < 0)
            return rc;
    }
    start_line(out, indent);
    buf_char(out, map ? '}' : ']');
    return 0;
}

static int write_message(const ProtobufCMessage *m, struct buf *out, unsigned indent)
{
    if (m->descriptor == &google__protobuf__duration__descriptor) {
        write_duration((const Google__Protobuf__Duration *)m, out);
        return 0;
    }
    bool any = false;
    buf_char(out, '{');
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
        if (repeated ? *(const size_t *)((const char *)m + f->quantifier_offset) == 0 : is_zero(m, f))
            continue;
        char name[MSG_JSON_NAME_MAX];
        if (any)
            buf_char(out, ',');
        start_line(out, indent + 1);
        buf_printf(out, "\"%s\": ", msg_json_name(f->name, name));
        int rc = repeated ? write_list(m, f, out, indent + 1)
                          : write_value(f->type, value_at(m, f), out, indent + 1);
        if (rc < 0)
            return rc;
        any = true;
    }
    if (any)
        start_line(out, indent);
    buf_char(out, '}');
    return 0;
}

int msg_json_write(const ProtobufCMessage *m, struct buf *out)
{
    int rc = write_message(m, out, 0);
    if (rc == 0)
        buf_char(out, '\n');
    return rc == 0 && out->failed ? -ENOMEM : rc;
}
