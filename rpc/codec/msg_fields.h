/* Messages as lists of their fields: a codec names each field once for both directions. For codecs that use upb.
 *
 * A list is a macro over another one, F, with a row for each field; the struct's member has the name of the field, and
 * the member n_NAME the length of a list:
 *
 *     #define POLL_FIELDS(F, M)
 *         F(M, NUMBER, poll_id)                numbers, bool and enums
 *         F(M, TEXT, hint)                     const char *
 *         F(M, TEXTS, names)                   const char *const *
 *         F(M, LIST, errors, msg_error, 100)   an array of structs, by the codec msg_error, at most 100 are sent
 *         F(M, ONE, last_poll, poll)           a pointer to a struct, by the codec poll; NULL: absent
 *         F(M, PART, burst, burst, burst_left) a message whose fields are members of this struct, by the codec burst;
 *                                              absent when the member burst_left is 0
 *         F(M, NUMBER_AS, left, burst_left)    a number whose member is called otherwise, here burst_left
 *
 * MSG_CODEC(poll, struct status_poll, xtcp_status_v1_PollSummary, POLL_FIELDS) makes two functions of it:
 *
 *     bool poll_put(void *message, const void *from, upb_Arena *arena)
 *     bool poll_get(const void *message, void *to, upb_Arena *arena)
 *
 * Both return false without memory. poll_put fills a message, NULL is allowed and counts as out of memory; its texts
 * are those of |from| or in |arena|. poll_get fills a struct that is all zero; its texts and lists are in |arena|,
 * never NULL.
 * The compiler looks up the fields of the rows in the code generated from the contract, so a field that is not there
 * does not compile. */
#ifndef XTCP_RPC_CODEC_MSG_FIELDS_H
#define XTCP_RPC_CODEC_MSG_FIELDS_H

#include <stdbool.h>

#include "rpc/codec/msg_upb.h"

#define MSG_CODEC(codec, type, message, fields) MSG_CODEC_AS(static, codec, type, message, fields)

/* The same with a linkage: |static|, or nothing for functions that a header declares. */
#define MSG_CODEC_AS(linkage, codec, type, message, fields)                                                  \
    linkage bool codec##_put(void *to, const void *from, upb_Arena *arena)                                   \
    {                                                                                                        \
        message *m = to;                                                                                     \
        const type *s = from;                                                                                \
        bool ok = true;                                                                                      \
        (void)arena;                                                                                         \
        if (!m)                                                                                              \
            return false;                                                                                    \
        fields(MSG_PUT, message) return ok;                                                                  \
    }                                                                                                        \
    linkage bool codec##_get(const void *from, void *to, upb_Arena *arena)                                   \
    {                                                                                                        \
        const message *m = from;                                                                             \
        type *s = to;                                                                                        \
        bool ok = true;                                                                                      \
        (void)arena;                                                                                         \
        fields(MSG_GET, message) return ok;                                                                  \
    }

/* One row in codec_put. */
#define MSG_PUT(M, KIND, ...)          MSG_PUT_##KIND(M, __VA_ARGS__)
#define MSG_PUT_NUMBER(M, name)        M##_set_##name(m, s->name);
#define MSG_PUT_NUMBER_AS(M, name, as) M##_set_##name(m, s->as);
#define MSG_PUT_TEXT(M, name)          M##_set_##name(m, msg_upb_text(arena, s->name));
#define MSG_PUT_TEXTS(M, name)                                                                               \
    for (size_t i = 0; ok && i < s->n_##name; i++)                                                           \
        ok = M##_add_##name(m, msg_upb_text(arena, s->name[i]), arena);
#define MSG_PUT_LIST(M, name, codec, max)                                                                    \
    for (size_t i = 0; ok && i < s->n_##name && i < (max); i++)                                              \
        ok = codec##_put(M##_add_##name(m, arena), &s->name[i], arena);
#define MSG_PUT_ONE(M, name, codec)                                                                          \
    if (ok && s->name)                                                                                       \
        ok = codec##_put(M##_mutable_##name(m, arena), s->name, arena);
#define MSG_PUT_PART(M, name, codec, unless_0)                                                               \
    if (ok && s->unless_0)                                                                                   \
        ok = codec##_put(M##_mutable_##name(m, arena), s, arena);

/* One row in codec_get. */
#define MSG_GET(M, KIND, ...)          MSG_GET_##KIND(M, __VA_ARGS__)
#define MSG_GET_NUMBER(M, name)        s->name = M##_##name(m);
#define MSG_GET_NUMBER_AS(M, name, as) s->as = M##_##name(m);
#define MSG_GET_TEXT(M, name)          ok = (s->name = msg_upb_string(arena, M##_##name(m))) && ok;
#define MSG_GET_TEXTS(M, name)                                                                               \
    {                                                                                                        \
        const upb_StringView *from_##name = M##_##name(m, &s->n_##name);                                     \
        ok = (s->name = msg_upb_strings(arena, from_##name, s->n_##name)) && ok;                             \
    }
#define MSG_GET_LIST(M, name, codec, max)                                                                    \
    {                                                                                                        \
        const void *from_##name = M##_##name(m, &s->n_##name);                                               \
        ok = (s->name = msg_upb_list(arena, from_##name, s->n_##name, sizeof(*s->name), codec##_get)) && ok; \
    }
#define MSG_GET_ONE(M, name, codec)                                                                          \
    if (M##_has_##name(m)) {                                                                                 \
        const void *from_##name = M##_##name(m);                                                             \
        ok = (s->name = msg_upb_list(arena, &from_##name, 1, sizeof(*s->name), codec##_get)) && ok;          \
    }
#define MSG_GET_PART(M, name, codec, unless_0)                                                               \
    if (M##_has_##name(m))                                                                                   \
        ok = codec##_get(M##_##name(m), s, arena) && ok;

#endif
