#include "outputs/sink/net_answer.h"

#include <stdio.h>
#include <string.h>

int net_answer_more(struct net_answer *a, struct net_stream *s, int64_t deadline_ns, struct err *e)
{
    size_t got = 0;
    if (a->n == sizeof(a->bytes))
        return err_set(e, ERR_LIMIT, "%s: an answer is longer than %d bytes", net_stream_name(s),
                       NET_ANSWER_MAX);
    int rc = net_stream_read(s, a->bytes + a->n, sizeof(a->bytes) - a->n, &got, deadline_ns, e);
    a->n += got;
    return rc;
}

void net_answer_use(struct net_answer *a, size_t n)
{
    a->n -= n;
    memmove(a->bytes, a->bytes + n, a->n);
}

void net_answer_text(const void *text, size_t n, const char *secret, char out[NET_ANSWER_TEXT])
{
    if (secret && *secret && memmem(text, n, secret, strlen(secret))) {
        snprintf(out, NET_ANSWER_TEXT, "(not shown: it repeats a secret)");
        return;
    }
    const char *from = text;
    if (n > NET_ANSWER_TEXT - 1)
        n = NET_ANSWER_TEXT - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    out[n] = '\0';
}

enum sink_result net_answer_connected(struct net_stream *s, int rc)
{
    if (rc == 0)
        return SINK_DONE;
    if (rc == ERR_CANCELLED)
        net_stream_close(s);
    else
        net_stream_give_up(s);
    return rc == ERR_CANCELLED ? SINK_AGAIN : SINK_BROKEN;
}

enum sink_result net_answer_unasked(struct net_stream *s, int rc, const struct err *news, struct err *e)
{
    if (rc == ERR_TIMEOUT)
        return SINK_DONE;
    if (rc == ERR_CANCELLED)
        return SINK_AGAIN;
    net_stream_give_up(s);
    if (e)
        *e = *news;
    return SINK_BROKEN;
}
