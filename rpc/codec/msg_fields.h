/* Encoding and decoding of structs that are lists of their fields (model/fields.h). For codecs that use upb.
 *
 * MSG_CODEC(status_poll, xtcp_status_v1_PollSummary, STATUS_POLL_FIELDS) makes two functions of a list:
 *
 *     bool msg_status_poll_put(void *message, const void *from, upb_Arena *arena)
 *     bool msg_status_poll_get(const void *message, void *to, upb_Arena *arena)
 *
 * Both return false without memory. The first fills a message, NULL is allowed and counts as out of memory; its texts
 * are those of |from| or in |arena|. The second fills a struct that is all zero; its texts and lists are in |arena|,
 * never NULL.
 * The compiler looks up the fields of the rows in the code generated from the contract, so a field that is not there
 * does not compile. */
#ifndef XTCP_RPC_CODEC_MSG_FIELDS_H
#define XTCP_RPC_CODEC_MSG_FIELDS_H

#include <stdbool.h>

#include "model/fields.h"
#include "rpc/codec/msg_upb.h"

#define MSG_CODEC(type, message, fields) MSG_CODEC_AS(static, type, message, fields)

/* The same with a linkage: |static|, or nothing for functions that a header declares. */
#define MSG_CODEC_AS(linkage, type, message, fields)                                                         \
    linkage bool msg_##type##_put(void *to, const void *from, upb_Arena *arena)                              \
    {                                                                                                        \
        message *m = to;                                                                                     \
        const struct type *s = from;                                                                         \
        bool ok = true;                                                                                      \
        (void)arena;                                                                                         \
        if (!m)                                                                                              \
            return false;                                                                                    \
        fields(MSG_PUT, message) return ok;                                                                  \
    }                                                                                                        \
    linkage bool msg_##type##_get(const void *from, void *to, upb_Arena *arena)                              \
    {                                                                                                        \
        const message *m = from;                                                                             \
        struct type *s = to;                                                                                 \
        bool ok = true;                                                                                      \
        (void)arena;                                                                                         \
        fields(MSG_GET, message) return ok;                                                                  \
    }

/* One row in msg_TYPE_put. */
#define MSG_PUT(M, KIND, ...)             MSG_PUT_##KIND(M, __VA_ARGS__)
#define MSG_PUT_U64(M, name)              M##_set_##name(m, s->name);
#define MSG_PUT_U32(M, name)              M##_set_##name(m, s->name);
#define MSG_PUT_I32(M, name)              M##_set_##name(m, s->name);
#define MSG_PUT_BOOL(M, name)             M##_set_##name(m, s->name);
#define MSG_PUT_TIME(M, name)             M##_set_##name(m, s->name);
#define MSG_PUT_DOUBLE(M, name, known)    M##_set_##name(m, s->name);
#define MSG_PUT_ENUM(M, name, prefix, fn) M##_set_##name(m, (int32_t)s->name);
#define MSG_PUT_TEXT(M, name)             M##_set_##name(m, msg_upb_text(arena, s->name));
#define MSG_PUT_TEXTS(M, name)                                                                               \
    for (size_t i = 0; ok && i < s->n_##name; i++)                                                           \
        ok = M##_add_##name(m, msg_upb_text(arena, s->name[i]), arena);
#define MSG_PUT_LIST(M, name, type, max)                                                                     \
    for (size_t i = 0; ok && i < s->n_##name && i < (max); i++)                                              \
        ok = msg_##type##_put(M##_add_##name(m, arena), &s->name[i], arena);
#define MSG_PUT_ONE(M, name, type)                                                                           \
    if (ok && s->name)                                                                                       \
        ok = msg_##type##_put(M##_mutable_##name(m, arena), s->name, arena);
#define MSG_PUT_PART(M, name, type, unless_0)                                                                \
    if (ok && s->name.unless_0)                                                                              \
        ok = msg_##type##_put(M##_mutable_##name(m, arena), &s->name, arena);

/* One row in msg_TYPE_get. */
#define MSG_GET(M, KIND, ...)             MSG_GET_##KIND(M, __VA_ARGS__)
#define MSG_GET_U64(M, name)              s->name = M##_##name(m);
#define MSG_GET_U32(M, name)              s->name = M##_##name(m);
#define MSG_GET_I32(M, name)              s->name = M##_##name(m);
#define MSG_GET_BOOL(M, name)             s->name = M##_##name(m);
#define MSG_GET_TIME(M, name)             s->name = M##_##name(m);
#define MSG_GET_DOUBLE(M, name, known)    s->name = M##_##name(m);
#define MSG_GET_ENUM(M, name, prefix, fn) s->name = (uint32_t)M##_##name(m);
#define MSG_GET_TEXT(M, name)             ok = (s->name = msg_upb_string(arena, M##_##name(m))) && ok;
#define MSG_GET_TEXTS(M, name)                                                                               \
    {                                                                                                        \
        const upb_StringView *from_##name = M##_##name(m, &s->n_##name);                                     \
        ok = (s->name = msg_upb_strings(arena, from_##name, s->n_##name)) && ok;                             \
    }
#define MSG_GET_LIST(M, name, type, max)                                                                     \
    {                                                                                                        \
        const void *from_##name = M##_##name(m, &s->n_##name);                                               \
        s->name = msg_upb_list(arena, from_##name, s->n_##name, sizeof(*s->name), msg_##type##_get);         \
        ok = s->name && ok;                                                                                  \
    }
#define MSG_GET_ONE(M, name, type)                                                                           \
    if (M##_has_##name(m)) {                                                                                 \
        const void *from_##name = M##_##name(m);                                                             \
        ok = (s->name = msg_upb_list(arena, &from_##name, 1, sizeof(*s->name), msg_##type##_get)) && ok;     \
    }
#define MSG_GET_PART(M, name, type, unless_0)                                                                \
    if (M##_has_##name(m))                                                                                   \
        ok = msg_##type##_get(M##_##name(m), &s->name, arena) && ok;

#endif
