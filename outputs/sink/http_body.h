/* Bodies of requests, compressed if wanted. Inside the HTTP sink only; one thread. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_BODY_H
#define XTCP_OUTPUTS_SINK_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include <zlib.h>
#include <zstd.h>

#include "config/output.h"
#include "lib/buf.h"

struct http_body {
    enum output_compress compress;
    z_stream gzip;   /* for OUTPUT_COMPRESS_GZIP */
    ZSTD_CCtx *zstd; /* for OUTPUT_COMPRESS_ZSTD */
    struct buf packed;
};

/* Returns 0, or -ENOMEM (nothing to free then). */
int http_body_init(struct http_body *b, enum output_compress compress);
void http_body_free(struct http_body *b);

/* The body of the message |data|, |len| bytes, in |out| and |out_len|: |data| itself, or bytes that are
 * valid until the next call. Returns 0, -ENOMEM, or ERR_LIMIT for more bytes than can be compressed at
 * once. */
int http_body_make(struct http_body *b, const uint8_t *data, size_t len, const void **out, size_t *out_len);

#endif
