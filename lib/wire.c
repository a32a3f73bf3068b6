#include "lib/wire.h"

/* A varint at the place of |w|. */
static int take_varint(struct wire *w, uint64_t *v)
{
    size_t left = (size_t)(w->end - w->at);
    size_t n = varint_get(w->at, left, v);
    if (n == 0)
        return left < VARINT_MAX ? ERR_TRUNCATED : ERR_MALFORMED;
    w->at += n;
    return 0;
}

/* |n| <= 8 bytes in little-endian order. */
static int take_fixed(struct wire *w, size_t n, uint64_t *v)
{
    if (n > (size_t)(w->end - w->at))
        return ERR_TRUNCATED;
    *v = 0;
    for (size_t i = 0; i < n; i++)
        *v |= (uint64_t)w->at[i] << (8 * i);
    w->at += n;
    return 0;
}

static int take_data(struct wire *w, struct wire_field *f)
{
    uint64_t len;
    int rc = take_varint(w, &len);
    if (rc < 0)
        return rc;
    if (len > (uint64_t)(w->end - w->at))
        return ERR_TRUNCATED;
    f->data = w->at;
    f->len = (size_t)len;
    w->at += len;
    return 0;
}

int wire_next(struct wire *w, struct wire_field *f)
{
    if (w->at == w->end)
        return 0;
    uint64_t tag;
    int rc = take_varint(w, &tag);
    if (rc < 0)
        return rc;
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        return ERR_MALFORMED;
    *f = (struct wire_field){.number = (uint32_t)(tag >> 3), .type = (enum wire_type)(tag & 7)};
    switch (f->type) {
    case WIRE_VARINT:
        rc = take_varint(w, &f->value);
        break;
    case WIRE_I64:
        rc = take_fixed(w, 8, &f->value);
        break;
    case WIRE_LEN:
        rc = take_data(w, f);
        break;
    case WIRE_I32:
        rc = take_fixed(w, 4, &f->value);
        break;
    default:
        return ERR_MALFORMED;
    }
    return rc < 0 ? rc : 1;
}
