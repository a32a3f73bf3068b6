/* Helpers of the codecs that use upb. A decoded message, the plain structs made of it and their strings live
 * in one arena. Included by rpc/ only. */
#ifndef XTCP_RPC_CODEC_MSG_UPB_H
#define XTCP_RPC_CODEC_MSG_UPB_H

#include <stdbool.h>
#include <stddef.h>
#include <upb/decode.h>
#include <upb/encode.h>
#include <upb/upb.h>

#include "lib/buf.h"
#include "lib/err.h"

/* Decodes |len| bytes into |message| of the type |table|, copying all of them into |arena|. Returns 0,
 * ERR_MALFORMED with |e| calling it |name|, or -ENOMEM. */
int msg_upb_decode(const void *data, size_t len, void *message, const upb_MiniTable *table, upb_Arena *arena,
                   const char *name, struct err *e);

/* Reads |len| bytes at |data| into the struct |to|, which is all zero; the memory that it refers to is |arena|'s. Returns
 * 0, or a code with |e|. */
typedef int msg_upb_read(const void *data, size_t len, void *to, upb_Arena *arena, struct err *e);

/* Calls |read| to fill the |size| bytes at |to|, with an arena of its own, for msg_upb_free: |*memory| (it may be a
 * part of |to|). Returns 0; or a code with |e|, and |to| is all zero and |*memory| NULL. |name| is that of the
 * message. */
int msg_upb_read_new(msg_upb_read *read, const void *data, size_t len, void *to, size_t size, void **memory,
                     const char *name, struct err *e);

/* NULL is allowed. */
void msg_upb_free(void *memory);

/* Appends |message| of the type |table| to |out|; NULL (out of memory in a step before) is an error. Returns
 * 0 or -ENOMEM. */
int msg_upb_encode(const void *message, const upb_MiniTable *table, upb_Arena *arena, struct buf *out);

/* |text| as a field's value: in place when it is valid UTF-8, else a copy in |arena| in which every invalid
 * byte is U+FFFD. NULL is "". Without memory the value is empty. */
upb_StringView msg_upb_text(upb_Arena *arena, const char *text);

/* A field's value as a NUL-terminated string in |arena|; a NUL within becomes a space. NULL when out of
 * memory. */
char *msg_upb_string(upb_Arena *arena, upb_StringView text);

/* |n| zeroed elements of |size| bytes in |arena|. NULL when out of memory; not NULL when |n| is 0. */
void *msg_upb_array(upb_Arena *arena, size_t n, size_t size);

/* The |n| values |texts| of a repeated field as strings in |arena|. NULL when out of memory. */
const char *const *msg_upb_strings(upb_Arena *arena, const upb_StringView *texts, size_t n);

/* Fills the struct |to|, which is all zero, with |message|. Returns false when out of memory. */
typedef bool msg_upb_get(const void *message, void *to, upb_Arena *arena);

/* An array in |arena| of |n| structs of |size| bytes, each filled by |get| from one of the |n| pointers to messages
 * that |messages| points to. NULL when out of memory. */
void *msg_upb_list(upb_Arena *arena, const void *messages, size_t n, size_t size, msg_upb_get *get);

#endif
