/* The cost of encoding: nanoseconds for each socket, from struct to row.
 *
 *   record_bench [ROUNDS]
 *
 * Sockets are synthetic: an established connection as a busy host has them, numbers drawn anew for each so
 * that no branch can be learnt. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "record/batch.h"
#include "record/fields.h"
#include "record/record.h"

#define SOCKETS 8192

struct socket_bytes {
    struct inet_diag_msg msg;
    uint8_t info[280];
    uint32_t skmem[SK_MEMINFO_VARS];
    char cong[8];
    struct tcp_bbr_info bbr;
    uint8_t tos, shutdown;
    uint8_t sockopt[2];
    uint32_t class_id, mark;
    uint64_t cgroup;
};

static uint64_t rng = 88172645463325252u;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* A number below 2^|bits|, small ones as likely as large ones. */
static uint64_t spread(unsigned bits)
{
    return next() >> 16 & (((uint64_t)1 << next() % (bits + 1)) - 1);
}

/* An established connection. |varied|: with numbers of its own. */
static void make_socket(struct socket_bytes *b, bool varied)
{
    struct tcp_info info = {
        .tcpi_state = 1,
        .tcpi_options = 7,
        .tcpi_snd_wscale = 7,
        .tcpi_rcv_wscale = 7,
        .tcpi_rto = 204000,
        .tcpi_ato = 40000,
        .tcpi_snd_mss = 1448,
        .tcpi_rcv_mss = 536,
        .tcpi_pmtu = 1500,
        .tcpi_last_data_sent = 1200,
        .tcpi_last_data_recv = 1300,
        .tcpi_last_ack_recv = 1200,
        .tcpi_rcv_ssthresh = 65076,
        .tcpi_rtt = 3100,
        .tcpi_rttvar = 700,
        .tcpi_snd_ssthresh = 0x7fffffff,
        .tcpi_snd_cwnd = 10,
        .tcpi_advmss = 1448,
        .tcpi_reordering = 3,
        .tcpi_rcv_space = 14480,
        .tcpi_pacing_rate = 9000000,
        .tcpi_max_pacing_rate = ~(uint64_t)0,
        .tcpi_bytes_acked = 70000,
        .tcpi_bytes_received = 12000,
        .tcpi_segs_out = 120,
        .tcpi_segs_in = 110,
        .tcpi_min_rtt = 2900,
        .tcpi_data_segs_in = 40,
        .tcpi_data_segs_out = 60,
        .tcpi_delivery_rate = 4000000,
        .tcpi_busy_time = 84000,
        .tcpi_delivered = 61,
        .tcpi_bytes_sent = 70000,
        .tcpi_snd_wnd = 64256,
    };
    *b = (struct socket_bytes){
        .msg = {.idiag_family = next() & 1 ? AF_INET : AF_INET6,
                .idiag_state = 1,
                .id = {.idiag_sport = htons(443),
                       .idiag_dport = (uint16_t)next(),
                       .idiag_src = {0x0100007f},
                       .idiag_dst = {0x0100000a},
                       .idiag_cookie = {(uint32_t)next() & 0xfffff, 0}},
                .idiag_uid = 1000,
                .idiag_inode = 100000 + (uint32_t)next() % 1000000},
        .skmem = {0, 131072, 0, 87040, 0, 0, 0, 0, 0},
        .cong = "cubic",
        .cgroup = 5432,
    };
    if (varied) {
        info.tcpi_rto = (uint32_t)(200000 + spread(18));
        info.tcpi_last_data_sent = (uint32_t)spread(24);
        info.tcpi_last_data_recv = (uint32_t)spread(24);
        info.tcpi_last_ack_recv = (uint32_t)spread(24);
        info.tcpi_rtt = (uint32_t)spread(18);
        info.tcpi_rttvar = (uint32_t)spread(16);
        info.tcpi_min_rtt = (uint32_t)spread(16);
        info.tcpi_snd_cwnd = (uint32_t)(10 + spread(8));
        info.tcpi_unacked = (uint32_t)spread(4);
        info.tcpi_total_retrans = (uint32_t)spread(6);
        info.tcpi_pacing_rate = spread(32);
        info.tcpi_delivery_rate = spread(32);
        info.tcpi_bytes_acked = info.tcpi_bytes_sent = spread(36);
        info.tcpi_bytes_received = spread(36);
        info.tcpi_segs_out = (uint32_t)spread(22);
        info.tcpi_segs_in = (uint32_t)spread(22);
        info.tcpi_data_segs_out = (uint32_t)spread(22);
        info.tcpi_data_segs_in = (uint32_t)spread(22);
        info.tcpi_delivered = (uint32_t)spread(22);
        info.tcpi_busy_time = spread(30);
        info.tcpi_rcv_space = (uint32_t)(14480 + spread(20));
        info.tcpi_snd_wnd = (uint32_t)spread(20);
        b->skmem[0] = (uint32_t)(next() & 1 ? 0 : spread(18));
        b->skmem[5] = (uint32_t)(next() & 1 ? 0 : spread(18));
    }
    memcpy(b->info, &info, sizeof(info));
    uint32_t rcv_wnd = 65088;
    memcpy(b->info + 232, &rcv_wnd, sizeof(rcv_wnd));
}

