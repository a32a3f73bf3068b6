#include "collectors/poll_request.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/err.h"

struct poll_request *poll_request_new(void)
{
    struct poll_request *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    atomic_init(&o->refs, 1);
    o->want_all = true;
    return o;
}

/* Whether a request for |k| gets less than all sockets. */
static bool leaves_out(const struct filter_kernel *k)
{
    return k->len > 0 || k->states != FILTER_STATES_ALL || k->sport || k->dport;
}

/* The part of a poll request that goes into the requests to the kernel. */
static int push_down(struct poll_request *o)
{
    struct filter_kernel *k = malloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    filter_kernel((const struct filter *const *)o->filters, o->n_filters, k);
    if (leaves_out(k))
        o->kernel = k;
    else
        free(k);
    return 0;
}

int poll_request_filters(struct poll_request *o, struct filter *const *filters, unsigned n, bool want_all)
{
    if (n > COLLECTOR_FILTERS_MAX)
        return ERR_LIMIT;
    for (unsigned i = 0; i < n; i++) {
        o->filters[o->n_filters++] = filter_ref(filters[i]);
        o->filter_groups |= filter_groups(filters[i]);
    }
    o->want_all = want_all;
    return want_all ? 0 : push_down(o);
}

struct poll_request *poll_request_ref(struct poll_request *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void poll_request_unref(struct poll_request *o)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(o->daemon_version);
    free(o->hostname);
    free(o->location);
    free(o->label);
    free(o->tag);
    free(o->capture_path);
    for (unsigned i = 0; i < o->n_filters; i++)
        filter_unref(o->filters[i]);
    free(o->kernel);
    free(o);
}
