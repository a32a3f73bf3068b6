/* A configuration, its message, and the way between them, for the tests of the configuration codec. */
#ifndef XTCP_TESTS_RPC_CONFIG_TEST_H
#define XTCP_TESTS_RPC_CONFIG_TEST_H

#include "rpc_test.h"

#include <xtcp_config/v1/xtcp_config.pb-c.h>

#include "config/config.h"
#include "rpc/codec/config/msg_config.h"
#include "rpc/codec/config/msg_config_reply.h"

static const struct config_msg_extra extra = {.daemon_version = "1.2.3"};

/* The configuration with every option at its default, as the fifth one in force. */
static inline struct config *new_config(void)
{
    struct config *c = NULL;
    assert_int_equal(config_defaults(&c), 0);
    c->generation = 5;
    return c;
}

/* The reply of Get for |c|; free with free_message. */
static inline XtcpConfig__V1__GetResponse *get(const struct config *c)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &b), 0);
    XtcpConfig__V1__GetResponse *reply =
        xtcp_config__v1__get_response__unpack(NULL, b.len, (const uint8_t *)b.data);
    assert_non_null(reply);
    buf_free(&b);
    return reply;
}

static inline void free_message(void *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}

/* Sets |m| over |in_force|. */
static inline int set(const XtcpConfig__V1__XtcpConfig *m, const struct config *in_force,
                      struct config_msg_set *out, struct err *e)
{
    XtcpConfig__V1__SetRequest request = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    uint8_t bytes[8192];
    request.config = (XtcpConfig__V1__XtcpConfig *)(uintptr_t)m;
    assert_true(protobuf_c_message_get_packed_size(&request.base) <= sizeof(bytes));
    size_t n = protobuf_c_message_pack(&request.base, bytes);
    return config_msg_apply_set(bytes, n, in_force, &extra, out, e);
}

#endif
