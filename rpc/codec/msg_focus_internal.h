/* The interface between the two files of the focus codec. */
#ifndef XTCP_RPC_CODEC_MSG_FOCUS_INTERNAL_H
#define XTCP_RPC_CODEC_MSG_FOCUS_INTERNAL_H

#include <upb/upb.h>
#include <xtcp_focus/v1/xtcp_focus.upb.h>

#include "rpc/codec/msg_focus.h"

/* Fills |to|, whose texts and addresses are |from|'s or in |arena|. */
void focus_socket_put(xtcp_focus_v1_SocketId *to, const struct focus_socket *from, upb_Arena *arena);

/* Reads |from|; the text is in |arena|. Returns 0, ERR_RANGE with |e| naming the field of |what|, -ENOMEM. */
int focus_socket_get(const xtcp_focus_v1_SocketId *from, struct focus_socket *to, upb_Arena *arena,
                     const char *what, struct err *e);

#endif
