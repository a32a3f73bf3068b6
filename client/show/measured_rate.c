#include "client/show/measured_rate.h"

#include <netinet/tcp.h>
#include <stdlib.h>

#include "client/show/socket_index.h"
#include "lib/array.h"
#include "lib/clock.h"

#define STEP_NS (NS_PER_S / 2) /* rates cover at least this time, where polls come faster */

struct point {
    int64_t timestamp_ns;
    uint64_t acked;
};

struct seen {
    struct socket_key key;
    struct point base; /* rates are since then */
    struct point next; /* the next base */
    struct point now;
    bool kept; /* seen since the last end of a poll */
};

/* The sockets of one node. */
struct host {
    struct socket_index index;
    struct seen *sockets;
    size_t n, room;
};

struct measured_rate {
    struct socket_index by_node; /* places among |hosts| */
    struct host *hosts;
    size_t n_hosts, room;
    size_t n; /* sockets of all */
};

struct measured_rate *measured_rate_new(void)
{
    return calloc(1, sizeof(struct measured_rate));
}

void measured_rate_free(struct measured_rate *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_hosts; i++) {
        socket_index_free(&m->hosts[i].index);
        free(m->hosts[i].sockets);
    }
    socket_index_free(&m->by_node);
    free(m->hosts);
    free(m);
}

/* Whether |r| has a counter of acknowledged bytes and an identity. */
static bool key_of(const record_message *r, struct socket_key *key)
{
    *key = (struct socket_key){.netns = r->netns_cookie ? r->netns_cookie : r->netns_inode,
                               .cookie = r->inet_diag_msg_socket_cookie};
    return key->cookie && r->tcp_info_state && r->inet_diag_msg_state != TCP_LISTEN;
}

static struct host *find_host(const struct measured_rate *m, const char *node)
{
    const struct socket_key key = {.cookie = (uintptr_t)node};
    uint32_t place = socket_index_find(&m->by_node, &key);
    return place == SOCKET_INDEX_NONE ? NULL : &m->hosts[place];
}

/* NULL without memory. */
static struct host *find_or_add_host(struct measured_rate *m, const char *node)
{
    const struct socket_key key = {.cookie = (uintptr_t)node};
    struct host *h = find_host(m, node);
    if (h)
        return h;
    if (array_room(&m->hosts, m->n_hosts + 1, &m->room, sizeof(*m->hosts)) != 0 ||
        socket_index_add(&m->by_node, &key, (uint32_t)m->n_hosts) != 0)
        return NULL;
    m->hosts[m->n_hosts] = (struct host){0};
    return &m->hosts[m->n_hosts++];
}

static const struct seen *find(const struct host *h, const struct socket_key *key)
{
    uint32_t place = socket_index_find(&h->index, key);
    return place == SOCKET_INDEX_NONE ? NULL : &h->sockets[place];
}

static struct seen *find_or_add(struct measured_rate *m, struct host *h, const struct socket_key *key,
                                const struct point *now)
{
    uint32_t place = socket_index_find(&h->index, key);
    if (place != SOCKET_INDEX_NONE)
        return &h->sockets[place];
    if (m->n >= MEASURED_RATE_SOCKETS_MAX ||
        array_room(&h->sockets, h->n + 1, &h->room, sizeof(*h->sockets)) != 0 ||
        socket_index_add(&h->index, key, (uint32_t)h->n) != 0)
        return NULL;
    h->sockets[h->n] = (struct seen){.key = *key, .base = *now, .next = *now, .now = *now};
    m->n++;
    return &h->sockets[h->n++];
}

void measured_rate_end(struct measured_rate *m, const char *node)
{
    struct host *h = find_host(m, node);
    size_t kept = 0;
    if (!h)
        return;
    for (size_t i = 0; i < h->n; i++) {
        if (!h->sockets[i].kept)
            continue;
        h->sockets[kept] = h->sockets[i];
        h->sockets[kept++].kept = false;
    }
    if (kept == h->n)
        return;
    m->n -= h->n - kept;
    h->n = kept;
    socket_index_clear(&h->index);
    for (size_t i = 0; i < kept; i++)
        socket_index_add(&h->index, &h->sockets[i].key, (uint32_t)i); /* there was room for more */
}

void measured_rate_take(struct measured_rate *m, const record_message *r, const char *node)
{
    struct socket_key key;
    const struct point now = {.timestamp_ns = r->timestamp_ns, .acked = r->tcp_info_bytes_acked};
    struct host *h = key_of(r, &key) ? find_or_add_host(m, node) : NULL;
    struct seen *s = h ? find_or_add(m, h, &key, &now) : NULL;
    if (!s)
        return;
    s->kept = true;
    if (now.acked < s->now.acked || now.timestamp_ns < s->now.timestamp_ns)
        s->base = s->next = now; /* another socket after all, or a clock that was set */
    if ((uint64_t)now.timestamp_ns - (uint64_t)s->next.timestamp_ns >= STEP_NS) {
        s->base = s->next;
        s->next = now;
    }
    s->now = now;
}

bool measured_rate(const struct measured_rate *m, const record_message *r, const char *node, uint64_t *out)
{
    struct socket_key key;
    const struct host *h = key_of(r, &key) ? find_host(m, node) : NULL;
    const struct seen *s = h ? find(h, &key) : NULL;
    if (!s || s->now.timestamp_ns <= s->base.timestamp_ns)
        return false;
    double seconds =
        (double)((uint64_t)s->now.timestamp_ns - (uint64_t)s->base.timestamp_ns) / (double)NS_PER_S;
    double rate = (double)(s->now.acked - s->base.acked) / seconds;
    *out = rate < 1.8e19 ? (uint64_t)(rate + 0.5) : UINT64_MAX;
    return true;
}
