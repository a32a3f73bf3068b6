/* The columns of the socket table: one row for each record. */
#ifndef XTCP_CLIENT_SOCKETS_H
#define XTCP_CLIENT_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

#include "client/table.h"
#include "record/unpack.h"

/* A table with the columns of sockets; table_free ends it. NULL without memory. */
struct table *sockets_table_new(void);

/* Adds |r|, whose contents may be anything. Rows are sorted by namespace, listeners first and what is
 * over (TIME_WAIT, CLOSE) last, then by local and peer end. */
void sockets_table_add(struct table *t, const record_message *r);

#define SOCKETS_ADDRESS_MAX 64

/* "192.0.2.1:443", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443"; "*" for port 0. |address| of |n| bytes: 4
 * or 16 for AF_INET (the first four count), 16 for AF_INET6; anything else is "?". */
void sockets_address(uint32_t family, const uint8_t *address, size_t n, uint32_t port,
                     char out[SOCKETS_ADDRESS_MAX]);

#endif
