/* The folder of a spool with any bytes as its segment and its position: what comes out are entries of the segment, in order,
 * each with the checksum that it was written with.
 *
 * The first byte: 1, checksums of heads are put right, or hardly any input would get past them; 2, those of data as well. The
 * second one: the length of the position. Then come the position and the segment. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/log.h"
#include "outputs/spool.h"
#include "outputs/spool_bytes.h"
#include "outputs/spool_folder.h"
#include "outputs/spool_position.h"
#include "outputs/spool_segment.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#define SEGMENT_FILE "0000000000000001.spool"

static char in_memory[] = "/dev/shm/xt_fuzz_spool_XXXXXX"; /* faster, where it exists */
static char on_disk[] = "/tmp/xt_fuzz_spool_XXXXXX";
static const char *folder;
static int folder_fd = -1;
static struct buf data_read, data_spooled;

static void remove_folder(void)
{
    unlinkat(folder_fd, "lock", 0);
    close(folder_fd);
    rmdir(folder);
    buf_free(&data_read);
    buf_free(&data_spooled);
}

static void make_folder(void)
{
    folder = mkdtemp(in_memory);
    if (!folder)
        folder = mkdtemp(on_disk);
    CHECK(folder);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder_fd >= 0);
    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    buf_init(&data_read);
    buf_init(&data_spooled);
    atexit(remove_folder);
}

static int write_file(const char *name, const uint8_t *data, size_t n)
{
    int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    return fd;
}

/* Puts the checksums of |n| bytes of a segment right, those of data only if |all|. */
static void repair(uint8_t *bytes, size_t n, bool all)
{
    if (n >= SPOOL_FILE_HEAD)
        spool_put_u32(bytes + 12, (uint32_t)crc32_z(0, bytes, 12));
    for (size_t at = SPOOL_FILE_HEAD; at < n && n - at >= SPOOL_ENTRY_HEAD;) {
        size_t left = n - at - SPOOL_ENTRY_HEAD;
        size_t len = spool_get_u32(bytes + at + 4);
        if (all && len > 0 && len <= left)
            spool_put_u32(bytes + at + 32, (uint32_t)crc32_z(0, bytes + at + SPOOL_ENTRY_HEAD, len));
        spool_put_u32(bytes + at + 36, (uint32_t)crc32_z(0, bytes + at, 36));
        at += SPOOL_ENTRY_HEAD + (len < left ? len : left);
    }
}

/* A walk over the entries that a scan tells of. */
struct walk {
    int fd;
    const uint8_t *bytes; /* of the segment */
    struct spool_scan scan;
    uint64_t at;
    uint64_t rows; /* of the entries so far */
};

/* The next entry whose data are what was written. Returns false at the end. */
static bool next_entry(struct walk *w, struct spool_head *head)
{
    while (w->at < w->scan.end) {
        CHECK(spool_segment_head(w->fd, w->at, head) == 0);
        int rc = spool_segment_data(w->fd, w->at, head, &data_read);
        CHECK(rc == 0 || rc == ERR_MALFORMED);
        const uint8_t *data = w->bytes + w->at + SPOOL_ENTRY_HEAD;
        bool good = (head->len ? (uint32_t)crc32_z(0, data, head->len) : 0) == head->data_crc;
        CHECK(good == (rc == 0));
        CHECK(!good || (data_read.len == head->len && memcmp(data_read.data, data, head->len) == 0));
        w->at += spool_entry_size(head->len);
        w->rows += head->rows;
        if (good)
            return true;
    }
    CHECK(w->at == w->scan.end && w->rows == w->scan.rows);
    return false;
}

/* The spool gives what |w| tells, and nothing else. */
static void check_spool(struct spool *s, struct walk *w)
{
    struct spool_head head;
    struct spool_entry entry;
    struct spool_stats stats;
    spool_stats(s, &stats);
    CHECK(stats.rows == w->scan.rows && stats.damaged == w->scan.damaged);
    uint64_t rows = stats.rows;
    while (next_entry(w, &head)) {
        CHECK(spool_first(s, &data_spooled, &entry, NULL) == 1);
        CHECK(entry.poll_id == head.poll_id && entry.time_ns == head.time_ns && entry.rows == head.rows);
        CHECK(entry.poll_end == head.poll_end && entry.len == head.len);
        CHECK(memcmp(entry.data, data_read.data, entry.len) == 0);
        rows -= entry.rows;
        spool_take(s);
    }
    CHECK(spool_first(s, &data_spooled, &entry, NULL) == 0);
    spool_stats(s, &stats);
    CHECK(stats.rows == 0 && stats.bytes == 0 && stats.rows_damaged == rows &&
          stats.rows_full + stats.rows_old == 0);
}

static void check(const uint8_t *bytes, size_t n, const uint8_t *position, size_t position_len)
{
    struct spool_position p;
    struct spool *s = NULL;
    struct walk w = {.bytes = bytes, .fd = write_file(SEGMENT_FILE, bytes, n)};
    close(write_file(SPOOL_POSITION_FILE, position, position_len));
    CHECK(spool_position_read(folder_fd, &p) == 0);
    bool passed = p.segment > 1 && p.segment <= SPOOL_NUMBER_MAX; /* all of it has been taken */
    int rc = passed ? 0 : spool_segment_scan(w.fd, p.segment == 1 ? p.offset : 0, &w.scan);
    CHECK(rc == 0 || rc == ERR_UNSUPPORTED);
    CHECK(w.scan.begin <= w.scan.end && (w.scan.end <= n || w.scan.end == SPOOL_FILE_HEAD));
    w.at = w.scan.begin;
    CHECK(spool_open(&(struct spool_options){.dir = folder, .bytes_max = UINT64_MAX / 2}, &s, NULL) == rc);
    if (rc == 0)
        check_spool(s, &w);
    spool_close(s);
    close(w.fd);
    unlinkat(folder_fd, SPOOL_POSITION_FILE, 0);
    CHECK(unlinkat(folder_fd, SEGMENT_FILE, 0) != 0 || rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size - 2 < data[1])
        return 0;
    if (folder_fd < 0)
        make_folder();
    size_t n = size - 2 - data[1];
    uint8_t *bytes = malloc(n ? n : 1);
    CHECK(bytes);
    memcpy(bytes, data + 2 + data[1], n);
    if (data[0] & 3)
        repair(bytes, n, data[0] & 2);
    check(bytes, n, data + 2, data[1]);
    free(bytes);
    return 0;
}
