#include "outputs/sink/http_body.h"

#include <errno.h>
#include <limits.h>

#include "lib/err.h"

/* Records are much alike: these take a tenth of the size and less. Level 4 of gzip takes twice the time of
 * level 3, level 5 of zstd twice that of 3. */
#define GZIP_LEVEL 3
#define ZSTD_LEVEL 3

/* zlib.h: this makes a gzip stream of a deflate stream. */
#define GZIP_WINDOW (MAX_WBITS + 16)
#define GZIP_MEMORY 8

int http_body_init(struct http_body *b, enum output_compress compress)
{
    *b = (struct http_body){.compress = compress};
    buf_init(&b->packed);
    if (compress == OUTPUT_COMPRESS_GZIP && deflateInit2(&b->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW,
                                                         GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        b->compress = OUTPUT_COMPRESS_NONE;
        return -ENOMEM;
    }
    if (compress == OUTPUT_COMPRESS_ZSTD) {
        b->zstd = ZSTD_createCCtx();
        if (!b->zstd)
            return -ENOMEM;
    }
    return 0;
}

void http_body_free(struct http_body *b)
{
    if (b->compress == OUTPUT_COMPRESS_GZIP)
        deflateEnd(&b->gzip);
    ZSTD_freeCCtx(b->zstd); /* NULL is allowed */
    buf_free(&b->packed);
    *b = (struct http_body){0};
}

static int pack_gzip(struct http_body *b, const uint8_t *data, size_t len)
{
    z_stream *z = &b->gzip;
    deflateReset(z); /* first: the bound is another one when a stream has ended */
    size_t bound = deflateBound(z, len);
    if (bound > UINT_MAX)
        return ERR_LIMIT;
    char *room = buf_reserve(&b->packed, bound);
    if (!room)
        return -ENOMEM;
    z->next_in = (z_const Bytef *)data;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)room;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return -ENOMEM; /* cannot be: there is room for every outcome */
    b->packed.len = z->total_out;
    return 0;
}

static int pack_zstd(struct http_body *b, const uint8_t *data, size_t len)
{
    size_t bound = ZSTD_compressBound(len);
    char *room = buf_reserve(&b->packed, bound);
    if (!room)
        return -ENOMEM;
    size_t n = ZSTD_compressCCtx(b->zstd, room, bound, data, len, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return -ENOMEM;
    b->packed.len = n;
    return 0;
}

int http_body_make(struct http_body *b, const uint8_t *data, size_t len, const void **out, size_t *out_len)
{
    *out = data;
    *out_len = len;
    if (b->compress == OUTPUT_COMPRESS_NONE)
        return 0;
    buf_reset(&b->packed);
    int rc = b->compress == OUTPUT_COMPRESS_GZIP ? pack_gzip(b, data, len) : pack_zstd(b, data, len);
    *out = b->packed.data;
    *out_len = b->packed.len;
    return rc;
}
