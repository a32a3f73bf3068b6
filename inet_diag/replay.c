#include "inet_diag/replay.h"

#include <byteswap.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "inet_diag/diag_parse.h"
#include "inet_diag/pcap.h"
#include "lib/u64set.h"

/* The cooked header of LINKTYPE_NETLINK, in network byte order; the six bytes between the two fields are of
 * no use. */
#define COOKED_HEADER    16
#define COOKED_ARPHRD    2
#define COOKED_NL_FAMILY 14

/* Seen cookies cover one dump, and captures are small. */
#define KEEP_SLOTS 4096

struct replay {
    int (*socket)(void *arg, const struct record_source *s);
    void *arg;
    struct replay_result *result;
    struct err *e;
    struct diag_reader reader;
    struct u64set seen; /* cookies of the dump that is being read */
    uint32_t dump_seq;  /* which is the answer to this request of this port */
    uint32_t dump_portid;
    uint32_t request_seq; /* the last request that was no question for TCP sockets */
    bool request_foreign;
};

static unsigned get_be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* An answer does not tell which protocol's sockets it is about; the request does. */
static void take_request(struct replay *r)
{
    const struct diag_reader *reader = &r->reader;
    bool foreign = false;
    if (reader->type == SOCK_DIAG_BY_FAMILY)
        foreign = reader->payload_len < sizeof(struct inet_diag_req_v2) ||
                  reader->payload[offsetof(struct inet_diag_req_v2, sdiag_protocol)] != IPPROTO_TCP;
    r->request_foreign = foreign;
    r->request_seq = reader->seq;
    u64set_clear(&r->seen, KEEP_SLOTS);
}

static int take_socket(struct replay *r)
{
    const struct diag_reader *reader = &r->reader;
    if (r->request_foreign && reader->seq == r->request_seq)
        return 0;
    if (reader->seq != r->dump_seq || reader->portid != r->dump_portid) {
        r->dump_seq = reader->seq;
        r->dump_portid = reader->portid;
        u64set_clear(&r->seen, KEEP_SLOTS);
    }
    uint64_t cookie = diag_cookie(&reader->source);
    int added = cookie ? u64set_add(&r->seen, cookie) : 1;
    if (added < 0)
        return err_set(r->e, added, "out of memory");
    if (!added) {
        r->result->duplicates++;
        return 0;
    }
    r->result->sockets++;
    int rc = r->socket(r->arg, &reader->source);
    return rc ? err_set(r->e, rc, "the reading was given up: %s", err_name(rc)) : 0;
}

/* The reader cannot make sense of the message at |offset| of the file, which is |at| in memory with |left|
 * bytes behind it. */
static int broken(struct replay *r, const uint8_t *at, size_t left, size_t offset)
{
    uint32_t len;
    if (left < sizeof(struct nlmsghdr))
        return err_set(r->e, ERR_TRUNCATED, "offset %zu: the packet ends inside of a netlink header", offset);
    memcpy(&len, at, sizeof(len));
    uint32_t other = bswap_32(len);
    if (len > left && other >= sizeof(struct nlmsghdr) && other <= left)
        return err_set(r->e, ERR_UNSUPPORTED,
                       "offset %zu: netlink messages of a machine with the other byte order", offset);
    if (len > left)
        return err_set(r->e, ERR_TRUNCATED,
                       "offset %zu: a netlink message of %u bytes, but its packet ends after %zu", offset,
                       len, left);
    return err_set(r->e, ERR_MALFORMED, "offset %zu: a netlink message of %u bytes, at least %zu expected",
                   offset, len, sizeof(struct nlmsghdr));
}

static void end_of_dump(struct replay *r)
{
    r->result->interrupted += r->reader.interrupted;
    r->reader.interrupted = false;
    u64set_clear(&r->seen, KEEP_SLOTS);
}

