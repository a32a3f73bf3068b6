/* Messages that several others carry, or that are written in one file and read in another: both ways. Included by
 * rpc/ only.
 *
 * msg_TYPE_put fills a message from the plain struct |from|, whose texts it refers to unless they are in |arena|; it
 * returns false without memory, also when |message| is NULL for want of it. msg_TYPE_get fills the plain struct |to|,
 * which is all zero; texts and lists are in |arena|, never NULL. It returns false without memory. */
#ifndef XTCP_RPC_CODEC_MSG_PARTS_H
#define XTCP_RPC_CODEC_MSG_PARTS_H

#include <stdbool.h>
#include <upb/upb.h>

/* struct poll_error: NamespaceError, of the end of a poll, a tick and the status. */
bool msg_poll_error_put(void *message, const void *from, upb_Arena *arena);
bool msg_poll_error_get(const void *message, void *to, upb_Arena *arena);

/* struct filter_part: FilterPart, of the information about a stream or a watch. */
bool msg_filter_part_put(void *message, const void *from, upb_Arena *arena);
bool msg_filter_part_get(const void *message, void *to, upb_Arena *arena);

/* struct poll_begin: PollBegin. */
bool msg_poll_begin_put(void *message, const void *from, upb_Arena *arena);
bool msg_poll_begin_get(const void *message, void *to, upb_Arena *arena);

/* struct poll_end: PollEnd. */
bool msg_poll_end_put(void *message, const void *from, upb_Arena *arena);
bool msg_poll_end_get(const void *message, void *to, upb_Arena *arena);

/* struct subscription_info: StreamInfo. */
bool msg_subscription_info_put(void *message, const void *from, upb_Arena *arena);
bool msg_subscription_info_get(const void *message, void *to, upb_Arena *arena);

#endif
