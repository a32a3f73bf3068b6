/* TCP sockets at rest, in namespaces of the test's own. */
#ifndef XTCP_TESTS_COLLECTORS_NET_H
#define XTCP_TESTS_COLLECTORS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sockets of the calling process; none of them sends anything once made. */
struct net_sockets {
    int *fds;
    size_t count;
    size_t cap;
};

/* Moves the calling thread into a fresh network namespace with its loopback up. Returns 0 or -errno. */
int net_unshare(void);

void net_add(struct net_sockets *s, int fd);

/* A listener on loopback with a free port; |family| AF_INET or AF_INET6 (dual-stack, on ::). Returns its
 * port. */
uint16_t net_listen(struct net_sockets *s, int family);

/* |n| IPv4 connections to |port|, accepted by the listener |listener|: two sockets each. */
void net_connect(struct net_sockets *s, int listener, uint16_t port, size_t n);

/* SO_COOKIE of |fd|. */
uint64_t net_cookie(int fd);

void net_close(struct net_sockets *s);

/* A process in a fresh namespace that holds |sockets| sockets (one listener and connections, so an odd
 * number) and does nothing else until net_process_end. */
struct net_process {
    pid_t pid;
    int hold;      /* the process ends when this pipe closes */
    char path[64]; /* /proc/PID/ns/net */
};

/* Returns 0 or -errno (-EPERM: not root). Before threads exist. */
int net_process_start(struct net_process *p, size_t sockets);
void net_process_end(struct net_process *p);

#endif
