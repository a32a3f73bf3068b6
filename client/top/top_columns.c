#include "client/top/top_columns.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client/show/address.h"
#include "client/show/units.h"
#include "record/names.h"

/* Limits |v| to 64 bits; larger values come from nonsensical counters. */
static uint64_t whole(double v)
{
    return v <= 0 ? 0 : v >= 1.8e19 ? UINT64_MAX : (uint64_t)(v + 0.5);
}

void top_text_bits(double bytes_per_s, char *out)
{
    char text[UNITS_TEXT_MAX];
    units_rate(whole(bytes_per_s), text);
    snprintf(out, TOP_CELL_MAX, "%s", text);
}

void top_text_per_s(double per_s, char *out)
{
    char text[UNITS_TEXT_MAX];
    if (per_s > 0 && per_s < 99.95) {
        snprintf(out, TOP_CELL_MAX, "%.1f", per_s);
        return;
    }
    units_count(whole(per_s), text);
    snprintf(out, TOP_CELL_MAX, "%s", text);
}

void top_text_share(double share, char *out)
{
    snprintf(out, TOP_CELL_MAX, share > 0 && share < 0.0995 ? "%.1f%%" : "%.0f%%", share * 100);
}

/* ---- Cells. An empty one becomes "-". ---- */

#define CELL(name)                                                                                           \
    static void name(const struct top_model *m, const struct top_entry *e, char out[TOP_CELL_MAX])

CELL(netns_text)
{
    if (e->now.netns < m->n_netns)
        snprintf(out, TOP_CELL_MAX, "%s", m->netns[e->now.netns].name);
}

CELL(state_text)
{
    const char *name = record_state_name(e->now.state);
    (void)m;
    if (name)
        snprintf(out, TOP_CELL_MAX, "%s", name);
    else
        snprintf(out, TOP_CELL_MAX, "%u", e->now.state);
}

CELL(local_text)
{
    (void)m;
    address_text(e->now.family, e->now.local, e->now.family == AF_INET ? 4 : 16, e->now.local_port,
                 &e->now.scope, out);
}

CELL(peer_text)
{
    (void)m;
    const struct address_scope scope = {.dual_stack = e->now.scope.dual_stack};
    address_text(e->now.family, e->now.peer, e->now.family == AF_INET ? 4 : 16, e->now.peer_port, &scope,
                 out);
}

CELL(send_text)
{
    (void)m;
    if (e->has_rates)
        top_text_bits((double)e->rates.sent, out);
}

CELL(receive_text)
{
    (void)m;
    if (e->has_rates)
        top_text_bits((double)e->rates.received, out);
}

CELL(retrans_text)
{
    (void)m;
    if (e->has_rates)
        top_text_per_s((double)e->rates.retrans, out);
}

CELL(retrans_share_text)
{
    (void)m;
    if (e->has_rates && e->rates.retrans_share >= 0)
        top_text_share((double)e->rates.retrans_share, out);
}

CELL(rtt_text)
{
    (void)m;
    if (e->now.flow && e->now.rtt_us)
        units_time_us(e->now.rtt_us, out);
}

CELL(min_rtt_text)
{
    (void)m;
    if (e->now.flow && e->now.min_rtt_us)
        units_time_us(e->now.min_rtt_us, out);
}

CELL(cwnd_text)
{
    (void)m;
    if (e->now.flow)
        units_count(e->now.cwnd, out);
}

CELL(recv_queue_text)
{
    (void)m;
    units_count(e->now.rqueue, out);
}

CELL(send_queue_text)
{
    (void)m;
    units_count(e->now.wqueue, out);
}

CELL(not_sent_text)
{
    (void)m;
    if (e->now.flow)
        units_count(e->now.notsent, out);
}

CELL(limit_text)
{
    (void)m;
    snprintf(out, TOP_CELL_MAX, "%s", socket_limit_names[e->rates.limit]);
}

CELL(algorithm_text)
{
    (void)m;
    snprintf(out, TOP_CELL_MAX, "%s", e->now.algorithm);
}

CELL(mss_text)
{
    (void)m;
    if (e->now.flow)
        snprintf(out, TOP_CELL_MAX, "%u", e->now.mss);
}

CELL(uid_text)
{
    (void)m;
    snprintf(out, TOP_CELL_MAX, "%u", e->now.uid);
}

/* Columns from this |drop| on are left out before others are cut below their good width. */
#define DROP_EASILY 6

#define LEFT  false
#define RIGHT true

