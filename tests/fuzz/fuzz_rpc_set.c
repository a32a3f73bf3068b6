/* SetRequest: any bytes either give an error with a sentence, or a valid configuration of which Set(Get())
 * changes nothing. */
#include "fuzz_rpc.h"

static const struct config_msg_extra extra = {.daemon_version = "0.1.0"};

/* The reply of Get for |c|, sent back over |c|. */
static void check_round_trip(const struct config *c)
{
    struct buf reply, request;
    struct config_msg_set out;
    buf_init(&reply);
    buf_init(&request);
    /* The responses have the configuration where the request has it. */
    if (config_msg_encode_reply(c, &extra, NULL, 0, &reply) < 0)
        abort();
    if (config_msg_apply_set(reply.data, reply.len, c, &extra, &out, NULL) < 0 || out.n_changed ||
        config_diff(c, out.candidate, NULL, 0))
        abort();
    config_unref(out.candidate);
    buf_free(&reply);
    buf_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_msg_set out;
    struct err e = {0};
    int rc = config_msg_apply_set(data, size, in_force(), &extra, &out, &e);
    check_error(rc, &e);
    if (rc < 0) {
        if (out.candidate)
            abort();
        return 0;
    }
    size_t differences = config_diff(in_force(), out.candidate, NULL, 0);
    if (config_validate(out.candidate, NULL) < 0 || (differences > 0 && out.n_changed == 0))
        abort();
    check_round_trip(out.candidate);
    config_unref(out.candidate);
    return 0;
}
