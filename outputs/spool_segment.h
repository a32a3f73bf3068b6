/* A segment of a spool: a file of entries, written from its beginning to its end and never changed afterwards.
 *
 * All integers are little endian. The file begins with
 *
 *      0  8 bytes  "xtcp2spl"
 *      8  u32      version: 1
 *     12  u32      CRC-32 of the 12 bytes before
 *
 * Then come the entries, each a head and its data, without gaps:
 *
 *      0  u32      0x45505358, "XSPE"
 *      4  u32      length of the data, SPOOL_ENTRY_MAX at most
 *      8  u32      rows
 *     12  u32      flags: 1 for the last one of a poll; the others are 0
 *     16  u64      id of the poll
 *     24  i64      wall clock in ns
 *     32  u32      CRC-32 of the data
 *     36  u32      CRC-32 of the 36 bytes before
 *     40  the data
 *
 * A head has a checksum of its own, so heads alone tell where entries are and how many rows they have, and damaged data
 * cost the entry but not those behind it. A damaged head costs them all: where the next one is cannot be told. The CRC-32 is
 * that of zlib, gzip and Ethernet.
 *
 * Functions here work on a descriptor at a given offset and keep nothing. Any thread. */
#ifndef XTCP_OUTPUTS_SPOOL_SEGMENT_H
#define XTCP_OUTPUTS_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "outputs/spool.h"

#define SPOOL_SEGMENT_VERSION 1

#define SPOOL_FILE_HEAD  16u /* bytes */
#define SPOOL_ENTRY_HEAD 40u

/* The head of an entry. */
struct spool_head {
    uint64_t poll_id;
    int64_t time_ns;
    uint32_t rows;
    uint32_t len; /* of the data, in bytes */
    uint32_t data_crc;
    bool poll_end;
};

/* The bytes that an entry with |len| bytes of data takes. */
static inline uint64_t spool_entry_size(uint64_t len)
{
    return SPOOL_ENTRY_HEAD + len;
}

/* ---- Writing ---- */

/* Writes the head of the empty file |fd|. Returns 0 or -errno. */
int spool_segment_begin(int fd);

/* Writes |entry| at the offset |at|, the end of the file. Returns 0; or -errno, then a part of it may be there: cut the file
 * back to |at|. */
int spool_segment_append(int fd, uint64_t at, const struct spool_entry *entry);

/* ---- Reading ---- */

/* Whether the error |rc| is that of bytes which are not what was written, and will not become so. */
static inline bool spool_is_damage(int rc)
{
    return rc == ERR_MALFORMED || rc == ERR_TRUNCATED;
}

/* The head at the offset |at|. Returns 0, ERR_TRUNCATED when the file ends before it does, ERR_MALFORMED when it is damaged,
 * or -errno. */
int spool_segment_head(int fd, uint64_t at, struct spool_head *head);

/* The data behind the head |head|, which is at |at|: they replace the contents of |data|. Returns 0, ERR_TRUNCATED,
 * ERR_MALFORMED when their checksum is wrong, -ENOMEM or -errno. */
int spool_segment_data(int fd, uint64_t at, const struct spool_head *head, struct buf *data);

/* The contents of a segment, by the heads of its entries. */
struct spool_scan {
    uint64_t begin;    /* offset of the first entry that was asked for */
    uint64_t end;      /* behind the last whole entry; |begin| when there is none */
    uint64_t size;     /* of the file */
    uint64_t rows;     /* from |begin| to |end| */
    int64_t oldest_ns; /* wall clock of the entry at |begin| */
    bool damaged;      /* there is something behind |end|, or the head of the file is damaged */
};

/* Reads the heads of the entries from the offset |from| on; when no entry begins there, or it is 0, all of them. Data are not
 * looked at. Returns 0; ERR_UNSUPPORTED for another version; or -errno. */
int spool_segment_scan(int fd, uint64_t from, struct spool_scan *out);

#endif
