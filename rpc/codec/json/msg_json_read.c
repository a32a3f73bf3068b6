#include <errno.h>
#include <google/protobuf/duration.pb-c.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nearest.h"
#include "lib/utf8.h"
#include "rpc/codec/json/msg_json.h"
#include "rpc/codec/json/msg_json_place.h"

#define PATH_TEXT_MAX 256
#define STEPS_MAX     16 /* deeper than any message of ours */

/* A document that is being read. */
struct json_reader {
    const char *name;
    const char *text; /* the document */
    size_t len;
    struct msg_json_step steps[STEPS_MAX]; /* to the value at hand */
    size_t n_steps;
    char path[PATH_TEXT_MAX]; /* of the value at hand: "options.log.level"; empty: the document */
    size_t path_len;
    struct err *e;
};

/* Makes the path one level deeper: |key|, which must live until path_pop, or the text of |index| when it is
 * an item of a list. Returns the length before, for path_pop. */
static size_t path_push(struct json_reader *r, const char *key, const size_t *index)
{
    size_t before = r->path_len;
    if (r->n_steps < STEPS_MAX)
        r->steps[r->n_steps] = (struct msg_json_step){.key = index ? NULL : key, .index = index ? *index : 0};
    r->n_steps++;
    struct buf b;
    buf_init_fixed(&b, r->path, sizeof(r->path) - 1);
    b.len = before;
    if (before > 0)
        buf_char(&b, '.');
    buf_str(&b, key);
    for (size_t i = before; i < b.len; i++) {
        if ((unsigned char)r->path[i] < 0x20 || r->path[i] == 0x7f)
            r->path[i] = '?'; /* a map's key can hold anything; an error is one line */
    }
    r->path[b.len] = '\0';
    r->path_len = b.len;
    return before;
}

static void path_pop(struct json_reader *r, size_t before)
{
    r->path_len = before;
    r->path[before] = '\0';
    r->n_steps--;
}

/* An error at the current path, or at its member |key| (NULL: none). */
static int fail_at(struct json_reader *r, int code, const char *key, const char *what)
{
    struct msg_json_step steps[STEPS_MAX + 1];
    size_t n = r->n_steps < STEPS_MAX ? r->n_steps : STEPS_MAX;
    memcpy(steps, r->steps, n * sizeof(*steps));
    if (key && r->n_steps <= STEPS_MAX)
        steps[n++] = (struct msg_json_step){.key = key};
    struct msg_json_place place = msg_json_place(r->text, r->len, steps, n);
    return err_set(r->e, code, "%s:%zu:%zu: %s%s%s", r->name, place.line, place.column, r->path,
                   r->path_len ? ": " : "", what);
}

static int fail(struct json_reader *r, int code, const char *what)
{
    return fail_at(r, code, NULL, what);
}

static const char *type_name(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a bool";
    }
}

static int wrong_type(struct json_reader *r, const json_t *json, const char *wanted)
{
    char text[128];
    snprintf(text, sizeof(text), "must be %s, not %s", wanted, type_name(json));
    return fail(r, ERR_TYPE, text);
}

/* ---- Integers ---- */

struct integer {
    bool negative;
    uint64_t magnitude;
};

/* Decimal digits with an optional minus, and nothing else. */
static bool integer_of_text(const char *text, struct integer *out)
{
    out->negative = *text == '-';
    text += out->negative;
    if (!*text)
        return false;
    for (out->magnitude = 0; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(out->magnitude, 10, &out->magnitude) ||
            __builtin_add_overflow(out->magnitude, (uint64_t)(*text - '0'), &out->magnitude))
            return false;
    }
    return true;
}

