#include "record_model.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/utf8.h"

/* Members of struct tcp_info added after Linux 6.1, up to 6.18: written out, as the header here may be of any
 * age since then. */
struct tcp_info_grown {
    uint32_t rcv_wnd;
    uint32_t rehash;
    uint16_t total_rto;
    uint16_t total_rto_recoveries;
    uint32_t total_rto_time;
    uint32_t received_ce;
    uint32_t delivered_e1_bytes;
    uint32_t delivered_e0_bytes;
    uint32_t delivered_ce_bytes;
    uint32_t received_e1_bytes;
    uint32_t received_e0_bytes;
    uint32_t received_ce_bytes;
    uint16_t accecn_fail_mode;
    uint16_t accecn_opt_seen;
};
#define GROWN_AT (offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(uint32_t))
_Static_assert(GROWN_AT == 232, "as long as Linux 6.1 sends");
_Static_assert(GROWN_AT + sizeof(struct tcp_info_grown) == 280, "as long as Linux 6.18 sends");

typedef XtcpFlatRecord__V1__XtcpFlatRecord record_t;

/* |text| (|n| bytes) with what is not UTF-8 replaced, as a string of |m|. */
static char *clean(struct record_model *m, const char *text, size_t n)
{
    if (m->used >= MODEL_STRINGS || n * 3 >= MODEL_TEXT)
        abort();
    char *to = m->strings[m->used++];
    size_t used = 0;
    for (size_t i = 0; i < n;) {
        size_t valid = utf8_length(text + i, n - i);
        if (valid) {
            memcpy(to + used, text + i, valid);
            used += valid;
            i += valid;
        } else {
            memcpy(to + used, "\xef\xbf\xbd", 3);
            used += 3;
            i++;
        }
    }
    to[used] = '\0';
    return to;
}

static char *text(struct record_model *m, const char *s)
{
    return s && *s ? clean(m, s, strlen(s)) : (char *)protobuf_c_empty_string;
}

/* The |width| bytes at |offset| of a part as a number; 0 when it does not have them all. */
static uint64_t number(const struct record_source *s, enum record_part part, size_t offset, size_t width)
{
    uint64_t v = 0;
    if (s->len[part] >= offset + width)
        memcpy(&v, s->data[part] + offset, width);
    return v;
}

#define MEMBER(part, type, member) number(s, part, offsetof(type, member), sizeof(((type *)0)->member))

static void make_msg(record_t *r, const struct record_source *s)
{
#define MSG(member) MEMBER(PART_MSG, struct inet_diag_msg, member)
    r->inet_diag_msg_family = (uint32_t)MSG(idiag_family);
    r->inet_diag_msg_state = (uint32_t)MSG(idiag_state);
    r->inet_diag_msg_timer = (uint32_t)MSG(idiag_timer);
    r->inet_diag_msg_retrans = (uint32_t)MSG(idiag_retrans);
    r->inet_diag_msg_socket_source_port = ntohs((uint16_t)MSG(id.idiag_sport));
    r->inet_diag_msg_socket_destination_port = ntohs((uint16_t)MSG(id.idiag_dport));
    size_t n = r->inet_diag_msg_family == AF_INET ? 4 : 16;
    size_t src = offsetof(struct inet_diag_msg, id.idiag_src);
    size_t dst = offsetof(struct inet_diag_msg, id.idiag_dst);
    if (s->len[PART_MSG] >= src + 16)
        r->inet_diag_msg_socket_source = (ProtobufCBinaryData){n, (uint8_t *)s->data[PART_MSG] + src};
    if (s->len[PART_MSG] >= dst + 16)
        r->inet_diag_msg_socket_destination = (ProtobufCBinaryData){n, (uint8_t *)s->data[PART_MSG] + dst};
    r->inet_diag_msg_socket_interface = (uint32_t)MSG(id.idiag_if);
    if (s->len[PART_MSG] >= 52)
        r->inet_diag_msg_socket_cookie = MSG(id.idiag_cookie[0]) | MSG(id.idiag_cookie[1]) << 32;
    r->inet_diag_msg_expires = (uint32_t)MSG(idiag_expires);
    r->inet_diag_msg_rqueue = (uint32_t)MSG(idiag_rqueue);
    r->inet_diag_msg_wqueue = (uint32_t)MSG(idiag_wqueue);
    r->inet_diag_msg_uid = (uint32_t)MSG(idiag_uid);
    r->inet_diag_msg_inode = (uint32_t)MSG(idiag_inode);
}

