#include "client/fleet/connection_join.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

#define OPTIONS_AGREED (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE)
#define QUIET_MS       2000 /* silent for longer than two polls can be apart */
#define SLACK          2    /* bytes for SYN and FIN, which one end may count and the other not */
#define GROUP_MAX      64   /* sockets with the same addresses that are looked at one by one */

void join_reset(struct join *j)
{
    for (size_t i = 0; i < j->n_names; i++)
        free(j->names[i]);
    free(j->names);
    free(j->ends);
    free(j->rows);
    free(j->candidates);
    *j = (struct join){0};
}

/* ---- Gathering ---- */

/* The name of a namespace, kept; those of one dump come one after the other. */
static const char *keep_name(struct join *j, const char *name)
{
    if (!name)
        name = "";
    if (j->n_names && strcmp(j->names[j->n_names - 1], name) == 0)
        return j->names[j->n_names - 1];
    char **grown = reallocarray(j->names, j->n_names + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    j->names = grown;
    grown[j->n_names] = strdup(name);
    return grown[j->n_names] ? grown[j->n_names++] : NULL;
}

/* Returns false if |from| is no address. */
static bool put_address(uint8_t out[16], uint32_t family, const ProtobufCBinaryData *from)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == AF_INET && from->len >= 4) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + sizeof(mapped), from->data, 4);
        return true;
    }
    if (family != AF_INET6 || from->len != 16)
        return false;
    memcpy(out, from->data, 16);
    return true;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int join_add(struct join *j, size_t node, const record_message *r)
{
    struct join_end end = {.node = node};
    uint32_t family = r->inet_diag_msg_family;
    if (r->inet_diag_msg_state == TCP_LISTEN || r->inet_diag_msg_socket_destination_port == 0 ||
        !put_address(end.local, family, &r->inet_diag_msg_socket_source) ||
        !put_address(end.peer, family, &r->inet_diag_msg_socket_destination))
        return 0;
    if (j->n_ends >= JOIN_ENDS_MAX) {
        j->left_out++;
        return 0;
    }
    if (array_room(&j->ends, j->n_ends + 1, &j->cap_ends, sizeof(*j->ends)))
        return -ENOMEM;
    end.netns = keep_name(j, r->netns);
    if (!end.netns)
        return -ENOMEM;
    end.netns_inode = r->netns_inode;
    end.netns_id = r->netns_cookie ? r->netns_cookie : r->netns_inode;
    end.local_port = (uint16_t)r->inet_diag_msg_socket_source_port;
    end.peer_port = (uint16_t)r->inet_diag_msg_socket_destination_port;
    end.state = (uint8_t)r->inet_diag_msg_state;
    end.info = r->tcp_info_state != 0;
    end.options = (uint8_t)r->tcp_info_options;
    end.send_scale = (uint8_t)r->tcp_info_send_scale;
    end.receive_scale = (uint8_t)r->tcp_info_rcv_scale;
    end.rtt_us = r->tcp_info_rtt;
    end.cwnd = r->tcp_info_snd_cwnd;
    end.retrans = r->tcp_info_retrans;
    end.total_retrans = r->tcp_info_total_retrans;
    end.recv_queue = r->inet_diag_msg_rqueue;
    end.send_queue = r->inet_diag_msg_wqueue;
    end.idle_ms = least(r->tcp_info_last_data_sent, r->tcp_info_last_data_recv);
    end.acked = r->tcp_info_bytes_acked;
    end.received = r->tcp_info_bytes_received;
    end.rate = r->tcp_info_delivery_rate;
    j->ends[j->n_ends++] = end;
    return 0;
}

/* ---- Ends that fit together ---- */

/* One end's address and port, and the other's, in an order that is the same for both ends. */
struct place {
    uint8_t address[16];
    uint16_t port;
};

struct key {
    struct place low, high;
};

static int compare_places(const struct place *a, const struct place *b)
{
    int order = memcmp(a->address, b->address, sizeof(a->address));
    return order ? order : (a->port > b->port) - (a->port < b->port);
}

