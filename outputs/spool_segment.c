#include "outputs/spool_segment.h"

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "outputs/spool_bytes.h"

/* Offsets in the head of the file. */
#define FILE_MAGIC   "xtcp2spl"
#define FILE_VERSION 8
#define FILE_CRC     12

/* Offsets in the head of an entry. */
#define ENTRY_MAGIC    0x45505358u
#define ENTRY_LEN      4
#define ENTRY_ROWS     8
#define ENTRY_FLAGS    12
#define ENTRY_POLL     16
#define ENTRY_TIME     24
#define ENTRY_DATA_CRC 32
#define ENTRY_CRC      36

#define FLAG_POLL_END 1u

/* Bytes that a scan reads at once: a page, since most heads have far more than that between them. */
#define WINDOW 4096

static uint32_t checksum(const void *data, size_t n)
{
    return n ? (uint32_t)crc32_z(0, data, n) : 0;
}

/* ---- Heads ---- */

static void encode_head(const struct spool_entry *entry, uint8_t out[SPOOL_ENTRY_HEAD])
{
    spool_put_u32(out, ENTRY_MAGIC);
    spool_put_u32(out + ENTRY_LEN, (uint32_t)entry->len);
    spool_put_u32(out + ENTRY_ROWS, entry->rows);
    spool_put_u32(out + ENTRY_FLAGS, entry->poll_end ? FLAG_POLL_END : 0);
    spool_put_u64(out + ENTRY_POLL, entry->poll_id);
    spool_put_u64(out + ENTRY_TIME, (uint64_t)entry->time_ns);
    spool_put_u32(out + ENTRY_DATA_CRC, checksum(entry->data, entry->len));
    spool_put_u32(out + ENTRY_CRC, checksum(out, ENTRY_CRC));
}

/* Returns 0 or ERR_MALFORMED. */
static int decode_head(const uint8_t in[SPOOL_ENTRY_HEAD], struct spool_head *head)
{
    uint32_t flags = spool_get_u32(in + ENTRY_FLAGS);
    *head = (struct spool_head){
        .poll_id = spool_get_u64(in + ENTRY_POLL),
        .time_ns = (int64_t)spool_get_u64(in + ENTRY_TIME),
        .rows = spool_get_u32(in + ENTRY_ROWS),
        .len = spool_get_u32(in + ENTRY_LEN),
        .data_crc = spool_get_u32(in + ENTRY_DATA_CRC),
        .poll_end = (flags & FLAG_POLL_END) != 0,
    };
    bool good = spool_get_u32(in) == ENTRY_MAGIC &&
                spool_get_u32(in + ENTRY_CRC) == checksum(in, ENTRY_CRC) && head->len <= SPOOL_ENTRY_MAX &&
                (flags & ~FLAG_POLL_END) == 0;
    return good ? 0 : ERR_MALFORMED;
}

static void encode_file_head(uint8_t out[SPOOL_FILE_HEAD])
{
    memcpy(out, FILE_MAGIC, FILE_VERSION);
    spool_put_u32(out + FILE_VERSION, SPOOL_SEGMENT_VERSION);
    spool_put_u32(out + FILE_CRC, checksum(out, FILE_CRC));
}

/* Returns 0, ERR_MALFORMED or ERR_UNSUPPORTED. */
static int check_file_head(const uint8_t in[SPOOL_FILE_HEAD])
{
    if (memcmp(in, FILE_MAGIC, FILE_VERSION) != 0 || spool_get_u32(in + FILE_CRC) != checksum(in, FILE_CRC))
        return ERR_MALFORMED;
    return spool_get_u32(in + FILE_VERSION) == SPOOL_SEGMENT_VERSION ? 0 : ERR_UNSUPPORTED;
}

/* ---- Writing ---- */

/* Goes on behind the first |n| bytes of |parts|. */
static void advance(struct iovec *parts, int count, size_t n)
{
    for (int i = 0; i < count; i++) {
        size_t used = n < parts[i].iov_len ? n : parts[i].iov_len;
        parts[i].iov_base = (uint8_t *)parts[i].iov_base + used;
        parts[i].iov_len -= used;
        n -= used;
    }
}