static void make_memory(record_t *r, const struct record_source *s, groups_t groups)
{
    if (groups & GROUP_BIT(GROUP_MEMINFO)) {
#define MEM(member) (uint32_t) MEMBER(PART_MEMINFO, struct inet_diag_meminfo, member)
        r->mem_info_rmem = MEM(idiag_rmem);
        r->mem_info_wmem = MEM(idiag_wmem);
        r->mem_info_fmem = MEM(idiag_fmem);
        r->mem_info_tmem = MEM(idiag_tmem);
    }
    if (groups & GROUP_BIT(GROUP_SKMEM)) {
        uint32_t v[9];
        for (unsigned i = 0; i < 9; i++)
            v[i] = (uint32_t)number(s, PART_SKMEMINFO, i * sizeof(uint32_t), sizeof(uint32_t));
        r->sk_mem_info_rmem_alloc = v[0];
        r->sk_mem_info_rcv_buf = v[1];
        r->sk_mem_info_wmem_alloc = v[2];
        r->sk_mem_info_snd_buf = v[3];
        r->sk_mem_info_fwd_alloc = v[4];
        r->sk_mem_info_wmem_queued = v[5];
        r->sk_mem_info_optmem = v[6];
        r->sk_mem_info_backlog = v[7];
        r->sk_mem_info_drops = v[8];
    }
}

#define INFO(member)   (uint32_t) MEMBER(PART_INFO, struct tcp_info, member)
#define INFO64(member) MEMBER(PART_INFO, struct tcp_info, member)
#define GROWN(member)                                                                                        \
    (uint32_t) number(s, PART_INFO, GROWN_AT + offsetof(struct tcp_info_grown, member),                      \
                      sizeof(((struct tcp_info_grown *)0)->member))

/* Byte 6 and byte 7 of struct tcp_info are bit fields, lowest bits first. */
static void make_info_bits(record_t *r, const struct record_source *s)
{
    uint32_t scales = (uint32_t)number(s, PART_INFO, 6, 1);
    uint32_t flags = (uint32_t)number(s, PART_INFO, 7, 1);
    r->tcp_info_send_scale = scales % 16;
    r->tcp_info_rcv_scale = scales / 16;
    r->tcp_info_delivery_rate_app_limited = flags % 2;
    r->tcp_info_fast_open_client_failed = flags / 2 % 4;
}

static void make_info_beginning(record_t *r, const struct record_source *s)
{
    r->tcp_info_state = INFO(tcpi_state);
    r->tcp_info_ca_state = INFO(tcpi_ca_state);
    r->tcp_info_retransmits = INFO(tcpi_retransmits);
    r->tcp_info_probes = INFO(tcpi_probes);
    r->tcp_info_backoff = INFO(tcpi_backoff);
    r->tcp_info_options = INFO(tcpi_options);
    r->tcp_info_rto = INFO(tcpi_rto);
    r->tcp_info_ato = INFO(tcpi_ato);
    r->tcp_info_snd_mss = INFO(tcpi_snd_mss);
    r->tcp_info_rcv_mss = INFO(tcpi_rcv_mss);
    r->tcp_info_unacked = INFO(tcpi_unacked);
    r->tcp_info_sacked = INFO(tcpi_sacked);
    r->tcp_info_lost = INFO(tcpi_lost);
    r->tcp_info_retrans = INFO(tcpi_retrans);
    r->tcp_info_fackets = INFO(tcpi_fackets);
    r->tcp_info_last_data_sent = INFO(tcpi_last_data_sent);
    r->tcp_info_last_ack_sent = INFO(tcpi_last_ack_sent);
    r->tcp_info_last_data_recv = INFO(tcpi_last_data_recv);
    r->tcp_info_last_ack_recv = INFO(tcpi_last_ack_recv);
    r->tcp_info_pmtu = INFO(tcpi_pmtu);
    r->tcp_info_rcv_ssthresh = INFO(tcpi_rcv_ssthresh);
    r->tcp_info_rtt = INFO(tcpi_rtt);
    r->tcp_info_rtt_var = INFO(tcpi_rttvar);
    r->tcp_info_snd_ssthresh = INFO(tcpi_snd_ssthresh);
    r->tcp_info_snd_cwnd = INFO(tcpi_snd_cwnd);
    r->tcp_info_adv_mss = INFO(tcpi_advmss);
    r->tcp_info_reordering = INFO(tcpi_reordering);
    r->tcp_info_rcv_rtt = INFO(tcpi_rcv_rtt);
    r->tcp_info_rcv_space = INFO(tcpi_rcv_space);
    r->tcp_info_total_retrans = INFO(tcpi_total_retrans);
}

