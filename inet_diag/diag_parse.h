/* The parser of inet_diag answers: one netlink datagram in, events out. Pure: no I/O, no allocation, no
 * globals.
 *
 *     struct diag_reader r;
 *     diag_reader_init(&r);
 *     diag_reader_feed(&r, data, len);
 *     while ((event = diag_reader_next(&r)) != DIAG_END)
 *         ...
 *
 * The bytes may come from anywhere. A part that does not parse is skipped and counted; nothing outside of the
 * datagram is ever read. Layouts: <linux/netlink.h>, <linux/inet_diag.h>, host byte order. One owner at a
 * time. */
#ifndef XTCP_INET_DIAG_DIAG_PARSE_H
#define XTCP_INET_DIAG_DIAG_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/source.h"

enum diag_event {
    DIAG_END,     /* the datagram is used up */
    DIAG_SOCKET,  /* |source| describes a TCP socket, in place */
    DIAG_DONE,    /* the dump is over; |error| is its result: 0 or -errno */
    DIAG_ERROR,   /* the kernel refuses the request with |error|, -errno */
    DIAG_OVERRUN, /* the kernel says that data was lost (NLMSG_OVERRUN) */
    DIAG_REQUEST, /* somebody's request, as captures hold them; |payload|. Never sent by the kernel */
    DIAG_BROKEN,  /* the message at |offset| does not fit into its datagram: the rest of it is unreadable */
};

struct diag_counts {
    uint64_t sockets;       /* DIAG_SOCKET events */
    uint64_t malformed;     /* messages left out because they did not parse */
    uint64_t short_attrs;   /* attributes left out: too short or too long for their type, or given twice */
    uint64_t unknown_attrs; /* attributes of types that <linux/inet_diag.h> did not have, skipped */
    uint64_t foreign;       /* messages of other types, address families or protocols, skipped */
    uint64_t stale;         /* messages that answer another request than ours, skipped */
};

struct diag_reader {
    struct record_source source; /* DIAG_SOCKET: valid until the next call */
    int error;                   /* DIAG_DONE, DIAG_ERROR */
    size_t offset;               /* of the event's message in its datagram */
    const uint8_t *payload;      /* the event's message without its netlink header */
    size_t payload_len;
    uint32_t seq; /* nlmsg_seq, nlmsg_pid and nlmsg_type of the event's message */
    uint32_t portid;
    uint16_t type;
    bool interrupted;          /* NLM_F_DUMP_INTR was seen; stays set until the caller clears it */
    struct diag_counts counts; /* since diag_reader_init */

    /* the reader's own */
    const uint8_t *data;
    size_t len;
    size_t next;
    uint32_t want_seq;
    uint32_t want_portid;
    bool only_wanted;
};

/* A reader without data that accepts messages of every request. */
void diag_reader_init(struct diag_reader *r);

/* From now on only messages that answer request |seq| of port |portid| count; others are skipped as stale. */
void diag_reader_expect(struct diag_reader *r, uint32_t seq, uint32_t portid);

/* Goes on with the datagram |data| of |len| bytes, which stays the caller's and must live while its events
 * are used. */
void diag_reader_feed(struct diag_reader *r, const void *data, size_t len);

/* The next event; DIAG_END once the datagram is used up, and after DIAG_BROKEN. */
enum diag_event diag_reader_next(struct diag_reader *r);

/* Looks ahead for the cookies of a datagram's sockets: |at| is 0 at first and moves on. Returns false at the
 * end. Nothing is checked but bounds: a hint, not data. */
bool diag_reader_peek(const struct diag_reader *r, size_t *at, uint64_t *cookie);

/* The socket's cookie, low word first; 0 when the kernel gave it none (INET_DIAG_NOCOOKIE). */
uint64_t diag_cookie(const struct record_source *s);

/* Reads the attributes |data| of |len| bytes into |s|, whose PART_MSG stays as it is. Returns 0;
 * ERR_MALFORMED when their chain is broken; ERR_UNSUPPORTED when INET_DIAG_PROTOCOL says that the socket is
 * not TCP. */
int diag_parse_attributes(const uint8_t *data, size_t len, struct record_source *s,
                          struct diag_counts *counts);

#endif
