/* One dump of all TCP sockets, over a netlink socket of its own.
 *
 *     dump_open(&d, cookie, &e)        in the namespace of the calling thread
 *     dump_request(&d, groups, &e)     from here on in any namespace: the answer is about that of the socket
 *     dump_receive(&d, &options, ...)
 *     dump_close(&d)
 *
 * The kernel makes the answer while it is being received, 32 KiB at a time, so receiving never waits in
 * practice. One owner at a time. */
#ifndef XTCP_INET_DIAG_DUMP_H
#define XTCP_INET_DIAG_DUMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/filter.h"
#include "inet_diag/diag_request.h"
#include "lib/err.h"
#include "lib/u64set.h"
#include "model/groups.h"
#include "record/source.h"

/* The kernel puts at most 32 KiB into one message of a dump (netlink_recvmsg in net/netlink/af_netlink.c); a
 * smaller buffer makes more system calls, a larger one has no advantage. */
#define DUMP_BUFFER_SIZE 32768

struct capture;
struct nl_sock;

struct dump {
    struct nl_sock *socket; /* NULL: closed */
    int fd;                 /* the socket's */
    uint32_t seq;           /* of the last request, and the port that it came from */
    uint32_t portid;
    uint64_t cookie; /* of the socket's namespace (SO_NETNS_COOKIE); 0: the kernel has none */
};

/* The arguments of dump_receive; nothing of them is kept. */
struct dump_options {
    uint8_t *buffer; /* DUMP_BUFFER_SIZE bytes, aligned for a netlink header */
    size_t buffer_size;
    struct u64set *seen; /* cookies that were passed on already; sockets in it are left out. Added to */
    int wake_fd;         /* becomes readable when one of the flags is set; -1: none */
    const _Atomic bool *cancelled; /* set: give up, ERR_CANCELLED. May be NULL */
    const _Atomic bool *stopping;  /* the same */
    int64_t deadline_ns;           /* monotonic; give up at this moment with ERR_TIMEOUT */
    int64_t silence_ns;            /* the same after so long without an answer; 0: no limit */
    struct capture *capture;       /* answers are recorded there; NULL: they are not */
    bool again;                    /* a repetition: sockets in |seen| are not counted once more */
};

/* Counts of an answer; dump_receive adds to them. */
struct dump_counts {
    uint64_t sockets;       /* sockets in the answers, duplicates included */
    uint64_t duplicates;    /* sockets left out because their cookie had been seen already */
    uint64_t malformed;     /* messages and attributes that did not parse, left out */
    uint64_t unknown_attrs; /* attributes of unknown types, skipped */
    uint64_t foreign;       /* messages that are no answer to the request, skipped */
    bool interrupted;       /* NLM_F_DUMP_INTR was seen */
};

/* Called for each socket, in the kernel's order; |s| is valid during the call. Not 0: the dump is given up
 * and this returned. */
typedef int dump_socket_fn(void *arg, const struct record_source *s);

/* Opens a socket in the calling thread's namespace and checks that SO_NETNS_COOKIE is |cookie| (0: is not
 * checked; a kernel without cookies has nothing to check either). Returns 0; ERR_GONE when it is another
 * namespace; -errno. On failure |d| is closed. */
int dump_open(struct dump *d, uint64_t cookie, struct err *e);

/* Asks for the sockets with the attributes of |groups|. One request at a time: only after the previous answer
 * is complete. Returns 0 or -errno. */
int dump_request(struct dump *d, groups_t groups, struct err *e);

/* The same with all parts of the request. A refusal of the kernel comes with the answer. */
int dump_request_new(struct dump *d, const struct diag_request *r, struct err *e);

/* Receives the answer. Returns 0 when it is complete. Else its error (|e| has the sentence); the sockets
 * passed on until then are real ones:
 *   -errno           what the kernel said, in NLMSG_ERROR (-EBUSY: the socket is at another dump), in NLMSG_DONE or
 *                    in recv (-ENOBUFS: part of the answer was lost)
 *   ERR_INTERRUPTED  the kernel marked the dump as inconsistent; received to its end
 *   ERR_TRUNCATED    a datagram was larger than the buffer; received to its end
 *   ERR_MALFORMED    a datagram was unreadable in part; received to its end
 *   ERR_TIMEOUT, ERR_CANCELLED, or what |fn| returned. */
int dump_receive(struct dump *d, const struct dump_options *options, dump_socket_fn *fn, void *arg,
                 struct dump_counts *counts, struct err *e);

/* Asks for the sockets of |r| and receives the answer. When the kernel does not take the bytecode of |r|, because it is
 * older than an operation in it (EINVAL) or wants a right for it (EPERM), asks again without: |*refused| is that code
 * then and |r->code_len| 0; else |*refused| is 0. Returns as the two do. */
int dump_filtered(struct dump *d, struct diag_request *r, const struct dump_options *options,
                  dump_socket_fn *fn, void *arg, struct dump_counts *counts, int *refused, struct err *e);

/* Closes the socket; nothing when it is closed. */
void dump_close(struct dump *d);

#endif
