/* The slot of a watch: the newest tick, and the messages that must not be lost when a tick is replaced. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "rpc/codec/msg_focus.h"
#include "server/watch/focus_internal.h"

/* Ended sockets that wait for a client. Each was a socket that was watched, and no more than max_sockets are
 * at a time; so only a client that does not read at all reaches this. */
#define ENDED_MAX  16384
#define ERRORS_MAX 16

void focus_slot_init(struct focus_slot *s)
{
    *s = (struct focus_slot){0};
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->info);
    buf_init(&s->head);
    buf_init(&s->rows);
}

void focus_error_free(struct poll_error *error)
{
    free((char *)error->name);
    free((char *)error->text);
    *error = (struct poll_error){0};
}

int focus_error_copy(const struct focus_ns *where, const struct err *e, struct poll_error *out)
{
    *out = (struct poll_error){.name = strdup(where->name),
                               .inode = where->ns.inode,
                               .cookie = where->ns.cookie,
                               .code = e->code,
                               .text = strdup(e->text)};
    if (out->name && out->text)
        return 0;
    focus_error_free(out);
    return -ENOMEM;
}

/* The lock is held, or nobody else knows the slot. */
static void forget_lists(struct focus_slot *s)
{
    for (size_t i = 0; i < s->n_ended; i++)
        free((char *)s->ended[i].socket.netns);
    for (size_t i = 0; i < s->n_errors; i++)
        focus_error_free(&s->errors[i]);
    s->n_ended = s->n_errors = 0;
}

void focus_slot_fini(struct focus_slot *s)
{
    forget_lists(s);
    free(s->ended);
    free(s->errors);
    buf_free(&s->info);
    buf_free(&s->head);
    buf_free(&s->rows);
    pthread_mutex_destroy(&s->lock);
}

void focus_slot_drop(struct focus_slot *s)
{
    pthread_mutex_lock(&s->lock);
    forget_lists(s);
    buf_reset(&s->info);
    s->full = false;
    s->tick = (struct focus_tick){0};
    pthread_mutex_unlock(&s->lock);
}

int focus_slot_info(struct focus_slot *s, const struct focus_info *info)
{
    pthread_mutex_lock(&s->lock);
    buf_reset(&s->info);
    int rc = focus_info_encode(&s->info, info);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void focus_slot_tick(struct focus_slot *s, const struct focus_tick *tick, struct buf *rows, uint64_t n_rows)
{
    pthread_mutex_lock(&s->lock);
    struct focus_tick next = *tick;
    next.ticks_skipped += s->tick.ticks_skipped; /* since the last response: zero when it was taken */
    next.ticks_dropped = s->tick.ticks_dropped + s->full;
    next.rows_dropped = s->tick.rows_dropped + (s->full ? s->n_rows : 0);
    s->tick = next;
    s->full = true;
    s->n_rows = n_rows;
    struct buf old = s->rows;
    s->rows = *rows;
    *rows = old;
    pthread_mutex_unlock(&s->lock);
}

static void describe(const struct focus_place *p, size_t i, struct focus_socket *out)
{
    const struct inet_diag_sockid *id = &p->ids[i].id;
    *out = (struct focus_socket){
        .netns_cookie = p->where.ns.cookie,
        .netns = strdup(p->where.name),
        .family = p->ids[i].family,
        .source_port = ntohs(id->idiag_sport),
        .destination_port = ntohs(id->idiag_dport),
        .interface = id->idiag_if,
    };
    memcpy(out->source, id->idiag_src, sizeof(out->source));
    memcpy(out->destination, id->idiag_dst, sizeof(out->destination));
    if (id->idiag_cookie[0] != INET_DIAG_NOCOOKIE || id->idiag_cookie[1] != INET_DIAG_NOCOOKIE)
        out->cookie = id->idiag_cookie[0] | (uint64_t)id->idiag_cookie[1] << 32;
}

int focus_slot_ended(struct focus_slot *s, const struct focus_place *p, size_t i, int64_t timestamp_ns)
{
    struct focus_ended e = {
        .reason = p->about[i].ended, .timestamp_ns = timestamp_ns, .state = p->about[i].state};
    describe(p, i, &e.socket);
    if (!e.socket.netns)
        return -ENOMEM;
    pthread_mutex_lock(&s->lock);
    int rc = s->n_ended < ENDED_MAX ? 0 : ERR_LIMIT;
    if (rc == 0 && array_room(&s->ended, s->n_ended + 1, &s->cap_ended, sizeof(e)))
        rc = -ENOMEM;
    if (rc == 0)
        s->ended[s->n_ended++] = e;
    pthread_mutex_unlock(&s->lock);
    if (rc)
        free((char *)e.socket.netns);
    return rc;
}

int focus_slot_error(struct focus_slot *s, const struct focus_place *p, const struct err *e)
{
    struct poll_error error;
    int rc = focus_error_copy(&p->where, e, &error);
    pthread_mutex_lock(&s->lock);
    if (rc == 0 && !s->errors)
        s->errors = calloc(ERRORS_MAX, sizeof(*s->errors));
    if (rc == 0 && !s->errors)
        rc = -ENOMEM;
    if (rc == 0 && s->n_errors == ERRORS_MAX)
        rc = ERR_LIMIT;
    if (rc == 0)
        s->errors[s->n_errors++] = error;
    pthread_mutex_unlock(&s->lock);
    if (rc)
        focus_error_free(&error);
    return rc;
}

/* The tick that waits, as a message. The lock is held. */
static bool take_tick(struct focus_slot *s, struct rpc_message *out)
{
    struct buf *head = &s->head;
    buf_reset(head);
    s->tick.ended = s->ended;
    s->tick.n_ended = s->n_ended;
    s->tick.errors = s->errors;
    s->tick.n_errors = s->n_errors;
    int rc = focus_tick_encode(head, &s->tick);
    if (rc == 0 && s->rows.len)
        focus_put_rows(head, s->rows.len);
    if (rc || head->failed)
        return false;
    grpc_slice message = grpc_slice_malloc(head->len + s->rows.len);
    memcpy(GRPC_SLICE_START_PTR(message), head->data, head->len);
    if (s->rows.len)
        memcpy(GRPC_SLICE_START_PTR(message) + head->len, s->rows.data, s->rows.len);
    *out = (struct rpc_message){.slices = {message}, .n = 1};
    forget_lists(s);
    s->tick = (struct focus_tick){0};
    s->full = false;
    return true;
}

bool focus_slot_next(struct focus_slot *s, struct rpc_message *out)
{
    bool any = false;
    pthread_mutex_lock(&s->lock);
    if (s->info.len) {
        *out = rpc_message_copy(s->info.data, s->info.len, s->full);
        buf_reset(&s->info);
        any = true;
    } else if (s->full) {
        any = take_tick(s, out);
    }
    pthread_mutex_unlock(&s->lock);
    return any;
}
