/* Reads packets out of a capture file in memory: the classic pcap format with micro- or nanosecond times, its
 * headers in either byte order (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/). Pure. One owner at
 * a time. */
#ifndef XTCP_INET_DIAG_PCAP_H
#define XTCP_INET_DIAG_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define PCAP_LINKTYPE_NETLINK 253 /* https://www.tcpdump.org/linktypes.html */

struct pcap_reader {
    const uint8_t *data;
    size_t len;
    size_t next;  /* where the next packet's header begins */
    bool swapped; /* headers are in the other byte order than ours */
    uint32_t linktype;
};

struct pcap_packet {
    const uint8_t *data; /* in place */
    size_t len;          /* bytes that are there */
    size_t wire_len;     /* bytes of the packet when it was sent; more than |len| when the capture cut it */
    size_t offset;       /* of data in the file */
};

/* Begins reading the file |data| of |len| bytes, which stays the caller's. Returns 0, ERR_UNSUPPORTED when it
 * is a capture in another format, ERR_MALFORMED when it is no capture, ERR_TRUNCATED when its header is
 * incomplete; |e| has the offset. */
int pcap_open(struct pcap_reader *r, const void *data, size_t len, struct err *e);

/* The next packet. Returns 1, 0 at the end of the file, ERR_TRUNCATED when the file ends inside of a packet
 * or its header; then |p| holds the part that is there, possibly nothing. */
int pcap_next(struct pcap_reader *r, struct pcap_packet *p, struct err *e);

#endif
