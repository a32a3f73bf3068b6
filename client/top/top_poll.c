#include "client/top/top_poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

struct top_poll *top_poll_new(void)
{
    return calloc(1, sizeof(struct top_poll));
}

void top_poll_free(struct top_poll *p)
{
    if (!p)
        return;
    free(p->samples);
    free(p->netns);
    socket_index_free(&p->by_id);
    free(p);
}

void top_poll_reset(struct top_poll *p)
{
    struct top_poll empty = {.samples = p->samples,
                             .room_samples = p->room_samples,
                             .netns = p->netns,
                             .room_netns = p->room_netns,
                             .by_id = p->by_id};
    *p = empty;
    socket_index_clear(&p->by_id);
}

static void copy_name(char to[TOP_NAME_MAX], const char *from)
{
    size_t n = from ? strnlen(from, TOP_NAME_MAX - 1) : 0;
    memcpy(to, from ? from : "", n);
    to[n] = 0;
}

/* The index of the namespace |id|, which is added when it is new. */
static int netns_index(struct top_poll *p, uint64_t id, const char *name, uint32_t *out)
{
    const struct socket_key key = {.netns = id};
    /* Rows come namespace by namespace. */
    if (p->n_netns && p->netns[p->n_netns - 1].id == id) {
        *out = (uint32_t)p->n_netns - 1;
        return 0;
    }
    *out = socket_index_find(&p->by_id, &key);
    if (*out != SOCKET_INDEX_NONE)
        return 0;
    if (p->n_netns >= TOP_NAMESPACES_MAX)
        return ERR_LIMIT;
    int rc = array_room(&p->netns, p->n_netns + 1, &p->room_netns, sizeof(*p->netns));
    if (rc == 0)
        rc = socket_index_add(&p->by_id, &key, (uint32_t)p->n_netns);
    if (rc != 0)
        return rc;
    *out = (uint32_t)p->n_netns++;
    p->netns[*out].id = id;
    copy_name(p->netns[*out].name, name);
    return 0;
}

int top_poll_add(struct top_poll *p, const record_message *r)
{
    if (p->n_samples >= TOP_SOCKETS_MAX) {
        p->head.left_out++;
        return 0;
    }
    int rc = array_room(&p->samples, p->n_samples + 1, &p->room_samples, sizeof(*p->samples));
    if (rc != 0)
        return rc;
    struct socket_sample *s = &p->samples[p->n_samples];
    socket_sample_from(r, s);
    rc = netns_index(p, s->key.netns, r->netns, &s->netns);
    if (rc == ERR_LIMIT) {
        p->head.left_out++;
        return 0;
    }
    if (rc != 0)
        return rc;
    if (!p->n_samples) {
        p->head.timestamp_ns = r->timestamp_ns;
        p->head.poll_id = r->poll_id;
        copy_name(p->head.hostname, r->hostname);
    }
    p->n_samples++;
    return 0;
}

bool top_poll_incomplete(const struct top_poll_head *head)
{
    return head->rows_lost || head->left_out || head->namespaces_failed;
}