static void point(struct record_source *s, const struct socket_bytes *b)
{
    *s = (struct record_source){0};
#define PART(part, member, n)                                                                                \
    s->data[part] = (const uint8_t *)&b->member, s->len[part] = (uint16_t)(n),                               \
    s->attributes |= UINT32_C(1) << record_part_attributes[part]
    PART(PART_MSG, msg, sizeof(b->msg));
    PART(PART_INFO, info, sizeof(b->info));
    PART(PART_SKMEMINFO, skmem, sizeof(b->skmem));
    PART(PART_CONG, cong, 6);
    PART(PART_TOS, tos, 1);
    PART(PART_SHUTDOWN, shutdown, 1);
    PART(PART_CLASS_ID, class_id, 4);
    PART(PART_CGROUP_ID, cgroup, 8);
    PART(PART_SOCKOPT, sockopt, 2);
    PART(PART_MARK, mark, 4);
}

static struct socket_bytes sockets[SOCKETS];
static struct record_source sources[SOCKETS];

/* Encodes all sockets |rounds| times; prints the cost of the best round. */
static void measure(const char *what, const struct record_frame *frame, unsigned rounds)
{
    static uint8_t row[RECORD_ROW_MAX];
    int64_t best = INT64_MAX;
    size_t bytes = 0;
    for (unsigned r = 0; r < rounds; r++) {
        bytes = 0;
        int64_t start = clock_thread_cpu_ns();
        for (unsigned i = 0; i < SOCKETS; i++)
            bytes += record_encode(frame, &sources[i], i, row);
        int64_t took = clock_thread_cpu_ns() - start;
        best = took < best ? took : best;
    }
    printf("%-28s %6.1f ns per socket, %5.1f bytes per row\n", what, (double)best / SOCKETS,
           (double)bytes / SOCKETS);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
    struct record_context context = {
        .daemon_version = "0.1.0",
        .hostname = "host-17",
        .netns = "default",
        .label = "web",
        .timestamp_ns = 1700000000123456789,
        .netns_inode = 4026531840,
        .netns_cookie = 1,
        .poll_id = 17,
        .groups = GROUPS_DEFAULT,
    };
    struct record_frame frame;
    if (record_frame_init(&frame, &context) < 0)
        return 1;
    static const char *const names[] = {"same socket each time", "every socket its own"};
    for (int varied = 0; varied < 2; varied++) {
        for (unsigned i = 0; i < SOCKETS; i++) {
            rng = varied ? rng : 42;
            make_socket(&sockets[i], varied);
            point(&sources[i], &sockets[i]);
        }
        measure(names[varied], &frame, rounds);
    }
    for (unsigned i = 0; i < SOCKETS; i++)
        sources[i].len[PART_INFO] = 232;
    measure("the same, Linux 6.1", &frame, rounds);
    return 0;
}
