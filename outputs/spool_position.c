#include "outputs/spool_position.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "outputs/spool_bytes.h"

#define NEW_FILE SPOOL_POSITION_FILE ".new"

#define MAGIC   "xtcp2pos"
#define SEGMENT 8
#define OFFSET  16
#define CRC     24
#define SIZE    28

static void encode(const struct spool_position *p, uint8_t out[SIZE])
{
    memcpy(out, MAGIC, SEGMENT);
    spool_put_u64(out + SEGMENT, p->segment);
    spool_put_u64(out + OFFSET, p->offset);
    spool_put_u32(out + CRC, (uint32_t)crc32_z(0, out, CRC));
}

static struct spool_position decode(const uint8_t *in, size_t n)
{
    bool good = n == SIZE && memcmp(in, MAGIC, SEGMENT) == 0 &&
                spool_get_u32(in + CRC) == (uint32_t)crc32_z(0, in, CRC);
    if (!good)
        return (struct spool_position){0};
    return (struct spool_position){.segment = spool_get_u64(in + SEGMENT),
                                   .offset = spool_get_u64(in + OFFSET)};
}

/* A FIFO in its place is opened without waiting for its other end. */
int spool_position_read(int dir, struct spool_position *out)
{
    uint8_t bytes[SIZE + 1];
    *out = (struct spool_position){0};
    int fd = openat(dir, SPOOL_POSITION_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    ssize_t n = read(fd, bytes, sizeof(bytes));
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc == 0)
        *out = decode(bytes, (size_t)n);
    return rc;
}

/* Bytes for which the disk has no room may come back as a short write. */
static int write_bytes(int fd, const uint8_t bytes[SIZE])
{
    ssize_t n = write(fd, bytes, SIZE);
    if (n < 0)
        return -errno;
    return n == SIZE ? 0 : -ENOSPC;
}

int spool_position_write(int dir, const struct spool_position *p)
{
    uint8_t bytes[SIZE];
    encode(p, bytes);
    int fd = openat(dir, NEW_FILE,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = write_bytes(fd, bytes);
    close(fd);
    if (rc == 0 && renameat(dir, NEW_FILE, dir, SPOOL_POSITION_FILE) != 0)
        rc = -errno;
    return rc;
}
