/* IP addresses as text, byte for byte as inet_ntop(3) of glibc writes them, which goes through printf. Pure; any thread. */
#ifndef XTCP_LIB_IP_TEXT_H
#define XTCP_LIB_IP_TEXT_H

#include <stdint.h>

#define IP_TEXT_MAX                                                                                          \
    46 /* the longest text, its NUL included: INET6_ADDRSTRLEN. Bytes behind a shorter one are overwritten */

/* Writes the IPv4 address |ip|, in network order, with a NUL behind it. Returns the place of that. */
char *ip4_text(const uint8_t ip[4], char out[IP_TEXT_MAX]);

/* The same of IPv6: the longest run of zeros becomes "::", and what holds an IPv4 address ends with that. */
char *ip6_text(const uint8_t ip[16], char out[IP_TEXT_MAX]);

#endif
