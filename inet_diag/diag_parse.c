#include "inet_diag/diag_parse.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"

#define ERRNO_MAX 999 /* no kernel has larger ones, and our own codes begin behind it */

/* The form that an attribute of an answer must have. Structs grow at their end, so most have a smallest length
 * only: that of the oldest kernel that sent them. */
struct attr_policy {
    uint8_t part; /* enum record_part, or PART_NONE: known, but not in the record */
    uint16_t min; /* bytes of payload; 0 with PART_NONE */
    uint16_t max; /* 0: no bound */
};

#define PART_NONE PART_COUNT
#define NO_FIELDS                                                                                            \
    {                                                                                                        \
        .part = PART_NONE                                                                                    \
    }

static const struct attr_policy policies[INET_DIAG_MAX + 1] = {
    [INET_DIAG_NONE] = NO_FIELDS,
    [INET_DIAG_MEMINFO] = {PART_MEMINFO, sizeof(struct inet_diag_meminfo), 0},
    [INET_DIAG_INFO] = {PART_INFO, offsetof(struct tcp_info, tcpi_pacing_rate),
                        0}, /* its end before Linux 3.15 */
    [INET_DIAG_VEGASINFO] = {PART_VEGAS, sizeof(struct tcpvegas_info), 0},
    [INET_DIAG_CONG] = {PART_CONG, 1, 16}, /* TCP_CA_NAME_MAX of <net/tcp.h> */
    [INET_DIAG_TOS] = {PART_TOS, 1, 0},
    [INET_DIAG_TCLASS] = {PART_TCLASS, 1, 0},
    [INET_DIAG_SKMEMINFO] = {PART_SKMEMINFO, SK_MEMINFO_BACKLOG * sizeof(uint32_t),
                             0}, /* its end before Linux 3.4 */
    [INET_DIAG_SHUTDOWN] = {PART_SHUTDOWN, 1, 0},
    [INET_DIAG_DCTCPINFO] = {PART_DCTCP, sizeof(struct tcp_dctcp_info), 0},
    [INET_DIAG_PROTOCOL] = {PART_NONE, 1, 0},
    [INET_DIAG_SKV6ONLY] = {PART_V6ONLY, 1, 0},
    [INET_DIAG_LOCALS] = NO_FIELDS,
    [INET_DIAG_PEERS] = NO_FIELDS,
    [INET_DIAG_PAD] = NO_FIELDS,
    [INET_DIAG_MARK] = {PART_MARK, sizeof(uint32_t), 0},
    [INET_DIAG_BBRINFO] = {PART_BBR, sizeof(struct tcp_bbr_info), 0},
    [INET_DIAG_CLASS_ID] = {PART_CLASS_ID, sizeof(uint32_t), 0},
    [INET_DIAG_MD5SIG] = NO_FIELDS,
    [INET_DIAG_ULP_INFO] = NO_FIELDS,
    [INET_DIAG_SK_BPF_STORAGES] = NO_FIELDS,
    [INET_DIAG_CGROUP_ID] = {PART_CGROUP_ID, sizeof(uint64_t), 0},
    [INET_DIAG_SOCKOPT] = {PART_SOCKOPT, sizeof(struct inet_diag_sockopt), 0},
};

void diag_reader_init(struct diag_reader *r)
{
    *r = (struct diag_reader){0};
}

void diag_reader_expect(struct diag_reader *r, uint32_t seq, uint32_t portid)
{
    r->want_seq = seq;
    r->want_portid = portid;
    r->only_wanted = true;
}

void diag_reader_feed(struct diag_reader *r, const void *data, size_t len)
{
    r->data = data;
    r->len = len;
    r->next = 0;
}

bool diag_reader_peek(const struct diag_reader *r, size_t *at, uint64_t *cookie)
{
    const size_t place = sizeof(struct nlmsghdr) + offsetof(struct inet_diag_msg, id.idiag_cookie);
    uint32_t len;
    if (*at >= r->len || r->len - *at < place + sizeof(*cookie))
        return false;
    memcpy(&len, r->data + *at, sizeof(len));
    if (len < sizeof(struct nlmsghdr) || len > r->len - *at)
        return false;
    memcpy(cookie, r->data + *at + place, sizeof(*cookie));
    *at += NLMSG_ALIGN((size_t)len);
    return true;
}

uint64_t diag_cookie(const struct record_source *s)
{
    uint32_t words[2];
    memcpy(words, s->data[PART_MSG] + offsetof(struct inet_diag_msg, id.idiag_cookie), sizeof(words));
    if (words[0] == INET_DIAG_NOCOOKIE && words[1] == INET_DIAG_NOCOOKIE)
        return 0;
    return words[0] | (uint64_t)words[1] << 32;
}

