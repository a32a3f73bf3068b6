#include "client/top/top_draw.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "client/top/top_columns.h"
#include "client/top/top_screen.h"
#include "lib/clock.h"
#include "record/names.h"

#define HIGH_ENOUGH 14 /* lines from which on the head has all of its lines */
#define TEXT_MAX    512

/* One line that is put together from left to right. */
struct line {
    size_t y;
    size_t x;
};

static void __attribute__((format(printf, 3, 4)))
say(struct line *l, enum top_style style, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    l->x += top_screen_put(l->y, l->x, SIZE_MAX, style, text);
}

/* ---- The head ---- */

static void draw_first_line(const struct top_scene *s)
{
    const struct top_poll_head *h = &s->model->head;
    struct line l = {0};
    char time[CLOCK_TEXT_MAX], span[UNITS_TEXT_MAX];

    say(&l, TOP_STYLE_BOLD, "xtcp2 top ");
    if (h->hostname[0])
        say(&l, TOP_STYLE_BOLD, "%s ", h->hostname);
    say(&l, TOP_STYLE_PLAIN, "%s", s->target);
    if (!s->model->n_polls)
        return;
    clock_format(h->timestamp_ns, 0, time); /* 2026-01-02T15:04:05Z */
    say(&l, TOP_STYLE_PLAIN, "  %.8s UTC  poll %" PRIu64, time + 11, s->model->n_polls);
    if (s->every_ns || h->interval_ns) {
        units_time(s->every_ns ? (uint64_t)s->every_ns : h->interval_ns, span);
        say(&l, TOP_STYLE_PLAIN, " every %s", span);
    }
    if (h->duration_ns) {
        units_time(h->duration_ns, span);
        say(&l, TOP_STYLE_PLAIN, ", took %s", span);
    }
    if (s->view->paused)
        say(&l, TOP_STYLE_WARN, "  PAUSED");
}

static void draw_states(const struct top_scene *s, size_t y)
{
    const struct top_sums *t = &s->model->total;
    struct line l = {.y = y};
    say(&l, TOP_STYLE_BOLD, "%" PRIu32 " socket%s", t->sockets, t->sockets == 1 ? "" : "s");
    say(&l, TOP_STYLE_PLAIN, " in %zu namespace%s:", s->model->n_netns, s->model->n_netns == 1 ? "" : "s");
    const char *comma = "";
    for (unsigned i = 1; i < TOP_STATES; i++) {
        const char *name = record_state_name(i);
        if (!t->by_state[i] || !name)
            continue;
        say(&l, TOP_STYLE_PLAIN, "%s %" PRIu32 " %s", comma, t->by_state[i], name);
        comma = ",";
    }
}

static void draw_sums(const struct top_scene *s, size_t y)
{
    const struct top_sums *t = &s->model->total;
    const struct top_poll_head *h = &s->model->head;
    char sent[TOP_CELL_MAX], received[TOP_CELL_MAX], retrans[TOP_CELL_MAX];
    struct line l = {.y = y};
    top_text_bits(t->sent, sent);
    top_text_bits(t->received, received);
    top_text_per_s(t->retrans, retrans);
    say(&l, TOP_STYLE_GOOD, "%s sent, %s received", sent, received);
    say(&l, t->retrans > 0 ? TOP_STYLE_WARN : TOP_STYLE_PLAIN, ", %s retrans/s", retrans);
    say(&l, s->model->rows_lost ? TOP_STYLE_BAD : TOP_STYLE_PLAIN, ", %" PRIu64 " row%s lost",
        s->model->rows_lost, s->model->rows_lost == 1 ? "" : "s");
    if (h->namespaces_failed)
        say(&l, TOP_STYLE_BAD, ", %" PRIu32 " namespace%s failed", h->namespaces_failed,
            h->namespaces_failed == 1 ? "" : "s");
    if (h->namespaces_unseen)
        say(&l, TOP_STYLE_WARN, ", %" PRIu32 " namespace%s not seen", h->namespaces_unseen,
            h->namespaces_unseen == 1 ? "" : "s");
    if (h->left_out)
        say(&l, TOP_STYLE_BAD, ", %" PRIu64 " socket%s too many", h->left_out, h->left_out == 1 ? "" : "s");
}

/* Returns the first line below it. */
static size_t draw_head(const struct top_scene *s, size_t height)
{
    size_t y = 0;
    if (height < 3)
        return 0;
    draw_first_line(s);
    y++;
    if (height >= HIGH_ENOUGH)
        draw_states(s, y++);
    if (height >= 6)
        draw_sums(s, y++);
    return y;
}

/* ---- The last line ---- */

