/* Network namespaces: looking at one, and going into one.
 *
 * A thread belongs to one namespace; the functions here do not affect the other threads of the process. A
 * thread that enters a namespace goes back home before it waits for anything: a thread, a socket or a
 * descriptor left behind keeps a deleted namespace alive, and gRPC must never be called from another
 * namespace than the host's. */
#ifndef XTCP_LIB_LINUX_NETNS_H
#define XTCP_LIB_LINUX_NETNS_H

#include <stdint.h>

/* The inode number of the namespace file |path| in |inode|; pins nothing. The number is free for the next
 * namespace as soon as this one is gone: a hint, not an identity. Returns 0 or -errno. Any thread. */
int netns_inode(const char *path, uint64_t *inode);

/* A descriptor of the calling thread's own namespace, which the caller closes; needs no capability. Returns
 * it or -errno. */
int netns_open_self(void);

/* A descriptor of the network namespace |path|, which the caller closes soon: it keeps the namespace alive.
 * Never blocks, whatever |path| is. Returns it, -errno, or ERR_TYPE when |path| is no network namespace. Any
 * thread. */
int netns_open(const char *path);

/* Moves the calling thread into the namespace of the descriptor |fd|, which stays the caller's. Returns 0 or
 * -errno (-EPERM: CAP_SYS_ADMIN is missing). */
int netns_enter_fd(int fd);

/* Moves the calling thread into the namespace |path|; no descriptor is left open. Returns as netns_open and
 * netns_enter_fd do; on failure the thread is where it was. */
int netns_enter(const char *path);

/* The cookie of the namespace that the socket |fd| belongs to (SO_NETNS_COOKIE, Linux 5.14): unique as long
 * as the kernel runs. Returns 0 or -errno, -ENOPROTOOPT where the kernel has none. Any thread. */
int netns_cookie(int fd, uint64_t *cookie);

/* The id that the calling thread's namespace has for the one of |path| (rtnetlink(7), RTM_GETNSID), in |id|;
 * -1 when it has none. Returns 0, -errno, or ERR_TYPE as netns_open. */
int netns_nsid(const char *path, int32_t *id);

#endif
