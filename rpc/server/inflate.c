#include "rpc/server/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

/* Bits of the window, and 16 for the header of gzip (zlib.h, inflateInit2). */
#define WINDOW_ZLIB 15
#define WINDOW_GZIP (15 + 16)

bool rpc_is_compressed(const grpc_byte_buffer *b)
{
    return b->type == GRPC_BB_RAW && b->data.raw.compression != GRPC_COMPRESS_NONE;
}

/* All of it must be one stream that ends where the message ends. There is room for one byte more than
 * allowed, to notice longer messages. */
static int inflate_all(z_stream *z, size_t max, struct err *e)
{
    int rc = inflate(z, Z_FINISH);
    if (z->total_out > max)
        return err_set(e, ERR_LIMIT, "the request has more than %zu bytes when it is decompressed", max);
    if (rc == Z_MEM_ERROR)
        return err_set(e, -ENOMEM, "out of memory");
    if (rc != Z_STREAM_END || z->avail_in > 0)
        return err_set(e, ERR_MALFORMED, "the request cannot be decompressed");
    return 0;
}

int rpc_inflate(const grpc_byte_buffer *b, grpc_slice in, size_t max, grpc_slice *out, struct err *e)
{
    int window;
    if (b->data.raw.compression == GRPC_COMPRESS_GZIP)
        window = WINDOW_GZIP;
    else if (b->data.raw.compression == GRPC_COMPRESS_DEFLATE)
        window = WINDOW_ZLIB;
    else
        return err_set(e, ERR_UNSUPPORTED,
                       "the request is compressed in a way that this daemon does not know");
    unsigned char *room = malloc(max + 1);
    if (!room)
        return err_set(e, -ENOMEM, "out of memory");
    z_stream z = {.next_in = GRPC_SLICE_START_PTR(in),
                  .avail_in = (uInt)GRPC_SLICE_LENGTH(in),
                  .next_out = room,
                  .avail_out = (uInt)(max + 1)};
    int rc =
        inflateInit2(&z, window) == Z_OK ? inflate_all(&z, max, e) : err_set(e, -ENOMEM, "out of memory");
    if (rc == 0)
        *out = grpc_slice_from_copied_buffer((const char *)room, z.total_out);
    inflateEnd(&z);
    free(room);
    return rc;
}
