/* The polls for top: a thread that listens to one daemon and hands over whole polls, the newest
 * one when several have come. It connects again by itself. */
#ifndef XTCP_CLIENT_TOP_TOP_FEED_H
#define XTCP_CLIENT_TOP_TOP_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "client/top/top_poll.h"
#include "lib/err.h"

struct top_feed;

struct options;
struct filter;

struct top_feed_options {
    const struct options *client; /* the address and the options of connecting */
    int64_t every_ns;             /* interval of polls to ask for; 0: takes those that the daemon makes */
    struct filter *filter;        /* NULL: none; a reference is taken */
};

enum top_feed_state {
    TOP_FEED_CONNECTING,
    TOP_FEED_LISTENING,
    TOP_FEED_WAITING, /* for |retry_ns| */
    TOP_FEED_FAILED,  /* for good */
};

struct top_feed_status {
    enum top_feed_state state;
    bool ever;                   /* it has been connected before */
    bool filter_here;            /* the daemon does not evaluate the filter: it is done here */
    int64_t retry_ns;            /* monotonic: when it is tried again */
    char text[ERR_TEXT_MAX * 2]; /* the error, as it came from elsewhere, not clean */
};

/* Starts the thread. All that |options| points to must live as long. Returns 0 or -errno. */
int top_feed_new(const struct top_feed_options *options, struct top_feed **out);

/* Ends the thread, at once. NULL is allowed. */
void top_feed_free(struct top_feed *f);

/* Readable, for poll(2), when there is news: a poll or another status. */
int top_feed_fd(const struct top_feed *f);

/* The newest complete poll since the last call, the caller's until it gives it back, or NULL. */
struct top_poll *top_feed_take(struct top_feed *f);
void top_feed_give_back(struct top_feed *f, struct top_poll *p);

/* The status of the feed. Makes top_feed_fd unreadable until there is further news. */
void top_feed_status(struct top_feed *f, struct top_feed_status *out);

/* Listens anew with another filter (NULL: none), to which a reference is taken. Polls that were made with the
 * old one do not come any more. */
void top_feed_filter(struct top_feed *f, struct filter *filter);

/* Connects at once when it is waiting. */
void top_feed_hurry(struct top_feed *f);

#endif
