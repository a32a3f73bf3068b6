#include "client/records.h"

#include <errno.h>
#include <stdlib.h>

#include "client/sockets.h"
#include "client/table.h"
#include "outputs/format.h"
#include "record/unpack.h"

struct records {
    struct output *out;
    struct table *table;          /* OUTPUT_TABLE */
    struct format_writer *writer; /* the others */
    struct record_reader reader;
};

struct records *records_new(enum output_format format, struct output *out)
{
    struct records *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->out = out;
    bool ok;
    if (format == OUTPUT_TABLE || format == OUTPUT_WIDE) {
        r->table = sockets_table_new();
        ok = r->table != NULL;
    } else {
        ok = format_writer_new(format_by_name(output_format_names[format]), NULL, 0, &r->writer) == 0;
    }
    if (!ok) {
        records_free(r);
        return NULL;
    }
    if (r->writer)
        format_begin(r->writer, &out->data, true);
    return r;
}

void records_free(struct records *r)
{
    if (!r)
        return;
    table_free(r->table);
    format_writer_free(r->writer);
    record_reader_free(&r->reader);
    free(r);
}

int records_add(struct records *r, const uint8_t *row, size_t len, struct records_poll *poll, struct err *e)
{
    const record_message *m;
    int rc = record_unpack(&r->reader, row, len, &m);
    if (rc != 0)
        return err_set(e, rc, "sent a record that is none: %s", err_name(rc));
    *poll = (struct records_poll){.timestamp_ns = m->timestamp_ns, .poll_id = m->poll_id};
    if (r->writer) {
        format_message(r->writer, &r->out->data, m);
        return output_flush_if_large(r->out);
    }
    sockets_table_add(r->table, m);
    return table_full(r->table) ? records_flush(r) : 0;
}

int records_flush(struct records *r)
{
    if (r->table) {
        size_t height = output_height(r->out);
        table_set_size(r->table, output_width(r->out), height > 4 ? height - 1 : 0);
        if (table_flush(r->table, &r->out->data) != 0 && !r->out->error)
            r->out->error = -ENOMEM;
    }
    return output_flush(r->out);
}
