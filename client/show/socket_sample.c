#include "client/show/socket_sample.h"

#include <netinet/tcp.h>
#include <string.h>

#include "lib/clock.h"
#include "record/names.h"

const char *const socket_sample_fields[] = {
    "timestamp_ns",
    "hostname",
    "netns",
    "netns_inode",
    "inet_diag_msg_family",
    "inet_diag_msg_state",
    "inet_diag_msg_socket_source_port",
    "inet_diag_msg_socket_destination_port",
    "inet_diag_msg_socket_source",
    "inet_diag_msg_socket_destination",
    "inet_diag_msg_socket_interface",
    "inet_diag_msg_socket_cookie",
    "inet_diag_msg_rqueue",
    "inet_diag_msg_wqueue",
    "inet_diag_msg_uid",
    "tcp_info_state",
    "tcp_info_ca_state",
    "tcp_info_delivery_rate_app_limited",
    "tcp_info_snd_mss",
    "tcp_info_unacked",
    "tcp_info_rtt",
    "tcp_info_snd_cwnd",
    "tcp_info_total_retrans",
    "tcp_info_bytes_acked",
    "tcp_info_bytes_received",
    "tcp_info_not_sent_bytes",
    "tcp_info_min_rtt",
    "tcp_info_data_segs_out",
    "tcp_info_busy_time",
    "tcp_info_rwnd_limited",
    "tcp_info_sndbuf_limited",
    "tcp_info_bytes_retrans",
    "congestion_algorithm_string",
    "congestion_algorithm_enum",
    "netns_cookie",
    "poll_id",
    "event",
    "diag_attributes",
    "v6only",
    "socket_interface_name",
};
const size_t n_socket_sample_fields = sizeof(socket_sample_fields) / sizeof(socket_sample_fields[0]);

const char *const socket_limit_names[SOCKET_LIMITS] = {
    [SOCKET_LIMIT_UNKNOWN] = "-",
    [SOCKET_LIMIT_IDLE] = "idle",
    [SOCKET_LIMIT_RECEIVING] = "receiving",
    [SOCKET_LIMIT_APPLICATION] = "application",
    [SOCKET_LIMIT_RECEIVE_WINDOW] = "receive window",
    [SOCKET_LIMIT_SEND_BUFFER] = "send buffer",
    [SOCKET_LIMIT_CONGESTION_WINDOW] = "congestion window",
    [SOCKET_LIMIT_RETRANSMISSION] = "retransmission",
};

static void copy_address(uint8_t to[16], const ProtobufCBinaryData *from)
{
    if (from->data && from->len)
        memcpy(to, from->data, from->len < 16 ? from->len : 16);
}

static void copy_algorithm(const record_message *r, char to[SOCKET_ALGORITHM_MAX])
{
    const char *name = r->congestion_algorithm_string;
    if (!name || !*name)
        name = record_algorithm_name((uint64_t)r->congestion_algorithm_enum);
    if (name)
        memcpy(to, name, strnlen(name, SOCKET_ALGORITHM_MAX - 1));
}

/* In place of a cookie that the daemon does not tell: a number made of both ends (FNV-1a). Without
 * cookies a new connection between the same ends is taken for the old one, until a counter goes back. */
static uint64_t ends_number(const struct socket_sample *s)
{
    uint64_t h = 0xcbf29ce484222325;
    const uint8_t ports[] = {(uint8_t)(s->local_port >> 8), (uint8_t)s->local_port,
                             (uint8_t)(s->peer_port >> 8), (uint8_t)s->peer_port, s->family};
    for (size_t i = 0; i < sizeof(ports); i++)
        h = (h ^ ports[i]) * 0x100000001b3;
    for (size_t i = 0; i < sizeof(s->local); i++)
        h = (h ^ s->local[i]) * 0x100000001b3;
    for (size_t i = 0; i < sizeof(s->peer); i++)
        h = (h ^ s->peer[i]) * 0x100000001b3;
    return h;
}

void socket_sample_from(const record_message *r, struct socket_sample *out)
{
    *out = (struct socket_sample){
        .key = {.netns = r->netns_cookie ? r->netns_cookie : r->netns_inode,
                .cookie = r->inet_diag_msg_socket_cookie},
        .timestamp_ns = r->timestamp_ns,
        .bytes_acked = r->tcp_info_bytes_acked,
        .bytes_received = r->tcp_info_bytes_received,
        .bytes_retrans = r->tcp_info_bytes_retrans,
        .busy_us = r->tcp_info_busy_time,
        .rwnd_us = r->tcp_info_rwnd_limited,
        .sndbuf_us = r->tcp_info_sndbuf_limited,
        .total_retrans = r->tcp_info_total_retrans,
        .data_segs_out = r->tcp_info_data_segs_out,
        .rtt_us = r->tcp_info_rtt,
        /* All ones: not measured yet. */
        .min_rtt_us = r->tcp_info_min_rtt == UINT32_MAX ? 0 : r->tcp_info_min_rtt,
        .cwnd = r->tcp_info_snd_cwnd,
        .unacked = r->tcp_info_unacked,
        .rqueue = r->inet_diag_msg_rqueue,
        .wqueue = r->inet_diag_msg_wqueue,
        .notsent = r->tcp_info_not_sent_bytes,
        .mss = r->tcp_info_snd_mss,
        .uid = r->inet_diag_msg_uid,
        .scope = address_scope(r),
        .local_port = (uint16_t)r->inet_diag_msg_socket_source_port,
        .peer_port = (uint16_t)r->inet_diag_msg_socket_destination_port,
        .family = (uint8_t)r->inet_diag_msg_family,
        .state = r->inet_diag_msg_state < UINT8_MAX ? (uint8_t)r->inet_diag_msg_state : UINT8_MAX,
        .ca_state = r->tcp_info_ca_state < UINT8_MAX ? (uint8_t)r->tcp_info_ca_state : UINT8_MAX,
        .app_limited = r->tcp_info_delivery_rate_app_limited != 0,
        .flow = r->tcp_info_state != 0 && r->inet_diag_msg_state != TCP_LISTEN,
    };
    copy_address(out->local, &r->inet_diag_msg_socket_source);
    copy_address(out->peer, &r->inet_diag_msg_socket_destination);
    copy_algorithm(r, out->algorithm);
    if (!out->key.cookie)
        out->key.cookie = ends_number(out);
}