static void make_info_rest(record_t *r, const struct record_source *s)
{
    r->tcp_info_pacing_rate = INFO64(tcpi_pacing_rate);
    r->tcp_info_max_pacing_rate = INFO64(tcpi_max_pacing_rate);
    r->tcp_info_bytes_acked = INFO64(tcpi_bytes_acked);
    r->tcp_info_bytes_received = INFO64(tcpi_bytes_received);
    r->tcp_info_segs_out = INFO(tcpi_segs_out);
    r->tcp_info_segs_in = INFO(tcpi_segs_in);
    r->tcp_info_not_sent_bytes = INFO(tcpi_notsent_bytes);
    r->tcp_info_min_rtt = INFO(tcpi_min_rtt);
    r->tcp_info_data_segs_in = INFO(tcpi_data_segs_in);
    r->tcp_info_data_segs_out = INFO(tcpi_data_segs_out);
    r->tcp_info_delivery_rate = INFO64(tcpi_delivery_rate);
    r->tcp_info_busy_time = INFO64(tcpi_busy_time);
    r->tcp_info_rwnd_limited = INFO64(tcpi_rwnd_limited);
    r->tcp_info_sndbuf_limited = INFO64(tcpi_sndbuf_limited);
    r->tcp_info_delivered = INFO(tcpi_delivered);
    r->tcp_info_delivered_ce = INFO(tcpi_delivered_ce);
    r->tcp_info_bytes_sent = INFO64(tcpi_bytes_sent);
    r->tcp_info_bytes_retrans = INFO64(tcpi_bytes_retrans);
    r->tcp_info_dsack_dups = INFO(tcpi_dsack_dups);
    r->tcp_info_reord_seen = INFO(tcpi_reord_seen);
    r->tcp_info_rcv_ooopack = INFO(tcpi_rcv_ooopack);
    r->tcp_info_snd_wnd = INFO(tcpi_snd_wnd);
    r->tcp_info_rcv_wnd = GROWN(rcv_wnd);
    r->tcp_info_rehash = GROWN(rehash);
    r->tcp_info_total_rto = GROWN(total_rto);
    r->tcp_info_total_rto_recoveries = GROWN(total_rto_recoveries);
    r->tcp_info_total_rto_time = GROWN(total_rto_time);
    r->tcp_info_received_ce = GROWN(received_ce);
    r->tcp_info_delivered_e1_bytes = GROWN(delivered_e1_bytes);
    r->tcp_info_delivered_e0_bytes = GROWN(delivered_e0_bytes);
    r->tcp_info_delivered_ce_bytes = GROWN(delivered_ce_bytes);
    r->tcp_info_received_e1_bytes = GROWN(received_e1_bytes);
    r->tcp_info_received_e0_bytes = GROWN(received_e0_bytes);
    r->tcp_info_received_ce_bytes = GROWN(received_ce_bytes);
    r->tcp_info_accecn_fail_mode = GROWN(accecn_fail_mode);
    r->tcp_info_accecn_opt_seen = GROWN(accecn_opt_seen);
}