static bool draw_trouble(const struct top_scene *s, size_t y)
{
    struct line l = {.y = y};
    char wait[UNITS_TEXT_MAX];
    int64_t left = s->feed.retry_ns - clock_mono_ns();
    switch (s->feed.state) {
    case TOP_FEED_WAITING:
        units_time(left > 0 ? (uint64_t)left / NS_PER_S * NS_PER_S + NS_PER_S : 0, wait);
        say(&l, TOP_STYLE_BOLD, "again in %s (R: now): ", wait);
        say(&l, TOP_STYLE_BAD, "%s", s->feed.text);
        return true;
    case TOP_FEED_FAILED:
        say(&l, TOP_STYLE_BAD, "%s", s->feed.text);
        return true;
    case TOP_FEED_CONNECTING:
        say(&l, TOP_STYLE_PLAIN, "connecting to %s", s->target);
        return true;
    case TOP_FEED_LISTENING:
        break;
    }
    return false;
}

static void draw_prompt(const struct top_scene *s, size_t y)
{
    const struct top_view *v = s->view;
    size_t width = top_screen_width();
    struct line l = {.y = y};
    say(&l, TOP_STYLE_BOLD, "filter: ");
    size_t room = width > l.x + 1 ? width - l.x - 1 : 0;
    /* The text left of the cursor moves out when there is too much of it. */
    const char *from = v->input;
    struct buf left;
    buf_init(&left);
    size_t before;
    for (;; from++) {
        buf_reset(&left);
        before = text_clean(&left, from, v->input_at - (size_t)(from - v->input), SIZE_MAX);
        if (before <= room || from >= v->input + v->input_at)
            break;
    }
    buf_free(&left);
    top_screen_put(y, l.x, room, TOP_STYLE_PLAIN, from);
    top_screen_cursor(y, l.x + before);
    if (y > 0 && v->input_error[0]) {
        top_screen_fill(y - 1, 0, width, TOP_STYLE_PLAIN);
        top_screen_put(y - 1, 0, width, TOP_STYLE_BAD, v->input_error);
    }
}

static void draw_last_line(const struct top_scene *s, size_t y)
{
    struct line l = {.y = y};
    if (s->view->prompting) {
        draw_prompt(s, y);
        return;
    }
    if (draw_trouble(s, y))
        return;
    say(&l, TOP_STYLE_BOLD, "by %s", top_sort_names[s->view->sort]);
    if (s->view->filter[0])
        say(&l, TOP_STYLE_WARN, "  %s%s", s->view->filter, s->feed.filter_here ? " (filtered here)" : "");
    say(&l, TOP_STYLE_DIM,
        "  q quit  h help  trlw<> sort  / filter  space pause  n namespaces  c columns  Enter history");
}

/* ---- Sockets ---- */

static enum top_style cell_style(const struct top_entry *e, enum top_column_id id)
{
    switch (id) {
    case TOP_COLUMN_RETRANS:
    case TOP_COLUMN_RETRANS_SHARE:
        return e->rates.retrans_share >= 0.01F ? TOP_STYLE_BAD
               : e->rates.retrans > 0          ? TOP_STYLE_WARN
                                               : TOP_STYLE_PLAIN;
    case TOP_COLUMN_LIMIT:
        if (e->rates.limit == SOCKET_LIMIT_RETRANSMISSION)
            return TOP_STYLE_BAD;
        return e->rates.limit == SOCKET_LIMIT_IDLE || e->rates.limit == SOCKET_LIMIT_UNKNOWN
                   ? TOP_STYLE_DIM
                   : TOP_STYLE_PLAIN;
    case TOP_COLUMN_SEND:
    case TOP_COLUMN_RECEIVE:
        return (id == TOP_COLUMN_SEND ? e->rates.sent : e->rates.received) > 0 ? TOP_STYLE_GOOD
                                                                               : TOP_STYLE_DIM;
    default:
        return TOP_STYLE_PLAIN;
    }
}

/* The width of the longest text of each column on this page. */
static void measure(const struct top_scene *s, size_t rows, uint8_t natural[TOP_COLUMNS])
{
    const struct top_model *m = s->model;
    memset(natural, 0, TOP_COLUMNS);
    for (size_t i = s->view->offset; i < m->n_order && i < s->view->offset + rows; i++) {
        for (unsigned c = 0; c < TOP_COLUMNS; c++) {
            char text[TOP_CELL_MAX];
            if (top_columns[c].most == top_columns[c].least)
                continue;
            top_column_text(m, top_model_row(m, i), c, text);
            size_t n = strlen(text);
            if (n > natural[c])
                natural[c] = (uint8_t)(n < UINT8_MAX ? n : UINT8_MAX);
        }
    }
}

static void draw_titles(const struct top_scene *s, size_t y, const uint8_t widths[TOP_COLUMNS])
{
    size_t x = 0;
    top_screen_fill(y, 0, SIZE_MAX, TOP_STYLE_TITLES);
    for (unsigned c = 0; c < TOP_COLUMNS; c++) {
        if (!widths[c])
            continue;
        enum top_style style = c == top_columns_sorted(s->view->sort) ? TOP_STYLE_SORTED : TOP_STYLE_TITLES;
        if (top_columns[c].right)
            top_screen_put_right(y, x, widths[c], style, top_columns[c].title);
        else
            top_screen_put(y, x, widths[c], style, top_columns[c].title);
        x += widths[c] + 1u;
    }
}