uint64_t socket_sample_queue(const struct socket_sample *s)
{
    if (s->state == TCP_LISTEN)
        return s->rqueue;                   /* its wqueue is the limit of the backlog */
    return (uint64_t)s->rqueue + s->wqueue; /* wqueue contains what was never sent */
}

/* Whether the sender is in loss recovery. */
static bool recovers(const struct socket_interval *i)
{
    if (i->retrans && (uint64_t)i->retrans * 100 >= i->sent)
        return true;
    return i->unacked && (i->ca_state == TCP_CA_Recovery || i->ca_state == TCP_CA_Loss);
}

/* Nothing but the network held the data back, or nothing at all because it was little. */
static enum socket_limit network_limit(const struct socket_interval *i)
{
    if (recovers(i))
        return SOCKET_LIMIT_RETRANSMISSION;
    if (i->unacked < i->cwnd && (i->app_limited || !i->busy_us))
        return SOCKET_LIMIT_APPLICATION;
    return SOCKET_LIMIT_CONGESTION_WINDOW;
}

enum socket_limit socket_limit_of(const struct socket_interval *i)
{
    if (!i->busy_us && !i->acked && !i->unacked)
        return i->received ? SOCKET_LIMIT_RECEIVING : SOCKET_LIMIT_IDLE;
    if (!i->busy_us) /* too short for the kernel's clock, or a kernel that does not measure it */
        return network_limit(i);
    uint64_t held = i->rwnd_us + i->sndbuf_us;
    uint64_t waiting = i->length_us > i->busy_us ? i->length_us - i->busy_us : 0;
    uint64_t sending = i->busy_us > held ? i->busy_us - held : 0;
    if (waiting > sending && waiting > i->rwnd_us && waiting > i->sndbuf_us)
        return i->received > i->acked ? SOCKET_LIMIT_RECEIVING : SOCKET_LIMIT_APPLICATION;
    if (i->rwnd_us > sending && i->rwnd_us >= i->sndbuf_us)
        return SOCKET_LIMIT_RECEIVE_WINDOW;
    if (i->sndbuf_us > sending)
        return SOCKET_LIMIT_SEND_BUFFER;
    return network_limit(i);
}

/* The increase of a counter; false when it went back. */
static bool advance64(uint64_t before, uint64_t now, uint64_t *by)
{
    *by = now - before;
    return now >= before;
}

/* 32 bits wrap: a counter that seems to have advanced by more than half of the range went back. */
static bool advance32(uint32_t before, uint32_t now, uint32_t *by)
{
    *by = now - before;
    return *by <= INT32_MAX;
}

bool socket_rates_between(const struct socket_sample *a, const struct socket_sample *b,
                          struct socket_rates *out)
{
    struct socket_interval i = {
        .unacked = b->unacked, .cwnd = b->cwnd, .ca_state = b->ca_state, .app_limited = b->app_limited};
    uint64_t retrans_bytes;

    *out = (struct socket_rates){.retrans_share = -1};
    if (!a->flow || !b->flow || b->timestamp_ns <= a->timestamp_ns)
        return false;
    if (!advance64(a->bytes_acked, b->bytes_acked, &i.acked) ||
        !advance64(a->bytes_received, b->bytes_received, &i.received) ||
        !advance64(a->bytes_retrans, b->bytes_retrans, &retrans_bytes) ||
        !advance64(a->busy_us, b->busy_us, &i.busy_us) || !advance64(a->rwnd_us, b->rwnd_us, &i.rwnd_us) ||
        !advance64(a->sndbuf_us, b->sndbuf_us, &i.sndbuf_us) ||
        !advance32(a->total_retrans, b->total_retrans, &i.retrans) ||
        !advance32(a->data_segs_out, b->data_segs_out, &i.sent))
        return false;
    uint64_t ns = (uint64_t)b->timestamp_ns - (uint64_t)a->timestamp_ns;
    i.length_us = ns / NS_PER_US;
    float seconds = (float)((double)ns / NS_PER_S);
    out->sent = (float)i.acked / seconds;
    out->received = (float)i.received / seconds;
    out->retrans = (float)i.retrans / seconds;
    out->retrans_bytes = (float)retrans_bytes / seconds;
    if (i.sent)
        out->retrans_share = i.retrans < i.sent ? (float)i.retrans / (float)i.sent : 1;
    out->limit = socket_limit_of(&i);
    return true;
}
