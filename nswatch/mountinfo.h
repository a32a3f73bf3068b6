/* /proc/PID/mountinfo (proc(5)): finds the mount that a path is on, and whether mounts made elsewhere show up
 * there. */
#ifndef XTCP_NSWATCH_MOUNTINFO_H
#define XTCP_NSWATCH_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

struct mountinfo_entry {
    unsigned id;
    bool shared; /* shared:N: mounts go to and come from its peers */
    bool slave;  /* master:N: mounts come from its master */
    const char
        *point; /* the mount point as written, \ooo escapes and all; inside the text, not NUL-terminated */
    size_t point_len;
};

/* Takes one line from *|text|, |*n| bytes left, and moves both behind it. Returns 1 with |entry| filled, 0 at
 * the end, ERR_MALFORMED for a line that is not of this format (and goes on behind it with the next call).
 * Pure. */
int mountinfo_next(const char **text, size_t *n, struct mountinfo_entry *entry);

/* The mount that the absolute |path| is on: the last one listed with the longest mount point that leads to
 * it. Returns whether there is one. Pure. */
bool mountinfo_find(const char *text, size_t n, const char *path, struct mountinfo_entry *entry);

#endif
