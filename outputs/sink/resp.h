/* RESP2, the protocol of Valkey and Redis (https://valkey.io/topics/protocol/): commands, and answers of the kinds that
 * simple commands have. Pure; any thread. */
#ifndef XTCP_OUTPUTS_SINK_RESP_H
#define XTCP_OUTPUTS_SINK_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

/* The longest text of an answer, in bytes. */
#define RESP_TEXT_MAX 16000

enum resp_type { RESP_SIMPLE, RESP_ERROR, RESP_INTEGER, RESP_BULK, RESP_NULL };

struct resp_answer {
    enum resp_type type;
    const char *text; /* in the bytes that were parsed; of a number, its digits */
    size_t len;
    int64_t number; /* RESP_INTEGER */
    size_t size;    /* of the whole answer */
};

/* Takes the answer at the begin of the |n| bytes |in|. Returns 1 and |out|, 0 when it is not complete, or
 * ERR_MALFORMED, also for an array and for a text that is too long. */
int resp_parse(const uint8_t *in, size_t n, struct resp_answer *out);

/* Whether |a| is an error whose first word is |code|. */
bool resp_is_error(const struct resp_answer *a, const char *code);

/* Appends the begin of a command of |n| arguments, the name included, and an argument. The bytes of the last one may
 * be written by the caller, behind resp_length, and followed by RESP_END. */
void resp_command(struct buf *out, unsigned n);
void resp_argument(struct buf *out, const char *text);
void resp_length(struct buf *out, size_t len);
#define RESP_END "\r\n"

#endif
