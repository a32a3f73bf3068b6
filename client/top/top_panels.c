/* The panels that top shows in place of the list: the history of a socket, the choice of columns, the help. */
#include <stdio.h>
#include <string.h>

#include "client/show/terminal_text.h"
#include "client/show/units.h"
#include "client/top/top_columns.h"
#include "client/top/top_draw.h"
#include "client/top/top_screen.h"
#include "client/top/top_spark.h"
#include "lib/clock.h"

#define TEXT_MAX 512

/* ---- History ---- */

static void throughput_value(float v, char out[TOP_CELL_MAX])
{
    top_text_bits((double)v, out);
}

static void rtt_value(float v, char out[TOP_CELL_MAX])
{
    units_time_us((uint64_t)v, out);
}

static void cwnd_value(float v, char out[TOP_CELL_MAX])
{
    units_count((uint64_t)v, out);
}

static void retrans_value(float v, char out[TOP_CELL_MAX])
{
    top_text_per_s((double)v, out);
}

static const struct {
    const char *title;
    void (*text)(float v, char out[TOP_CELL_MAX]);
    enum top_style style;
} series[TOP_SERIES] = {
    [TOP_SERIES_THROUGHPUT] = {"throughput", throughput_value, TOP_STYLE_GOOD},
    [TOP_SERIES_RTT] = {"rtt", rtt_value, TOP_STYLE_PLAIN},
    [TOP_SERIES_CWND] = {"cwnd", cwnd_value, TOP_STYLE_PLAIN},
    [TOP_SERIES_RETRANS] = {"retrans/s", retrans_value, TOP_STYLE_BAD},
};

/* One series: a line of text, below it |lines| lines of bars, the newest the last. */
static void draw_series(const struct top_history *h, enum top_series id, size_t y, size_t lines)
{
    float values[TOP_HISTORY_POINTS];
    char now[TOP_CELL_MAX], most[TOP_CELL_MAX], text[TEXT_MAX];
    size_t n = top_history_length(h), width = top_screen_width();
    float max = 0;
    if (n > width)
        n = width;
    for (size_t i = 0; i < n; i++) {
        values[n - 1 - i] = top_history_point(h, id, i);
        max = values[n - 1 - i] > max ? values[n - 1 - i] : max;
    }
    series[id].text(n ? values[n - 1] : 0, now);
    series[id].text(max, most);
    snprintf(text, sizeof(text), "%-10s %10s   most %s", series[id].title, now, most);
    top_screen_put(y, 0, SIZE_MAX, TOP_STYLE_BOLD, text);
    for (size_t line = 0; line < lines; line++) {
        struct buf bars;
        buf_init(&bars);
        top_spark(&bars, values, n, max, line, lines, text_utf8());
        top_screen_put(y + lines - line, 0, SIZE_MAX, series[id].style, buf_cstr(&bars));
        buf_free(&bars);
    }
}

/* "192.0.2.1:443 > 198.51.100.7:5000  ESTABLISHED  bbr  limited by application" */
static void draw_socket_line(const struct top_scene *s, const struct top_entry *e, size_t y)
{
    char local[TOP_CELL_MAX], peer[TOP_CELL_MAX], state[TOP_CELL_MAX], netns[TOP_CELL_MAX] = "-",
                                                                       algorithm[TOP_CELL_MAX];
    char line[6 * TOP_CELL_MAX];
    bool there = e->seen == s->model->n_polls;
    top_column_text(s->model, e, TOP_COLUMN_LOCAL, local);
    top_column_text(s->model, e, TOP_COLUMN_PEER, peer);
    top_column_text(s->model, e, TOP_COLUMN_STATE, state);
    top_column_text(s->model, e, TOP_COLUMN_ALGORITHM, algorithm);
    if (there)
        top_column_text(s->model, e, TOP_COLUMN_NETNS, netns);
    snprintf(line, sizeof(line), "%s > %s  %s  %s  %s  limited by %s", local, peer, there ? state : "GONE",
             netns, algorithm, socket_limit_names[e->rates.limit]);
    top_screen_fill(y, 0, SIZE_MAX, TOP_STYLE_TITLES);
    top_screen_put(y, 0, SIZE_MAX, there ? TOP_STYLE_TITLES : TOP_STYLE_BAD, line);
}

