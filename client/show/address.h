/* One end of a socket as people read it. Any thread. */
#ifndef XTCP_CLIENT_SHOW_ADDRESS_H
#define XTCP_CLIENT_SHOW_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/unpack.h"

#define ADDRESS_TEXT_MAX   80
#define ADDRESS_DEVICE_MAX 16 /* IFNAMSIZ */

/* The device and the families of an address, which its bytes do not tell. */
struct address_scope {
    char device[ADDRESS_DEVICE_MAX]; /* device that the socket is bound to; "": none */
    bool dual_stack;                 /* :: takes IPv4 as well */
};

/* Writes the name of a device, as |name| or, where that is empty, made of its |index|: "if7". */
void address_device(const char *name, uint32_t index, char out[ADDRESS_DEVICE_MAX]);

/* The scope of the local end of |r|; the peer's has no device. */
struct address_scope address_scope(const record_message *r);

/* "192.0.2.1:443", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443"; "*" for port 0. |address| of |n| bytes: 4
 * or 16 for AF_INET (the first four count), 16 for AF_INET6; anything else is "?". As ss writes it: "*:443"
 * for :: of a socket of both families; "0.0.0.0%eth0:68" and "[fe80::1]%eth0:22" for one that is bound to a
 * device. |scope| may be NULL. */
void address_text(uint32_t family, const uint8_t *address, size_t n, uint32_t port,
                  const struct address_scope *scope, char out[ADDRESS_TEXT_MAX]);

#endif
