#include "rpc/codec/msg_empty.h"

#include "lib/wire.h"

int msg_empty_check(const void *data, size_t len, const char *message, struct err *e)
{
    struct wire w = wire_over(data, len);
    struct wire_field field;
    int rc;
    while ((rc = wire_next(&w, &field)) > 0) {
    }
    return rc < 0 ? err_set(e, ERR_MALFORMED, "%s: not a protobuf message", message) : 0;
}
