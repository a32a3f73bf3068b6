/* The namespaces that the daemon knows, the results of their last poll, and their collectors.
 *
 * nswatch's callback feeds it (thread "nswatch"), main polls through it, collectors report to it,
 * NamespaceService reads it. */
#ifndef XTCP_SERVER_POLL_INVENTORY_H
#define XTCP_SERVER_POLL_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/collector.h"
#include "config/config.h"
#include "lib/err.h"
#include "model/namespace.h"
#include "model/poll.h"
#include "nswatch/nswatch.h"

struct inventory;

/* Told of each change. Called with the inventory's lock held, on any thread: it must be quick, call nothing of
 * the inventory, and keep nothing of |event|. */
typedef void inventory_listener(void *arg, const struct namespace_event *event);

int inventory_new(struct collectors *collectors, struct inventory **out, struct err *e);
/* After inventory_stop, if any collector was started. */
void inventory_free(struct inventory *r);

/* From now on, collects the namespaces that netns_include and netns_exclude of |config| select (a reference
 * is taken); before the first call, all are collected. The others stay in the list, as excluded. Takes effect
 * with the next poll. Any thread. */
void inventory_select(struct inventory *r, const struct config *config);

/* Takes an event of nswatch: starts, renames and stops collectors. Does not wait for one that has lost its
 * namespace: its work ends later. Thread "nswatch", or main when nswatch is not running. */
void inventory_event(struct inventory *r, enum nswatch_event event, const struct nswatch_ns *ns);

/* Stops all collectors and waits for them, until |deadline_ns| (monotonic) at most; their requests end as
 * cancelled. Returns whether all have ended: if not, one hangs in the kernel, and neither |r| nor what the
 * collectors use may be freed. */
bool inventory_stop(struct inventory *r, int64_t deadline_ns);

/* The namespaces that a poll covers. |wants| is called with the inventory's lock held. */
struct inventory_scope {
    bool (*wants)(const void *arg, const char *name, uint64_t inode);
    const void *arg;
};

/* Gives |request| to every collector in |scope| (NULL: to all). Returns how many there are; each of them
 * reports once: those that took the request through the sink, the others (still busy with an earlier request, or
 * stopping) through |refused|, called from here. The sink's reports may come before this returns. */
size_t inventory_poll(struct inventory *r, struct poll_request *request, const struct inventory_scope *scope,
                      void (*refused)(void *arg, const struct collector_result *result), void *arg);

/* How many collectors there are in |scope| (NULL: in all), for the begin of a poll: inventory_poll has to
 * follow. */
size_t inventory_collectors(struct inventory *r, const struct inventory_scope *scope);

/* Notes |result| at its namespace, which |name| (INVENTORY_NAME_MAX bytes), |inode| and |cookie| then
 * identify; an unknown one has the name "". Any thread. */
#define INVENTORY_NAME_MAX 256
void inventory_result(struct inventory *r, const struct collector_result *result, int64_t timestamp_ns,
                      char *name, uint64_t *inode, uint64_t *cookie);

/* Calls |fn| with the name and identity of every namespace that took a request of poll |poll_id| and has not
 * reported. */
void inventory_missing(struct inventory *r, uint64_t poll_id,
                       void (*fn)(void *arg, const char *name, uint64_t inode, uint64_t cookie), void *arg);

/* Calls |fn| for each namespace in |scope| (NULL: of all) that is to be collected and cannot be: it cannot be
 * entered, or there is no collector for it. Leaves out files that have not become a namespace. With the
 * inventory's lock held. */
void inventory_unseen(struct inventory *r, const struct inventory_scope *scope,
                      void (*fn)(void *arg, const struct poll_error *error), void *arg);

/* Calls |fn| with all namespaces, the own one first, then by name, under the same rules. Returns -ENOMEM or what |fn|
 * returned. */
int inventory_list(struct inventory *r, int (*fn)(void *arg, const struct namespace_info *list, size_t n),
                   void *arg);

/* Sends |listener| a READY, ADDED or FAILED event for each present namespace and then SYNCED, and every
 * change after that, until inventory_unlisten. Returns 0 or -ENOMEM. */
int inventory_listen(struct inventory *r, inventory_listener *listener, void *arg);
/* No call of the listener comes after the return. */
void inventory_unlisten(struct inventory *r, void *arg);

/* Calls |fn| for each namespace that is collected until it returns false, with the inventory's lock held: it
 * must be quick and call nothing of the inventory. Any thread. */
typedef bool inventory_visitor(void *arg, const struct nswatch_ns *ns);
void inventory_visit(struct inventory *r, inventory_visitor *fn, void *arg);

/* Namespaces known now, failed ones included; |excluded| receives how many of them are excluded. */
size_t inventory_count(struct inventory *r, size_t *excluded);

#endif
