/* Names of daemons on the command line: HOST, HOST:PORT, IPV6, [IPV6]:PORT, unix:/path, and names that stand
 * for all their addresses. Pure but for target_addresses; any thread. */
#ifndef XTCP_CLIENT_FLEET_TARGET_H
#define XTCP_CLIENT_FLEET_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define TARGET_PORT "8889" /* where none is given */
#define TARGET_MAX  512    /* bytes of a target with its NUL */

/* "dns-all:///web.example:8889": every address of the name is a daemon. */
#define TARGET_ALL_SCHEME "dns-all:///"

/* Writes |text| to |out| as gRPC takes it: with TARGET_PORT where |text| has no port, and brackets around a
 * bare IPv6 address. |*all| tells whether it stands for every address of a name; |out| is HOST:PORT then.
 * Returns 0, or ERR_USAGE with |e|. */
int target_normalize(const char *text, char out[TARGET_MAX], bool *all, struct err *e);

/* Whether |target|, normalized, has a host name, not an address, a path or a scheme. */
bool target_is_name(const char *target);

/* Calls |found| with each address of the normalized |target| (HOST:PORT) as ADDRESS:PORT, each once, and with
 * the host's name. Waits for the resolver. Returns 0, the return value of |found| when that is not 0, or
 * ERR_UNAVAILABLE with |e|. */
int target_addresses(const char *target, int (*found)(void *context, const char *address, const char *host),
                     void *context, struct err *e);

#endif
