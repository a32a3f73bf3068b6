/* One tick of a watch: every socket asked for by itself, namespace after namespace. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "server/watch/focus_internal.h"

/* A namespace that cannot be entered may come back under another path for so long (as that of a process that
 * is still in it, once its name has been deleted). */
#define MISSING_NS (3 * NS_PER_S)

/* A tick at work in one namespace. */
struct asking {
    struct focus_watch *watch;
    struct focus_place *place;
    struct focus_ticker *ticker;
    struct record_frame frame;
    uint64_t *rows;
    size_t unanswered;
    int code; /* of the last that was not answered */
};

static bool knows_cookie(const struct lookup_socket *id)
{
    return id->id.idiag_cookie[0] != INET_DIAG_NOCOOKIE || id->id.idiag_cookie[1] != INET_DIAG_NOCOOKIE;
}

/* The reason why the kernel does not find a socket. */
static enum focus_end_reason why_not_there(const struct focus_about *about)
{
    if (about->answered)
        return FOCUS_END_CLOSED;
    if (about->state == 0)
        return FOCUS_END_NOT_FOUND;
    /* A dump has shown the socket, but a lookup by its addresses finds another one: listeners that share a
     * port (SO_REUSEPORT). */
    return about->state == FOCUS_LISTEN ? FOCUS_END_UNREACHABLE : FOCUS_END_CLOSED;
}

/* Whether |p| has the socket |i|, whose cookie has just been learnt, a second time: a client that names a
 * socket without its cookie does not know that a search found it too. An entry with the same cookie but other
 * ports does not count: no socket has that name. */
static bool is_twice(const struct focus_place *p, size_t i)
{
    const struct inet_diag_sockid *id = &p->ids[i].id;
    for (size_t k = 0; k < p->n; k++) {
        const struct inet_diag_sockid *other = &p->ids[k].id;
        if (k != i && other->idiag_cookie[0] == id->idiag_cookie[0] &&
            other->idiag_cookie[1] == id->idiag_cookie[1] && other->idiag_sport == id->idiag_sport &&
            other->idiag_dport == id->idiag_dport && !p->about[k].twice)
            return true;
    }
    return false;
}

static void put_row(struct asking *a, const struct record_source *s, size_t index)
{
    struct buf *rows = &a->ticker->rows;
    const struct focus_selection *sel = a->watch->current;
    uint8_t *to = (uint8_t *)buf_reserve(rows, RECORD_ROW_MAX);
    if (!to)
        return;
    if (!sel->masked) {
        rows->len += record_encode(&a->frame, s, index, to);
    } else {
        size_t n = record_encode(&a->frame, s, index, a->ticker->row);
        int64_t cut = record_mask_row(&sel->mask, a->ticker->row, &n, to);
        rows->len += cut > 0 ? (size_t)cut : 0;
    }
    ++*a->rows;
}

static void on_answer(void *arg, size_t index, const struct record_source *s, int code)
{
    struct asking *a = arg;
    struct focus_about *about = &a->place->about[index];
    if (code == -ENOENT || code == -ESTALE) {
        about->ended = (uint8_t)why_not_there(about);
        return;
    }
    if (!s) {
        a->unanswered++;
        a->code = code;
        return;
    }
    struct lookup_socket id;
    lookup_identity(s, &id);
    uint8_t state = s->data[PART_MSG][offsetof(struct inet_diag_msg, idiag_state)];
    if (!knows_cookie(&a->place->ids[index]))
        a->place->ids[index] = id;
    about->twice = about->named && !about->answered && is_twice(a->place, index);
    if (about->twice)
        return;
    bool over = state == FOCUS_TIME_WAIT && !a->watch->current->time_wait &&
                about->state != FOCUS_TIME_WAIT && about->state != 0;
    about->answered = true;
    about->state = over ? about->state : state;
    if (over)
        about->ended = FOCUS_END_TIME_WAIT;
    else
        put_row(a, s, index);
}

/* Tells an error once, until the namespace works again. */
static void tell(struct focus_watch *w, struct focus_place *p, const struct err *e)
{
    if (p->told == e->code)
        return;
    p->told = e->code;
    if (e->code)
        focus_slot_error(&w->slot, p, e);
}

static int frame_of(struct asking *a, const struct socket_lookup *x, const struct config *config, int64_t now)
{
    const struct netns_ref *ns = &a->place->where.ns;
    const struct record_context context = {
        .daemon_version = XTCP_VERSION,
        .hostname = config->hostname,
        .location = config->location,
        .netns = ns->name,
        .label = config->label,
        .tag = config->tag,
        .timestamp_ns = now,
        .netns_inode = ns->inode ? ns->inode : lookup_inode(x),
        .netns_cookie = lookup_cookie(x),
        .event = RECORD_EVENT_POLL,
        .groups = config->groups,
    };
    return record_frame_init(&a->frame, &context);
}

