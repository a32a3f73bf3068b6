/* The document that `xtcp2client apply` reads: an error with a sentence, or a request that the daemon's side
 * can read. */
#include "fuzz_rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf request;
    struct err e = {0};
    buf_init(&request);
    int rc = config_set_request_from_json((const char *)data, size, "fuzz", false, &request, &e);
    check_error(rc, &e);
    if (rc == 0) {
        /* The configuration stands where the responses have it; only a limit can be in its way. */
        struct config_reply *same;
        rc = config_reply_decode(request.data, request.len, &same, NULL);
        if (rc < 0 && rc != ERR_RANGE)
            abort();
        config_reply_free(same);
    }
    buf_free(&request);
    return 0;
}
