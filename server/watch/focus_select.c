/* The sockets that a watch was asked for, and those that it watches at the moment. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "rpc/codec/msg_focus.h"
#include "server/watch/focus_internal.h"

/* ---- Selections ---- */

struct focus_selection *focus_selection_ref(struct focus_selection *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void focus_selection_unref(struct focus_selection *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    filter_unref(s->filter);
    focus_request_free(&s->request);
    free(s);
}

static int read_filter(struct focus_selection *s, struct err *e)
{
    struct filter_error fe = {0};
    int rc = filter_parse(s->request.filter, &s->filter, &fe);
    if (rc)
        return err_set(e, rc, "filter: %s", fe.err.text);
    struct filter_kernel *kernel = malloc(sizeof(*kernel));
    if (!kernel)
        return err_set(e, -ENOMEM, "filter: out of memory");
    const struct filter *one = s->filter;
    filter_kernel(&one, 1, kernel);
    /* Sockets in TIME_WAIT are over; they are watched when the filter chooses states, and this one with them. */
    s->time_wait = kernel->states != FILTER_STATES_ALL && kernel->states & 1u << FOCUS_TIME_WAIT;
    free(kernel);
    return 0;
}

static int read_columns(struct focus_selection *s, struct err *e)
{
    s->masked = s->request.n_columns > 0;
    for (size_t i = 0; i < s->request.n_columns; i++) {
        const char *name = s->request.columns[i];
        int rc = record_mask_add(&s->mask, name, e);
        if (rc)
            return rc;
        const struct record_field *field = record_field_by_name(name, strlen(name));
        if (field && field->group != GROUP_NONE)
            s->columns_groups |= GROUP_BIT(field->group);
    }
    return 0;
}

int focus_selection_new(struct focus_request *request, struct focus_selection **out, struct err *e)
{
    struct focus_selection *s = calloc(1, sizeof(*s));
    if (!s) {
        focus_request_free(request);
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->refs = 1;
    s->request = *request;
    *request = (struct focus_request){0};
    int rc = s->request.filter ? read_filter(s, e) : 0;
    if (rc == 0)
        rc = read_columns(s, e);
    if (rc) {
        focus_selection_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* ---- Namespaces ---- */

int focus_ns_copy(struct focus_ns *to, const struct nswatch_ns *from)
{
    *to = (struct focus_ns){.name = strdup(from->netns), .path = strdup(from->path)};
    if (!to->name || !to->path) {
        focus_ns_free(to);
        return -ENOMEM;
    }
    to->ns = (struct netns_ref){.id = from->id,
                                .cookie = from->cookie,
                                .inode = from->inode,
                                .own = from->kind == NSWATCH_OWN,
                                .name = to->name,
                                .path = to->path};
    return 0;
}

void focus_ns_free(struct focus_ns *n)
{
    free(n->name);
    free(n->path);
    *n = (struct focus_ns){0};
}

void focus_found_free(struct focus_found *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_where; i++)
        focus_ns_free(&f->where[i].where);
    for (size_t i = 0; i < f->n_errors; i++)
        focus_error_free(&f->errors[i]);
    free(f->where);
    free(f->hits);
    free(f);
}

/* ---- Places ---- */

static void place_free(struct focus_place *p)
{
    focus_ns_free(&p->where);
    free(p->ids);
    free(p->about);
}

void focus_watch_clear(struct focus_watch *w)
{
    for (size_t i = 0; i < w->n_places; i++)
        place_free(&w->places[i]);
    w->n_places = w->n_sockets = w->n_gone = 0;
    w->left_out = w->errors = 0;
}

void focus_watch_tidy(struct focus_watch *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n_places; i++) {
        if (w->places[i].n)
            w->places[kept++] = w->places[i];
        else
            place_free(&w->places[i]);
    }
    w->n_places = kept;
}

bool focus_watch_in_other_netns(const struct focus_watch *w)
{
    for (size_t i = 0; i < w->n_places; i++) {
        if (!w->places[i].where.ns.own)
            return true;
    }
    return false;
}

/* The place of namespace |id|, or NULL. */
static struct focus_place *find_place(struct focus_watch *w, uint64_t id)
{
    for (size_t i = 0; i < w->n_places; i++) {
        if (w->places[i].where.ns.id == id)
            return &w->places[i];
    }
    return NULL;
}

/* A new place, which takes over |where|. NULL without memory. */
static struct focus_place *add_place(struct focus_watch *w, struct focus_ns *where)
{
    if (array_room(&w->places, w->n_places + 1, &w->cap_places, sizeof(*w->places)))
        return NULL;
    struct focus_place *p = &w->places[w->n_places++];
    *p = (struct focus_place){.where = *where};
    *where = (struct focus_ns){0};
    return p;
}

static bool add_socket(struct focus_watch *w, struct focus_place *p, const struct lookup_socket *id,
                       struct focus_about about)
{
    size_t cap = p->cap;
    if (array_room(&p->ids, p->n + 1, &cap, sizeof(*p->ids)) ||
        array_room(&p->about, p->n + 1, &p->cap, sizeof(*p->about)))
        return false;
    p->ids[p->n] = *id;
    p->about[p->n++] = about;
    w->n_sockets++;
    return true;
}

/* ---- Sockets that the request names ---- */

struct lookup {
    const struct focus_socket *wanted;
    struct focus_ns where;
    bool found;
};

static bool is_namespace(const struct focus_socket *s, const struct nswatch_ns *ns)
{
    if (s->netns_cookie)
        return ns->cookie == s->netns_cookie;
    if (!s->netns[0])
        return ns->kind == NSWATCH_OWN;
    return strcmp(ns->netns, s->netns) == 0;
}

static bool look_at(void *arg, const struct nswatch_ns *ns)
{
    struct lookup *l = arg;
    if (!is_namespace(l->wanted, ns))
        return true;
    l->found = focus_ns_copy(&l->where, ns) == 0;
    return false;
}

/* Makes a place for a namespace that does not exist: its sockets end at the first tick. */
static int unknown_namespace(const struct focus_socket *s, struct focus_ns *out)
{
    const struct nswatch_ns none = {.cookie = s->netns_cookie, .netns = s->netns, .path = ""};
    return focus_ns_copy(out, &none);
}

static struct focus_place *place_of(struct focus_watch *w, const struct focus_socket *s,
                                    struct inventory *inventory)
{
    struct lookup l = {.wanted = s};
    inventory_visit(inventory, look_at, &l);
    if (!l.found && unknown_namespace(s, &l.where))
        return NULL;
    struct focus_place *p = l.found ? find_place(w, l.where.ns.id) : NULL;
    if (!p)
        p = add_place(w, &l.where);
    focus_ns_free(&l.where);
    return p;
}

static void add_named(struct focus_watch *w, const struct focus_socket *s, struct inventory *inventory)
{
    struct focus_place *p = place_of(w, s, inventory);
    struct lookup_socket id = {.family = (uint8_t)s->family};
    id.id.idiag_sport = htons(s->source_port);
    id.id.idiag_dport = htons(s->destination_port);
    memcpy(id.id.idiag_src, s->source, sizeof(s->source));
    memcpy(id.id.idiag_dst, s->destination, sizeof(s->destination));
    id.id.idiag_if = s->interface;
    id.id.idiag_cookie[0] = s->cookie ? (uint32_t)s->cookie : INET_DIAG_NOCOOKIE;
    id.id.idiag_cookie[1] = s->cookie ? (uint32_t)(s->cookie >> 32) : INET_DIAG_NOCOOKIE;
    if (p)
        add_socket(w, p, &id, (struct focus_about){.named = true});
}

void focus_watch_begin(struct focus_watch *w, struct focus_selection *s, struct inventory *inventory)
{
    focus_watch_clear(w);
    focus_slot_drop(&w->slot);
    focus_selection_unref(w->current);
    w->current = s;
    w->started = false;
    w->tick = 0;
    for (size_t i = 0; i < s->request.n_sockets; i++)
        add_named(w, &s->request.sockets[i], inventory);
}

/* ---- Sockets that were found ---- */

static bool same_cookie(const uint32_t a[2], const uint32_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

static uint64_t cookie_of(const struct lookup_socket *id)
{
    return id->id.idiag_cookie[0] | (uint64_t)id->id.idiag_cookie[1] << 32;
}

static bool is_gone(const struct focus_watch *w, uint64_t ns_id, const struct lookup_socket *id)
{
    for (size_t i = 0; i < w->n_gone; i++) {
        if (w->gone[i].ns_id == ns_id && same_cookie(w->gone[i].cookie, id->id.idiag_cookie))
            return true;
    }
    return false;
}

/* Forgets sockets that ended before |began_ns|: no search can return them any more. */
static void forget_gone(struct focus_watch *w, int64_t began_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n_gone; i++) {
        if (w->gone[i].ever || w->gone[i].at_ns >= began_ns)
            w->gone[kept++] = w->gone[i];
    }
    w->n_gone = kept;
}

static void merge_place(struct focus_watch *w, struct focus_found *found, struct focus_found_ns *where,
                        struct u64set *known)
{
    uint64_t ns_id = where->where.ns.id; /* add_place takes it away */
    struct focus_place *p = find_place(w, ns_id);
    u64set_clear(known, 4096);
    for (size_t i = 0; p && i < p->n; i++)
        u64set_add(known, cookie_of(&p->ids[i]));
    for (size_t i = where->first; i < where->first + where->n; i++) {
        const struct focus_hit *hit = &found->hits[i];
        if (w->n_sockets >= w->current->request.max_sockets)
            return;
        if (is_gone(w, ns_id, &hit->id) || u64set_add(known, cookie_of(&hit->id)) != 1)
            continue;
        if (!p)
            p = add_place(w, &where->where);
        if (!p || !add_socket(w, p, &hit->id, (struct focus_about){.state = hit->state}))
            return;
    }
}

/* Tells what went wrong in a search, unless it was the same in the last one. */
static void tell_errors(struct focus_watch *w, const struct focus_found *found)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < found->n_errors; i++)
        sum +=
            (found->errors[i].cookie ^ found->errors[i].inode << 32) * 31 + (uint64_t)found->errors[i].code;
    bool news = sum != w->errors;
    w->errors = sum;
    for (size_t i = 0; news && i < found->n_errors; i++) {
        const struct poll_error *error = &found->errors[i];
        struct focus_place p = {
            .where = {.ns = {.inode = error->inode, .cookie = error->cookie}, .name = (char *)error->name}};
        struct err e;
        err_set(&e, error->code, "%s", error->text);
        focus_slot_error(&w->slot, &p, &e);
    }
}