static void ask(struct asking *a, struct socket_lookup *x, const struct config *config, int64_t now)
{
    struct focus_place *p = a->place;
    const struct focus_selection *s = a->watch->current;
    struct err e = {0};
    int rc = frame_of(a, x, config, now);
    groups_t groups = s->masked ? config->groups & s->columns_groups : config->groups;
    if (rc == 0)
        rc = lookup_ask(x, p->ids, p->n, groups, on_answer, a);
    if (rc)
        err_set(&e, rc, "cannot ask for its sockets: %s", err_name(rc));
    else if (a->unanswered)
        err_set(&e, a->code, "%zu of its sockets did not answer: %s", a->unanswered, err_name(a->code));
    tell(a->watch, p, &e);
}

/* ---- A namespace that cannot be entered ---- */

struct search {
    uint64_t id;
    struct focus_ns found;
    bool there;
};

static bool is_it(void *arg, const struct nswatch_ns *ns)
{
    struct search *s = arg;
    if (ns->id != s->id)
        return true;
    s->there = focus_ns_copy(&s->found, ns) == 0;
    return false;
}

/* Looks for another path of the namespace. If it is not known any more, its sockets have ended. */
static void look_for(struct focus_watch *w, struct focus_place *p, struct inventory *inventory,
                     const struct err *why)
{
    struct search s = {.id = p->where.ns.id};
    int64_t now = clock_mono_ns();
    if (s.id)
        inventory_visit(inventory, is_it, &s);
    if (s.there) {
        focus_ns_free(&p->where);
        p->where = s.found;
    }
    if (!p->missing_ns)
        p->missing_ns = now;
    bool gone = !s.there || (why->code == ERR_GONE && now - p->missing_ns > MISSING_NS);
    for (size_t i = 0; gone && i < p->n; i++)
        p->about[i].ended = FOCUS_END_NAMESPACE;
    if (why->code != ERR_GONE)
        tell(w, p, why);
}

/* ---- Sockets that have ended ---- */

/* Remembers it for searches that are under way. */
static void note_gone(struct focus_watch *w, const struct focus_place *p, size_t i)
{
    if (array_room(&w->gone, w->n_gone + 1, &w->cap_gone, sizeof(*w->gone)))
        return;
    const uint32_t *cookie = p->ids[i].id.idiag_cookie;
    w->gone[w->n_gone++] = (struct focus_gone){.ns_id = p->where.ns.id,
                                               .cookie = {cookie[0], cookie[1]},
                                               .at_ns = clock_mono_ns(),
                                               .ever = p->about[i].ended == FOCUS_END_UNREACHABLE};
}

/* Tells of those that have ended and takes them out. Returns 0, or the reason to end the call: the client
 * would miss some. */
static int take_out(struct focus_watch *w, struct focus_place *p, int64_t timestamp_ns)
{
    int rc = 0;
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->about[i].twice)
            continue;
        if (!p->about[i].ended) {
            p->ids[kept] = p->ids[i];
            p->about[kept++] = p->about[i];
            continue;
        }
        int failed = focus_slot_ended(&w->slot, p, i, timestamp_ns);
        if (failed)
            rc = failed;
        if (w->current->filter)
            note_gone(w, p, i);
    }
    w->n_sockets -= p->n - kept;
    p->n = kept;
    return rc;
}

/* ---- The tick ---- */

static int visit_place(struct focus_watch *w, struct focus_place *p, struct focus_ticker *t,
                       struct inventory *inventory, const struct config *config, int64_t now, uint64_t *rows)
{
    struct asking a = {.watch = w, .place = p, .ticker = t, .rows = rows};
    struct err e = {0};
    bool lost = false;
    int rc = p->where.ns.id ? lookup_enter(t->lookup, &p->where.ns, &lost, &e)
                            : err_set(&e, ERR_GONE, "there is no such namespace");
    if (lost)
        return ERR_CANCELLED;
    if (rc == 0) {
        p->missing_ns = 0;
        ask(&a, t->lookup, config, now);
        lookup_leave(t->lookup);
    } else {
        look_for(w, p, inventory, &e);
    }
    return 0;
}

int focus_watch_tick(struct focus_watch *w, struct focus_ticker *t, struct inventory *inventory,
                     const struct config *config, int64_t late_ns, uint64_t skipped)
{
    uint64_t rows = 0;
    int lost = 0;
    struct focus_tick tick = {.timestamp_ns = clock_wall_ns(),
                              .late_ns = late_ns > 0 ? (uint64_t)late_ns : 0,
                              .ticks_skipped = skipped};
    w->tick += 1 + skipped;
    tick.tick = w->tick;
    buf_reset(&t->rows);
    for (size_t i = 0; i < w->n_places; i++) {
        struct focus_place *p = &w->places[i];
        if (p->n == 0)
            continue;
        int rc = visit_place(w, p, t, inventory, config, tick.timestamp_ns, &rows);
        if (rc)
            return rc;
        rc = take_out(w, p, tick.timestamp_ns);
        if (rc)
            lost = rc;
    }
    focus_watch_tidy(w);
    tick.sockets = (uint32_t)w->n_sockets;
    tick.left_out = w->left_out;
    if (t->rows.failed)
        lost = -ENOMEM;
    if (lost)
        return lost;
    focus_slot_tick(&w->slot, &tick, &t->rows, rows);
    return 0;
}
