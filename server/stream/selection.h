/* The request of a stream: which sockets (filter), of which namespaces (netns), which of their fields
 * (columns).
 *
 * Read from the request once, immutable from then on, reference counted. The same filters and masks of fields
 * share a place in the table of those in force: there are few of them, however many streams there are. */
#ifndef XTCP_SERVER_STREAM_SELECTION_H
#define XTCP_SERVER_STREAM_SELECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/filter.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/quota.h"
#include "model/subscription.h"
#include "record/mask.h"
#include "server/live/bounds.h"

#define SELECTION_NO_PLACE (-1)
/* Bytes of all patterns of a stream: each is compared with each namespace. */
#define SELECTION_NETNS_MAX 4096

struct selection {
    _Atomic uint32_t refs;
    bool told;             /* something was asked for: the stream begins with a stream_info */
    struct filter *filter; /* NULL: every socket */
    bool has_columns;
    struct record_mask columns;
    char **netns;     /* patterns; one of them must fit */
    size_t n_netns;   /* 0: all namespaces */
    size_t netns_len; /* bytes of all of them */
    bool netns_paid;  /* they are accounted to the stream's user */
    int filter_place; /* in the table, while the stream is in it; SELECTION_NO_PLACE: none */
    int mask_place;
};

/* Reads |r|. Returns 0 and the selection in |out|, one reference, the caller's; ERR_UNKNOWN, ERR_RANGE or
 * -ENOMEM with |e| naming the field. */
int selection_new(const struct subscription *r, struct selection **out, struct err *e);
struct selection *selection_ref(struct selection *s);
/* NULL is allowed. */
void selection_unref(struct selection *s);

/* Whether both ask for the same rows and columns. */
bool selection_equal(const struct selection *a, const struct selection *b);

/* Whether |s| wants the namespace that records call |name|. Any thread. */
bool selection_wants_netns(const struct selection *s, const char *name, uint64_t inode);

/* The request as the daemon has understood it. Its strings belong to the selection; |info| has no warnings
 * yet. */
struct selection_description {
    struct subscription_info info;
    struct filter_part parts[FILTER_TERMS_MAX];
    const char *columns[FIELD_COUNT];
};
void selection_describe(const struct selection *s, struct selection_description *out);

/* Fills |out| with the parts of |f| (NULL: none), whose texts stay the filter's. Returns their number. */
size_t selection_parts(const struct filter *f, struct filter_part out[FILTER_TERMS_MAX]);

#define SELECTION_WARNINGS_MAX 4

/* Puts sentences about names in the filter of |s| (NULL is allowed) that no poll has found into |out|.
 * Returns their number. Any thread. */
size_t selection_unfound(const struct selection *s, char out[SELECTION_WARNINGS_MAX][ERR_TEXT_MAX]);

/* ---- The table of selections in force ---- */

/* A user with streams that have the same filter or columns. */
struct selection_holder {
    struct selection_holder *next;
    struct quota_user *user; /* a reference */
    unsigned streams;
};

/* A place without holders is free. All zero: empty. Its owner's lock guards it. */
struct selection_table {
    struct {
        struct selection_holder *holders;
        struct filter *filter;
    } filters[SELECTION_FILTERS_MAX];
    struct {
        struct selection_holder *holders;
        struct record_mask mask;
    } masks[SELECTION_MASKS_MAX];
};

/* The user that a stream is accounted to. */
struct selection_owner {
    struct quota_user *user;
    enum quota_rank rank;
    const struct bounds *bounds;
};

/* Gives |s| its places and accounts them to |owner|: a user pays once for each different filter and set of
 * columns, however many of its streams have it and whether others have it or not, and for the patterns of
 * each stream. Returns 0; or, and nothing has changed, ERR_LIMIT with |e| naming the share, or -ENOMEM with
 * |e|. */
int selection_enter(struct selection_table *t, struct selection *s, const struct selection_owner *owner,
                    struct err *e);

/* Undoes selection_enter of |s| for |user|, whether it was done fully or in part. */
void selection_leave(struct selection_table *t, struct selection *s, struct quota_user *user);

#endif
