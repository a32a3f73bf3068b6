/* Values of a socket as the kernel described it, in place. */
#include <string.h>
#include <sys/socket.h>

#include "filter/node.h"
#include "record/names.h"
#include "record/record.h"

/* Bound of a congestion control algorithm's name: TCP_CA_NAME_MAX of the kernel's include/net/tcp.h. */
#define NAME_MAX_BYTES 16

struct socket {
    const struct record_source *source;
    const struct record_context *context;
};

static uint64_t load(const uint8_t *at, size_t width)
{
    uint64_t v = 0;
    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&v, at, 2);
        return v;
    case 4:
        memcpy(&v, at, 4);
        return v;
    case 8:
        memcpy(&v, at, 8);
        return v;
    default:
        return 0;
    }
}

static bool get_context(const struct record_context *c, const struct record_field *f, struct filter_value *v)
{
    const char *text;
    if (f->convert == CONVERT_VERSION) {
        v->number = RECORD_SCHEMA_VERSION;
        return true;
    }
    if (!c)
        return false;
    const uint8_t *at = (const uint8_t *)c + f->offset;
    if (f->convert != CONVERT_TEXT) {
        v->number = load(at, f->width);
        return true;
    }
    memcpy(&text, at, sizeof(text));
    v->data = (const uint8_t *)text;
    v->len = text ? strlen(text) : 0;
    return v->len > 0;
}

static uint64_t algorithm(const uint8_t *name, size_t n)
{
    for (uint64_t i = 1; i < RECORD_ALGORITHMS; i++) {
        if (strlen(record_algorithm_names[i]) == n && memcmp(record_algorithm_names[i], name, n) == 0)
            return i;
    }
    return 0;
}

/* A value that is made of a whole part, |len| > 0 bytes. */
static bool get_name(const uint8_t *part, size_t len, const struct record_field *f, struct filter_value *v)
{
    v->data = part;
    v->len = strnlen((const char *)part, len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES);
    if (f->convert == CONVERT_ALGORITHM)
        v->number = algorithm(v->data, v->len);
    return v->len > 0;
}

/* The two fields about the answer as a whole. */
static bool get_answer(const struct socket *s, const struct record_field *f, struct filter_value *v)
{
    groups_t groups = s->context ? s->context->groups : GROUPS_ALL;
    if (f->convert == CONVERT_ATTRIBUTES)
        v->number = record_attributes_sent(s->source, record_attributes(groups));
    else if (groups & GROUP_BIT(GROUP_INFO))
        v->number = s->source->len[PART_INFO];
    return true;
}

bool filter_source_get(const void *arg, const struct record_field *f, struct filter_value *v)
{
    const struct socket *s = arg;
    if (f->from == FROM_ANSWER)
        return get_answer(s, f, v);
    if (f->from < 0)
        return f->from == FROM_CONTEXT && get_context(s->context, f, v);
    const uint8_t *part = s->source->data[f->from];
    size_t len = s->source->len[f->from];
    if (!part || len < (size_t)f->offset + f->width)
        return false;
    const uint8_t *at = part + f->offset;
    switch (f->convert) {
    case CONVERT_INT:
        v->number = load(at, f->width);
        return true;
    case CONVERT_PORT:
        v->number = (uint64_t)(at[0] << 8 | at[1]);
        return true;
    case CONVERT_LOW_NIBBLE:
        v->number = *at & 0x0f;
        return true;
    case CONVERT_HIGH_NIBBLE:
        v->number = *at >> 4;
        return true;
    case CONVERT_BIT_0:
        v->number = *at & 1;
        return true;
    case CONVERT_BITS_1_2:
        v->number = *at >> 1 & 3;
        return true;
    case CONVERT_ADDRESS:
        v->data = at;
        v->len = part[offsetof(struct inet_diag_msg, idiag_family)] == AF_INET ? 4 : 16;
        return true;
    case CONVERT_NAME:
    case CONVERT_ALGORITHM:
        return len > 0 && get_name(part, len, f, v);
    default:
        return false;
    }
}

bool filter_match(const struct filter *f, const struct record_source *s, const struct record_context *c,
                  const struct filter_env *env)
{
    const struct socket socket = {.source = s, .context = c};
    return filter_match_values(f, filter_source_get, &socket, env);
}
