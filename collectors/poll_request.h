/* A request for a poll, the same for every namespace: data that collectors read. Reference counted; nothing of it
 * changes once it is given out, but for |cancelled| and |set|. */
#ifndef XTCP_COLLECTORS_POLL_REQUEST_H
#define XTCP_COLLECTORS_POLL_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "filter/filter.h"
#include "model/groups.h"

struct collectors;

#define COLLECTOR_FILTERS_MAX 64

struct poll_request {
    _Atomic uint32_t refs;
    uint64_t poll_id;
    int64_t timestamp_ns; /* wall clock at the start, for the records */
    int64_t deadline_ns;  /* monotonic; a namespace that is not finished by then has timed out */
    groups_t groups;      /* that are encoded */
    uint32_t modulus;     /* only each N-th socket of a namespace is reported; 0 and 1: all */
    uint32_t packet_size; /* bytes that are received at once; 0: as many as the kernel sends */
    int64_t silence_ns;   /* a namespace that sends nothing for this long has timed out; 0: no limit */
    bool populate_nsid;   /* look up the ids of namespaces */
    char *capture_path;   /* a folder: the answers are recorded there; NULL: they are not */
    char *daemon_version; /* own copies, freed with the request */
    char *hostname;
    char *location;
    char *label;
    char *tag;
    bool want_all; /* every socket gets a row; else those that pass a filter do. Set by poll_request_new */
    unsigned n_filters;
    struct filter *filters[COLLECTOR_FILTERS_MAX]; /* see poll_request_filters */
    groups_t filter_groups;           /* that the filters need beside |groups|: asked for, not encoded */
    struct filter_kernel *kernel;     /* the part that the kernel can do; NULL: none */
    _Atomic bool cancelled;           /* set by poll_request_cancel: collectors that are still at it stop */
    _Atomic(struct collectors *) set; /* the set of the collectors at it; set by collector_poll */
};

/* An empty request with one reference, the caller's, which fills it in; NULL without memory. */
struct poll_request *poll_request_new(void);
struct poll_request *poll_request_ref(struct poll_request *o);

/* Sets the |n| filters of the request (references are taken): bit i of a row's match (struct batch_row) tells that the
 * socket passes filters[i]. Without |want_all| a socket that passes none of them gets no row, and the kernel filters as
 * far as it can: then results are partial. Once, before the request is given out. Returns 0, ERR_LIMIT for more than
 * COLLECTOR_FILTERS_MAX filters, or -ENOMEM. */
int poll_request_filters(struct poll_request *o, struct filter *const *filters, unsigned n, bool want_all);

/* NULL is allowed. */
void poll_request_unref(struct poll_request *o);

#endif