static void make_cong(struct record_model *m, const struct record_source *s)
{
    static const struct {
        const char *name;
        XtcpFlatRecord__V1__XtcpFlatRecord__CongestionAlgorithm value;
    } known[] = {
#define ALGORITHM(name)                                                                                      \
    XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__CONGESTION_ALGORITHM__CONGESTION_ALGORITHM_##name
        {"cubic", ALGORITHM(CUBIC)},   {"dctcp", ALGORITHM(DCTCP)}, {"vegas", ALGORITHM(VEGAS)},
        {"prague", ALGORITHM(PRAGUE)}, {"bbr", ALGORITHM(BBR1)},    {"bbr2", ALGORITHM(BBR2)},
        {"bbr3", ALGORITHM(BBR3)},
    };
    size_t n = s->len[PART_CONG] < 16 ? s->len[PART_CONG] : 16;
    n = n ? strnlen((const char *)s->data[PART_CONG], n) : 0;
    if (n == 0)
        return;
    char *name = clean(m, (const char *)s->data[PART_CONG], n);
    m->record.congestion_algorithm_string = name;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name) == 0)
            m->record.congestion_algorithm_enum = known[i].value;
    }
}

static void make_device(struct record_model *m, const struct record_source *s)
{
    size_t n = s->len[PART_DEVICE] < 16 ? s->len[PART_DEVICE] : 16;
    n = n ? strnlen((const char *)s->data[PART_DEVICE], n) : 0;
    if (n)
        m->record.socket_interface_name = clean(m, (const char *)s->data[PART_DEVICE], n);
}

static void make_algorithms(record_t *r, const struct record_source *s, groups_t groups)
{
    if (groups & GROUP_BIT(GROUP_VEGAS)) {
        r->vegas_info_enabled = (uint32_t)MEMBER(PART_VEGAS, struct tcpvegas_info, tcpv_enabled);
        r->vegas_info_rtt_cnt = (uint32_t)MEMBER(PART_VEGAS, struct tcpvegas_info, tcpv_rttcnt);
        r->vegas_info_rtt = (uint32_t)MEMBER(PART_VEGAS, struct tcpvegas_info, tcpv_rtt);
        r->vegas_info_min_rtt = (uint32_t)MEMBER(PART_VEGAS, struct tcpvegas_info, tcpv_minrtt);
    }
    if (groups & GROUP_BIT(GROUP_DCTCP)) {
        r->dctcp_info_enabled = (uint32_t)MEMBER(PART_DCTCP, struct tcp_dctcp_info, dctcp_enabled);
        r->dctcp_info_ce_state = (uint32_t)MEMBER(PART_DCTCP, struct tcp_dctcp_info, dctcp_ce_state);
        r->dctcp_info_alpha = (uint32_t)MEMBER(PART_DCTCP, struct tcp_dctcp_info, dctcp_alpha);
        r->dctcp_info_ab_ecn = (uint32_t)MEMBER(PART_DCTCP, struct tcp_dctcp_info, dctcp_ab_ecn);
        r->dctcp_info_ab_tot = (uint32_t)MEMBER(PART_DCTCP, struct tcp_dctcp_info, dctcp_ab_tot);
    }
    if (groups & GROUP_BIT(GROUP_BBR)) {
        r->bbr_info_bw_lo = (uint32_t)MEMBER(PART_BBR, struct tcp_bbr_info, bbr_bw_lo);
        r->bbr_info_bw_hi = (uint32_t)MEMBER(PART_BBR, struct tcp_bbr_info, bbr_bw_hi);
        r->bbr_info_min_rtt = (uint32_t)MEMBER(PART_BBR, struct tcp_bbr_info, bbr_min_rtt);
        r->bbr_info_pacing_gain = (uint32_t)MEMBER(PART_BBR, struct tcp_bbr_info, bbr_pacing_gain);
        r->bbr_info_cwnd_gain = (uint32_t)MEMBER(PART_BBR, struct tcp_bbr_info, bbr_cwnd_gain);
    }
}

