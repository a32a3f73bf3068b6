/* Converts one XtcpConfig between its two forms, as `xtcp2client get` and `apply` do: for rpc_json_python.py.
 *
 *   rpc_json_pipe write   standard input: GetResponse; standard output: JSON
 *   rpc_json_pipe read    standard input: JSON; standard output: SetRequest
 *
 * More than one message may follow another: each is preceded by its length in 4 bytes, little-endian; so are
 * the answers. An error is answered with the length 0xffffffff and goes to standard error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/codec/config/msg_config.h"
#include "rpc/codec/config/msg_config_reply.h"

static int convert(const char *mode, const char *data, size_t len, struct buf *out)
{
    struct err e;
    struct config_reply *reply;
    int rc;
    if (strcmp(mode, "read") == 0) {
        rc = config_set_request_from_json(data, len, "input", false, out, &e);
    } else {
        rc = config_reply_decode(data, len, &reply, &e);
        if (rc == 0) {
            rc = config_reply_json(reply, out);
            config_reply_free(reply);
        }
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", e.text);
    return rc;
}

int main(int argc, char **argv)
{
    uint32_t len;
    if (argc != 2)
        return 2;
    while (fread(&len, sizeof(len), 1, stdin) == 1) {
        char *data = malloc(len ? len : 1);
        if (!data || fread(data, 1, len, stdin) != len)
            return 1;
        struct buf out;
        buf_init(&out);
        uint32_t n = convert(argv[1], data, len, &out) < 0 ? UINT32_MAX : (uint32_t)out.len;
        fwrite(&n, sizeof(n), 1, stdout);
        if (n != UINT32_MAX)
            fwrite(out.data, 1, out.len, stdout);
        fflush(stdout);
        buf_free(&out);
        free(data);
    }
    return 0;
}
