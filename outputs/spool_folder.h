/* The folder of a spool: whose it is, and the names in it.
 *
 * |lock|, which is locked as long as the spool is open and never removed, |position|, and segments, each called by its number:
 * 0000000000000001.spool. Everything else is somebody else's and left alone. One thread. */
#ifndef XTCP_OUTPUTS_SPOOL_FOLDER_H
#define XTCP_OUTPUTS_SPOOL_FOLDER_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Flags of everything that is opened in it: a link is not followed, a FIFO does not wait for its other end. */
#define SPOOL_OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* The descriptors of a folder that is open; -1: none. */
struct spool_folder {
    int dir;
    int lock;
};

/* Makes the folder |path|, which has no slash at its end, if it does not exist; opens and locks it. Returns 0; ERR_TYPE when it
 * is no folder, ERR_PERMISSION when it is another user's or others may write to it, ERR_PRECONDITION when it is locked already,
 * or -errno; with |e|. Close it in any case. */
int spool_folder_open(const char *path, struct spool_folder *out, struct err *e);
void spool_folder_close(struct spool_folder *f);

#define SPOOL_NAME_SIZE  23 /* of the name of a segment, with its NUL */
#define SPOOL_NUMBER_MAX 9999999999999999u

void spool_segment_name(uint64_t number, char out[SPOOL_NAME_SIZE]);

/* The numbers of all names of segments in the folder |dir|, in ascending order; what they stand for is not looked at. Free
 * |*list|, also after an error. Returns 0 or -errno. */
int spool_folder_segments(int dir, uint64_t **list, size_t *n);

#endif
