/* The document that `xtcp2client apply` reads: an error with a sentence, or a request that the daemon's side
 * can read. */
#include "fuzz_rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_msg_extra extra = {.daemon_version = "0.1.0"};
    struct buf request;
    struct err e = {0};
    buf_init(&request);
    int rc = config_set_request_from_json((const char *)data, size, "fuzz", false, &request, &e);
    check_error(rc, &e);
    if (rc == 0) {
        struct config_msg_set out;
        rc = config_msg_apply_set(request.data, request.len, in_force(), &extra, &out, &e);
        /* It may be refused, but it is a message. */
        if (rc == ERR_MALFORMED && strstr(e.text, "not a protobuf message"))
            abort();
        config_unref(out.candidate);
    }
    buf_free(&request);
    return 0;
}
