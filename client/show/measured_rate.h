/* Measures how fast sockets send, by the bytes that the peer has acknowledged between two polls. The kernel's
 * own delivery rate is a sample of the last few packets, and may be far from that. One thread. */
#ifndef XTCP_CLIENT_SHOW_MEASURED_RATE_H
#define XTCP_CLIENT_SHOW_MEASURED_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/unpack.h"

/* Sockets that are known at a time, of all nodes together, some 200 bytes each: those of the poll that is
 * under way and of the one before it. Sockets beyond that have no rate. */
#define MEASURED_RATE_SOCKETS_MAX (1u << 20)

struct measured_rate;

/* Knows no socket yet. NULL without memory. */
struct measured_rate *measured_rate_new(void);
void measured_rate_free(struct measured_rate *m);

/* Notes the socket of |r|, which came from |node| (compared as a pointer; NULL: the only one). Records
 * without a cookie are not noted. Without memory nothing is noted: there is no rate then. */
void measured_rate_take(struct measured_rate *m, const record_message *r, const char *node);

/* A poll of |node| is over: its sockets that were not in it are forgotten. */
void measured_rate_end(struct measured_rate *m, const char *node);

/* Bytes per second that the socket of |r|, noted before, has had acknowledged: since the poll before, or
 * since an older one where polls are less than half a second apart. False when there is no earlier poll of
 * it. */
bool measured_rate(const struct measured_rate *m, const record_message *r, const char *node, uint64_t *out);

#endif
