#include "client/show/socket_table.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/show/address.h"
#include "client/show/units.h"
#include "client/show/view.h"
#include "lib/clock.h"
#include "record/names.h"

static void put_state(struct cell *c, const record_message *r)
{
    cell_text(c, record_state_name(r->inet_diag_msg_state));
    if (c->text)
        return;
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_state);
    cell_own(c);
}

/* Bytes, or connections for listeners: exact in any case. */
static void put_recv_queue(struct cell *c, const record_message *r)
{
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_rqueue);
    cell_own(c);
}

static void put_send_queue(struct cell *c, const record_message *r)
{
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_wqueue);
    cell_own(c);
}

static void put_local(struct cell *c, const record_message *r)
{
    const struct address_scope scope = address_scope(r);
    address_text(r->inet_diag_msg_family, r->inet_diag_msg_socket_source.data,
                 r->inet_diag_msg_socket_source.len, r->inet_diag_msg_socket_source_port, &scope, c->own);
    cell_own(c);
}

static void put_peer(struct cell *c, const record_message *r)
{
    struct address_scope scope = address_scope(r);
    scope.device[0] = '\0';
    address_text(r->inet_diag_msg_family, r->inet_diag_msg_socket_destination.data,
                 r->inet_diag_msg_socket_destination.len, r->inet_diag_msg_socket_destination_port, &scope,
                 c->own);
    cell_own(c);
}

static void put_count(struct cell *c, uint64_t n, char out[UNITS_TEXT_MAX])
{
    if (c->numeric)
        snprintf(out, UNITS_TEXT_MAX, "%u", (unsigned)n);
    else
        units_count(n, out);
}

static void put_retrans(struct cell *c, const record_message *r)
{
    char total[UNITS_TEXT_MAX], now[UNITS_TEXT_MAX];
    if (!cell_has_flow(r))
        return;
    put_count(c, r->tcp_info_retrans, now);
    put_count(c, r->tcp_info_total_retrans, total);
    if (r->tcp_info_retrans || r->tcp_info_total_retrans)
        snprintf(c->own, sizeof(c->own), "%s/%s", now, total);
    else
        snprintf(c->own, sizeof(c->own), "0");
    cell_own(c);
}

static void put_sent(struct cell *c, const record_message *r)
{
    /* Kernels before 4.19 tell only the acknowledged bytes. */
    bool told = record_get(r, &record_fields[FIELD_tcp_info_bytes_sent]).present;
    cell_field(c, r, &record_fields[told ? FIELD_tcp_info_bytes_sent : FIELD_tcp_info_bytes_acked]);
}

static void put_algorithm(struct cell *c, const record_message *r)
{
    if (r->congestion_algorithm_string && *r->congestion_algorithm_string)
        cell_text(c, r->congestion_algorithm_string);
    else
        cell_text(c, record_algorithm_name((uint64_t)r->congestion_algorithm_enum));
}

/* Exact: 1448 says more than 1.4kB. */
static void put_mss(struct cell *c, const record_message *r)
{
    bool numeric = c->numeric;
    c->numeric = true;
    cell_field(c, r, &record_fields[FIELD_tcp_info_snd_mss]);
    c->numeric = numeric;
}

/* Time since the connection carried data in either direction. */
static void put_idle(struct cell *c, const record_message *r)
{
    bool sent = r->tcp_info_last_data_sent < r->tcp_info_last_data_recv;
    cell_field(c, r, &record_fields[sent ? FIELD_tcp_info_last_data_sent : FIELD_tcp_info_last_data_recv]);
}

static bool rank_idle(const record_message *r, uint64_t *out)
{
    bool sent = r->tcp_info_last_data_sent < r->tcp_info_last_data_recv;
    *out = sent ? r->tcp_info_last_data_sent : r->tcp_info_last_data_recv;
    return cell_has_flow(r);
}

/* The reason why sending was held back: the share of the time with data to send. */
static void put_limit(struct cell *c, const record_message *r)
{
    uint64_t by_peer = r->tcp_info_rwnd_limited, by_buffer = r->tcp_info_sndbuf_limited;
    uint64_t most = by_peer > by_buffer ? by_peer : by_buffer;
    if (!cell_has_flow(r) || !r->tcp_info_busy_time || !most)
        return;
    double percent = (double)most * 100 / (double)r->tcp_info_busy_time;
    snprintf(c->own, sizeof(c->own), "%s %.0f%%", by_peer > by_buffer ? "peer" : "buffer",
             percent < 100 ? percent : 100);
    cell_own(c);
}

