/* A bounded walk over the fields of a serialized protobuf message, without decoding their contents. Pure; any
 * thread. */
#ifndef XTCP_LIB_WIRE_H
#define XTCP_LIB_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/varint.h"

/* The position of the walk; set it to the whole message to begin. */
struct wire {
    const uint8_t *at;
    const uint8_t *end;
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;      /* WIRE_VARINT, WIRE_I64, WIRE_I32 */
    const uint8_t *data; /* WIRE_LEN: in place */
    size_t len;          /* of data */
};

static inline struct wire wire_over(const void *message, size_t n)
{
    /* an empty message may be NULL, which nothing can be added to */
    return (struct wire){.at = message, .end = n ? (const uint8_t *)message + n : message};
}

/* The next field in |f|. Returns 1, 0 at the end of the message, ERR_TRUNCATED when it ends inside of a
 * field, or ERR_MALFORMED for a tag that does not exist (field 0, a group, a varint of more than 64 bits). */
int wire_next(struct wire *w, struct wire_field *f);

#endif
