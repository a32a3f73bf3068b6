/* NamespaceError, which a stream's poll_end and the status both carry. Included by rpc/ only. */
#ifndef XTCP_RPC_CODEC_MSG_ERROR_H
#define XTCP_RPC_CODEC_MSG_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "rpc/codec/msg_stream.h"

/* Fills |to| with |from|; its texts are |from|'s or in |arena|. */
void msg_error_put(xtcp_flat_record_v1_NamespaceError *to, const struct poll_error *from, upb_Arena *arena);

/* The |n| errors |from| as plain structs in |arena|; NULL when out of memory. */
const struct poll_error *msg_error_get(const xtcp_flat_record_v1_NamespaceError *const *from, size_t n,
                                       upb_Arena *arena);

#endif
