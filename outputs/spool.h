/* The spool of an output: rows that wait on disk, a queue that survives the end of the process and of the machine.
 *
 * A folder of segment files (outputs/spool_segment.h), of which the oldest is read and the newest is written; one that has been
 * read is removed. What is put in comes out in the same order, also after kill -9. Entries that were taken in the second
 * before such an end may come out once more: the position (outputs/spool_position.h) is written once a second at most.
 *
 * An entry whose data are damaged is left out and counted; where the head of an entry is damaged or cut, so is the rest of
 * its segment. A segment that breaks off inside of an entry, as one may that was being written at the end, is counted as well.
 *
 * An entry is with the kernel when spool_put returns, and survives the end of the process. The disk is told to keep it
 * (fdatasync) when a segment is full, at spool_close, and by each call that comes a second or more after the last time; a power
 * failure costs what came since, and what was taken since may come out once more.
 *
 * When the spool is full, whole segments of the oldest entries make room: each is an eighth of it, within 64 KiB and 16 MiB,
 * unless one entry is longer than that. Nobody else writes to the folder. Files in it that are not the spool's are left
 * alone. One thread. */
#ifndef XTCP_OUTPUTS_SPOOL_H
#define XTCP_OUTPUTS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

struct spool;

struct spool_options {
    const char *dir;    /* made, with mode 0700, when it does not exist; its parent must */
    uint64_t bytes_max; /* of all segments together, what has been read of them included */
    int64_t age_max;    /* ns; older entries are dropped when their turn comes; 0: no bound */
};

struct spool_entry {
    uint64_t poll_id;
    int64_t time_ns; /* wall clock, when it came; the age is counted from it */
    uint32_t rows;
    bool poll_end;       /* the last one of its poll; may have no rows */
    const uint8_t *data; /* a serialized Envelope */
    size_t len;          /* SPOOL_ENTRY_MAX at most */
};

#define SPOOL_ENTRY_MAX (16u << 20)

/* Opens |o->dir|, which no other process, nor this one, may have open (a lock tells). The heads of all entries are read: 4 KiB
 * for each, or for a hundred small ones. Strings are copied. Returns 0 and |out|; or with |e| naming the path: -errno;
 * ERR_PRECONDITION when somebody has it open; ERR_TYPE when it is no folder, or a link; ERR_PERMISSION when it belongs to
 * another user or others may write to it; ERR_UNSUPPORTED when a segment is of another version. Then nothing has been dropped. */
int spool_open(const struct spool_options *o, struct spool **out, struct err *e);

/* Writes what is still to be written; everything stays for the next spool_open. NULL is allowed. */
void spool_close(struct spool *s);

/* New bounds; what is beyond them is dropped now, or when its turn comes. */
void spool_set_bounds(struct spool *s, uint64_t bytes_max, int64_t age_max);

/* Appends |entry|, which stays the caller's. Returns 0; ERR_LIMIT when it is longer than the spool or SPOOL_ENTRY_MAX
 * allows, or when no number is left for a segment; or -errno (-ENOSPC, -EDQUOT, -EIO); with |e|. After an error nothing of
 * it is in the spool, and the spool stays usable; but older entries may have gone to make room. */
int spool_put(struct spool *s, const struct spool_entry *entry, struct err *e);

/* The oldest entry: its bytes replace the contents of |data|, where |out->data| points. Those before it that are too old or
 * damaged are dropped. It stays in the spool: without spool_take it comes again, unless it is dropped meanwhile. Returns 1; 0
 * when the spool is empty, or -errno with |e| when it cannot be read now, and |data| is empty then. */
int spool_first(struct spool *s, struct buf *data, struct spool_entry *out, struct err *e);

/* Removes the entry that spool_first gave last; nothing, when that has been done. An entry that had to make room since then
 * counts as taken now; it counts as dropped when spool_first is called instead. */
void spool_take(struct spool *s);

/* The entry that spool_first gave last will not be taken: it comes again. Returns false when it had to make room since then:
 * it counts as dropped now. */
bool spool_give_back(struct spool *s);

/* Whatever was in the spool at spool_open or was put in since is either taken, or counted here. */
struct spool_stats {
    uint64_t rows;         /* that wait, the entry that spool_first gave included */
    uint64_t bytes;        /* of the segments, what has been read of them included */
    int64_t oldest_ns;     /* wall clock of the oldest entry; 0: empty */
    uint64_t rows_full;    /* dropped since spool_open: to make room */
    uint64_t rows_old;     /* too old */
    uint64_t rows_damaged; /* damaged entries, as far as their heads tell */
    uint64_t damaged;      /* places where something was damaged or cut */
};
void spool_stats(const struct spool *s, struct spool_stats *out);

#endif
