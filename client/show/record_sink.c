#include "client/show/record_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/show/socket_table.h"
#include "client/show/sorter.h"
#include "client/show/table.h"
#include "client/show/throughput.h"
#include "lib/clock.h"
#include "outputs/format/format.h"
#include "record/unpack.h"

/* What stands in front of each record in the formats that are no table. */
enum { LABEL_NONE = -1 };

struct records {
    const struct view *view;
    struct output *out;
    struct sockets *sockets;                                               /* tables */
    struct format_writer *writer;                                          /* the others */
    int (*take)(void *context, const record_message *m, const char *node); /* instead of these two */
    void *context;
    struct order *order; /* NULL: in the order of their coming */
    int node_label;      /* number of the writer's label, or LABEL_NONE */
    int time_label;
    int64_t time_ns;           /* that |time| says */
    char time[CLOCK_TEXT_MAX]; /* value of the label */
    struct rates rates;        /* of --output null */
    struct measured *measured; /* of tables and orders with rates; NULL: no others are wanted */
    struct record_reader reader;
};

static bool is_table(const struct records *r)
{
    return r->view->format == OUTPUT_TABLE || r->view->format == OUTPUT_WIDE;
}

static bool open_table(struct records *r, bool nodes)
{
    r->sockets = sockets_new(r->view, nodes);
    if (r->sockets)
        sockets_measure(r->sockets, r->measured);
    if (r->sockets && r->view->format == OUTPUT_WIDE)
        table_keep_whole(sockets_table(r->sockets));
    return r->sockets != NULL;
}

static bool open_writer(struct records *r, bool nodes)
{
    const struct view *v = r->view;
    const struct format *format = format_by_name(output_format_names[v->format]);
    bool columns = v->chosen && (format->flags & FORMAT_COLUMNS);
    int labels = 0;
    if (format_writer_new(format, columns ? v->fields : NULL, columns ? v->n_fields : 0, &r->writer) != 0)
        return false;
    if (nodes) {
        format_add_label(r->writer, "node");
        r->node_label = labels++;
    }
    if (v->time) {
        format_add_label(r->writer, "time");
        r->time_label = labels++;
    }
    format_begin(r->writer, &r->out->data, v->header);
    return true;
}

struct records *records_new(const struct view *v, bool nodes, struct output *out)
{
    struct records *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->view = v;
    r->out = out;
    r->node_label = r->time_label = LABEL_NONE;
    rates_begin(&r->rates);
    bool ok = !view_measures(v) || (r->measured = measured_new());
    ok = ok && (!v->n_keys || (r->order = order_new(v)));
    if (r->order)
        order_measure(r->order, r->measured);
    ok = ok && (is_table(r) ? open_table(r, nodes) : open_writer(r, nodes));
    if (ok)
        return r;
    records_free(r);
    return NULL;
}

struct records *records_new_to(const struct view *v,
                               int (*take)(void *context, const record_message *m, const char *node),
                               void *context, struct output *out)
{
    struct records *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    *r = (struct records){.view = v,
                          .out = out,
                          .take = take,
                          .context = context,
                          .node_label = LABEL_NONE,
                          .time_label = LABEL_NONE};
    return r;
}

void records_free(struct records *r)
{
    if (!r)
        return;
    if (r->writer) {
        records_end(r, NULL);
        format_end(r->writer, &r->out->data);
        output_flush(r->out);
        if (r->view->format == OUTPUT_NULL)
            rates_tell(&r->rates, r->out);
    }
    sockets_free(r->sockets);
    format_writer_free(r->writer);
    order_free(r->order);
    measured_free(r->measured);
    record_reader_free(&r->reader);
    free(r);
}

static void set_labels(struct records *r, const record_message *m, const char *node)
{
    if (r->node_label != LABEL_NONE)
        format_set_label(r->writer, (size_t)r->node_label, node, node ? strlen(node) : 0);
    if (r->time_label == LABEL_NONE)
        return;
    if (m->timestamp_ns != r->time_ns || !*r->time) {
        clock_format(m->timestamp_ns, 3, r->time);
        r->time_ns = m->timestamp_ns;
    }
    format_set_label(r->writer, (size_t)r->time_label, r->time, strlen(r->time));
}

static int flush_table(struct records *r)
{
    struct table *t = sockets_table(r->sockets);
    size_t height = output_height(r->out);
    bool wide = r->view->format == OUTPUT_WIDE;
    table_set_size(t, wide ? 0 : output_width(r->out), height > 4 ? height - 1 : 0);
    if (table_flush(t, &r->out->data) != 0 && !r->out->error)
        r->out->error = -ENOMEM;
    return output_flush(r->out);
}

/* |m| is to be seen now; |row| is the same, serialized. */
static int show(struct records *r, const record_message *m, const uint8_t *row, size_t len, const char *node)
{
    if (r->take)
        return r->take(r->context, m, node);
    if (r->sockets) {
        sockets_add(r->sockets, m, node);
        return table_full(sockets_table(r->sockets)) ? flush_table(r) : r->out->error;
    }
    set_labels(r, m, node);
    format_both(r->writer, &r->out->data, m, row, len);
    return output_flush_if_large(r->out);
}

static int show_sorted(void *context, const uint8_t *row, size_t len, const char *node)
{
    struct records *r = context;
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    return rc < 0 ? rc : show(r, m, row, len, node);
}

/* Shows all that was kept. */
static int give(struct records *r)
{
    int rc = r->order ? order_give(r->order, show_sorted, r) : 0;
    if (rc < 0)
        return rc;
    return r->sockets ? flush_table(r) : output_flush(r->out);
}

static int no_memory(struct records *r)
{
    if (!r->out->error)
        r->out->error = -ENOMEM;
    return r->out->error;
}

static int keep(struct records *r, const record_message *m, const uint8_t *row, size_t len, const char *node)
{
    int rc = order_add(r->order, row, len, m, node);
    if (rc == ERR_LIMIT) {
        output_note(r->out, "a poll with more than %u MB of records: sorted in parts",
                    ORDER_BYTES_MAX / 1000000);
        /* |m| stays valid only as long as nothing else is read. */
        struct record_reader own = r->reader;
        r->reader = (struct record_reader){0};
        rc = give(r);
        record_reader_free(&r->reader);
        r->reader = own;
        if (rc == 0)
            rc = order_add(r->order, row, len, m, node);
    }
    return rc == -ENOMEM ? no_memory(r) : rc;
}

int records_poll_of(struct records *r, const uint8_t *row, size_t len, struct records_poll *poll,
                    struct err *e)
{
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    *poll = (struct records_poll){.timestamp_ns = m->timestamp_ns, .poll_id = m->poll_id};
    return 0;
}

int records_add(struct records *r, const uint8_t *row, size_t len, const struct query *here, const char *node,
                struct records_added *added, struct err *e)
{
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    added->poll = (struct records_poll){.timestamp_ns = m->timestamp_ns, .poll_id = m->poll_id};
    added->shown = !here || query_match(here, m);
    if (!added->shown)
        return 0;
    rates_count(&r->rates, len);
    if (r->measured)
        measured_take(r->measured, m, node);
    return r->order ? keep(r, m, row, len, node) : show(r, m, row, len, node);
}

int records_flush(struct records *r)
{
    return r->sockets && !r->order ? flush_table(r) : output_flush(r->out);
}

int records_end(struct records *r, const char *node)
{
    int rc = give(r);
    if (r->measured)
        measured_end(r->measured, node);
    return rc;
}
