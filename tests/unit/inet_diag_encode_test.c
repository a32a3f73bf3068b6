/* Recorded answers of real kernels, encoded: every row is byte for byte what protobuf-c and upb make of the
 * same record. Our own captures, and those in $XTCP2_CAPTURES. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.pb-c.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upb.h>

#include "inet_diag/replay.h"
#include "lib/varint.h"
#include "record/record.h"

struct recoding {
    struct record_frame frame;
    uint64_t rows;
};

/* The record in |row|: behind the tag and the length. */
static const uint8_t *record_in(const uint8_t *row, size_t row_len, size_t *len)
{
    uint64_t n = 0;
    size_t header = 1 + varint_get(row + 1, row_len - 1, &n);
    assert_int_equal(row[0], WIRE_TAG(10, WIRE_LEN));
    assert_int_equal(header + n, row_len);
    *len = (size_t)n;
    return row + header;
}

static void check_protobuf_c(const uint8_t *record, size_t len)
{
    static uint8_t again[RECORD_ROW_MAX];
    XtcpFlatRecord__V1__XtcpFlatRecord *m = xtcp_flat_record__v1__xtcp_flat_record__unpack(NULL, len, record);
    assert_non_null(m);
    assert_int_equal(m->base.n_unknown_fields, 0);
    assert_int_equal(xtcp_flat_record__v1__xtcp_flat_record__get_packed_size(m), len);
    assert_int_equal(xtcp_flat_record__v1__xtcp_flat_record__pack(m, again), len);
    assert_memory_equal(again, record, len);
    xtcp_flat_record__v1__xtcp_flat_record__free_unpacked(m, NULL);
}

static void check_upb(const uint8_t *record, size_t len)
{
    size_t n;
    upb_Arena *arena = upb_Arena_New();
    xtcp_flat_record_v1_XtcpFlatRecord *m =
        xtcp_flat_record_v1_XtcpFlatRecord_parse((const char *)record, len, arena);
    assert_non_null(m);
    const char *again = xtcp_flat_record_v1_XtcpFlatRecord_serialize(m, arena, &n);
    assert_non_null(again);
    assert_int_equal(n, len);
    assert_memory_equal(again, record, len);
    upb_Arena_Free(arena);
}

static int on_socket(void *arg, const struct record_source *s)
{
    static uint8_t row[RECORD_ROW_MAX];
    struct recoding *r = arg;
    size_t len;
    size_t row_len = record_encode(&r->frame, s, r->rows, row);
    const uint8_t *record = record_in(row, row_len, &len);
    check_protobuf_c(record, len);
    check_upb(record, len);
    r->rows++;
    return 0;
}

static void recode_file(struct recoding *r, const char *path)
{
    struct replay_result result;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *data = malloc(1 << 20);
    assert_non_null(data);
    size_t n = fread(data, 1, 1 << 20, f);
    fclose(f);
    replay_pcap(data, n, on_socket, r, &result,
                NULL); /* a recorded refusal is an error, and no matter here */
    free(data);
}

/* All captures in |folder| and the folders in it. */
static void recode_folder(struct recoding *r, const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        size_t n = strlen(e->d_name);
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && e->d_type == DT_DIR && depth > 0)
            recode_folder(r, path, depth - 1);
        else if (n > 5 && strcmp(e->d_name + n - 5, ".pcap") == 0)
            recode_file(r, path);
    }
    closedir(dir);
}

static void test_rows_of_recorded_answers(void **state)
{
    (void)state;
    struct recoding r = {0};
    const char *shared = getenv("XTCP2_CAPTURES");
    const struct record_context context = {.daemon_version = "0.1.0",
                                           .hostname = "host",
                                           .netns = "blue",
                                           .label = "l",
                                           .timestamp_ns = 1795168058765362285,
                                           .netns_inode = 4026531833,
                                           .netns_cookie = 3,
                                           .poll_id = 1,
                                           .groups = GROUPS_ALL};
    assert_int_equal(record_frame_init(&r.frame, &context), 0);
    recode_folder(&r, XTCP_SOURCE_DIR "/tests/data/captures", 1);
    assert_true(r.rows > 5);
    if (shared)
        recode_folder(&r, shared, 1);
    else
        print_message("skipped: other kernels' captures: XTCP2_CAPTURES is not set\n");
    print_message("%llu rows\n", (unsigned long long)r.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_of_recorded_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
