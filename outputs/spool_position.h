/* The file |position| of a spool: how far it has been read.
 *
 * 28 bytes, little endian: "xtcp2pos", u64 number of the segment, u64 offset in it, u32 CRC-32 of the 24 bytes before.
 * Segments with lower numbers have been read. It is replaced as a whole, by a rename from |position.new|. One thread for
 * each folder. */
#ifndef XTCP_OUTPUTS_SPOOL_POSITION_H
#define XTCP_OUTPUTS_SPOOL_POSITION_H

#include <stdint.h>

#define SPOOL_POSITION_FILE "position"

struct spool_position {
    uint64_t segment; /* from 1 on; 0: nothing has been read */
    uint64_t offset;  /* of the first entry that has not been read */
};

/* Reads it in the folder |dir|. One that does not exist or is damaged is all 0. Returns 0; or -errno when it cannot be told
 * what it is. */
int spool_position_read(int dir, struct spool_position *out);

/* Returns 0 or -errno; then the one before is still there. */
int spool_position_write(int dir, const struct spool_position *p);

#endif
