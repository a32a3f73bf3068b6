/* The place of a value in a JSON text, for errors about the document. Included by rpc/ and its tests only. */
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

/* The place of the value to which the |n| |steps| lead in the document |text|, |len| bytes of valid JSON; for
 * a member of an object, the place of its key. Where a step leads nowhere, the place of the last value found.
 * Pure; any thread. */
struct msg_json_place msg_json_place(const char *text, size_t len, const struct msg_json_step *steps,
                                     size_t n);

#endif
