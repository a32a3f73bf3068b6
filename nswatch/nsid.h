/* Network namespace ids, by rtnetlink (RTNLGRP_NSID, <linux/rtnetlink.h>): a namespace gets an id in ours
 * when the two are connected (a veth pair), and loses it when it ends. So this is the first sign of many
 * anonymous namespaces, and the first sign of the end of most. */
#ifndef XTCP_NSWATCH_NSID_H
#define XTCP_NSWATCH_NSID_H

#include <stddef.h>

struct nl_sock;

/* Kinds of messages; bits. */
#define NSID_NEW  1u /* RTM_NEWNSID */
#define NSID_GONE 2u /* RTM_DELNSID */
#define NSID_LOST 4u /* messages were lost: either may have come */

/* Listens in the namespace of the calling thread. Returns 0 with |*sock|, for nsid_close, or a negative code. */
int nsid_open(struct nl_sock **sock);
void nsid_close(struct nl_sock *sock);

/* The kinds of the messages in the |len| bytes at |data|, which is aligned to 4 bytes: NSID_NEW, NSID_GONE, both or
 * 0. A message that does not fit into |len| is not looked at. Pure; any thread. */
unsigned nsid_parse(const void *data, size_t len);

/* The descriptor to wait for. */
int nsid_fd(const struct nl_sock *sock);

/* Reads the messages that have come and returns the NSID_* bits of all of them. Never waits. */
unsigned nsid_read(struct nl_sock *sock);

#endif
