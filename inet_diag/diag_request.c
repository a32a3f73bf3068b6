#include "inet_diag/diag_request.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

/* DIAG_STATES_ALL has the states of <net/tcp_states.h> from TCP_ESTABLISHED (1) to TCP_CLOSING (11), as bits;
 * bit 0 is no state. TIME_WAIT and SYN_RECV are among them. Two are left out: NEW_SYN_RECV (12), which the
 * kernel shows as SYN_RECV and dumps with it, and BOUND_INACTIVE (13), sockets that neither are connected nor
 * listen, which only newer versions of ss -a show and which cost a walk over the host's whole bind table. */

#define EXT(attribute) ((uint8_t)(1u << ((attribute)-1)))

/* The extension that each group asks for. The congestion control modules share one, CLASS_ID comes with
 * TCLASS, and groups with 0 come unasked. */
static const uint8_t extensions[GROUP_COUNT] = {
    [GROUP_MEMINFO] = EXT(INET_DIAG_MEMINFO),
    [GROUP_INFO] = EXT(INET_DIAG_INFO),
    [GROUP_VEGAS] = EXT(INET_DIAG_VEGASINFO),
    [GROUP_CONG] = EXT(INET_DIAG_CONG),
    [GROUP_TOS] = EXT(INET_DIAG_TOS),
    [GROUP_TC] = EXT(INET_DIAG_TCLASS),
    [GROUP_SKMEM] = EXT(INET_DIAG_SKMEMINFO),
    [GROUP_SHUT] = EXT(INET_DIAG_SHUTDOWN),
    [GROUP_DCTCP] = EXT(INET_DIAG_VEGASINFO),
    [GROUP_BBR] = EXT(INET_DIAG_VEGASINFO),
    [GROUP_CLASSID] = EXT(INET_DIAG_TCLASS),
    [GROUP_CGROUP] = 0,
    [GROUP_SOCKOPT] = 0,
};

uint8_t diag_request_extensions(groups_t groups)
{
    uint8_t mask = 0;
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        if (groups & GROUP_BIT(i))
            mask |= extensions[i];
    }
    return mask;
}

struct nl_msg *diag_request_new(const struct diag_request *r)
{
    /* This type, older than SOCK_DIAG_BY_FAMILY, is the one that answers for both families at once; the
     * kernel does not look at idiag_family. */
    struct inet_diag_req request = {
        .idiag_family = AF_UNSPEC,
        .idiag_ext = diag_request_extensions(r->groups),
        .idiag_states = r->states,
        .id = {.idiag_sport = htons(r->sport), .idiag_dport = htons(r->dport)},
    };
    struct nl_msg *m =
        nlmsg_alloc_size(nlmsg_total_size(sizeof(request) + (size_t)nla_total_size((int)r->code_len)));
    if (!m)
        return NULL;
    if (!nlmsg_put(m, NL_AUTO_PORT, NL_AUTO_SEQ, TCPDIAG_GETSOCK, 0, NLM_F_REQUEST | NLM_F_DUMP) ||
        nlmsg_append(m, &request, sizeof(request), NLMSG_ALIGNTO) ||
        (r->code_len && nla_put(m, INET_DIAG_REQ_BYTECODE, (int)r->code_len, r->code))) {
        nlmsg_free(m);
        return NULL;
    }
    return m;
}
