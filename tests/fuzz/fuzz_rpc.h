/* Shared by the fuzz targets of the message codecs. */
#ifndef XTCP_TESTS_FUZZ_RPC_H
#define XTCP_TESTS_FUZZ_RPC_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config.h"
#include "rpc/codec/config/msg_config_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An error comes with its code and one line fit for a log and a status message. */
static inline void check_error(int rc, const struct err *e)
{
    if (rc == 0)
        return;
    if (rc > 0 || e->code != rc || !e->text[0])
        abort();
    for (const char *p = e->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            abort();
    }
}

/* The configuration in force, made once. */
static inline const struct config *in_force(void)
{
    static struct config *c;
    if (!c) {
        if (config_defaults(&c) < 0 || config_set_string(c, &c->hostname, "fuzz") < 0)
            abort();
        c->generation = 3;
    }
    return c;
}

#endif
