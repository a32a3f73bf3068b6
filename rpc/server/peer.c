#include "rpc/server/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rpc_peer_finder {
    int netlink;
    uint32_t sequence;
};

union address {
    struct sockaddr any;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
};

int rpc_peer_finder_new(struct rpc_peer_finder **out)
{
    struct rpc_peer_finder *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (f->netlink < 0) {
        int rc = -errno;
        free(f);
        return rc;
    }
    *out = f;
    return 0;
}

void rpc_peer_finder_free(struct rpc_peer_finder *f)
{
    if (!f)
        return;
    close(f->netlink);
    free(f);
}

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* IPv4 that came by a socket for both families is shown, and looked up, as IPv4. */
static void unmap(union address *a)
{
    if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        return;
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};
    memcpy(&in4.sin_addr, &a->in6.sin6_addr.s6_addr[12], sizeof(in4.sin_addr));
    a->in4 = in4;
}

/* The peer's socket seen from its own side: the peer's address is its source. A socket of the family AF_INET6
 * that carries IPv4 is found by its IPv4 addresses. */
static struct inet_diag_sockid sockid_of(const union address *peer, const union address *own)
{
    struct inet_diag_sockid id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}};
    if (peer->any.sa_family == AF_INET) {
        id.idiag_sport = peer->in4.sin_port;
        id.idiag_dport = own->in4.sin_port;
        id.idiag_src[0] = peer->in4.sin_addr.s_addr;
        id.idiag_dst[0] = own->in4.sin_addr.s_addr;
    } else {
        id.idiag_sport = peer->in6.sin6_port;
        id.idiag_dport = own->in6.sin6_port;
        memcpy(id.idiag_src, &peer->in6.sin6_addr, sizeof(id.idiag_src));
        memcpy(id.idiag_dst, &own->in6.sin6_addr, sizeof(id.idiag_dst));
    }
    return id;
}

/* Asks for one socket. The kernel answers within the call, so this does not wait. Returns 0 with the answer,
 * or -errno: -ENOENT when there is no such socket. */
static int ask(struct rpc_peer_finder *f, int family, const struct inet_diag_sockid *id,
               struct inet_diag_msg *out)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = ++f->sequence},
        .body = {.sdiag_family = (uint8_t)family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = UINT32_MAX,
                 .id = *id},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    if (sendto(f->netlink, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(f->netlink, &answer, sizeof(answer), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!NLMSG_OK(&answer.header, (size_t)n) || answer.header.nlmsg_seq != f->sequence)
            continue; /* of an earlier request */
        if (answer.header.nlmsg_type == NLMSG_ERROR &&
            answer.header.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
            int error = ((const struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
            return error < 0 ? error : -EBADMSG;
        }
        if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(*out)))
            return -EBADMSG;
        memcpy(out, NLMSG_DATA(&answer.header), sizeof(*out));
        return 0;
    }
}

static bool is_established(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_ESTABLISHED;
}

static void find_tcp(struct rpc_peer_finder *f, int fd, const union address *peer, struct rpc_peer *out)
{
    union address own = {0};
    socklen_t len = sizeof(own);
    struct inet_diag_msg found = {0};
    if (getsockname(fd, &own.any, &len) != 0)
        return;
    unmap(&own);
    if (own.any.sa_family != peer->any.sa_family)
        return;
    struct inet_diag_sockid id = sockid_of(peer, &own);
    /* Without a match of the four-tuple the kernel goes on to listeners of the port: hence the state. */
    if (ask(f, peer->any.sa_family, &id, &found) != 0 || found.idiag_state != TCP_ESTABLISHED ||
        found.idiag_inode == 0 || found.id.idiag_sport != id.idiag_sport ||
        found.id.idiag_dport != id.idiag_dport)
        return;
    if (!is_established(fd))
        return;
    out->kind = RPC_PEER_USER;
    out->uid = found.idiag_uid;
}

/* A host with one address of an IPv6 network of 64 bits can have all of them. */
static void describe_host(const union address *a, struct rpc_peer *out)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->in4.sin_addr, host, sizeof(host));
        snprintf(out->user, sizeof(out->user), "address %s", host);
        return;
    }
    struct in6_addr network = a->in6.sin6_addr;
    memset(&network.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &network, host, sizeof(host));
    snprintf(out->user, sizeof(out->user), "network %s/64", host);
}

static void describe_user(struct rpc_peer *out)
{
    snprintf(out->user, sizeof(out->user), "uid %u", (unsigned)out->uid);
}

static void describe_tcp(const union address *a, struct rpc_peer *out)
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool v6 = a->any.sa_family == AF_INET6;
    inet_ntop(a->any.sa_family, v6 ? (const void *)&a->in6.sin6_addr : (const void *)&a->in4.sin_addr, host,
              sizeof(host));
    snprintf(out->address, sizeof(out->address), v6 ? "[%s]:%u" : "%s:%u", host,
             ntohs(v6 ? a->in6.sin6_port : a->in4.sin_port));
    if (out->kind == RPC_PEER_USER) {
        describe_user(out);
        snprintf(out->text, sizeof(out->text), "%s uid=%u", out->address, (unsigned)out->uid);
        return;
    }
    if (out->kind == RPC_PEER_REMOTE)
        describe_host(a, out);
    snprintf(out->text, sizeof(out->text), "%s", out->address);
}

static void find_unix(int fd, struct rpc_peer *out)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.uid == (uid_t)-1)
        return;
    out->kind = RPC_PEER_USER;
    out->uid = cred.uid;
    describe_user(out);
    snprintf(out->text, sizeof(out->text), "unix pid=%d uid=%u", (int)cred.pid, (unsigned)cred.uid);
}

void rpc_peer_find(struct rpc_peer_finder *f, int fd, struct rpc_peer *out)
{
    union {
        union address address;
        struct sockaddr_storage storage;
    } peer = {0};
    socklen_t len = sizeof(peer);
    *out = (struct rpc_peer){.text = "unknown", .user = "unknown"};
    if (getpeername(fd, &peer.address.any, &len) != 0)
        return; /* reset already: its data is still there, but its owner is not */
    if (peer.address.any.sa_family == AF_UNIX) {
        out->local = true;
        find_unix(fd, out);
        return;
    }
    unmap(&peer.address);
    if (!is_loopback(&peer.address))
        out->kind = RPC_PEER_REMOTE;
    else if (f)
        find_tcp(f, fd, &peer.address, out);
    describe_tcp(&peer.address, out);
}