/* Writes all of |parts|, |total| bytes, at the offset |at|. Returns 0 or -errno. */
static int write_at(int fd, struct iovec *parts, int count, size_t total, uint64_t at)
{
    for (size_t done = 0; done < total;) {
        ssize_t n = pwritev(fd, parts, count, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
        advance(parts, count, (size_t)n);
    }
    return 0;
}

int spool_segment_begin(int fd)
{
    uint8_t head[SPOOL_FILE_HEAD];
    struct iovec part = {.iov_base = head, .iov_len = sizeof(head)};
    encode_file_head(head);
    return write_at(fd, &part, 1, sizeof(head), 0);
}

int spool_segment_append(int fd, uint64_t at, const struct spool_entry *entry)
{
    uint8_t head[SPOOL_ENTRY_HEAD];
    struct iovec parts[] = {
        {.iov_base = head, .iov_len = sizeof(head)},
        {.iov_base = (void *)entry->data, .iov_len = entry->len}, /* pwritev(2) only reads it */
    };
    encode_head(entry, head);
    return write_at(fd, parts, entry->len ? 2 : 1, sizeof(head) + entry->len, at);
}

/* ---- Reading ---- */

/* Reads up to |n| bytes at the offset |at|. Returns how many there are, fewer at the end of the file; or -errno. */
static ssize_t read_at(int fd, void *to, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (uint8_t *)to + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Reads exactly |n| bytes. Returns 0, ERR_TRUNCATED or -errno. */
static int read_all_at(int fd, void *to, size_t n, uint64_t at)
{
    ssize_t got = read_at(fd, to, n, at);
    if (got < 0)
        return (int)got;
    return (size_t)got == n ? 0 : ERR_TRUNCATED;
}

int spool_segment_head(int fd, uint64_t at, struct spool_head *head)
{
    uint8_t bytes[SPOOL_ENTRY_HEAD];
    int rc = read_all_at(fd, bytes, sizeof(bytes), at);
    return rc ? rc : decode_head(bytes, head);
}

int spool_segment_data(int fd, uint64_t at, const struct spool_head *head, struct buf *data)
{
    buf_reset(data);
    char *to = buf_reserve(data, head->len);
    if (!to)
        return -ENOMEM;
    int rc = read_all_at(fd, to, head->len, at + SPOOL_ENTRY_HEAD);
    if (rc)
        return rc;
    data->len = head->len;
    return checksum(to, head->len) == head->data_crc ? 0 : ERR_MALFORMED;
}

/* ---- Scanning ---- */

/* A part of the file in memory. */
struct window {
    int fd;
    uint64_t at;
    size_t len;
    uint8_t bytes[WINDOW];
};

/* The head at |at|, as spool_segment_head has it. */
static int window_head(struct window *w, uint64_t at, struct spool_head *head)
{
    bool inside = at >= w->at && at - w->at + SPOOL_ENTRY_HEAD <= w->len;
    if (!inside) {
        ssize_t n = read_at(w->fd, w->bytes, sizeof(w->bytes), at);
        w->at = at;
        w->len = n > 0 ? (size_t)n : 0;
        if (n < (ssize_t)SPOOL_ENTRY_HEAD)
            return n < 0 ? (int)n : ERR_TRUNCATED;
    }
    return decode_head(w->bytes + (at - w->at), head);
}

/* Whether entries can be read from |from| on. Returns 1, 0 or -errno. */
static int begins_at(struct window *w, uint64_t from, uint64_t size)
{
    struct spool_head head;
    if (from < SPOOL_FILE_HEAD || from > size)
        return 0;
    int rc = from == size ? 0 : window_head(w, from, &head);
    return spool_is_damage(rc) ? 0 : rc ? rc : 1;
}

/* Walks from |out->begin| to the end of what can be read. Returns 0 or -errno. */
static int scan_entries(struct window *w, struct spool_scan *out)
{
    out->end = out->begin;
    while (out->end < out->size) {
        struct spool_head head;
        int rc = window_head(w, out->end, &head);
        if (rc == 0 && spool_entry_size(head.len) > out->size - out->end)
            rc = ERR_TRUNCATED;
        out->damaged = spool_is_damage(rc);
        if (rc)
            return out->damaged ? 0 : rc;
        if (out->end == out->begin)
            out->oldest_ns = head.time_ns;
        out->rows += head.rows;
        out->end += spool_entry_size(head.len);
    }
    return 0;
}

int spool_segment_scan(int fd, uint64_t from, struct spool_scan *out)
{
    struct window w = {.fd = fd};
    uint8_t head[SPOOL_FILE_HEAD];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    *out =
        (struct spool_scan){.begin = SPOOL_FILE_HEAD, .end = SPOOL_FILE_HEAD, .size = (uint64_t)st.st_size};
    int rc = read_all_at(fd, head, sizeof(head), 0);
    if (rc == 0)
        rc = check_file_head(head);
    out->damaged = spool_is_damage(rc);
    if (rc)
        return out->damaged ? 0 : rc;
    rc = begins_at(&w, from, out->size);
    if (rc < 0)
        return rc;
    if (rc > 0)
        out->begin = from;
    return scan_entries(&w, out);
}