/* A number, a number without a fraction written with one (1.0, 1e3), or a string of digits. */
static bool integer_of_json(const json_t *json, struct integer *out)
{
    if (json_is_string(json))
        return integer_of_text(json_string_value(json), out);
    if (json_is_integer(json)) {
        json_int_t v = json_integer_value(json);
        *out = (struct integer){.negative = v < 0, .magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v};
        return true;
    }
    double v = json_is_real(json) ? fabs(json_real_value(json)) : 0.5;
    if (v != floor(v) || v >= 0x1p64)
        return false;
    *out = (struct integer){.negative = json_real_value(json) < 0, .magnitude = (uint64_t)v};
    return true;
}

static int read_integer(struct json_reader *r, ProtobufCType type, const json_t *json, void *at)
{
    bool wide = type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_SINT64 ||
                type == PROTOBUF_C_TYPE_SFIXED64 || type == PROTOBUF_C_TYPE_UINT64 ||
                type == PROTOBUF_C_TYPE_FIXED64;
    bool natural = type == PROTOBUF_C_TYPE_UINT32 || type == PROTOBUF_C_TYPE_FIXED32 ||
                   type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64;
    uint64_t max = natural ? (wide ? UINT64_MAX : UINT32_MAX) : (wide ? INT64_MAX : INT32_MAX);
    struct integer v;
    if (!json_is_number(json) && !json_is_string(json))
        return wrong_type(r, json, "a whole number");
    if (!integer_of_json(json, &v))
        return fail(r, ERR_TYPE, "must be a whole number that fits in 64 bits");
    if (v.magnitude == 0)
        v.negative = false;
    if ((natural && v.negative) || v.magnitude > max + (v.negative ? 1 : 0)) {
        char text[96];
        snprintf(text, sizeof(text), "out of range; allowed %s%" PRIu64 " to %" PRIu64, natural ? "" : "-",
                 natural ? 0 : max + 1, max);
        return fail(r, ERR_RANGE, text);
    }
    uint64_t bits = v.negative ? 0 - v.magnitude : v.magnitude;
    if (wide)
        memcpy(at, &bits, sizeof(bits));
    else
        *(uint32_t *)at = (uint32_t)bits;
    return 0;
}

/* ---- Durations ---- */

#define DURATION_SECONDS_MAX 315576000000ULL /* of google/protobuf/duration.proto */

/* "1.5s": seconds with at most nine decimals. */
static bool duration_of_text(const char *text, Google__Protobuf__Duration *d)
{
    bool negative = *text == '-';
    text += negative;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12)
        return false;
    uint64_t seconds = 0;
    for (; digits > 0; digits--)
        seconds = seconds * 10 + (uint64_t)(*text++ - '0');
    uint32_t nanos = 0;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        if (digits == 0 || digits > 9)
            return false;
        for (size_t i = 0; i < 9; i++)
            nanos = nanos * 10 + (i < digits ? (uint32_t)(text[i] - '0') : 0);
        text += digits;
    }
    if (strcmp(text, "s") != 0 || seconds > DURATION_SECONDS_MAX ||
        (seconds == DURATION_SECONDS_MAX && nanos > 0))
        return false;
    d->seconds = negative ? -(int64_t)seconds : (int64_t)seconds;
    d->nanos = negative ? -(int32_t)nanos : (int32_t)nanos;
    return true;
}

static int read_duration(struct json_reader *r, const json_t *json, Google__Protobuf__Duration *d)
{
    if (!json_is_string(json))
        return wrong_type(r, json, "a duration such as \"1.5s\"");
    if (!duration_of_text(json_string_value(json), d))
        return fail(r, ERR_TYPE, "must be a duration in seconds such as \"1.5s\"");
    return 0;
}

/* ---- Values ---- */

static int fill_message(struct json_reader *r, const json_t *json, ProtobufCMessage *m);

