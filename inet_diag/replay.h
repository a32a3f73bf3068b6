/* Recorded answers: reads a pcap file of netlink packets (link type 253, LINKTYPE_NETLINK: a 16-byte cooked
 * header before each netlink datagram, https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html) with the
 * parser that live dumps use. */
#ifndef XTCP_INET_DIAG_REPLAY_H
#define XTCP_INET_DIAG_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "record/source.h"

struct replay_result {
    uint64_t packets;    /* netlink datagrams of NETLINK_SOCK_DIAG */
    uint64_t sockets;    /* sockets passed to the callback */
    uint64_t duplicates; /* not passed on: cookie already seen in the same dump */
    uint64_t malformed;
    uint64_t unknown_attrs;
    uint64_t interrupted; /* dumps with NLM_F_DUMP_INTR */
};

/* Reads the capture |data| of |len| bytes and calls |socket| for every TCP socket in it, in order; its source
 * is valid during the call. A non-zero return of |socket| ends the reading and is returned. A file that is
 * truncated, of another link type or no capture is an error that names the byte offset; the sockets before
 * that have been passed on. Pure. Any thread. */
int replay_pcap(const uint8_t *data, size_t len, int (*socket)(void *arg, const struct record_source *s),
                void *arg, struct replay_result *result, struct err *e);

#endif
