#include "rpc/codec/msg_error.h"

#include "rpc/codec/msg_fields.h"

#define ERROR_FIELDS(F, M)                                                                                   \
    F(M, TEXT, name) F(M, NUMBER, inode) F(M, NUMBER, cookie) F(M, NUMBER, code) F(M, TEXT, text)
MSG_CODEC(error, struct poll_error, xtcp_flat_record_v1_NamespaceError, ERROR_FIELDS)

bool msg_error_put(void *message, const void *from, upb_Arena *arena)
{
    return error_put(message, from, arena);
}

bool msg_error_get(const void *message, void *to, upb_Arena *arena)
{
    return error_get(message, to, arena);
}

const struct poll_error *msg_error_list(const xtcp_flat_record_v1_NamespaceError *const *from, size_t n,
                                        upb_Arena *arena)
{
    return msg_upb_list(arena, from, n, sizeof(struct poll_error), error_get);
}