static bool rank_limit(const record_message *r, uint64_t *out)
{
    uint64_t by_peer = r->tcp_info_rwnd_limited, by_buffer = r->tcp_info_sndbuf_limited;
    uint64_t most = by_peer > by_buffer ? by_peer : by_buffer;
    if (!cell_has_flow(r) || !r->tcp_info_busy_time || !most)
        return false;
    *out = (uint64_t)((double)most * 1e6 / (double)r->tcp_info_busy_time);
    return true;
}

/* "keepalive 1.9h" */
static void put_timer(struct cell *c, const record_message *r)
{
    struct cell name = {.numeric = c->numeric}, left = {.numeric = c->numeric};
    if (!r->inet_diag_msg_timer)
        return;
    cell_field(&name, r, &record_fields[FIELD_inet_diag_msg_timer]);
    cell_field(&left, r, &record_fields[FIELD_inet_diag_msg_expires]);
    snprintf(c->own, sizeof(c->own), "%.20s %.20s", name.text, left.text);
    cell_own(c);
}

#define F(name_)     FIELD_##name_
#define MADE_OF(...) .n_fields = sizeof((int16_t[]){__VA_ARGS__}) / sizeof(int16_t), .fields = {__VA_ARGS__}
#define LOOK(title_, align_, drop_, least_, ...)                                                             \
    .look = {.title = (title_), .align = TABLE_##align_, .drop = (drop_), .least = (least_), __VA_ARGS__}

/* On a narrow terminal the highest number behind the alignment goes first; then addresses are cut. */
const struct socket_table_column socket_table_columns[] = {
    {"netns", LOOK("NETNS", LEFT, 1, 7, .cut = 18), MADE_OF(F(netns))},
    {"state", LOOK("STATE", LEFT, 0, 11), .put = put_state, MADE_OF(F(inet_diag_msg_state))},
    {"recv_q", LOOK("RECV-Q", RIGHT, 5, 6),
     .doc = "bytes that wait to be read; LISTEN: connections that wait to be accepted", .put = put_recv_queue,
     MADE_OF(F(inet_diag_msg_rqueue))},
    {"send_q", LOOK("SEND-Q", RIGHT, 4, 6),
     .doc = "bytes that are not acknowledged yet; LISTEN: the limit of the backlog", .put = put_send_queue,
     MADE_OF(F(inet_diag_msg_wqueue))},
    {"local", LOOK("LOCAL", LEFT, 0, 15, .squeeze = 9), .doc = "local address and port", .put = put_local,
     MADE_OF(F(inet_diag_msg_socket_source), F(inet_diag_msg_socket_source_port), F(inet_diag_msg_family))},
    {"peer", LOOK("PEER", LEFT, 0, 15, .squeeze = 9), .doc = "remote address and port", .put = put_peer,
     MADE_OF(F(inet_diag_msg_socket_destination), F(inet_diag_msg_socket_destination_port),
             F(inet_diag_msg_family))},
    {"rtt", LOOK("RTT", RIGHT, 2, 5), MADE_OF(F(tcp_info_rtt))},
    {"min_rtt", LOOK("MIN-RTT", RIGHT, 11, 7), MADE_OF(F(tcp_info_min_rtt))},
    {"cwnd", LOOK("CWND", RIGHT, 8, 4), MADE_OF(F(tcp_info_snd_cwnd))},
    {"retrans", LOOK("RETRANS", RIGHT, 3, 7), .doc = "retransmitted segments in flight, and in all",
     .put = put_retrans, MADE_OF(F(tcp_info_total_retrans), F(tcp_info_retrans))},
    {"sent", LOOK("SENT", RIGHT, 6, 6),
     .doc = "bytes sent, retransmits included (before Linux 4.19: bytes acknowledged)", .put = put_sent,
     MADE_OF(F(tcp_info_bytes_sent), F(tcp_info_bytes_acked))},
    {"received", LOOK("RECEIVED", RIGHT, 7, 8), MADE_OF(F(tcp_info_bytes_received))},
    {"rate", LOOK("RATE", RIGHT, 9, 10),
     .doc =
         "bits that the peer acknowledged per second, between two polls; with ~ before it, of a socket "
         "that was polled once: the kernel's delivery rate, a sample of the last packets that may be far from that, which --numeric leaves out",
     .measured = true, MADE_OF(F(tcp_info_delivery_rate))},
    {"cong", LOOK("CONG", LEFT, 10, 5), .doc = "congestion control algorithm", .put = put_algorithm,
     MADE_OF(F(congestion_algorithm_string), F(congestion_algorithm_enum))},
    {"idle", LOOK("IDLE", RIGHT, 12, 5), .doc = "time since data went either way", .put = put_idle,
     .rank = rank_idle, MADE_OF(F(tcp_info_last_data_sent), F(tcp_info_last_data_recv))},
    {"limit", LOOK("LIMIT", LEFT, 13, 9),
     .doc =
         "what held sending back most, the peer's window or the send buffer, and for which share of the time with data to send",
     .put = put_limit, .rank = rank_limit,
     MADE_OF(F(tcp_info_rwnd_limited), F(tcp_info_sndbuf_limited), F(tcp_info_busy_time))},
    {"mss", LOOK("MSS", RIGHT, 14, 5), .put = put_mss, MADE_OF(F(tcp_info_snd_mss))},
    {"uid", LOOK("UID", RIGHT, 15, 5), MADE_OF(F(inet_diag_msg_uid))},
    {"inode", LOOK("INODE", RIGHT, 16, 7), MADE_OF(F(inet_diag_msg_inode))},
    {"timer", LOOK("TIMER", LEFT, 0, 5), .wide = true, .doc = "timer that runs, and the time until it fires",
     .put = put_timer, MADE_OF(F(inet_diag_msg_timer), F(inet_diag_msg_expires))},
    {"rttvar", LOOK("RTTVAR", RIGHT, 0, 6), .wide = true, MADE_OF(F(tcp_info_rtt_var))},
    {"rto", LOOK("RTO", RIGHT, 0, 5), .wide = true, MADE_OF(F(tcp_info_rto))},
    {"ssthresh", LOOK("SSTHRESH", RIGHT, 0, 8), .wide = true, MADE_OF(F(tcp_info_snd_ssthresh))},
    {"ca_state", LOOK("CA", LEFT, 0, 4), .wide = true, MADE_OF(F(tcp_info_ca_state))},
    {"unacked", LOOK("UNACKED", RIGHT, 0, 7), .wide = true, MADE_OF(F(tcp_info_unacked))},
    {"lost", LOOK("LOST", RIGHT, 0, 4), .wide = true, MADE_OF(F(tcp_info_lost))},
    {"notsent", LOOK("NOTSENT", RIGHT, 0, 7), .wide = true, MADE_OF(F(tcp_info_not_sent_bytes))},
    {"pacing", LOOK("PACING", RIGHT, 0, 10), .wide = true, MADE_OF(F(tcp_info_pacing_rate))},
    {"busy", LOOK("BUSY", RIGHT, 0, 5), .wide = true, MADE_OF(F(tcp_info_busy_time))},
    {"rcv_rtt", LOOK("RCV-RTT", RIGHT, 0, 7), .wide = true, MADE_OF(F(tcp_info_rcv_rtt))},
    {"rcv_space", LOOK("RCV-SPACE", RIGHT, 0, 9), .wide = true, MADE_OF(F(tcp_info_rcv_space))},
    {"snd_wnd", LOOK("SND-WND", RIGHT, 0, 7), .wide = true, MADE_OF(F(tcp_info_snd_wnd))},
    {"segs_out", LOOK("SEGS-OUT", RIGHT, 0, 8), .wide = true, MADE_OF(F(tcp_info_segs_out))},
    {"segs_in", LOOK("SEGS-IN", RIGHT, 0, 7), .wide = true, MADE_OF(F(tcp_info_segs_in))},
    {"reord", LOOK("REORD", RIGHT, 0, 5), .wide = true, MADE_OF(F(tcp_info_reord_seen))},
    {"drops", LOOK("DROPS", RIGHT, 0, 5), .wide = true, MADE_OF(F(sk_mem_info_drops))},
    {"mark", LOOK("MARK", RIGHT, 0, 4), .wide = true, MADE_OF(F(mark))},
    {"cgroup", LOOK("CGROUP", RIGHT, 0, 6), .wide = true, MADE_OF(F(c_group))},
    {"cookie", LOOK("COOKIE", RIGHT, 0, 8), .wide = true, MADE_OF(F(inet_diag_msg_socket_cookie))},
};
const size_t n_socket_table_columns = sizeof(socket_table_columns) / sizeof(socket_table_columns[0]);

struct socket_table {
    const struct view *view;
    const struct measured_rate *measured; /* NULL: nothing is */
    struct table *table;
    bool nodes; /* the first column is the node */
};

/* The order of the rows: namespace, then phase (listeners first, ended sockets last), local and peer end. */
struct sort_key {
    char netns[24];
    uint8_t phase; /* 0: listens, 1: lives, 2: is over */
    uint8_t family;
    uint8_t local_port[2];
    uint8_t local[16];
    uint8_t peer[16];
    uint8_t peer_port[2];
};
_Static_assert(sizeof(struct sort_key) <= TABLE_KEY_MAX, "the key fits");

static uint8_t phase_of(uint32_t state)
{
    if (state == CELL_LISTEN)
        return 0;
    return state == CELL_TIME_WAIT || state == CELL_CLOSE ? 2 : 1;
}

static void key_address(uint8_t to[16], const ProtobufCBinaryData *from)
{
    if (from->data && from->len)
        memcpy(to, from->data, from->len < 16 ? from->len : 16);
}

static void sort_key_of(const record_message *r, struct sort_key *key)
{
    if (r->netns)
        memcpy(key->netns, r->netns, strnlen(r->netns, sizeof(key->netns)));
    key->phase = phase_of(r->inet_diag_msg_state);
    key->family = (uint8_t)r->inet_diag_msg_family;
    key->local_port[0] = (uint8_t)(r->inet_diag_msg_socket_source_port >> 8);
    key->local_port[1] = (uint8_t)r->inet_diag_msg_socket_source_port;
    key_address(key->local, &r->inet_diag_msg_socket_source);
    key_address(key->peer, &r->inet_diag_msg_socket_destination);
    key->peer_port[0] = (uint8_t)(r->inet_diag_msg_socket_destination_port >> 8);
    key->peer_port[1] = (uint8_t)r->inet_diag_msg_socket_destination_port;
}

/* The look of a field that has no column of its own. */
static struct table_column field_look(const struct view_column *c)
{
    bool text =
        c->field->type == TYPE_STRING || c->field->type == TYPE_BYTES || c->field->print != PRINT_NUMBER;
    return (struct table_column){.title = c->title,
                                 .align = text && c->field->print != PRINT_HEX ? TABLE_LEFT : TABLE_RIGHT,
                                 .squeeze = text ? 8 : 0};
}

struct socket_table *socket_table_new(const struct view *v, bool nodes)
{
    struct table_column looks[VIEW_COLUMNS_MAX + 2];
    size_t n = 0;
    struct socket_table *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->view = v;
    s->nodes = nodes;
    if (nodes)
        looks[n++] = (struct table_column){.title = "NODE", .least = 4, .cut = 16, .squeeze = 6};
    if (v->time)
        looks[n++] = (struct table_column){.title = "TIME"};
    for (size_t i = 0; i < v->n_columns; i++) {
        const struct view_column *c = &v->columns[i];
        looks[n] = c->own ? c->own->look : field_look(c);
        if (v->chosen)
            looks[n].drop = 0; /* columns that were asked for are never left out */
        n++;
    }
    s->table = table_new(looks, n);
    if (!s->table) {
        free(s);
        return NULL;
    }
    table_set_header(s->table, v->header);
    return s;
}

void socket_table_free(struct socket_table *s)
{
    if (!s)
        return;
    table_free(s->table);
    free(s);
}

void socket_table_measure(struct socket_table *s, const struct measured_rate *m)
{
    s->measured = m;
}

/* A rate that is measured, or the kernel's |sample|. */
static void put_rate(const struct socket_table *s, struct cell *c, const record_message *r, const char *node,
                     const struct record_field *sample)
{
    uint64_t rate;
    bool measured = s->measured && measured_rate(s->measured, r, node, &rate);
    if (measured && c->numeric) {
        snprintf(c->own, sizeof(c->own), "%" PRIu64, rate);
        cell_own(c);
    } else if (measured) {
        units_rate(rate, c->own);
        cell_own(c);
    } else if (!c->numeric) { /* as a plain number a sample would look as if it were measured */
        struct cell told = {.numeric = false};
        cell_field(&told, r, sample);
        if (told.n == 0)
            return;
        snprintf(c->own, sizeof(c->own), "~%.*s", (int)told.n, told.text);
        cell_own(c);
    }
}

struct table *socket_table_table(struct socket_table *s)
{
    return s->table;
}

void socket_table_add(struct socket_table *s, const record_message *r, const char *node)
{
    const struct view *v = s->view;
    struct sort_key key = {0};
    if (!v->n_keys)
        sort_key_of(r, &key);
    table_row(s->table, &key, sizeof(key));
    if (s->nodes)
        table_cell_str(s->table, node ? node : "");
    if (v->time) {
        char time[CLOCK_TEXT_MAX];
        clock_format(r->timestamp_ns, 3, time);
        table_cell_str(s->table, time);
    }
    for (size_t i = 0; i < v->n_columns; i++) {
        const struct view_column *column = &v->columns[i];
        struct cell c = {.numeric = v->numeric};
        if (column->own && column->own->measured)
            put_rate(s, &c, r, node, column->field);
        else if (column->own && column->own->put)
            column->own->put(&c, r);
        else
            cell_field(&c, r, column->field);
        table_cell(s->table, c.text, c.n);
    }
}
