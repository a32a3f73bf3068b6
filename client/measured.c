#include "client/measured.h"

#include <netinet/tcp.h>
#include <stdlib.h>

#include "client/top_index.h"
#include "lib/clock.h"

#define STEP_NS     (NS_PER_S / 2) /* rates are over at least as much, where polls come faster */
#define PURGE_FIRST 4096           /* sockets from which on old ones are forgotten */
#define SOCKETS_MAX (1u << 20)

struct point {
    int64_t timestamp_ns;
    uint64_t acked;
};

struct seen {
    struct top_key key;
    struct point base; /* rates are since then */
    struct point next; /* the next base */
    struct point now;
    bool kept; /* seen since the last purge */
};

struct measured {
    struct top_index index;
    struct seen *sockets;
    size_t n, room;
    size_t purge_at;
};

struct measured *measured_new(void)
{
    struct measured *m = calloc(1, sizeof(*m));
    if (m)
        m->purge_at = PURGE_FIRST;
    return m;
}

void measured_free(struct measured *m)
{
    if (!m)
        return;
    top_index_free(&m->index);
    free(m->sockets);
    free(m);
}

/* Whether |r| has a counter of acknowledged bytes and an identity. Cookies of namespaces are those of one
 * host, so the node counts as well. */
static bool key_of(const record_message *r, const char *node, struct top_key *key)
{
    uint64_t netns = r->netns_cookie ? r->netns_cookie : r->netns_inode;
    *key = (struct top_key){.netns = netns ^ (uint64_t)(uintptr_t)node * UINT64_C(0x9e3779b97f4a7c15),
                            .cookie = r->inet_diag_msg_socket_cookie};
    return key->cookie && r->tcp_info_state && r->inet_diag_msg_state != TCP_LISTEN;
}

/* Forgets what was not seen since the last time. */
static void purge(struct measured *m)
{
    size_t kept = 0;
    top_index_clear(&m->index);
    for (size_t i = 0; i < m->n; i++) {
        if (!m->sockets[i].kept)
            continue;
        m->sockets[kept] = m->sockets[i];
        m->sockets[kept].kept = false;
        top_index_add(&m->index, &m->sockets[kept].key, (uint32_t)kept); /* there was room for more */
        kept++;
    }
    m->n = kept;
    m->purge_at = kept * 2 > PURGE_FIRST ? kept * 2 : PURGE_FIRST;
}

static struct seen *find_or_add(struct measured *m, const struct top_key *key, const struct point *now)
{
    uint32_t place = top_index_find(&m->index, key);
    if (place != TOP_INDEX_NONE)
        return &m->sockets[place];
    if (m->n >= m->purge_at)
        purge(m);
    if (m->n >= SOCKETS_MAX || top_room(&m->sockets, m->n + 1, &m->room, sizeof(*m->sockets)) != 0 ||
        top_index_add(&m->index, key, (uint32_t)m->n) != 0)
        return NULL;
    m->sockets[m->n] = (struct seen){.key = *key, .base = *now, .next = *now, .now = *now};
    return &m->sockets[m->n++];
}

void measured_take(struct measured *m, const record_message *r, const char *node)
{
    struct top_key key;
    const struct point now = {.timestamp_ns = r->timestamp_ns, .acked = r->tcp_info_bytes_acked};
    struct seen *s = key_of(r, node, &key) ? find_or_add(m, &key, &now) : NULL;
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

bool measured_rate(const struct measured *m, const record_message *r, const char *node, uint64_t *out)
{
    struct top_key key;
    uint32_t place = key_of(r, node, &key) ? top_index_find(&m->index, &key) : TOP_INDEX_NONE;
    if (place == TOP_INDEX_NONE)
        return false;
    const struct seen *s = &m->sockets[place];
    if (s->now.timestamp_ns <= s->base.timestamp_ns)
        return false;
    double seconds =
        (double)((uint64_t)s->now.timestamp_ns - (uint64_t)s->base.timestamp_ns) / (double)NS_PER_S;
    double rate = (double)(s->now.acked - s->base.acked) / seconds;
    *out = rate < 1.8e19 ? (uint64_t)(rate + 0.5) : UINT64_MAX;
    return true;
}
