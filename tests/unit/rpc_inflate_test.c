/* Compressed requests: what is inflated, and what is refused before it takes memory. */
#include "rpc_test.h"

#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>
#include <zlib.h>

#include "rpc/core.h"
#include "rpc/server/inflate.h"

#define MAX 1000

/* |n| bytes packed as |algorithm|; NULL with GRPC_COMPRESS_NONE: as they are. */
static grpc_byte_buffer *pack(const void *data, size_t n, grpc_compression_algorithm algorithm)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data, .avail_in = (uInt)n};
    int window = algorithm == GRPC_COMPRESS_GZIP ? 31 : 15;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, n);
    unsigned char *out = malloc(room);
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)out, z.total_out);
    deflateEnd(&z);
    free(out);
    grpc_byte_buffer *b = grpc_raw_compressed_byte_buffer_create(&slice, 1, algorithm);
    grpc_slice_unref(slice);
    return b;
}

static int unpack(const grpc_byte_buffer *b, grpc_slice *out, struct err *e)
{
    grpc_byte_buffer_reader reader;
    assert_true(grpc_byte_buffer_reader_init(&reader, (grpc_byte_buffer *)(uintptr_t)b));
    grpc_slice in = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    int rc = rpc_inflate(b, in, MAX, out, e);
    grpc_slice_unref(in);
    return rc;
}

static const grpc_compression_algorithm algorithms[] = {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE};

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, MAX - 1, MAX, MAX + 1, 10 * MAX, 60000000};
    char *data = calloc(1, 60000000);
    memcpy(data, "hello", 5);
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            grpc_byte_buffer *b = pack(data, sizes[i], algorithms[a]);
            grpc_slice out;
            struct err e = {0};
            assert_true(rpc_is_compressed(b));
            int rc = unpack(b, &out, &e);
            assert_int_equal(rc, sizes[i] <= MAX ? 0 : ERR_LIMIT);
            if (rc == 0) {
                assert_int_equal(GRPC_SLICE_LENGTH(out), sizes[i]);
                assert_memory_equal(GRPC_SLICE_START_PTR(out), data, sizes[i]);
                grpc_slice_unref(out);
            } else {
                assert_string_equal(e.text, "the request has more than 1000 bytes when it is decompressed");
            }
            grpc_byte_buffer_destroy(b);
        }
    }
    free(data);
}

/* Cut short, with something behind it, or changed: refused. */
static void test_broken(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        grpc_byte_buffer *b = pack("some text, some text, some text", 31, algorithms[a]);
        grpc_slice whole = b->data.raw.slice_buffer.slices[0];
        size_t n = GRPC_SLICE_LENGTH(whole);
        for (size_t cut = 0; cut <= n; cut++) {
            uint8_t bytes[200];
            size_t len = cut < n ? cut : n + 1;
            memcpy(bytes, GRPC_SLICE_START_PTR(whole), cut);
            bytes[n] = 'x';
            grpc_slice part = grpc_slice_from_copied_buffer((const char *)bytes, len);
            grpc_byte_buffer *broken = grpc_raw_compressed_byte_buffer_create(&part, 1, algorithms[a]);
            grpc_slice out;
            struct err e = {0};
            grpc_slice_unref(part);
            assert_int_equal(unpack(broken, &out, &e), ERR_MALFORMED);
            assert_says(e, "cannot be decompressed");
            grpc_byte_buffer_destroy(broken);
        }
        grpc_byte_buffer_destroy(b);
    }
}

static void test_plain(void **state)
{
    (void)state;
    grpc_slice slice = grpc_slice_from_static_string("as it is");
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&slice, 1);
    assert_false(rpc_is_compressed(b));
    grpc_byte_buffer_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_plain),
    };
    rpc_core_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rpc_core_fini();
    return failed;
}
