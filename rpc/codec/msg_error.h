/* NamespaceError, which a stream's poll_end, a tick and the status carry. Included by rpc/ only. */
#ifndef XTCP_RPC_CODEC_MSG_ERROR_H
#define XTCP_RPC_CODEC_MSG_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "rpc/codec/msg_stream.h"

/* Fills the NamespaceError |message| with the struct poll_error |from|; its texts are |from|'s or in |arena|. Returns
 * false without memory, or when |message| is NULL for want of it. */
bool msg_error_put(void *message, const void *from, upb_Arena *arena);

/* Fills the struct poll_error |to| with the NamespaceError |message|. Returns false without memory. */
bool msg_error_get(const void *message, void *to, upb_Arena *arena);

/* The |n| errors |from| as plain structs in |arena|; NULL when out of memory. */
const struct poll_error *msg_error_list(const xtcp_flat_record_v1_NamespaceError *const *from, size_t n,
                                        upb_Arena *arena);

#endif