int diag_parse_attributes(const uint8_t *data, size_t len, struct record_source *s,
                          struct diag_counts *counts)
{
    uint32_t sent = 0;
    for (size_t at = 0; at < len;) {
        struct rtattr attr;
        if (len - at < sizeof(attr))
            return ERR_MALFORMED;
        memcpy(&attr, data + at, sizeof(attr));
        if (attr.rta_len < sizeof(attr) || attr.rta_len > len - at)
            return ERR_MALFORMED;
        const uint8_t *value = data + at + sizeof(attr);
        uint16_t n = attr.rta_len - (uint16_t)sizeof(attr);
        unsigned type = attr.rta_type & NLA_TYPE_MASK;
        at += RTA_ALIGN((size_t)attr.rta_len); /* past the end when the last one is not padded */

        if (type == INET_DIAG_NONE || type > INET_DIAG_MAX) {
            counts->unknown_attrs++;
            if (type > INET_DIAG_MAX && type < 32)
                sent |= UINT32_C(1) << type;
            continue;
        }
        const struct attr_policy *policy = &policies[type];
        if (n < policy->min || (policy->max && n > policy->max)) {
            counts->short_attrs++;
            continue;
        }
        if (type == INET_DIAG_PROTOCOL && value[0] != IPPROTO_TCP)
            return ERR_UNSUPPORTED;
        sent |= UINT32_C(1) << type;
        if (policy->part == PART_NONE)
            continue;
        if (s->data[policy->part]) { /* the first one counts */
            counts->short_attrs++;
            continue;
        }
        s->data[policy->part] = value;
        s->len[policy->part] = n;
    }
    s->attributes = sent;
    return 0;
}

/* A message that describes a socket. Returns whether it is one of ours. */
static bool parse_socket(struct diag_reader *r)
{
    struct record_source *s = &r->source;
    uint8_t family = r->payload_len ? r->payload[0] : AF_UNSPEC; /* every diag message begins with it */
    if (r->payload_len && family != AF_INET && family != AF_INET6) {
        r->counts.foreign++;
        return false;
    }
    if (r->payload_len < sizeof(struct inet_diag_msg)) {
        r->counts.malformed++;
        return false;
    }
    *s = (struct record_source){0};
    s->data[PART_MSG] = r->payload;
    s->len[PART_MSG] = sizeof(struct inet_diag_msg);
    int rc = diag_parse_attributes(r->payload + sizeof(struct inet_diag_msg),
                                   r->payload_len - sizeof(struct inet_diag_msg), s, &r->counts);
    if (rc == ERR_UNSUPPORTED)
        r->counts.foreign++;
    else if (rc)
        r->counts.malformed++;
    else
        r->counts.sockets++;
    return rc == 0;
}

/* The int that NLMSG_DONE and NLMSG_ERROR begin with. A NLMSG_DONE without it (very old kernels) is a
 * success. */
static int parse_error(const struct diag_reader *r)
{
    int32_t code = 0;
    if (r->payload_len >= sizeof(code))
        memcpy(&code, r->payload, sizeof(code));
    else if (r->type == NLMSG_ERROR)
        return ERR_MALFORMED;
    if (code > 0)
        return 0;
    return code >= -ERRNO_MAX ? code : ERR_MALFORMED;
}

/* The kind of the message in |r|; DIAG_END: nothing for the caller. */
static enum diag_event classify(struct diag_reader *r, uint16_t flags)
{
    if (flags & NLM_F_REQUEST)
        return DIAG_REQUEST;
    if (r->only_wanted && (r->seq != r->want_seq || r->portid != r->want_portid)) {
        r->counts.stale++;
        return DIAG_END;
    }
    if (flags & NLM_F_DUMP_INTR)
        r->interrupted = true;
    switch (r->type) {
    case TCPDIAG_GETSOCK:
    case SOCK_DIAG_BY_FAMILY:
        return parse_socket(r) ? DIAG_SOCKET : DIAG_END;
    case NLMSG_DONE:
        r->error = parse_error(r);
        return DIAG_DONE;
    case NLMSG_ERROR:
        r->error = parse_error(r);
        return r->error ? DIAG_ERROR : DIAG_END; /* 0: an acknowledgement */
    case NLMSG_OVERRUN:
        return DIAG_OVERRUN;
    case NLMSG_NOOP:
        return DIAG_END;
    default:
        r->counts.foreign++;
        return DIAG_END;
    }
}

enum diag_event diag_reader_next(struct diag_reader *r)
{
    while (r->next < r->len) {
        struct nlmsghdr h;
        size_t left = r->len - r->next;
        r->offset = r->next;
        if (left >= sizeof(h))
            memcpy(&h, r->data + r->next, sizeof(h));
        if (left < sizeof(h) || h.nlmsg_len < sizeof(h) || h.nlmsg_len > left) {
            r->counts.malformed++;
            r->next = r->len;
            return DIAG_BROKEN;
        }
        r->next += NLMSG_ALIGN((size_t)h.nlmsg_len); /* past the end when the last one is not padded */
        r->payload = r->data + r->offset + sizeof(h);
        r->payload_len = h.nlmsg_len - sizeof(h);
        r->seq = h.nlmsg_seq;
        r->portid = h.nlmsg_pid;
        r->type = h.nlmsg_type;
        enum diag_event event = classify(r, h.nlmsg_flags);
        if (event != DIAG_END)
            return event;
    }
    return DIAG_END;
}
