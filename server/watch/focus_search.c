/* The search of a watch: a dump of every namespace that it is about, for sockets that pass its filter. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "inet_diag/dump.h"
#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/netns_pattern.h"
#include "server/watch/focus_internal.h"

/* The longest time that one namespace may take, and all of them together. */
#define NAMESPACE_NS (2 * NS_PER_S)
#define SEARCH_NS    (20 * NS_PER_S)

/* A search may take up a hundredth of a CPU: the next one comes at least this many times its CPU time later.
 * A client may be waiting for the search of a new selection; but one that changes it all the time gets a
 * tenth of a CPU. */
#define PAUSE       100
#define PAUSE_FRESH 10

/* Slots of the set of cookies that stay allocated between dumps. */
#define KEEP_SLOTS 4096

struct search {
    struct focus_finder *finder;
    const struct focus_selection *selection;
    const struct config *config;
    struct focus_found *found;
    struct focus_ns *list; /* the namespaces to be searched */
    size_t n;
    size_t cap;
    struct filter_kernel kernel;
    /* The one that is being searched. */
    const struct focus_ns *where;
    struct record_context context;
    struct filter_env env;
    struct dump dump;
};

/* ---- The list of namespaces ---- */

static bool note_namespace(void *arg, const struct nswatch_ns *ns)
{
    struct search *s = arg;
    const struct focus_request *r = &s->selection->request;
    if (!netns_wanted(r->netns, r->n_netns, ns->netns, ns->inode))
        return true;
    if (array_room(&s->list, s->n + 1, &s->cap, sizeof(*s->list)) || focus_ns_copy(&s->list[s->n], ns) != 0)
        return false;
    s->n++;
    return true;
}

/* ---- One namespace ---- */

static int on_socket(void *arg, const struct record_source *source)
{
    struct search *s = arg;
    struct focus_found *f = s->found;
    uint8_t state = source->data[PART_MSG][offsetof(struct inet_diag_msg, idiag_state)];
    if (state == FOCUS_TIME_WAIT && !s->selection->time_wait)
        return 0;
    if (!filter_match(s->selection->filter, source, &s->context, &s->env))
        return 0;
    f->matched++;
    if (f->n_hits >= s->selection->request.max_sockets)
        return 0;
    if (array_room(&f->hits, f->n_hits + 1, &f->cap_hits, sizeof(*f->hits)))
        return -ENOMEM;
    lookup_identity(source, &f->hits[f->n_hits].id);
    f->hits[f->n_hits++].state = state;
    return 0;
}

static int open_inside(void *arg, struct err *e)
{
    struct search *s = arg;
    int rc = dump_open(&s->dump, s->where->ns.cookie, e);
    if (rc == 0 && filter_needs_env(s->selection->filter))
        filter_env_read(s->selection->filter, &s->env);
    return rc;
}

static int dump_here(struct search *s, struct err *e)
{
    int refused = 0;
    struct netns_entry entry;
    struct dump_counts counts = {0};
    struct dump_options options = {.buffer = s->finder->buffer,
                                   .buffer_size = DUMP_BUFFER_SIZE,
                                   .seen = &s->finder->seen,
                                   .wake_fd = s->finder->wake,
                                   .stopping = &s->finder->focus->stopping,
                                   .deadline_ns = clock_mono_ns() + NAMESPACE_NS};
    const struct filter_kernel *k = &s->kernel;
    struct diag_request request = {.groups = filter_groups(s->selection->filter),
                                   .states = k->states,
                                   .sport = k->sport,
                                   .dport = k->dport,
                                   .code = k->code,
                                   .code_len = k->len};
    s->dump.fd = -1;
    int rc = netns_inside(s->finder->focus->own_netns_fd, &s->where->ns, open_inside, s, &entry, e);
    s->finder->lost |= entry.lost;
    if (rc == 0)
        rc = dump_filtered(&s->dump, &request, &options, on_socket, s, &counts, &refused, e);
    if (refused)
        s->kernel.len = 0; /* the kernel will not take it in the next namespace either */
    dump_close(&s->dump);
    return rc;
}

static void note_error(struct search *s, const struct err *e)
{
    struct focus_found *f = s->found;
    if (f->n_errors < POLL_ERRORS_MAX && focus_error_copy(s->where, e, &f->errors[f->n_errors]) == 0)
        f->n_errors++;
}

static void search_here(struct search *s, struct focus_ns *where)
{
    struct focus_found *f = s->found;
    struct err e = {0};
    size_t first = f->n_hits;
    s->where = where;
    s->context = (struct record_context){
        .daemon_version = XTCP_VERSION,
        .hostname = s->config->hostname,
        .location = s->config->location,
        .netns = where->name,
        .label = s->config->label,
        .tag = s->config->tag,
        .timestamp_ns = clock_wall_ns(),
        .netns_inode = where->ns.inode,
        .netns_cookie = where->ns.cookie,
        .event = RECORD_EVENT_POLL,
        .groups = GROUPS_ALL,
    };
    s->env = (struct filter_env){0};
    int rc = dump_here(s, &e);
    u64set_clear(&s->finder->seen, KEEP_SLOTS);
    if (rc == 0)
        f->namespaces++;
    else if (rc != ERR_GONE) /* gone: that is no error, the namespace is deleted */
        note_error(s, &e);
    if (f->n_hits == first)
        return;
    if (array_room(&f->where, f->n_where + 1, &f->cap_where, sizeof(*f->where))) {
        f->n_hits = first;
        return;
    }
    f->where[f->n_where++] = (struct focus_found_ns){.where = *where, .first = first, .n = f->n_hits - first};
    *where = (struct focus_ns){0}; /* it is the list's now */
}

int64_t focus_search_rest(int64_t now_ns, int64_t cpu_ns, int64_t interval_ns)
{
    int64_t pause = (interval_ns ? PAUSE : PAUSE_FRESH) * cpu_ns;
    return now_ns + (pause > interval_ns ? pause : interval_ns);
}

struct focus_found *focus_search(struct focus_finder *finder, const struct focus_selection *selection,
                                 const struct config *config)
{
    struct search *s = calloc(1, sizeof(*s));
    struct focus_found *found = calloc(1, sizeof(*found));
    if (!s || !found) {
        free(s);
        free(found);
        return NULL;
    }
    *s = (struct search){.finder = finder, .selection = selection, .config = config, .found = found};
    found->began_ns = clock_mono_ns();
    const struct filter *one = selection->filter;
    filter_kernel(&one, 1, &s->kernel);
    inventory_visit(finder->focus->options.inventory, note_namespace, s);
    const _Atomic bool *stopping = &finder->focus->stopping;
    for (size_t i = 0; i < s->n && !finder->lost && !atomic_load(stopping); i++) {
        if (clock_mono_ns() - found->began_ns > SEARCH_NS) {
            log_limited(LOG_WARN, "focus", "a search took too long: %zu of %zu namespaces are left out",
                        s->n - i, s->n);
            break;
        }
        search_here(s, &s->list[i]);
    }
    for (size_t i = 0; i < s->n; i++)
        focus_ns_free(&s->list[i]);
    free(s->list);
    free(s);
    return found;
}