void top_draw_history(const struct top_scene *s, size_t from, size_t to)
{
    const struct top_entry *e = top_model_entry(s->model, &s->view->followed);
    const struct top_history *h = e ? top_model_history(s->model, e) : NULL;
    if (!h) {
        top_screen_put(from, 0, SIZE_MAX, TOP_STYLE_BAD, "this socket is gone, and so is its history");
        return;
    }
    size_t row = top_model_find(s->model, &s->view->followed);
    if (row != SIZE_MAX)
        top_model_show(s->model, row); /* so that it keeps its history */
    draw_socket_line(s, e, from++);
    /* As many series as there is room for, all of the same height. */
    size_t room = to > from ? to - from : 0;
    size_t shown = room / 2 < TOP_SERIES ? room / 2 : TOP_SERIES;
    for (size_t i = 0; i < shown; i++)
        draw_series(h, (enum top_series)i, from + i * (room / shown),
                    room / shown - 1 < 8 ? room / shown - 1 : 8);
}

/* ---- Columns ---- */

void top_draw_columns(const struct top_scene *s, size_t from, size_t to)
{
    const struct top_view *v = s->view;
    top_screen_fill(from, 0, SIZE_MAX, TOP_STYLE_TITLES);
    top_screen_put(from, 0, SIZE_MAX, TOP_STYLE_TITLES, "COLUMNS  space: on or off, Enter: done");
    from++;
    size_t page = to > from ? to - from : 1;
    size_t first = v->column >= page ? v->column - page + 1 : 0;
    for (size_t i = first; i < TOP_COLUMNS && from < to; i++, from++) {
        char line[TEXT_MAX];
        snprintf(line, sizeof(line), " [%c] %-10s  %s", v->shown & 1u << i ? 'x' : ' ', top_columns[i].title,
                 top_columns[i].help);
        top_screen_put(from, 0, SIZE_MAX, i == v->column ? TOP_STYLE_CURSOR : TOP_STYLE_PLAIN, line);
    }
}

/* ---- Help ---- */

static const char *const help[] = {
    "t r l w   sort by throughput, retransmissions, RTT, queue (what waits)",
    "< >       sort by the one before, the next",
    "/         filter: dport = 443 and rtt > 50ms   (Enter: use, Esc: leave as it was)",
    "space     hold still, go on",
    "Enter     history of the socket under the cursor",
    "n         namespaces, with their sums",
    "c         choose columns",
    "up down   move the cursor, which stays with its socket; PgUp PgDn Home End",
    "R         connect again now, when the connection is lost",
    "Esc       back to the sockets",
    "h ?       this help",
    "q         quit",
    "",
    "LIMITED BY tells what held sending back since the last poll:",
    "application         it had nothing to send",
    "receive window      the peer did not take more",
    "send buffer         this end's buffer was too small",
    "congestion window   the network, as congestion control sees it",
    "retransmission      losses: 1 % or more sent again, or recovering now",
    "receiving           it mostly receives; the other end knows",
    "idle                nothing happened",
};

void top_draw_help(const struct top_scene *s, size_t from, size_t to)
{
    (void)s;
    top_screen_fill(from, 0, SIZE_MAX, TOP_STYLE_TITLES);
    top_screen_put(from++, 0, SIZE_MAX, TOP_STYLE_TITLES, "KEYS");
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]) && from < to; i++, from++)
        top_screen_put(from, 0, SIZE_MAX, TOP_STYLE_PLAIN, help[i]);
}
