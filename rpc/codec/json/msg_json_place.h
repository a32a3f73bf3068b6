/* Where a value stands in a JSON text: for errors about what was read. Included by rpc/ and its tests only. */
#ifndef XTCP_RPC_CODEC_JSON_MSG_JSON_PLACE_H
#define XTCP_RPC_CODEC_JSON_MSG_JSON_PLACE_H

#include <stddef.h>

/* A step from a value to one inside of it. */
struct msg_json_step {
    const char *key; /* of an object; NULL: |index| of a list */
    size_t index;
};

struct msg_json_place {
    size_t line; /* from 1 on */
    size_t column;
};

/* Where the value is to which the |n| |steps| lead from the document |text|, |len| bytes of valid JSON: of a
 * member of an object, where its key begins. As far as the way exists. Pure; any thread. */
struct msg_json_place msg_json_place(const char *text, size_t len, const struct msg_json_step *steps,
                                     size_t n);

#endif