const struct top_column top_columns[TOP_COLUMNS] = {
    [TOP_COLUMN_NETNS] = {"NETNS", "network namespace", 7, 7, 18, 7, LEFT, true, netns_text},
    [TOP_COLUMN_STATE] = {"STATE", "TCP state", 11, 11, 11, 11, LEFT, true, state_text},
    [TOP_COLUMN_LOCAL] = {"LOCAL", "local address and port", 11, 21, 48, 6, LEFT, true, local_text},
    [TOP_COLUMN_PEER] = {"PEER", "address and port of the peer", 13, 21, 48, 0, LEFT, true, peer_text},
    [TOP_COLUMN_SEND] = {"SEND", "bits per second that the peer acknowledged", 10, 10, 10, 1, RIGHT, true,
                         send_text},
    [TOP_COLUMN_RECEIVE] = {"RECEIVE", "bits per second received", 10, 10, 10, 3, RIGHT, true, receive_text},
    [TOP_COLUMN_RETRANS] = {"RETR/S", "segments retransmitted per second", 6, 6, 6, 4, RIGHT, true,
                            retrans_text},
    [TOP_COLUMN_RETRANS_SHARE] = {"RETR%", "share of the segments with data that were retransmitted", 5, 5, 5,
                                  9, RIGHT, true, retrans_share_text},
    [TOP_COLUMN_RTT] = {"RTT", "smoothed round trip time", 6, 6, 6, 5, RIGHT, true, rtt_text},
    [TOP_COLUMN_MIN_RTT] = {"MINRTT", "least round trip time of late", 6, 6, 6, 14, RIGHT, false,
                            min_rtt_text},
    [TOP_COLUMN_CWND] = {"CWND", "congestion window in segments", 5, 5, 5, 10, RIGHT, true, cwnd_text},
    [TOP_COLUMN_RECV_QUEUE] = {"RECV-Q", "bytes that wait to be read", 6, 6, 6, 12, RIGHT, true,
                               recv_queue_text},
    [TOP_COLUMN_SEND_QUEUE] = {"SEND-Q", "bytes that wait to be acknowledged", 6, 6, 6, 8, RIGHT, true,
                               send_queue_text},
    [TOP_COLUMN_NOT_SENT] = {"UNSENT", "bytes of these that were never sent", 6, 6, 6, 13, RIGHT, false,
                             not_sent_text},
    [TOP_COLUMN_LIMIT] = {"LIMITED BY", "what held sending back", 11, 17, 17, 2, LEFT, true, limit_text},
    [TOP_COLUMN_ALGORITHM] = {"CONG", "congestion control", 5, 5, 10, 15, LEFT, true, algorithm_text},
    [TOP_COLUMN_MSS] = {"MSS", "segment size to send", 5, 5, 5, 16, RIGHT, false, mss_text},
    [TOP_COLUMN_UID] = {"UID", "user id of the owner", 5, 5, 10, 17, RIGHT, false, uid_text},
};

enum top_column_id top_columns_sorted(enum top_sort sort)
{
    static const enum top_column_id sorted[TOP_SORTS] = {
        [TOP_SORT_THROUGHPUT] = TOP_COLUMN_SEND,
        [TOP_SORT_RETRANS] = TOP_COLUMN_RETRANS,
        [TOP_SORT_RTT] = TOP_COLUMN_RTT,
        [TOP_SORT_QUEUE] = TOP_COLUMN_SEND_QUEUE,
    };
    return sorted[sort];
}

void top_column_text(const struct top_model *m, const struct top_entry *e, enum top_column_id id,
                     char out[TOP_CELL_MAX])
{
    out[0] = 0;
    top_columns[id].text(m, e, out);
    if (!out[0])
        memcpy(out, "-", 2);
}

uint32_t top_columns_usual(void)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        if (top_columns[i].usual)
            bits |= 1u << i;
    return bits;
}

/* Columns of the terminal that the chosen columns take, with the blanks between them: at least, or as they
 * should. */
static size_t width_of(uint32_t chosen, const uint8_t natural[TOP_COLUMNS], bool good)
{
    size_t width = 0;
    for (unsigned i = 0; i < TOP_COLUMNS; i++) {
        const struct top_column *c = &top_columns[i];
        size_t wanted = natural[i] < c->good ? natural[i] : c->good;
        if (chosen & 1u << i)
            width += (good && wanted > c->least ? wanted : c->least) + (width > 0);
    }
    return width;
}

/* The one of |chosen| to leave out first; TOP_COLUMNS: there is none but |keep|. */
static unsigned least_important(uint32_t chosen, unsigned keep)
{
    unsigned worst = TOP_COLUMNS;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        if (chosen & 1u << i && i != keep &&
            (worst == TOP_COLUMNS || top_columns[i].drop > top_columns[worst].drop))
            worst = i;
    return worst;
}

/* Gives |room| columns of the terminal to those whose texts are longer, one after the other: up to their good
 * width, or to their greatest. */
static void widen(uint8_t out[TOP_COLUMNS], const uint8_t natural[TOP_COLUMNS], bool most, size_t room)
{
    for (bool more = true; more && room;) {
        more = false;
        for (unsigned i = 0; i < TOP_COLUMNS && room; i++) {
            uint8_t limit = most ? top_columns[i].most : top_columns[i].good;
            if (out[i] && out[i] < natural[i] && out[i] < limit) {
                out[i]++;
                room--;
                more = true;
            }
        }
    }
}

void top_columns_fit(uint32_t shown, enum top_sort sort, const uint8_t natural[TOP_COLUMNS], size_t width,
                     uint8_t out[TOP_COLUMNS])
{
    unsigned keep = top_columns_sorted(sort);
    uint32_t chosen = shown | 1u << keep;
    memset(out, 0, TOP_COLUMNS);
    for (unsigned worst; (worst = least_important(chosen, keep)) < TOP_COLUMNS; chosen &= ~(1u << worst))
        if (width_of(chosen, natural, top_columns[worst].drop >= DROP_EASILY) <= width)
            break;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        if (chosen & 1u << i)
            out[i] = top_columns[i].least;
    size_t used = width_of(chosen, natural, false);
    if (used > width) { /* one column, and not even room for it */
        out[keep] = (uint8_t)width;
        return;
    }
    widen(out, natural, false, width - used);
    used = 0;
    for (unsigned i = 0; i < TOP_COLUMNS; i++)
        used += out[i] ? out[i] + (size_t)(used > 0) : 0;
    widen(out, natural, true, width - used);
}
