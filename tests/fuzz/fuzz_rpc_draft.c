/* KEY=VALUE as people type it, over a configuration from a daemon: the input is words separated by NULs, each
 * a KEY=VALUE, or a key to reset, up to the first that is wrong. The result is printed, packed, and
 * compared. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/codec/config/msg_config_draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *context, const char *name, const char *before, const char *after)
{
    (void)context;
    if (!*name || strcmp(before, after) == 0)
        abort();
}

/* The draft, sent back as if it were in force. */
static void compare(const struct config_draft *d)
{
    /* A SetRequest and a SetResponse have their configuration in the same field. */
    struct config_reply *r = NULL;
    struct err e = {0};
    struct buf request;
    buf_init(&request);
    if (config_draft_request(d, false, &request) != 0)
        abort();
    if (config_reply_decode(request.data, request.len, &r, &e) == 0) {
        if (config_reply_diff(r, r, ignore, NULL) != 0 || config_reply_differs(r, r))
            abort();
        config_draft_check(d, r, &e);
    }
    config_reply_free(r);
    buf_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    struct config_draft *d = config_draft_new();
    if (!text || !d)
        abort();
    memcpy(text, data, size);
    int rc = 0;
    for (size_t at = 0, n; at < size && rc == 0; at += n + 1) {
        struct err e = {0};
        char *equals = strchr(text + at, '=');
        n = strlen(text + at);
        if (equals) {
            *equals = '\0';
            rc = config_draft_assign(d, text + at, equals + 1, &e);
        } else {
            rc = config_draft_reset(d, text + at, &e);
        }
        if (rc < 0 && !*e.text)
            abort();
    }
    if (rc == 0)
        compare(d);
    config_draft_free(d);
    free(text);
    return 0;
}