/* Makes a message of the type |type| with the values in |json|. */
static int read_message(struct json_reader *r, const ProtobufCMessageDescriptor *type, const json_t *json,
                        ProtobufCMessage **out)
{
    ProtobufCMessage *m = malloc(type->sizeof_message);
    if (!m)
        return -ENOMEM;
    protobuf_c_message_init(type, m);
    int rc = type == &google__protobuf__duration__descriptor
                 ? read_duration(r, json, (Google__Protobuf__Duration *)m)
                 : fill_message(r, json, m);
    if (rc < 0) {
        protobuf_c_message_free_unpacked(m, NULL);
        return rc;
    }
    *out = m;
    return 0;
}

static int read_value(struct json_reader *r, const ProtobufCFieldDescriptor *f, const json_t *json, void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(json))
            return wrong_type(r, json, "true or false");
        *(protobuf_c_boolean *)at = json_is_true(json);
        return 0;
    case PROTOBUF_C_TYPE_STRING: {
        if (!json_is_string(json))
            return wrong_type(r, json, "a string");
        char *copy = strdup(json_string_value(json));
        if (!copy)
            return -ENOMEM;
        *(char **)at = copy;
        return 0;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, f->descriptor, json, at);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
        return fail(r, ERR_UNSUPPORTED, "a field of this type cannot be read");
    default:
        return read_integer(r, f->type, json, at);
    }
}

/* ---- Lists and maps ---- */

/* Room for |n| pointers in the repeated field |f| of |m|; none of them counts yet. */
static void **new_list(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t n, size_t **count)
{
    void **items = calloc(n, sizeof(*items));
    *(void ***)((char *)m + f->offset) = items;
    *count = (size_t *)((char *)m + f->quantifier_offset);
    return items;
}

static int read_list(struct json_reader *r, const ProtobufCFieldDescriptor *f, const json_t *json,
                     ProtobufCMessage *m)
{
    if (!json_is_array(json))
        return wrong_type(r, json, "a list");
    if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
        return fail(r, ERR_UNSUPPORTED, "a list of this type cannot be read");
    size_t n = json_array_size(json), *count;
    if (n == 0)
        return 0;
    void **items = new_list(m, f, n, &count);
    int rc = items ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        char index[24];
        snprintf(index, sizeof(index), "%zu", i);
        size_t before = path_push(r, index, &i);
        rc = read_value(r, f, json_array_get(json, i), &items[i]);
        path_pop(r, before);
        if (rc == 0)
            ++*count;
    }
    return rc;
}

/* One entry of a map: a message with a key and a value. */
static int read_entry(struct json_reader *r, const ProtobufCMessageDescriptor *type, const char *key,
                      const json_t *value, void **out)
{
    ProtobufCMessage *entry = malloc(type->sizeof_message);
    char *copy = strdup(key);
    if (!entry || !copy) {
        free(entry);
        free(copy);
        return -ENOMEM;
    }
    protobuf_c_message_init(type, entry);
    *(char **)((char *)entry + type->fields[0].offset) = copy;
    int rc = read_value(r, &type->fields[1], value, (char *)entry + type->fields[1].offset);
    if (rc < 0) {
        protobuf_c_message_free_unpacked(entry, NULL);
        return rc;
    }
    *out = entry;
    return 0;
}

static int read_map(struct json_reader *r, const ProtobufCFieldDescriptor *f, json_t *json,
                    ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *type = f->descriptor;
    if (!json_is_object(json))
        return wrong_type(r, json, "an object");
    if (type->fields[0].type != PROTOBUF_C_TYPE_STRING)
        return fail(r, ERR_UNSUPPORTED, "a map with keys of this type cannot be read");
    size_t n = json_object_size(json), *count;
    if (n == 0)
        return 0;
    void **items = new_list(m, f, n, &count);
    if (!items)
        return -ENOMEM;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        size_t before = path_push(r, key, NULL);
        int rc = read_entry(r, type, key, value, &items[*count]);
        path_pop(r, before);
        if (rc < 0)
            return rc;
        ++*count;
    }
    return 0;
}

/* ---- Objects ---- */

