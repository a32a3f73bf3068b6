/* Sockets of several nodes and what belongs together: each end is in one row, ends of a pair mirror each
 * other, and their order makes no difference. Each socket is 8 bytes, of few addresses and numbers, so that
 * they meet. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/fleet/connection_join.h"

#define SOCKET_SIZE 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t addresses[][16] = {
    {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1},
    {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 2},
    {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
    {[0] = 0x20, [1] = 0x01, [2] = 0x0d, [3] = 0xb8, [15] = 1},
};

static ProtobufCBinaryData address_of(unsigned i, bool v4)
{
    uint8_t *at = (uint8_t *)(uintptr_t)addresses[i % 4];
    return v4 ? (ProtobufCBinaryData){.len = 4, .data = at + 12}
              : (ProtobufCBinaryData){.len = 16, .data = at};
}

static void add(struct join *j, const uint8_t b[SOCKET_SIZE])
{
    static const char *const names[] = {"red", "blue", "", NULL};
    record_message r;
    xtcp_flat_record__v1__xtcp_flat_record__init(&r);
    bool v4 = b[0] & 4;
    r.netns = (char *)(uintptr_t)names[b[0] >> 3 & 3];
    r.netns_cookie = b[0] >> 3 & 3;
    r.netns_inode = b[0] >> 5 & 3;
    r.inet_diag_msg_family = v4 ? AF_INET : b[0] & 128 ? AF_INET6 : b[1];
    r.inet_diag_msg_socket_source = address_of(b[1], v4);
    r.inet_diag_msg_socket_destination = address_of(b[1] >> 2, v4);
    r.inet_diag_msg_socket_source_port = b[1] >> 4 & 3;
    r.inet_diag_msg_socket_destination_port = b[1] >> 6;
    r.inet_diag_msg_state = b[2] & 15;
    r.tcp_info_state = b[2] & 16 ? r.inet_diag_msg_state : 0;
    r.inet_diag_msg_wqueue = b[2] >> 7;
    r.tcp_info_options = b[3] & 7;
    r.tcp_info_send_scale = b[3] >> 3 & 3;
    r.tcp_info_rcv_scale = b[3] >> 5 & 3;
    r.tcp_info_last_data_sent = r.tcp_info_last_data_recv = b[4] * 100u;
    r.tcp_info_bytes_acked = b[5];
    r.tcp_info_bytes_received = b[6] ? b[6] : UINT64_MAX;
    if (join_add(j, b[7] % 3, &r) != 0)
        abort();
}

static bool mirror(const struct join_end *a, const struct join_end *b)
{
    return memcmp(a->local, b->peer, 16) == 0 && memcmp(a->peer, b->local, 16) == 0 &&
           a->local_port == b->peer_port && a->peer_port == b->local_port;
}

static void check_row(const struct join *j, const struct join_row *row, uint8_t *seen)
{
    if (row->a >= j->n_ends || seen[row->a]++)
        abort();
    bool is_pair = row->kind == JOIN_PAIR || row->kind == JOIN_BY_COUNTERS;
    if (is_pair != (row->b != JOIN_NONE))
        abort();
    if (is_pair && (row->b >= j->n_ends || seen[row->b]++ || !mirror(&j->ends[row->a], &j->ends[row->b]) ||
                    j->ends[row->a].node > j->ends[row->b].node))
        abort();
    if (row->kind != JOIN_AMBIGUOUS && row->n_candidates)
        abort();
    for (size_t i = 0; i < row->n_candidates; i++) {
        size_t other = j->candidates[row->first_candidate + i];
        if (other >= j->n_ends || other == row->a || !mirror(&j->ends[row->a], &j->ends[other]))
            abort();
    }
}

static void check(const struct join *j)
{
    size_t counts[JOIN_ONE_END + 1] = {0};
    uint8_t *seen = calloc(1, j->n_ends + 1);
    if (!seen)
        abort();
    for (size_t i = 0; i < j->n_rows; i++) {
        check_row(j, &j->rows[i], seen);
        counts[j->rows[i].kind]++;
    }
    if (memchr(seen, 0, j->n_ends) || memcmp(counts, j->counts, sizeof(counts)) != 0)
        abort();
    free(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct join forward = {0}, backward = {0};
    size_t n = size / SOCKET_SIZE;
    for (size_t i = 0; i < n; i++)
        add(&forward, data + i * SOCKET_SIZE);
    for (size_t i = n; i-- > 0;)
        add(&backward, data + i * SOCKET_SIZE);
    if (join_match(&forward) != 0 || join_match(&backward) != 0)
        abort();
    check(&forward);
    check(&backward);
    if (memcmp(forward.counts, backward.counts, sizeof(forward.counts)) != 0)
        abort();
    join_reset(&forward);
    join_reset(&backward);
    return 0;
}
