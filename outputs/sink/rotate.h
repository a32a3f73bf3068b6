/* Rotated files: what was written to the file NAME until it was put aside, in the same folder, under the name
 *
 *     NAME.YYYYMMDDTHHMMSS[.N][.gz|.zst]    when that was (UTC), a number when it is not the first of that second, and how
 *                                           it is compressed
 *     the same with .part behind it         what is being compressed
 *
 * Files of other names are never touched. A folder is a descriptor, which may be of O_PATH, and |base| is NAME. Any thread. */
#ifndef XTCP_OUTPUTS_SINK_ROTATE_H
#define XTCP_OUTPUTS_SINK_ROTATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"

#define ROTATE_NUMBER_MAX 9999
#define ROTATE_STAMP      15 /* characters of YYYYMMDDTHHMMSS */
#define ROTATE_ADDS_MAX   30 /* what the longest name has behind NAME: .YYYYMMDDTHHMMSS.9999.zst.part */

/* One of them, without its NAME. */
struct rotated {
    char stamp[ROTATE_STAMP + 1];
    uint16_t number; /* 0: it has none */
    bool part;
    enum output_compress compress;
};

/* Its name, in |out|. */
void rotate_name(const char *base, const struct rotated *r, char out[NAME_MAX + 1]);

/* Whether |name| is the name of a rotated file of |base|; then |out| is it. */
bool rotate_parse(const char *base, const char *name, struct rotated *out);

/* Orders them by age, the oldest first: negative, 0 or positive. Those that differ only in compression and .part are one
 * file in several states: 0. */
int rotate_order(const struct rotated *a, const struct rotated *b);

/* All of them in |folder|, the oldest first: |*n| in |*list|, which the caller frees. Returns 0 or -errno, then there are
 * none. */
int rotate_list(int folder, const char *base, struct rotated **list, size_t *n);

/* Puts the file |base| aside at |wall_ns|; |out| is what it has become. Returns 0 or -errno: nothing has changed then. */
int rotate_put_aside(int folder, const char *base, int64_t wall_ns, struct rotated *out);

/* Removes the oldest ones, so that |keep| of them stay; |newest| is one of those, whatever the clock says. Returns 0 or
 * -errno, the first that occurred. */
int rotate_prune(int folder, const char *base, uint32_t keep, const struct rotated *newest);

/* Removes what the end of a process has left half compressed. */
void rotate_tidy(int folder, const char *base);

/* Opens the rotated file |name| and claims it: nobody else compresses it until the descriptor is closed. Returns the
 * descriptor; ERR_PRECONDITION when somebody else has claimed it, ERR_TYPE when it is no regular file, or -errno. */
int rotate_claim(int folder, const char *name);

/* Whether |name| still leads to the open file |fd|. */
bool rotate_leads_to(int folder, const char *name, int fd);

/* The number of the interval of |interval_ns| that |wall_ns| is in: intervals begin at multiples of their length. */
int64_t rotate_interval(int64_t wall_ns, int64_t interval_ns);

#endif
