/* A stream of XTCPFlatRecordService as the sink of a subscriber: turns the items that wait for it into
 * messages. */
#ifndef XTCP_SERVER_SERVICES_RECORD_MESSAGE_H
#define XTCP_SERVER_SERVICES_RECORD_MESSAGE_H

#include <stdbool.h>

#include "rpc/server/server.h"
#include "server/stream/subscriber.h"

/* A subscriber whose sink is the stream |call|, with one reference, the caller's, and one to the call. NULL without memory,
 * with |e|. Any thread. */
struct subscriber *record_message_subscriber(struct rpc_call *call, const struct subscriber_options *options,
                                             struct err *e);

/* Takes the next message in |out|, whose slices are the caller's: rows are not copied, the slices refer to the batch. Returns
 * false when nothing waits. Any thread. */
bool record_message_next(struct subscriber *s, struct rpc_message *out);

#endif
