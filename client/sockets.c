#include "client/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/units.h"
#include "record/names.h"

/* A cell's text: what a column makes of a record. */
struct cell_text {
    const char *text;
    size_t n;
    char own[SOCKETS_ADDRESS_MAX]; /* where |text| may point */
};

void sockets_address(uint32_t family, const uint8_t *address, size_t n, uint32_t port,
                     char out[SOCKETS_ADDRESS_MAX])
{
    char text[INET6_ADDRSTRLEN];
    char port_text[8];
    size_t need = family == AF_INET ? 4 : family == AF_INET6 ? 16 : SIZE_MAX;

    if (port)
        snprintf(port_text, sizeof(port_text), "%u", port & 0xffff);
    else
        snprintf(port_text, sizeof(port_text), "*");
    if (n < need || n > 16 || !address)
        snprintf(text, sizeof(text), "?");
    else
        inet_ntop((int)family, address, text, sizeof(text));
    snprintf(out, SOCKETS_ADDRESS_MAX, family == AF_INET6 ? "[%s]:%s" : "%s:%s", text, port_text);
}

static void own(struct cell_text *c)
{
    c->text = c->own;
    c->n = strlen(c->own);
}

static void constant(struct cell_text *c, const char *text)
{
    c->text = text;
    c->n = text ? strlen(text) : 0;
}

/* LISTEN has a tcp_info whose numbers mean other things; TIME_WAIT and SYN_RECV have none at all. */
static bool has_flow(const record_message *r)
{
    return r->tcp_info_state != 0 && r->inet_diag_msg_state != TCP_LISTEN;
}

static void netns_text(const record_message *r, struct cell_text *c)
{
    constant(c, r->netns);
}

static void state_text(const record_message *r, struct cell_text *c)
{
    constant(c, record_state_name(r->inet_diag_msg_state));
    if (!c->text) {
        snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_state);
        own(c);
    }
}

static void recv_queue_text(const record_message *r, struct cell_text *c)
{
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_rqueue);
    own(c);
}

static void send_queue_text(const record_message *r, struct cell_text *c)
{
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_wqueue);
    own(c);
}

static void local_text(const record_message *r, struct cell_text *c)
{
    sockets_address(r->inet_diag_msg_family, r->inet_diag_msg_socket_source.data,
                    r->inet_diag_msg_socket_source.len, r->inet_diag_msg_socket_source_port, c->own);
    own(c);
}

static void peer_text(const record_message *r, struct cell_text *c)
{
    sockets_address(r->inet_diag_msg_family, r->inet_diag_msg_socket_destination.data,
                    r->inet_diag_msg_socket_destination.len, r->inet_diag_msg_socket_destination_port,
                    c->own);
    own(c);
}

static void rtt_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r) || !r->tcp_info_rtt)
        return;
    units_time_us(r->tcp_info_rtt, c->own);
    own(c);
}

static void min_rtt_text(const record_message *r, struct cell_text *c)
{
    /* All ones: not measured yet. */
    if (!has_flow(r) || !r->tcp_info_min_rtt || r->tcp_info_min_rtt == UINT32_MAX)
        return;
    units_time_us(r->tcp_info_min_rtt, c->own);
    own(c);
}

static void cwnd_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r))
        return;
    units_count(r->tcp_info_snd_cwnd, c->own);
    own(c);
}

static void retrans_text(const record_message *r, struct cell_text *c)
{
    char total[UNITS_TEXT_MAX], now[UNITS_TEXT_MAX];
    if (!has_flow(r))
        return;
    units_count(r->tcp_info_retrans, now);
    units_count(r->tcp_info_total_retrans, total);
    if (r->tcp_info_retrans || r->tcp_info_total_retrans)
        snprintf(c->own, sizeof(c->own), "%s/%s", now, total);
    else
        snprintf(c->own, sizeof(c->own), "0");
    own(c);
}

static void sent_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r))
        return;
    /* Kernels before 4.19 tell only what was acknowledged. */
    units_bytes(r->tcp_info_bytes_sent ? r->tcp_info_bytes_sent : r->tcp_info_bytes_acked, c->own);
    own(c);
}

static void received_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r))
        return;
    units_bytes(r->tcp_info_bytes_received, c->own);
    own(c);
}

static void rate_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r) || !r->tcp_info_delivery_rate)
        return;
    units_rate(r->tcp_info_delivery_rate, c->own);
    own(c);
}

static void algorithm_text(const record_message *r, struct cell_text *c)
{
    if (r->congestion_algorithm_string && *r->congestion_algorithm_string)
        constant(c, r->congestion_algorithm_string);
    else
        constant(c, record_algorithm_name((uint64_t)r->congestion_algorithm_enum));
}

static void mss_text(const record_message *r, struct cell_text *c)
{
    if (!has_flow(r))
        return;
    snprintf(c->own, sizeof(c->own), "%u", r->tcp_info_snd_mss);
    own(c);
}