/* The key of |e|; returns whether its own end is the low one. */
static bool key_of(const struct join_end *e, struct key *out)
{
    struct place local = {.port = e->local_port}, peer = {.port = e->peer_port};
    memcpy(local.address, e->local, sizeof(local.address));
    memcpy(peer.address, e->peer, sizeof(peer.address));
    bool low = compare_places(&local, &peer) <= 0;
    *out = low ? (struct key){.low = local, .high = peer} : (struct key){.low = peer, .high = local};
    return low;
}

static bool is_loopback(const uint8_t address[16])
{
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t loopback[16] = {[15] = 1};
    return memcmp(address, mapped, sizeof(mapped)) == 0 || memcmp(address, loopback, sizeof(loopback)) == 0;
}

static bool same_netns(const struct join_end *a, const struct join_end *b)
{
    return a->node == b->node && a->netns_id == b->netns_id;
}

/* Whether its handshake is complete, so that its counters are meaningful. */
static bool is_settled(const struct join_end *e)
{
    return e->info && e->state != TCP_SYN_SENT && e->state != TCP_SYN_RECV;
}

static bool nearly(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) <= SLACK;
}

static bool counters_fit(const struct join_end *a, const struct join_end *b)
{
    return nearly(a->acked, b->received) && nearly(b->acked, a->received);
}

static bool is_quiet(const struct join_end *e)
{
    return e->idle_ms >= QUIET_MS && e->send_queue == 0 && e->state == TCP_ESTABLISHED;
}

/* Whether |a| and |b|, whose addresses mirror each other, can be one connection. */
static bool fits(const struct join_end *a, const struct join_end *b)
{
    if (is_loopback(a->local) || is_loopback(a->peer))
        return same_netns(a, b);
    if (!is_settled(a) || !is_settled(b))
        return true;
    if ((a->options ^ b->options) & OPTIONS_AGREED)
        return false;
    if (a->send_scale != b->receive_scale || a->receive_scale != b->send_scale)
        return false;
    return !is_quiet(a) || !is_quiet(b) || counters_fit(a, b);
}

/* Whether the counters of |a| and |b| are equal and not zero, and so show that they are one connection. */
static bool counters_tell(const struct join_end *a, const struct join_end *b)
{
    return is_settled(a) && is_settled(b) && a->acked + a->received > 2 * SLACK && counters_fit(a, b);
}

/* ---- Rows ---- */

static int add_row(struct join *j, enum join_kind kind, size_t a, size_t b)
{
    if (array_room(&j->rows, j->n_rows + 1, &j->cap_rows, sizeof(*j->rows)))
        return -ENOMEM;
    /* The node that was named first is on the left; within one, the end that connected, if its port tells. */
    if (b != JOIN_NONE) {
        const struct join_end *x = &j->ends[a], *y = &j->ends[b];
        if (y->node < x->node || (y->node == x->node && y->local_port > x->local_port)) {
            size_t swap = a;
            a = b;
            b = swap;
        }
    }
    j->rows[j->n_rows++] =
        (struct join_row){.kind = kind, .a = a, .b = b, .first_candidate = j->n_candidates};
    j->counts[kind]++;
    return 0;
}

static int add_candidate(struct join *j, size_t end)
{
    if (array_room(&j->candidates, j->n_candidates + 1, &j->cap_candidates, sizeof(*j->candidates)))
        return -ENOMEM;
    j->candidates[j->n_candidates++] = end;
    j->rows[j->n_rows - 1].n_candidates++;
    return 0;
}

/* ---- Groups: all sockets with the same two addresses ---- */

struct sorted {
    struct key key;
    size_t end;
    bool low; /* its own end is the low one of the key */
};

/* Sockets of a group on one side. */
struct side {
    size_t ends[GROUP_MAX];
    bool done[GROUP_MAX];
    size_t n;
};

static int compare_sorted(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    int order = compare_places(&x->key.low, &y->key.low);
    order = order ? order : compare_places(&x->key.high, &y->key.high);
    return order ? order : (x->end > y->end) - (x->end < y->end);
}

/* The only one of |others| not yet paired for which |test| holds with |e|; JOIN_NONE when there is none or
 * more than one. */
