#include "client/show/watch_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/show/address.h"
#include "client/show/cell.h"
#include "client/show/socket_index.h"
#include "client/show/socket_sample.h"
#include "client/show/socket_table.h"
#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "lib/array.h"
#include "lib/clock.h"
#include "record/names.h"

/* Rates are over half a second to a second, so that they can be read at any number of ticks. */
#define RATE_STEP_US 500000

/* The part from hours to milliseconds in the text of clock_format. */
#define TIME_AT     11
#define TIME_LENGTH 12

/* The least time between two drawings on a terminal. */
#define DRAW_NS (95 * NS_PER_MS)

/* A socket with its earlier samples. */
struct kept {
    struct socket_sample now;
    struct socket_sample base; /* rates are since then */
    struct socket_sample next; /* the next base */
    uint64_t tick;             /* in which it was seen last */
};

struct watch_table {
    const struct view *view;
    struct output *out;
    bool in_place;
    struct table *table;            /* own columns, when it is not in place */
    struct socket_table *sockets;   /* chosen columns, likewise */
    struct measured_rate *measured; /* rates among them; NULL: there are none */

    /* Own columns: all sockets that were seen. */
    struct socket_index index;
    struct kept *kept;
    size_t n_kept;
    size_t room;
    uint64_t tick;
    struct buf *names; /* of the namespaces, by socket_sample.netns */
    size_t n_names;
    size_t names_room;

    struct buf drawn; /* the next drawing */
    size_t lines;     /* that stand on the terminal */
    int64_t drawn_ns; /* monotonic: when */
};

enum {
    COLUMN_TIME,
    COLUMN_NETNS,
    COLUMN_STATE,
    COLUMN_LOCAL,
    COLUMN_PEER,
    COLUMN_SENT,
    COLUMN_RECEIVED,
    COLUMN_RTT,
    COLUMN_CWND,
    COLUMN_UNACKED,
    COLUMN_QUEUE,
    COLUMN_RETRANS,
    COLUMN_RETRANS_RATE,
    COLUMN_LIMIT,
    COLUMNS
};

static const struct table_column columns[COLUMNS] = {
    [COLUMN_TIME] = {.title = "TIME", .drop = 1},
    [COLUMN_NETNS] = {.title = "NETNS", .drop = 4, .cut = 8},
    [COLUMN_STATE] = {.title = "STATE", .drop = 3, .least = 11},
    [COLUMN_LOCAL] = {.title = "LOCAL", .squeeze = 12},
    [COLUMN_PEER] = {.title = "PEER", .squeeze = 12},
    [COLUMN_SENT] = {.title = "SENT/s", .align = TABLE_RIGHT, .least = 10},
    [COLUMN_RECEIVED] = {.title = "RECEIVED/s", .align = TABLE_RIGHT, .drop = 2, .least = 10},
    [COLUMN_RTT] = {.title = "RTT", .align = TABLE_RIGHT, .drop = 2, .least = 6},
    [COLUMN_CWND] = {.title = "CWND", .align = TABLE_RIGHT, .drop = 6, .least = 5},
    [COLUMN_UNACKED] = {.title = "UNACKED", .align = TABLE_RIGHT, .drop = 8, .least = 5},
    [COLUMN_QUEUE] = {.title = "QUEUE", .align = TABLE_RIGHT, .drop = 7, .least = 6},
    [COLUMN_RETRANS] = {.title = "RETRANS", .align = TABLE_RIGHT, .drop = 9, .least = 5},
    [COLUMN_RETRANS_RATE] = {.title = "RETRANS/s", .align = TABLE_RIGHT, .drop = 3, .least = 5},
    [COLUMN_LIMIT] = {.title = "LIMITED BY", .drop = 5, .least = 17},
};

struct watch_table *watch_table_new(const struct view *v, struct output *out)
{
    struct watch_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->view = v;
    t->out = out;
    t->in_place = out->terminal && v->format == OUTPUT_TABLE;
    buf_init(&t->drawn);
    return t;
}

void watch_table_free(struct watch_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_names; i++)
        buf_free(&t->names[i]);
    free(t->names);
    free(t->kept);
    socket_index_free(&t->index);
    table_free(t->table);
    socket_table_free(t->sockets);
    measured_rate_free(t->measured);
    buf_free(&t->drawn);
    free(t);
}

const char *const *watch_table_fields(size_t *n)
{
    *n = n_socket_sample_fields;
    return socket_sample_fields;
}

/* ---- A tick comes in ---- */

static int name_index(struct watch_table *t, const char *name, uint32_t *out)
{
    for (size_t i = 0; i < t->n_names; i++) {
        if (strcmp(buf_cstr(&t->names[i]), name) == 0) {
            *out = (uint32_t)i;
            return 0;
        }
    }
    if (array_room(&t->names, t->n_names + 1, &t->names_room, sizeof(*t->names)) != 0)
        return -ENOMEM;
    buf_init(&t->names[t->n_names]);
    buf_str(&t->names[t->n_names], name);
    *out = (uint32_t)t->n_names++;
    return 0;
}