static int unknown_field(struct json_reader *r, const ProtobufCMessageDescriptor *type, const char *key)
{
    char name[MSG_JSON_NAME_MAX], quoted[NEAREST_NAME_MAX * 3 + 1], text[NEAREST_NAME_MAX * 6];
    const char *nearest = NULL;
    size_t n = strlen(key);
    size_t most = n / 3 + 1; /* farther than that is another word */
    for (unsigned i = 0; i < type->n_fields; i++) {
        const char *candidate = type->fields[i].name;
        msg_json_name(candidate, name);
        size_t d = nearest_distance(key, n, candidate, strlen(candidate), most);
        size_t by_json_name = nearest_distance(key, n, name, strlen(name), most);
        if (by_json_name < d)
            d = by_json_name;
        if (d <= most) {
            most = d - (d > 0);
            nearest = candidate;
        }
    }
    struct buf b;
    buf_init_fixed(&b, quoted, sizeof(quoted) - 1);
    buf_json_string(&b, key, strnlen(key, NEAREST_NAME_MAX));
    quoted[b.len] = '\0';
    if (nearest)
        snprintf(text, sizeof(text), "unknown field %s; did you mean \"%s\"?", quoted,
                 msg_json_name(nearest, name));
    else
        snprintf(text, sizeof(text), "unknown field %s", quoted);
    return fail_at(r, ERR_UNKNOWN, key, text);
}

/* The field called |key|, in either form of its name. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, const char *key)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        char name[MSG_JSON_NAME_MAX];
        if (strcmp(type->fields[i].name, key) == 0 ||
            strcmp(msg_json_name(type->fields[i].name, name), key) == 0)
            return &type->fields[i];
    }
    return NULL;
}

/* Whether |json| has |f| under the other form of its name, too. */
static bool given_twice(const json_t *json, const ProtobufCFieldDescriptor *f)
{
    char name[MSG_JSON_NAME_MAX];
    return strcmp(f->name, msg_json_name(f->name, name)) != 0 && json_object_get(json, f->name) &&
           json_object_get(json, name);
}

static int fill_field(struct json_reader *r, const ProtobufCFieldDescriptor *f, json_t *value,
                      ProtobufCMessage *m)
{
    if (msg_json_is_map(m->descriptor, f))
        return read_map(r, f, value, m);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(r, f, value, m);
    return read_value(r, f, value, (char *)m + f->offset);
}

static int fill_message(struct json_reader *r, const json_t *json, ProtobufCMessage *m)
{
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return wrong_type(r, json, "an object");
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const ProtobufCFieldDescriptor *f = find_field(m->descriptor, key);
        if (!f)
            return unknown_field(r, m->descriptor, key);
        size_t before = path_push(r, key, NULL);
        int rc = 0;
        if (given_twice(json, f))
            rc = fail(r, ERR_DUPLICATE, "given under both forms of its name");
        else if (!json_is_null(value))
            rc = fill_field(r, f, value, m);
        path_pop(r, before);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- The document ---- */

static int syntax_error(const char *name, json_error_t *error, struct err *e)
{
    enum json_error_code code = json_error_code(error);
    if (code == json_error_out_of_memory)
        return err_set(e, -ENOMEM, "%s: out of memory", name);
    for (char *p = error->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    return err_set(e, code == json_error_duplicate_key ? ERR_DUPLICATE : ERR_MALFORMED, "%s:%d:%d: %s", name,
                   error->line, error->column, error->text);
}

int msg_json_read(const ProtobufCMessageDescriptor *type, const char *text, size_t len, const char *name,
                  ProtobufCMessage **out, struct err *e)
{
    struct json_reader r = {.name = name, .text = text ? text : "", .len = len, .e = e};
    json_error_t error;
    *out = NULL;
    json_t *json = json_loadb(r.text, len, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return syntax_error(name, &error, e);
    int rc = read_message(&r, type, json, out);
    json_decref(json);
    return rc == -ENOMEM ? err_set(e, rc, "%s: out of memory", name) : rc;
}
