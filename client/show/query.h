/* The records that are wanted, and the fields of them: the request to the daemon, and the filtering here
 * where the daemon cannot do it. One thread. */
#ifndef XTCP_CLIENT_SHOW_QUERY_H
#define XTCP_CLIENT_SHOW_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "client/show/view.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "record/unpack.h"

struct query;

/* Makes |*out| (for query_free) of the words of FILTER and --netns in |o|, and the fields that |v| needs;
 * both must outlive it. Returns 0, ERR_USAGE with |e| (a filter that is none, with the column), -ENOMEM with
 * |e|. */
int query_new(const struct options *o, const struct view *v, struct query **out, struct err *e);
void query_free(struct query *q);

/* Whether less than everything is asked for. */
bool query_asks(const struct query *q);

/* Whether some records are not wanted. */
bool query_selects(const struct query *q);

/* Whether some namespaces are not wanted. */
bool query_chooses_netns(const struct query *q);

/* Appends the request of a stream; |plain|: for everything, without the parts that query_asks tells of.
 * Returns 0 or -ENOMEM. */
int query_request(const struct query *q, bool plain, struct buf *request);

/* Whether |r| is wanted, for daemons that send everything. */
bool query_match(const struct query *q, const record_message *r);

/* Whether sockets of a namespace are wanted. */
bool query_wants_netns(const struct query *q, const char *name, uint64_t inode);

/* The filter as daemons are asked for it: in canonical form, so that one of another version takes names as
 * they are taken here; as it was typed where that form is beyond the bounds of filters; "" without. */
const char *query_filter(const struct query *q);

#endif
