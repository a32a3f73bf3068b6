#include "client/show/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter/message.h"
#include "lib/netns_pattern.h"
#include "rpc/codec/msg_stream.h"

#define BATCH_ROWS 256 /* rows in one message: few messages, and the first rows are there soon */

struct query {
    const struct options *options;
    struct buf text; /* of the filter, as it was typed */
    struct filter *filter;
    bool canonical;             /* daemons are asked for its canonical form */
    char *columns[FIELD_COUNT]; /* constants */
    size_t n_columns;
};

/* The words as one text, as ss takes them. */
static int join_words(const struct option_list *words, struct buf *text)
{
    for (size_t i = 0; i < words->n; i++) {
        buf_str(text, i ? " " : "");
        buf_str(text, words->items[i]);
    }
    buf_cstr(text);
    return text->failed ? -ENOMEM : 0;
}

/* Whether |text|, the canonical form of a filter, is within the bounds of one itself. */
static bool is_filter(const char *text)
{
    struct filter_error error = {0};
    struct filter *f = NULL;
    bool is = filter_parse(text, &f, &error) == 0;
    filter_unref(f);
    return is;
}

static int read_filter(struct query *q, struct err *e)
{
    struct filter_error error = {0};
    if (join_words(&q->options->arguments, &q->text) != 0)
        return err_set(e, -ENOMEM, "out of memory");
    if (!q->text.len)
        return 0;
    int rc = filter_parse(buf_cstr(&q->text), &q->filter, &error);
    if (rc == 0) {
        q->canonical = is_filter(filter_text(q->filter));
        return 0;
    }
    return err_set(e, rc == -ENOMEM ? rc : ERR_USAGE, "filter \"%s\": %s", buf_cstr(&q->text),
                   error.err.text);
}

int query_new(const struct options *o, const struct view *v, struct query **out, struct err *e)
{
    const struct record_field *fields[FIELD_COUNT];
    struct query *q = calloc(1, sizeof(*q));
    *out = NULL;
    if (!q)
        return err_set(e, -ENOMEM, "out of memory");
    q->options = o;
    buf_init(&q->text);
    int rc = read_filter(q, e);
    if (rc < 0) {
        query_free(q);
        return rc;
    }
    q->n_columns = view_mask(v, fields);
    for (size_t i = 0; i < q->n_columns; i++)
        q->columns[i] = (char *)(uintptr_t)fields[i]->name; /* the encoder does not write to it */
    *out = q;
    return 0;
}

void query_free(struct query *q)
{
    if (!q)
        return;
    filter_unref(q->filter);
    buf_free(&q->text);
    free(q);
}

bool query_selects(const struct query *q)
{
    return q->filter || q->options->netns.n;
}

bool query_chooses_netns(const struct query *q)
{
    return q->options->netns.n;
}

bool query_asks(const struct query *q)
{
    return query_selects(q) || q->n_columns;
}

int query_request(const struct query *q, bool plain, struct buf *request)
{
    struct subscription r = {.batch_rows = BATCH_ROWS, .markers = true};
    char *netns[OPTION_LIST_MAX];
    if (plain)
        return stream_request_encode(&r, request);
    for (size_t i = 0; i < q->options->netns.n; i++)
        netns[i] = (char *)(uintptr_t)q->options->netns.items[i];
    r.filter = q->filter ? (char *)(uintptr_t)query_filter(q) : NULL;
    r.columns = (char **)(uintptr_t)q->columns;
    r.n_columns = q->n_columns;
    r.netns = netns;
    r.n_netns = q->options->netns.n;
    return stream_request_encode(&r, request);
}

bool query_wants_netns(const struct query *q, const char *name, uint64_t inode)
{
    const struct option_list *list = &q->options->netns;
    return netns_wanted(list->items, list->n, name, inode);
}

bool query_match(const struct query *q, const record_message *r)
{
    return query_wants_netns(q, r->netns ? r->netns : "", r->netns_inode) &&
           (!q->filter || filter_match_record(q->filter, r));
}

const char *query_filter(const struct query *q)
{
    if (q->canonical)
        return filter_text(q->filter);
    return q->text.data ? q->text.data : "";
}