void focus_watch_merge(struct focus_watch *w, struct focus_found *found)
{
    struct u64set known;
    u64set_init(&known);
    for (size_t i = 0; i < found->n_where; i++)
        merge_place(w, found, &found->where[i], &known);
    u64set_free(&known);
    forget_gone(w, found->began_ns);
    w->left_out = found->matched > w->n_sockets ? found->matched - w->n_sockets : 0;
    tell_errors(w, found);
}

void focus_watch_start(struct focus_watch *w, const struct focus_found *found)
{
    const struct focus_selection *s = w->current;
    struct filter_part parts[FILTER_TERMS_MAX];
    struct focus_info info = {
        .filter = s->filter ? filter_text(s->filter) : NULL,
        .parts = parts,
        .columns = s->request.columns,
        .n_columns = s->request.n_columns,
        .interval_ns = (uint64_t)s->request.interval_ns,
        .lookup_interval_ns = s->filter ? (uint64_t)s->request.lookup_interval_ns : 0,
        .max_sockets = s->request.max_sockets,
        .namespaces = found ? found->namespaces : 0,
        .sockets = (uint32_t)w->n_sockets,
        .matched = found ? found->matched : 0,
    };
    info.n_parts = selection_parts(s->filter, parts);
    focus_slot_info(&w->slot, &info);
    w->started = true;
}