static void make_single_values(record_t *r, const struct record_source *s, groups_t groups)
{
    if (groups & GROUP_BIT(GROUP_TOS))
        r->type_of_service = (uint32_t)number(s, PART_TOS, 0, 1);
    if (groups & GROUP_BIT(GROUP_TC))
        r->traffic_class = (uint32_t)number(s, PART_TCLASS, 0, 1);
    if (groups & GROUP_BIT(GROUP_SHUT))
        r->shutdown_state = (uint32_t)number(s, PART_SHUTDOWN, 0, 1);
    if (groups & GROUP_BIT(GROUP_CLASSID))
        r->class_id = (uint32_t)number(s, PART_CLASS_ID, 0, 4);
    if (groups & GROUP_BIT(GROUP_SOCKOPT))
        r->sock_opt = (uint32_t)number(s, PART_SOCKOPT, 0, 2);
    if (groups & GROUP_BIT(GROUP_CGROUP))
        r->c_group = number(s, PART_CGROUP_ID, 0, 8);
    r->v6only = (uint32_t)number(s, PART_V6ONLY, 0, 1);
    r->mark = (uint32_t)number(s, PART_MARK, 0, 4);
}

/* Which attributes there were, but for those that the record has no fields of: they are switched off. */
static void make_answer(record_t *r, const struct record_source *s, groups_t groups)
{
    static const struct {
        unsigned attribute, group;
    } switched[] = {
        {INET_DIAG_MEMINFO, GROUP_MEMINFO},  {INET_DIAG_INFO, GROUP_INFO},
        {INET_DIAG_VEGASINFO, GROUP_VEGAS},  {INET_DIAG_CONG, GROUP_CONG},
        {INET_DIAG_TOS, GROUP_TOS},          {INET_DIAG_TCLASS, GROUP_TC},
        {INET_DIAG_SKMEMINFO, GROUP_SKMEM},  {INET_DIAG_SHUTDOWN, GROUP_SHUT},
        {INET_DIAG_DCTCPINFO, GROUP_DCTCP},  {INET_DIAG_BBRINFO, GROUP_BBR},
        {INET_DIAG_CLASS_ID, GROUP_CLASSID}, {INET_DIAG_CGROUP_ID, GROUP_CGROUP},
        {INET_DIAG_SOCKOPT, GROUP_SOCKOPT},
    };
    r->diag_attributes = s->attributes;
    for (size_t i = 0; i < sizeof(switched) / sizeof(switched[0]); i++)
        if (!(groups & GROUP_BIT(switched[i].group)))
            r->diag_attributes &= ~(1u << switched[i].attribute);
    if (r->diag_attributes == 0)
        r->diag_attributes = 1;
    if (groups & GROUP_BIT(GROUP_INFO))
        r->tcp_info_len = s->len[PART_INFO];
}

static void make_context(struct record_model *m, const struct record_context *c)
{
    record_t *r = &m->record;
    r->schema_version = 1;
    r->daemon_version = text(m, c->daemon_version);
    r->timestamp_ns = c->timestamp_ns;
    r->hostname = text(m, c->hostname);
    r->location = text(m, c->location);
    r->netns = text(m, c->netns);
    r->netns_inode = c->netns_inode;
    r->nsid = c->nsid;
    r->container_id = text(m, c->container_id);
    r->container_runtime = text(m, c->container_runtime);
    r->container_name = text(m, c->container_name);
    r->container_image = text(m, c->container_image);
    r->label = text(m, c->label);
    r->tag = text(m, c->tag);
    r->netns_cookie = c->netns_cookie;
    r->poll_id = c->poll_id;
    r->event = (XtcpFlatRecord__V1__RecordEvent)c->event;
}

void record_model_make(struct record_model *m, const struct record_context *c, const struct record_source *s,
                       uint64_t counter)
{
    m->used = 0;
    xtcp_flat_record__v1__xtcp_flat_record__init(&m->record);
    make_context(m, c);
    m->record.record_counter = counter;
    make_msg(&m->record, s);
    make_answer(&m->record, s, c->groups);
    make_memory(&m->record, s, c->groups);
    if (c->groups & GROUP_BIT(GROUP_INFO)) {
        make_info_beginning(&m->record, s);
        make_info_bits(&m->record, s);
        make_info_rest(&m->record, s);
    }
    if (c->groups & GROUP_BIT(GROUP_CONG))
        make_cong(m, s);
    make_algorithms(&m->record, s, c->groups);
    make_device(m, s);
    make_single_values(&m->record, s, c->groups);
}
