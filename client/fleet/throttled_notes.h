/* What is told about many nodes on standard error, not too much of it at a time: when hundreds of them go
 * away at once, a few are named and the others counted. One thread. */
#ifndef XTCP_CLIENT_FLEET_THROTTLED_NOTES_H
#define XTCP_CLIENT_FLEET_THROTTLED_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "client/output.h"

#define NOTES_AT_ONCE 20 /* lines that are told without delay */

struct notes {
    struct output *out;
    int64_t since_ns; /* monotonic: begin of the second that is counted */
    unsigned told;    /* in it */
    size_t left_out;  /* lines that were not told */
};

void notes_init(struct notes *n, struct output *out);

/* Tells a line, unless NOTES_AT_ONCE have been told in this second. */
void notes_add(struct notes *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* When notes_look has something to do (monotonic); 0: nothing. */
int64_t notes_due(const struct notes *n);

/* Tells how many lines were left out, when the second is over. */
void notes_look(struct notes *n, int64_t now);

/* The same at the end. */
void notes_end(struct notes *n);

#endif
