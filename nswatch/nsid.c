#include "nswatch/nsid.h"

#include "lib/err.h"

#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdint.h>
#include <stdlib.h>

/* The most datagrams read in a round; the rest wakes the thread again. */
#define READS_PER_ROUND 1024

int nsid_open(struct nl_sock **sock)
{
    struct nl_sock *s = nl_socket_alloc();
    if (!s)
        return -ENOMEM;
    int rc = nl_connect(s, NETLINK_ROUTE);
    if (!rc)
        rc = nl_socket_set_nonblocking(s);
    if (!rc)
        rc = nl_socket_add_membership(s, RTNLGRP_NSID);
    if (rc) {
        nl_socket_free(s);
        return rc == -NLE_NOMEM ? -ENOMEM : ERR_UNAVAILABLE;
    }
    *sock = s;
    return 0;
}

void nsid_close(struct nl_sock *sock)
{
    if (sock)
        nl_socket_free(sock);
}

int nsid_fd(const struct nl_sock *sock)
{
    return nl_socket_get_fd(sock);
}

unsigned nsid_parse(const void *data, size_t len)
{
    unsigned heard = 0;
    int left = len < INT_MAX ? (int)len : INT_MAX;
    /* libnl's functions take pointers to writable memory although they only read it. */
    for (struct nlmsghdr *h = (struct nlmsghdr *)(uintptr_t)data; nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        if (h->nlmsg_type == RTM_NEWNSID)
            heard |= NSID_NEW;
        else if (h->nlmsg_type == RTM_DELNSID)
            heard |= NSID_GONE;
    }
    return heard;
}

unsigned nsid_read(struct nl_sock *sock)
{
    unsigned heard = 0;
    for (int i = 0; i < READS_PER_ROUND; i++) {
        struct sockaddr_nl from = {0};
        unsigned char *data = NULL;
        int n = nl_recv(sock, &from, &data, NULL);
        if (n > 0 && from.nl_pid == 0) /* only messages from the kernel count */
            heard |= nsid_parse(data, (size_t)n);
        free(data);
        if (n == -NLE_AGAIN || n == -NLE_INTR || n == 0)
            return heard;
        if (n < 0)
            return heard | NSID_LOST;
    }
    return heard;
}
