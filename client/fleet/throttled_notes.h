/* Notes about many nodes on standard error, not too many of them at a time: when hundreds of them go
 * away at once, a few are named and the others counted. One thread. */
#ifndef XTCP_CLIENT_FLEET_THROTTLED_NOTES_H
#define XTCP_CLIENT_FLEET_THROTTLED_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "client/output.h"

#define THROTTLED_NOTES_AT_ONCE 20 /* lines that are told without delay */

struct throttled_notes {
    struct output *out;
    int64_t since_ns; /* monotonic: begin of the second in which notes are counted */
    unsigned told;    /* in that second */
    size_t left_out;  /* lines that were not told */
};

void throttled_notes_init(struct throttled_notes *n, struct output *out);

/* Tells a line, unless THROTTLED_NOTES_AT_ONCE have been told in this second. */
void throttled_notes_add(struct throttled_notes *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* When throttled_notes_look has something to do (monotonic); 0: nothing. */
int64_t throttled_notes_due(const struct throttled_notes *n);

/* Tells how many lines were left out, when the second is over. */
void throttled_notes_look(struct throttled_notes *n, int64_t now);

/* The same at the end. */
void throttled_notes_end(struct throttled_notes *n);

#endif
