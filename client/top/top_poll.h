/* One poll as top takes it: samples, and the namespaces they are of. Filled by the thread that listens,
 * handed over as a whole. One owner at a time. */
#ifndef XTCP_CLIENT_TOP_TOP_POLL_H
#define XTCP_CLIENT_TOP_TOP_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/show/socket_index.h"
#include "client/show/socket_sample.h"

#define TOP_SOCKETS_MAX    1000000 /* of one poll; further ones are counted as left out */
#define TOP_NAMESPACES_MAX 65536
#define TOP_NAME_MAX       96 /* bytes of a name with its NUL; longer ones are cut */

struct top_netns {
    uint64_t id; /* as socket_key.netns */
    char name[TOP_NAME_MAX];
};

/* A poll as a whole. */
struct top_poll_head {
    uint64_t poll_id; /* 0: the daemon does not number its polls */
    int64_t timestamp_ns;
    uint64_t duration_ns; /* 0: not told */
    uint64_t interval_ns; /* between regular polls; 0: not told */
    uint64_t rows_lost;   /* since the poll before */
    uint64_t left_out;    /* sockets beyond TOP_SOCKETS_MAX, or of namespaces beyond theirs */
    uint32_t namespaces;  /* polled completely; 0: not told */
    uint32_t namespaces_failed;
    uint32_t namespaces_unseen; /* known, but not to be entered */
    char hostname[TOP_NAME_MAX];
};

struct top_poll {
    struct top_poll_head head;
    struct socket_sample *samples;
    size_t n_samples, room_samples;
    struct top_netns *netns;
    size_t n_netns, room_netns;
    struct socket_index by_id; /* of netns: key {id, 0} */
};

/* An empty poll; NULL without memory. */
struct top_poll *top_poll_new(void);
void top_poll_free(struct top_poll *p);

/* Makes it empty again, keeps the memory. */
void top_poll_reset(struct top_poll *p);

/* Adds the socket of |r|. Returns 0 or -ENOMEM. */
int top_poll_add(struct top_poll *p, const record_message *r);

/* Whether sockets of this poll may be missing, so that an absent one need not be gone. */
bool top_poll_incomplete(const struct top_poll_head *head);

#endif