static int keep(struct watch_table *t, const struct socket_sample *s)
{
    uint32_t place = socket_index_find(&t->index, &s->key);
    if (place == SOCKET_INDEX_NONE) {
        if (array_room(&t->kept, t->n_kept + 1, &t->room, sizeof(*t->kept)) != 0 ||
            socket_index_add(&t->index, &s->key, (uint32_t)t->n_kept) != 0)
            return -ENOMEM;
        place = (uint32_t)t->n_kept++;
        t->kept[place] = (struct kept){.base = *s, .next = *s};
    }
    struct kept *k = &t->kept[place];
    /* A clock that was set back counts as well: earlier samples mean nothing any more. */
    if ((uint64_t)s->timestamp_ns - (uint64_t)k->next.timestamp_ns >= RATE_STEP_US * NS_PER_US) {
        k->base = k->next;
        k->next = *s;
    }
    k->now = *s;
    k->tick = t->tick;
    return 0;
}

static int add_chosen(struct watch_table *t, const record_message *m)
{
    if (!t->measured && view_measures(t->view))
        t->measured = measured_rate_new();
    if (!t->sockets)
        t->sockets = socket_table_new(t->view, false);
    if (!t->sockets)
        return -ENOMEM;
    socket_table_measure(t->sockets, t->measured);
    if (t->measured)
        measured_rate_take(t->measured, m, NULL);
    if (t->view->format == OUTPUT_WIDE)
        table_keep_whole(socket_table_table(t->sockets));
    if (!table_full(socket_table_table(t->sockets)))
        socket_table_add(t->sockets, m, NULL);
    return 0;
}

int watch_table_add(struct watch_table *t, const record_message *m)
{
    struct socket_sample s;
    if (t->view->chosen)
        return add_chosen(t, m);
    socket_sample_from(m, &s);
    int rc = name_index(t, m->netns ? m->netns : "", &s.netns);
    return rc == 0 ? keep(t, &s) : rc;
}

/* Sockets that were not in this tick are forgotten. */
static void forget_old(struct watch_table *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n_kept; i++) {
        if (t->kept[i].tick == t->tick)
            t->kept[kept++] = t->kept[i];
    }
    if (kept == t->n_kept)
        return;
    t->n_kept = kept;
    socket_index_clear(&t->index);
    for (size_t i = 0; i < kept; i++)
        socket_index_add(&t->index, &t->kept[i].now.key, (uint32_t)i); /* there was room for more */
}

/* ---- Rows ---- */

/* A number, as it is or as |in_units| writes it. */
static void put_number(const struct watch_table *t, struct table *table, uint64_t n,
                       void (*in_units)(uint64_t n, char *out))
{
    char text[UNITS_TEXT_MAX];
    if (t->view->numeric)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    else
        in_units(n, text);
    table_cell_str(table, text);
}

static void put_flow(const struct watch_table *t, struct table *table, const struct kept *k)
{
    struct socket_rates rates;
    const struct socket_sample *s = &k->now;
    bool any = socket_rates_between(&k->base, s, &rates);
    if (any) {
        put_number(t, table, (uint64_t)(rates.sent + 0.5F), units_rate);
        put_number(t, table, (uint64_t)(rates.received + 0.5F), units_rate);
    } else {
        table_cell_str(table, "");
        table_cell_str(table, "");
    }
    if (s->rtt_us)
        put_number(t, table, s->rtt_us, units_time_us);
    else
        table_cell_str(table, "");
    put_number(t, table, s->cwnd, units_count);
    put_number(t, table, s->unacked, units_count);
    put_number(t, table, socket_sample_queue(s), units_bytes);
    put_number(t, table, s->total_retrans, units_count);
    if (any)
        put_number(t, table, (uint64_t)(rates.retrans + 0.5F), units_count);
    else
        table_cell_str(table, "");
    table_cell_str(table, any ? socket_limit_names[rates.limit] : "");
}

/* The name of a state; of one that has none, its number. */
static void put_state(struct table *table, unsigned state)
{
    char number[16];
    const char *name = record_state_name(state);
    snprintf(number, sizeof(number), "%u", state);
    table_cell_str(table, name ? name : number);
}

