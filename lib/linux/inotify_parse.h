/* The buffer that read(2) of an inotify descriptor fills (struct inotify_event of <sys/inotify.h>): bytes in,
 * events out. */
#ifndef XTCP_LIB_LINUX_INOTIFY_PARSE_H
#define XTCP_LIB_LINUX_INOTIFY_PARSE_H

#include "lib/cursor.h"

#include <stdint.h>

struct inotify_item {
    int wd;           /* -1: IN_Q_OVERFLOW */
    uint32_t mask;    /* IN_* */
    const char *name; /* the file in the watched directory, NUL-terminated, inside the buffer; NULL: the
                         watched one itself */
};

/* Takes the next event from |c| into |item|. Returns 1, 0 at the end of the buffer, ERR_TRUNCATED when the
 * buffer ends within an event, ERR_MALFORMED when the name has no end, is no file name ("", ".", "..") or
 * contains a slash. Pure. */
int inotify_next(struct cursor *c, struct inotify_item *item);

#endif