/* Time since the connection carried data in either direction. */
static void idle_text(const record_message *r, struct cell_text *c)
{
    uint32_t ms = r->tcp_info_last_data_sent < r->tcp_info_last_data_recv ? r->tcp_info_last_data_sent
                                                                          : r->tcp_info_last_data_recv;
    if (!has_flow(r))
        return;
    units_time_us((uint64_t)ms * 1000, c->own);
    own(c);
}

/* What held sending back: the share of the time with data to send. */
static void limit_text(const record_message *r, struct cell_text *c)
{
    uint64_t by_peer = r->tcp_info_rwnd_limited, by_buffer = r->tcp_info_sndbuf_limited;
    uint64_t most = by_peer > by_buffer ? by_peer : by_buffer;
    if (!has_flow(r) || !r->tcp_info_busy_time || !most)
        return;
    double percent = (double)most * 100 / (double)r->tcp_info_busy_time;
    snprintf(c->own, sizeof(c->own), "%s %.0f%%", by_peer > by_buffer ? "peer" : "buffer",
             percent < 100 ? percent : 100);
    own(c);
}

static void uid_text(const record_message *r, struct cell_text *c)
{
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_uid);
    own(c);
}

static void inode_text(const record_message *r, struct cell_text *c)
{
    if (!r->inet_diag_msg_inode)
        return;
    snprintf(c->own, sizeof(c->own), "%u", r->inet_diag_msg_inode);
    own(c);
}

/* The columns from left to right, in two tables of one order: how they are laid out, and what is in them. On
 * a narrow terminal the highest number of |drop| goes first. */
static const struct table_column columns[] = {
    {"NETNS", TABLE_LEFT, 1, 7, 18},   {"STATE", TABLE_LEFT, 0, 11, 0},    {"RECV-Q", TABLE_RIGHT, 5, 6, 0},
    {"SEND-Q", TABLE_RIGHT, 4, 6, 0},  {"LOCAL", TABLE_LEFT, 0, 15, 0},    {"PEER", TABLE_LEFT, 0, 15, 0},
    {"RTT", TABLE_RIGHT, 2, 5, 0},     {"MIN-RTT", TABLE_RIGHT, 11, 7, 0}, {"CWND", TABLE_RIGHT, 8, 4, 0},
    {"RETRANS", TABLE_RIGHT, 3, 7, 0}, {"SENT", TABLE_RIGHT, 6, 6, 0},     {"RECEIVED", TABLE_RIGHT, 7, 8, 0},
    {"RATE", TABLE_RIGHT, 9, 10, 0},   {"CONG", TABLE_LEFT, 10, 5, 0},     {"IDLE", TABLE_RIGHT, 12, 5, 0},
    {"LIMIT", TABLE_LEFT, 13, 9, 0},   {"MSS", TABLE_RIGHT, 14, 5, 0},     {"UID", TABLE_RIGHT, 15, 5, 0},
    {"INODE", TABLE_RIGHT, 16, 7, 0},
};

static void (*const contents[])(const record_message *r, struct cell_text *c) = {
    netns_text,   state_text, recv_queue_text, send_queue_text, local_text,    peer_text, rtt_text,
    min_rtt_text, cwnd_text,  retrans_text,    sent_text,       received_text, rate_text, algorithm_text,
    idle_text,    limit_text, mss_text,        uid_text,        inode_text,
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
_Static_assert(sizeof(contents) / sizeof(contents[0]) == COLUMNS, "a content for each column");

struct table *sockets_table_new(void)
{
    return table_new(columns, COLUMNS);
}

/* What sorts the rows: namespace, listeners first, what is over last, local and peer end. */
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
    if (state == TCP_LISTEN)
        return 0;
    return state == TCP_TIME_WAIT || state == TCP_CLOSE ? 2 : 1;
}

static void key_address(uint8_t to[16], const ProtobufCBinaryData *from)
{
    if (from->data && from->len)
        memcpy(to, from->data, from->len < 16 ? from->len : 16);
}

void sockets_table_add(struct table *t, const record_message *r)
{
    struct sort_key key = {0};
    if (r->netns)
        memcpy(key.netns, r->netns, strnlen(r->netns, sizeof(key.netns)));
    key.phase = phase_of(r->inet_diag_msg_state);
    key.family = (uint8_t)r->inet_diag_msg_family;
    key.local_port[0] = (uint8_t)(r->inet_diag_msg_socket_source_port >> 8);
    key.local_port[1] = (uint8_t)r->inet_diag_msg_socket_source_port;
    key_address(key.local, &r->inet_diag_msg_socket_source);
    key_address(key.peer, &r->inet_diag_msg_socket_destination);
    key.peer_port[0] = (uint8_t)(r->inet_diag_msg_socket_destination_port >> 8);
    key.peer_port[1] = (uint8_t)r->inet_diag_msg_socket_destination_port;

    table_row(t, &key, sizeof(key));
    for (size_t i = 0; i < COLUMNS; i++) {
        struct cell_text c = {0};
        contents[i](r, &c);
        table_cell(t, c.text, c.n);
    }
}
