#include "rpc/codec/msg_upb.h"

#include <errno.h>
#include <string.h>

#include "lib/utf8.h"

#define DEPTH_MAX 16 /* nesting of a message; ours have three levels */

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

int msg_upb_decode(const void *data, size_t len, void *message, const upb_MiniTable *table, upb_Arena *arena,
                   const char *name, struct err *e)
{
    if (!message)
        return err_set(e, -ENOMEM, "%s: out of memory", name);
    switch (upb_Decode(data, len, message, table, NULL, UPB_DECODE_MAXDEPTH(DEPTH_MAX), arena)) {
    case kUpb_DecodeStatus_Ok:
        return 0;
    case kUpb_DecodeStatus_OutOfMemory:
        return err_set(e, -ENOMEM, "%s: out of memory", name);
    case kUpb_DecodeStatus_BadUtf8:
        return err_set(e, ERR_MALFORMED, "%s: a text in it is not UTF-8", name);
    case kUpb_DecodeStatus_MaxDepthExceeded:
        return err_set(e, ERR_MALFORMED, "%s: nested more than %d levels deep", name, DEPTH_MAX);
    default:
        return err_set(e, ERR_MALFORMED, "%s: not a protobuf message of this type", name);
    }
}

int msg_upb_read_new(msg_upb_read *read, const void *data, size_t len, void *to, size_t size, void **memory,
                     const char *name, struct err *e)
{
    upb_Arena *arena = upb_Arena_New();
    memset(to, 0, size);
    int rc = arena ? read(data, len, to, arena, e) : err_set(e, -ENOMEM, "%s: out of memory", name);
    if (rc < 0) {
        memset(to, 0, size);
        msg_upb_free(arena);
        arena = NULL;
    }
    *memory = arena;
    return rc;
}

void msg_upb_free(void *memory)
{
    if (memory)
        upb_Arena_Free(memory);
}

int msg_upb_encode(const void *message, const upb_MiniTable *table, upb_Arena *arena, struct buf *out)
{
    char *bytes;
    size_t len;
    if (!message || upb_Encode(message, table, 0, arena, &bytes, &len) != kUpb_EncodeStatus_Ok)
        return -ENOMEM;
    buf_bytes(out, bytes, len);
    return out->failed ? -ENOMEM : 0;
}

/* Bytes of the valid text at the start of |text|, which has |n|. */
static size_t valid_prefix(const char *text, size_t n)
{
    size_t i = 0;
    for (size_t len; i < n && (len = utf8_length(text + i, n - i)) > 0;)
        i += len;
    return i;
}

upb_StringView msg_upb_text(upb_Arena *arena, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    size_t valid = n ? valid_prefix(text, n) : 0;
    if (valid == n)
        return upb_StringView_FromDataAndSize(text, n);
    char *copy = upb_Arena_Malloc(arena, n * (sizeof(replacement) - 1));
    if (!copy)
        return upb_StringView_FromDataAndSize(NULL, 0);
    size_t used = 0;
    for (size_t i = 0; i < n; valid = valid_prefix(text + i, n - i)) {
        memcpy(copy + used, text + i, valid);
        used += valid;
        i += valid;
        if (i < n) {
            memcpy(copy + used, replacement, sizeof(replacement) - 1);
            used += sizeof(replacement) - 1;
            i++;
        }
    }
    return upb_StringView_FromDataAndSize(copy, used);
}

char *msg_upb_string(upb_Arena *arena, upb_StringView text)
{
    char *copy = upb_Arena_Malloc(arena, text.size + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.size; i++)
        copy[i] = text.data[i] ? text.data[i] : ' ';
    copy[text.size] = '\0';
    return copy;
}

void *msg_upb_array(upb_Arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *array = upb_Arena_Malloc(arena, bytes ? bytes : 1);
    if (array)
        memset(array, 0, bytes);
    return array;
}

const char *const *msg_upb_strings(upb_Arena *arena, const upb_StringView *texts, size_t n)
{
    const char **out = msg_upb_array(arena, n, sizeof(*out));
    for (size_t i = 0; out && i < n; i++) {
        out[i] = msg_upb_string(arena, texts[i]);
        if (!out[i])
            return NULL;
    }
    return (const char *const *)out;
}

void *msg_upb_list(upb_Arena *arena, const void *messages, size_t n, size_t size, msg_upb_get *get)
{
    const void *const *from = messages;
    char *out = msg_upb_array(arena, n, size);
    for (size_t i = 0; out && i < n; i++) {
        if (!get(from[i], out + i * size, arena))
            return NULL;
    }
    return out;
}