static void draw_socket(const struct top_scene *s, size_t y, size_t row, const uint8_t widths[TOP_COLUMNS])
{
    const struct top_entry *e = top_model_row(s->model, row);
    bool here = row == s->view->cursor;
    size_t x = 0;
    if (here)
        top_screen_fill(y, 0, SIZE_MAX, TOP_STYLE_CURSOR);
    for (unsigned c = 0; c < TOP_COLUMNS; c++) {
        char text[TOP_CELL_MAX];
        if (!widths[c])
            continue;
        top_column_text(s->model, e, c, text);
        enum top_style style = here ? TOP_STYLE_CURSOR : cell_style(e, c);
        if (top_columns[c].right)
            top_screen_put_right(y, x, widths[c], style, text);
        else
            top_screen_put(y, x, widths[c], style, text);
        x += widths[c] + 1u;
    }
}

static void draw_sockets(const struct top_scene *s, size_t from, size_t to)
{
    uint8_t natural[TOP_COLUMNS], widths[TOP_COLUMNS];
    struct top_view *v = s->view;
    v->page = to > from + 1 ? to - from - 1 : 1;
    top_view_settle(v, s->model);
    measure(s, v->page, natural);
    top_columns_fit(v->shown, v->sort, natural, top_screen_width(), widths);
    draw_titles(s, from, widths);
    for (size_t i = 0; i < v->page && v->offset + i < s->model->n_order && from + 1 + i < to; i++) {
        draw_socket(s, from + 1 + i, v->offset + i, widths);
        top_model_show(s->model, v->offset + i);
    }
    if (s->model->n_polls && !s->model->n_order)
        top_screen_put(from + 1, 0, SIZE_MAX, TOP_STYLE_DIM,
                       v->filter[0] ? "no socket passes the filter" : "no sockets");
}

/* ---- Namespaces ---- */

static void draw_namespace(const struct top_scene *s, size_t y, size_t row, size_t name_width)
{
    const struct top_sums *n = top_model_netns(s->model, row);
    enum top_style style = row == s->view->cursor ? TOP_STYLE_CURSOR : TOP_STYLE_PLAIN;
    char sent[TOP_CELL_MAX], received[TOP_CELL_MAX], retrans[TOP_CELL_MAX], queue[UNITS_TEXT_MAX];
    char line[TEXT_MAX];
    top_text_bits(n->sent, sent);
    top_text_bits(n->received, received);
    top_text_per_s(n->retrans, retrans);
    units_count(n->queue, queue);
    snprintf(line, sizeof(line), " %8" PRIu32 " %10s %10s %6s %6s %8" PRIu32, n->sockets, sent, received,
             retrans, queue, n->by_state[TCP_ESTABLISHED]);
    if (style == TOP_STYLE_CURSOR)
        top_screen_fill(y, 0, SIZE_MAX, style);
    top_screen_put(y, 0, name_width, style, s->model->netns[n->netns].name);
    top_screen_put(y, name_width, SIZE_MAX, style, line);
}

static void draw_namespaces(const struct top_scene *s, size_t from, size_t to)
{
    struct top_view *v = s->view;
    size_t width = top_screen_width();
    size_t name_width = width < 60 ? 9 : width < 100 ? 20 : 40;
    char titles[TEXT_MAX];
    v->page = to > from + 1 ? to - from - 1 : 1;
    top_view_settle(v, s->model);
    snprintf(titles, sizeof(titles), "%-*s %8s %10s %10s %6s %6s %8s", (int)name_width, "NETNS", "SOCKETS",
             "SEND", "RECEIVE", "RETR/S", "QUEUE", "ESTAB");
    top_screen_fill(from, 0, SIZE_MAX, TOP_STYLE_TITLES);
    top_screen_put(from, 0, SIZE_MAX, TOP_STYLE_TITLES, titles);
    for (size_t i = 0; i < v->page && v->offset + i < s->model->n_netns && from + 1 + i < to; i++)
        draw_namespace(s, from + 1 + i, v->offset + i, name_width);
}

void top_draw(const struct top_scene *s)
{
    size_t height = top_screen_height();
    top_screen_begin();
    if (height) {
        size_t from = draw_head(s, height);
        size_t to = height > 1 ? height - 1 : height;
        switch (s->view->mode) {
        case TOP_MODE_SOCKETS:
            draw_sockets(s, from, to);
            break;
        case TOP_MODE_NAMESPACES:
            draw_namespaces(s, from, to);
            break;
        case TOP_MODE_HISTORY:
            top_draw_history(s, from, to);
            break;
        case TOP_MODE_COLUMNS:
            top_draw_columns(s, from, to);
            break;
        case TOP_MODE_HELP:
            top_draw_help(s, from, to);
            break;
        }
        if (height > 1)
            draw_last_line(s, height - 1);
    }
    top_screen_end();
}
