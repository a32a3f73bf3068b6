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

/* The prefix of each record in the formats that are no table. */
enum { LABEL_NONE = -1 };

struct record_sink {
    const struct view *view;
    struct output *out;
    struct socket_table *sockets;                                          /* tables */
    struct format_writer *writer;                                          /* the others */
    int (*take)(void *context, const record_message *m, const char *node); /* instead of these two */
    void *context;
    struct sorter *sorter; /* NULL: in the order of their coming */
    int node_label;        /* number of the writer's label, or LABEL_NONE */
    int time_label;
    int64_t time_ns;                /* the time in |time| */
    char time[CLOCK_TEXT_MAX];      /* value of the label */
    struct throughput rates;        /* of --output null */
    struct measured_rate *measured; /* of tables and orders with rates; NULL: no others are wanted */
    struct record_reader reader;
};

static bool is_table(const struct record_sink *r)
{
    return r->view->format == OUTPUT_TABLE || r->view->format == OUTPUT_WIDE;
}

static bool open_table(struct record_sink *r, bool nodes)
{
    r->sockets = socket_table_new(r->view, nodes);
    if (r->sockets)
        socket_table_measure(r->sockets, r->measured);
    if (r->sockets && r->view->format == OUTPUT_WIDE)
        table_keep_whole(socket_table_table(r->sockets));
    return r->sockets != NULL;
}

static bool open_writer(struct record_sink *r, bool nodes)
{
    const struct view *v = r->view;
    const struct format *format = output_format_records(v->format);
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

struct record_sink *record_sink_new(const struct view *v, bool nodes, struct output *out)
{
    struct record_sink *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->view = v;
    r->out = out;
    r->node_label = r->time_label = LABEL_NONE;
    throughput_begin(&r->rates);
    bool ok = !view_measures(v) || (r->measured = measured_rate_new());
    ok = ok && (!v->n_keys || (r->sorter = sorter_new(v)));
    if (r->sorter)
        sorter_measure(r->sorter, r->measured);
    ok = ok && (is_table(r) ? open_table(r, nodes) : open_writer(r, nodes));
    if (ok)
        return r;
    record_sink_free(r);
    return NULL;
}

struct record_sink *record_sink_new_to(const struct view *v,
                                       int (*take)(void *context, const record_message *m, const char *node),
                                       void *context, struct output *out)
{
    struct record_sink *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    *r = (struct record_sink){.view = v,
                              .out = out,
                              .take = take,
                              .context = context,
                              .node_label = LABEL_NONE,
                              .time_label = LABEL_NONE};
    return r;
}

void record_sink_free(struct record_sink *r)
{
    if (!r)
        return;
    if (r->writer) {
        record_sink_end(r, NULL);
        format_end(r->writer, &r->out->data);
        output_flush(r->out);
        if (r->view->format == OUTPUT_NULL)
            throughput_tell(&r->rates, r->out);
    }
    socket_table_free(r->sockets);
    format_writer_free(r->writer);
    sorter_free(r->sorter);
    measured_rate_free(r->measured);
    record_reader_free(&r->reader);
    free(r);
}

static void set_labels(struct record_sink *r, const record_message *m, const char *node)
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

static int flush_table(struct record_sink *r)
{
    struct table *t = socket_table_table(r->sockets);
    size_t height = output_height(r->out);
    bool wide = r->view->format == OUTPUT_WIDE;
    table_set_size(t, wide ? 0 : output_width(r->out), height > 4 ? height - 1 : 0);
    if (table_flush(t, &r->out->data) != 0 && !r->out->error)
        r->out->error = -ENOMEM;
    return output_flush(r->out);
}

/* Shows |m|; |row| is the same record, serialized. */
static int pipeline(struct record_sink *r, const record_message *m, const uint8_t *row, size_t len,
                    const char *node)
{
    if (r->take)
        return r->take(r->context, m, node);
    if (r->sockets) {
        socket_table_add(r->sockets, m, node);
        return table_full(socket_table_table(r->sockets)) ? flush_table(r) : r->out->error;
    }
    set_labels(r, m, node);
    format_both(r->writer, &r->out->data, m, row, len);
    return output_flush_if_large(r->out);
}

static int show_sorted(void *context, const uint8_t *row, size_t len, const char *node)
{
    struct record_sink *r = context;
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    return rc < 0 ? rc : pipeline(r, m, row, len, node);
}

/* Shows all records that were kept. */
static int give(struct record_sink *r)
{
    int rc = r->sorter ? sorter_give(r->sorter, show_sorted, r) : 0;
    if (rc < 0)
        return rc;
    return r->sockets ? flush_table(r) : output_flush(r->out);
}

static int no_memory(struct record_sink *r)
{
    if (!r->out->error)
        r->out->error = -ENOMEM;
    return r->out->error;
}

static int keep(struct record_sink *r, const record_message *m, const uint8_t *row, size_t len,
                const char *node)
{
    int rc = sorter_add(r->sorter, row, len, m, node);
    if (rc == ERR_LIMIT) {
        output_note(r->out, "a poll with more than %u MB of records: sorted in parts",
                    SORTER_BYTES_MAX / 1000000);
        /* |m| stays valid only as long as nothing else is read. */
        struct record_reader own = r->reader;
        r->reader = (struct record_reader){0};
        rc = give(r);
        record_reader_free(&r->reader);
        r->reader = own;
        if (rc == 0)
            rc = sorter_add(r->sorter, row, len, m, node);
    }
    return rc == -ENOMEM ? no_memory(r) : rc;
}

int record_sink_poll_of(struct record_sink *r, const uint8_t *row, size_t len, struct record_sink_poll *poll,
                        struct err *e)
{
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    *poll = (struct record_sink_poll){.timestamp_ns = m->timestamp_ns, .poll_id = m->poll_id};
    return 0;
}

int record_sink_add(struct record_sink *r, const uint8_t *row, size_t len, const struct query *here,
                    const char *node, struct record_sink_added *added, struct err *e)
{
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    added->poll = (struct record_sink_poll){.timestamp_ns = m->timestamp_ns, .poll_id = m->poll_id};
    added->shown = !here || query_match(here, m);
    if (!added->shown)
        return 0;
    throughput_count(&r->rates, len);
    if (r->measured)
        measured_rate_take(r->measured, m, node);
    return r->sorter ? keep(r, m, row, len, node) : pipeline(r, m, row, len, node);
}

int record_sink_flush(struct record_sink *r)
{
    return r->sockets && !r->sorter ? flush_table(r) : output_flush(r->out);
}

int record_sink_end(struct record_sink *r, const char *node)
{
    int rc = give(r);
    if (r->measured)
        measured_rate_end(r->measured, node);
    return rc;
}