static void put_row(const struct watch_table *t, struct table *table, const struct kept *k)
{
    const struct socket_sample *s = &k->now;
    char text[CLOCK_TEXT_MAX];
    char address[ADDRESS_TEXT_MAX];
    struct buf *name = &t->names[s->netns];
    uint8_t key[2 + sizeof(s->local) + sizeof(s->peer) + 4];
    key[0] = (uint8_t)s->netns;
    key[1] = s->state == CELL_LISTEN ? 0 : 1;
    memcpy(key + 2, s->local, sizeof(s->local));
    memcpy(key + 2 + sizeof(s->local), s->peer, sizeof(s->peer));
    uint8_t *ports = key + 2 + sizeof(s->local) + sizeof(s->peer);
    ports[0] = (uint8_t)(s->local_port >> 8);
    ports[1] = (uint8_t)s->local_port;
    ports[2] = (uint8_t)(s->peer_port >> 8);
    ports[3] = (uint8_t)s->peer_port;
    table_row(table, key, sizeof(key));
    if (!t->in_place) {
        clock_format(s->timestamp_ns, 3, text);
        table_cell(table, text + TIME_AT, TIME_LENGTH);
    }
    table_cell(table, name->data, name->len);
    put_state(table, s->state);
    const struct address_scope peer = {.dual_stack = s->scope.dual_stack};
    address_text(s->family, s->local, sizeof(s->local), s->local_port, &s->scope, address);
    table_cell_str(table, address);
    address_text(s->family, s->peer, sizeof(s->peer), s->peer_port, &peer, address);
    table_cell_str(table, address);
    if (s->flow)
        put_flow(t, table, k);
}

/* ---- Showing ---- */

/* The rows of own columns. */
static int lay_out_own(struct watch_table *t, struct buf *to)
{
    size_t first = t->in_place ? COLUMN_TIME + 1 : COLUMN_TIME; /* there, the caption tells it */
    if (!t->table)
        t->table = table_new(columns + first, COLUMNS - first);
    if (!t->table)
        return -ENOMEM;
    table_set_header(t->table, t->view->header);
    size_t height = output_height(t->out);
    table_set_size(t->table, t->view->format == OUTPUT_WIDE ? 0 : output_width(t->out),
                   !t->in_place && height > 4 ? height - 1 : 0);
    for (size_t i = 0; i < t->n_kept && !table_full(t->table); i++)
        put_row(t, t->table, &t->kept[i]);
    return table_flush(t->table, to);
}

static int lay_out_chosen(struct watch_table *t, struct buf *to)
{
    if (!t->sockets)
        return 0;
    struct table *table = socket_table_table(t->sockets);
    table_set_size(table, t->view->format == OUTPUT_WIDE ? 0 : output_width(t->out), 0);
    return table_flush(table, to);
}

/* In place, every tick has its titles, which a new table prints. */
static void begin_anew(struct watch_table *t)
{
    table_free(t->table);
    socket_table_free(t->sockets);
    t->table = NULL;
    t->sockets = NULL;
}

/* Appends the first |max| lines of |b|, each cut to |width| columns: a wrapped one would take two. Returns
 * how many. */
static size_t put_lines(struct buf *out, const struct buf *b, size_t max, size_t width)
{
    size_t lines = 0;
    for (size_t at = 0; at < b->len && lines < max; lines++) {
        const char *line = b->data + at;
        const char *end = memchr(line, '\n', b->len - at);
        size_t n = end ? (size_t)(end - line) : b->len - at;
        text_clean(out, line, n, width);
        buf_char(out, '\n');
        at += n + 1;
    }
    return lines;
}

void watch_table_hide(struct watch_table *t)
{
    if (t->lines)
        buf_printf(&t->out->data, "\033[%zuA\r\033[J", t->lines);
    t->lines = 0;
    t->drawn_ns = 0;
}

static int draw(struct watch_table *t, const char *caption)
{
    size_t height = output_height(t->out);
    buf_reset(&t->drawn);
    buf_str(&t->drawn, caption);
    buf_char(&t->drawn, '\n');
    int rc = t->view->chosen ? lay_out_chosen(t, &t->drawn) : lay_out_own(t, &t->drawn);
    begin_anew(t);
    watch_table_hide(t);
    t->lines = put_lines(&t->out->data, &t->drawn, height > 2 ? height - 1 : SIZE_MAX, output_width(t->out));
    return rc;
}

int watch_table_tick(struct watch_table *t, const char *caption)
{
    int64_t now = clock_mono_ns();
    int rc = 0;
    if (!t->view->chosen)
        forget_old(t);
    else if (t->measured)
        measured_rate_end(t->measured, NULL);
    if (!t->in_place) {
        rc = t->view->chosen ? lay_out_chosen(t, &t->out->data) : lay_out_own(t, &t->out->data);
    } else if (now - t->drawn_ns >= DRAW_NS) {
        rc = draw(t, caption);
        t->drawn_ns = now;
    } else if (t->view->chosen) {
        begin_anew(t);
    }
    t->tick++;
    if (rc != 0 && !t->out->error)
        t->out->error = rc;
    return output_flush(t->out);
}

void watch_table_end(struct watch_table *t)
{
    t->lines = 0;
}
