#include "client/top/top_intake.h"

#include "filter/message.h"
#include "record/envelope.h"

void top_intake_begin(struct top_intake *t)
{
    t->filters = t->edges = t->open = false;
    top_poll_reset(t->poll);
}

void top_intake_free(struct top_intake *t)
{
    record_reader_free(&t->reader);
}

bool top_intake_unmarked(const struct top_intake *t)
{
    return !t->edges && t->poll->n_samples;
}

int top_intake_end(struct top_intake *t)
{
    t->polls++;
    return t->complete(t->context, &t->poll);
}

static int take_row(struct top_intake *t, const uint8_t *row, size_t len, struct err *e)
{
    const struct top_poll_head *head = &t->poll->head;
    const record_message *m;
    int rc = record_unpack(&t->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    if (m->event != 0)
        return 0; /* the end of a socket, not a part of the poll */
    if (top_intake_unmarked(t) && (m->timestamp_ns != head->timestamp_ns || m->poll_id != head->poll_id)) {
        rc = top_intake_end(t);
        if (rc != 0)
            return rc;
    }
    if (t->filter && !t->filters && !filter_match_record(t->filter, m))
        return 0;
    return top_poll_add(t->poll, m);
}

static int take_envelope(struct top_intake *t, const struct stream_event *event, struct err *e)
{
    struct wire w = wire_over(event->bytes, event->len);
    const uint8_t *row;
    size_t row_len;
    int rc;
    while ((rc = envelope_next(&w, &row, &row_len)) == 1) {
        rc = take_row(t, row, row_len, e);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : err_set(e, ERR_MALFORMED, "sent an envelope that is none");
}

static void take_begin(struct top_intake *t, const struct poll_begin *begin)
{
    t->edges = t->open = true;
    t->begin = *begin;
    top_poll_reset(t->poll);
}

static int take_end(struct top_intake *t, const struct poll_end *end)
{
    struct top_poll_head *head = &t->poll->head;
    bool whole = t->open;
    t->edges = true;
    t->open = false;
    if (!whole) {
        top_poll_reset(t->poll); /* it was under way when our stream began */
        return 0;
    }
    head->poll_id = end->poll_id;
    head->timestamp_ns = t->begin.timestamp_ns;
    head->duration_ns = end->duration_ns;
    head->interval_ns = t->begin.interval_ns;
    head->rows_lost = end->rows_lost;
    head->namespaces = end->namespaces;
    head->namespaces_failed = end->namespaces_failed;
    head->namespaces_unseen = end->namespaces_unseen;
    return top_intake_end(t);
}

static int take_event(struct top_intake *t, const struct stream_event *event, struct err *e)
{
    switch (event->kind) {
    case STREAM_EVENT_RECORD:
        return take_row(t, event->bytes, event->len, e);
    case STREAM_EVENT_ENVELOPE:
        return take_envelope(t, event, e);
    case STREAM_EVENT_BEGIN:
        take_begin(t, &event->begin);
        return 0;
    case STREAM_EVENT_END:
        return take_end(t, &event->end);
    case STREAM_EVENT_INFO:
        t->filters = event->info.filter && *event->info.filter;
        return 0;
    case STREAM_EVENT_NONE:
        break;
    }
    return 0;
}

int top_intake_message(struct top_intake *t, const struct rpc_bytes *message, struct err *e)
{
    struct stream_event event;
    int rc = stream_event_decode(message->data, message->len, &event, e);
    if (rc != 0)
        return rc;
    rc = take_event(t, &event, e);
    stream_event_free(&event);
    if (rc != 0 && !e->text[0])
        err_set(e, rc, "%s", err_name(rc));
    return rc;
}
