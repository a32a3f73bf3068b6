/* A stream's request as far as its selection: what is accepted can be told to the client, is equal to itself,
 * and finds its place in the table. The input is a serialized request. */
#include <stdlib.h>
#include <string.h>

#include "rpc/codec/msg_stream.h"
#include "server/stream/selection.h"

static void check_info(const struct selection *s)
{
    struct buf b;
    struct stream_event event;
    struct err e;
    buf_init(&b);
    struct selection_description description;
    selection_describe(s, &description);
    if (stream_encode_info(&b, &description.info) < 0)
        abort();
    if (stream_event_decode(b.data, b.len, &event, &e) < 0 || event.kind != STREAM_EVENT_INFO)
        abort();
    if ((event.info.n_columns > 0) != s->has_columns || (event.info.n_parts > 0) != (s->filter != NULL))
        abort();
    stream_event_free(&event);
    buf_free(&b);
}

/* Twice the same request, and once nothing. */
static void check_table(struct selection *a, struct selection *b)
{
    struct selection_table *t = calloc(1, sizeof(*t));
    struct quota *q = quota_new();
    struct bounds bounds;
    struct err e;
    if (!t || !q)
        abort();
    for (size_t i = 0; i < QUOTA_KINDS; i++)
        bounds.of[i] = (struct quota_bound){.max = SELECTION_FILTER_TEXT, .user_percent = 100};
    const struct selection_owner owner = {
        .user = quota_user(q, "uid 0"), .rank = QUOTA_CONTROL, .bounds = &bounds};
    int rc = selection_enter(t, a, &owner, &e);
    if (selection_enter(t, b, &owner, &e) != rc || a->filter_place != b->filter_place ||
        a->mask_place != b->mask_place)
        abort();
    selection_leave(t, a, owner.user);
    selection_leave(t, b, owner.user);
    if (quota_total(q, QUOTA_FILTERS) || quota_total(q, QUOTA_FILTER_BYTES) || quota_total(q, QUOTA_COLUMNS))
        abort();
    quota_user_unref(owner.user);
    quota_free(q);
    free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct subscription r;
    struct selection *a;
    struct selection *b;
    struct err e = {0};
    if (stream_request_decode(data, size, &r, &e) < 0)
        return 0;
    int rc = selection_new(&r, &a, &e);
    if (rc < 0 && !e.text[0])
        abort();
    if (rc == 0) {
        if (selection_new(&r, &b, &e) < 0 || !selection_equal(a, b))
            abort();
        check_info(a);
        check_table(a, b);
        if (a->n_netns == 0 && !selection_wants_netns(a, "blue", 1))
            abort();
        selection_wants_netns(a, "netns:[4026532001]", 4026532001);
        selection_unref(a);
        selection_unref(b);
    }
    subscription_free(&r);
    return 0;
}