static size_t the_only(const struct join *j, const struct join_end *e, const struct side *others,
                       bool (*test)(const struct join_end *a, const struct join_end *b))
{
    size_t found = JOIN_NONE;
    for (size_t i = 0; i < others->n; i++) {
        if (others->done[i] || !fits(e, &j->ends[others->ends[i]]) || !test(e, &j->ends[others->ends[i]]))
            continue;
        if (found != JOIN_NONE)
            return JOIN_NONE;
        found = i;
    }
    return found;
}

static bool anything(const struct join_end *a, const struct join_end *b)
{
    (void)a, (void)b;
    return true;
}

/* Pairs the ends that have each other as the only candidate for which |test| holds. */
static int pair(struct join *j, struct side *low, struct side *high, enum join_kind kind,
                bool (*test)(const struct join_end *a, const struct join_end *b))
{
    bool found[GROUP_MAX] = {0}, taken[GROUP_MAX] = {0};
    int rc = 0;
    for (size_t i = 0; i < low->n && rc == 0; i++) {
        size_t k = low->done[i] ? JOIN_NONE : the_only(j, &j->ends[low->ends[i]], high, test);
        if (k == JOIN_NONE || the_only(j, &j->ends[high->ends[k]], low, test) != i)
            continue;
        found[i] = taken[k] = true;
        rc = add_row(j, kind, low->ends[i], high->ends[k]);
    }
    /* Done only now: a pair that was just found must not make another candidate the only one. */
    for (size_t i = 0; i < GROUP_MAX; i++) {
        low->done[i] = low->done[i] || found[i];
        high->done[i] = high->done[i] || taken[i];
    }
    return rc;
}

/* Adds rows for the ends of |side| not yet paired, with the ends that they could belong to. */
static int leave(struct join *j, const struct side *side, const struct side *others)
{
    int rc = 0;
    for (size_t i = 0; i < side->n && rc == 0; i++) {
        const struct join_end *e = &j->ends[side->ends[i]];
        bool any = false;
        if (side->done[i])
            continue;
        for (size_t k = 0; k < others->n; k++)
            any = any || (!others->done[k] && fits(e, &j->ends[others->ends[k]]));
        rc = add_row(j, any ? JOIN_AMBIGUOUS : JOIN_ONE_END, side->ends[i], JOIN_NONE);
        for (size_t k = 0; k < others->n && rc == 0; k++)
            if (!others->done[k] && fits(e, &j->ends[others->ends[k]]))
                rc = add_candidate(j, others->ends[k]);
    }
    return rc;
}

/* More sockets of the same addresses than are worth a closer look. */
static int leave_crowd(struct join *j, const struct sorted *list, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add_row(j, JOIN_AMBIGUOUS, list[i].end, JOIN_NONE);
    return rc;
}

static int match_group(struct join *j, const struct sorted *list, size_t n)
{
    struct side low = {0}, high = {0};
    if (n > GROUP_MAX)
        return leave_crowd(j, list, n);
    for (size_t i = 0; i < n; i++) {
        struct side *side = list[i].low ? &low : &high;
        side->ends[side->n++] = list[i].end;
    }
    int rc = pair(j, &low, &high, JOIN_PAIR, same_netns);
    if (rc == 0)
        rc = pair(j, &low, &high, JOIN_PAIR, anything);
    if (rc == 0)
        rc = pair(j, &low, &high, JOIN_BY_COUNTERS, counters_tell);
    if (rc == 0)
        rc = leave(j, &low, &high);
    return rc == 0 ? leave(j, &high, &low) : rc;
}

int join_match(struct join *j)
{
    struct sorted *list = reallocarray(NULL, j->n_ends ? j->n_ends : 1, sizeof(*list));
    int rc = 0;
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < j->n_ends; i++) {
        list[i].end = i;
        list[i].low = key_of(&j->ends[i], &list[i].key);
    }
    qsort(list, j->n_ends, sizeof(*list), compare_sorted);
    for (size_t i = 0, next; i < j->n_ends && rc == 0; i = next) {
        next = i + 1;
        while (next < j->n_ends && compare_places(&list[i].key.low, &list[next].key.low) == 0 &&
               compare_places(&list[i].key.high, &list[next].key.high) == 0)
            next++;
        rc = match_group(j, list + i, next - i);
    }
    free(list);
    return rc;
}
