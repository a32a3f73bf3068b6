/* Appends messages to a regular file, each of them wholly or not at all.
 *
 * When the disk is full in the middle of a message, what is there of it is cut off again. If the file system refuses that,
 * it is tried again later. It is left undone when somebody else has written behind it, which the size of the file
 * tells. One thread. */
#ifndef XTCP_OUTPUTS_SINK_APPEND_H
#define XTCP_OUTPUTS_SINK_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct append {
    int fd;           /* the caller's, open for writing */
    const char *name; /* of the file, for the log: "file:/var/log/x" */
    bool at_end;      /* O_APPEND: writes go to the end, wherever that is, not to the offset */
    off_t torn;       /* from here to |torn_end| is what has to be cut off; equal: nothing */
    off_t torn_end;
};

/* Begins with |fd|, open or not, which stays the caller's as |name| does. */
void append_init(struct append *a, int fd, const char *name);

/* Where the next byte goes. Returns that or -errno. */
off_t append_place(const struct append *a);

/* Writes |len| bytes. Returns 0 or -errno: nothing of them is in the file then, as far as that can be. */
int append_write(struct append *a, const void *data, size_t len);

/* Takes |begin| to |end| out of the file again, which were written last. Returns as append_mend. */
int append_take_back(struct append *a, off_t begin, off_t end);

/* Cuts off what could not be cut off before. Returns 0, also when it has to stay: somebody else's bytes are behind it, or the
 * file is for appending only; or -errno. Cheap when there is nothing to do. */
int append_mend(struct append *a);

#endif
