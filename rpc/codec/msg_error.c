#include "rpc/codec/msg_error.h"

#include "rpc/codec/msg_upb.h"

#define ERROR(name) xtcp_flat_record_v1_NamespaceError_##name

void msg_error_put(xtcp_flat_record_v1_NamespaceError *to, const struct poll_error *from, upb_Arena *arena)
{
    ERROR(set_name)(to, msg_upb_text(arena, from->name));
    ERROR(set_inode)(to, from->inode);
    ERROR(set_cookie)(to, from->cookie);
    ERROR(set_code)(to, from->code);
    ERROR(set_text)(to, msg_upb_text(arena, from->text));
}

const struct poll_error *msg_error_get(const xtcp_flat_record_v1_NamespaceError *const *from, size_t n,
                                       upb_Arena *arena)
{
    struct poll_error *errors = msg_upb_array(arena, n, sizeof(*errors));
    if (!errors)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        errors[i] = (struct poll_error){
            .name = msg_upb_string(arena, ERROR(name)(from[i])),
            .inode = ERROR(inode)(from[i]),
            .cookie = ERROR(cookie)(from[i]),
            .code = ERROR(code)(from[i]),
            .text = msg_upb_string(arena, ERROR(text)(from[i])),
        };
        if (!errors[i].name || !errors[i].text)
            return NULL;
    }
    return errors;
}