static int take_datagram(struct replay *r, const uint8_t *data, size_t len, size_t offset)
{
    r->result->packets++;
    diag_reader_feed(&r->reader, data, len);
    for (enum diag_event event; (event = diag_reader_next(&r->reader)) != DIAG_END;) {
        size_t at = r->reader.offset;
        int rc = 0;
        switch (event) {
        case DIAG_SOCKET:
            rc = take_socket(r);
            break;
        case DIAG_REQUEST:
            take_request(r);
            break;
        case DIAG_DONE:
            end_of_dump(r);
            if (r->reader.error)
                rc = err_set(r->e, r->reader.error, "offset %zu: the kernel ended the dump early: %s",
                             offset + at, err_name(r->reader.error));
            break;
        case DIAG_ERROR:
            rc = err_set(r->e, r->reader.error, "offset %zu: the kernel refused the request: %s", offset + at,
                         err_name(r->reader.error));
            break;
        case DIAG_OVERRUN:
            rc = err_set(r->e, -ENOBUFS, "offset %zu: the kernel lost part of the answer (NLMSG_OVERRUN)",
                         offset + at);
            break;
        case DIAG_BROKEN:
            rc = broken(r, data + at, len - at, offset + at);
            break;
        case DIAG_END:
            break;
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int take_packet(struct replay *r, const struct pcap_packet *p)
{
    if (p->len < COOKED_HEADER)
        return err_set(r->e, ERR_TRUNCATED,
                       "offset %zu: the packet ends inside of its netlink capture header", p->offset);
    unsigned arphrd = get_be16(p->data + COOKED_ARPHRD);
    if (arphrd != ARPHRD_NETLINK)
        return err_set(r->e, ERR_UNSUPPORTED, "offset %zu: a packet of device type %u, expected %d (netlink)",
                       p->offset + COOKED_ARPHRD, arphrd, ARPHRD_NETLINK);
    if (get_be16(p->data + COOKED_NL_FAMILY) != NETLINK_SOCK_DIAG)
        return 0;
    return take_datagram(r, p->data + COOKED_HEADER, p->len - COOKED_HEADER, p->offset + COOKED_HEADER);
}

static int take_file(struct replay *r, const uint8_t *data, size_t len)
{
    struct pcap_reader file;
    struct pcap_packet p;
    int rc = pcap_open(&file, data, len, r->e);
    if (rc)
        return rc;
    if (file.linktype != PCAP_LINKTYPE_NETLINK)
        return err_set(r->e, ERR_UNSUPPORTED, "offset 20: a capture of link type %u, expected %d (netlink)",
                       file.linktype, PCAP_LINKTYPE_NETLINK);
    while ((rc = pcap_next(&file, &p, r->e)) > 0) {
        rc = take_packet(r, &p);
        if (p.wire_len > p.len && (!rc || rc == ERR_TRUNCATED))
            rc = err_set(r->e, ERR_TRUNCATED, "offset %zu: the capture has %zu bytes of a packet of %zu",
                         p.offset, p.len, p.wire_len);
        if (rc)
            return rc;
    }
    if (rc == ERR_TRUNCATED &&
        p.len >= COOKED_HEADER) { /* the whole messages at the file's end; its error stands */
        struct err *e = r->e;
        r->e = NULL;
        int last = take_packet(r, &p);
        r->e = e;
        if (last && last != ERR_TRUNCATED)
            return err_set(e, last, "offset %zu: %s", p.offset, err_name(last));
    }
    return rc;
}

int replay_pcap(const uint8_t *data, size_t len, int (*socket)(void *arg, const struct record_source *s),
                void *arg, struct replay_result *result, struct err *e)
{
    *result = (struct replay_result){0};
    struct replay r = {.socket = socket, .arg = arg, .result = result, .e = e};
    diag_reader_init(&r.reader);
    u64set_init(&r.seen);
    int rc = take_file(&r, data, len);
    u64set_free(&r.seen);
    result->malformed = r.reader.counts.malformed + r.reader.counts.short_attrs;
    result->unknown_attrs = r.reader.counts.unknown_attrs;
    result->interrupted += r.reader.interrupted; /* of a dump that has no end */
    return rc;
}
