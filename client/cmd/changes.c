/* The command changes: the last changes of the configuration, with their time and origin. */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "client/cmd/status.h"
#include "client/command.h"
#include "client/show/report_fields.h"
#include "client/show/table.h"
#include "lib/clock.h"
#include "lib/excerpt.h"

static const struct table_column columns[] = {
    {.title = "WHEN", .least = 24},
    {.title = "GENERATION", .align = TABLE_RIGHT, .drop = 2},
    {.title = "BY", .drop = 1},
    {.title = "FROM", .drop = 3, .cut = 12},
    {.title = "FIELD", .squeeze = 12},
    /* Never cut by the table: the difference may be in the part that would be cut. */
    {.title = "BEFORE"},
    {.title = "AFTER"},
};

#define WHOLE_MAX 24 /* bytes of a value that is shown as it is */

/* Writes |part| of |text|, with marks where something is left out. */
static void put_part(struct table *t, const char *text, struct excerpt part)
{
    struct buf b;
    buf_init(&b);
    buf_str(&b, part.from ? "..." : "");
    buf_bytes(&b, text + part.from, part.to - part.from);
    buf_str(&b, text[part.to] ? "..." : "");
    table_cell(t, b.failed ? "" : b.data, b.failed ? 0 : b.len);
    buf_free(&b);
}

/* Writes the values before and after; of long ones, the whole part that differs. */
static void put_values(struct table *t, const struct status_option_change *o)
{
    struct excerpt before, after;
    excerpt_differing(o->before, o->after, WHOLE_MAX, SIZE_MAX, &before, &after);
    put_part(t, o->before, before);
    put_part(t, o->after, after);
}

static void put_row(struct table *t, const struct status_change *c, const struct status_option_change *o)
{
    char text[CLOCK_TEXT_MAX];
    table_row(t, NULL, 0);
    clock_format(c->timestamp_ns, 3, text);
    table_cell_str(t, text);
    snprintf(text, sizeof(text), "%" PRIu64, c->generation);
    table_cell_str(t, text);
    table_cell_str(t, c->origin);
    table_cell_str(t, c->peer);
    table_cell_str(t, o ? o->name : "");
    if (o)
        put_values(t, o);
}

/* A line for each field that was changed. */
static int show_table(struct session *s, const struct status_msg *m)
{
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    int rc = t ? 0 : -ENOMEM;
    if (t) {
        table_set_size(t, output_width(s->out), 0);
        table_keep_whole(t);
    }
    for (size_t i = 0; t && i < m->n_changes; i++) {
        const struct status_change *c = &m->changes[i];
        if (!c->n_options)
            put_row(t, c, NULL);
        for (size_t k = 0; k < c->n_options; k++) {
            if (table_full(t) && table_flush(t, &s->out->data) != 0)
                rc = -ENOMEM;
            put_row(t, c, &c->options[k]);
        }
    }
    if (t && table_flush(t, &s->out->data) != 0)
        rc = -ENOMEM;
    table_free(t);
    return rc;
}

REPORT_JSON(status_option_change, STATUS_OPTION_CHANGE_FIELDS)
REPORT_JSON(status_change, STATUS_CHANGE_FIELDS)

/* An object on a line for each change. */
static int show_json(struct session *s, const struct status_msg *m)
{
    for (size_t i = 0; i < m->n_changes; i++) {
        struct json j = {.out = &s->out->data, .canonical = s->options->output == OUTPUT_PROTOJSON};
        REPORT_PUT_OBJECT(&j, NULL, status_change, &m->changes[i]);
        buf_char(&s->out->data, '\n');
    }
    return s->out->data.failed ? -ENOMEM : 0;
}

int command_changes(struct session *s)
{
    struct status_msg m;
    void *memory = NULL;
    int rc = status_ask(s, &m, &memory);
    if (rc != EXIT_DONE)
        return rc;
    if (m.n_changes == 0)
        output_note(s->out, "the configuration is as it was at the start of the daemon");
    rc = s->options->output == OUTPUT_TABLE ? show_table(s, &m) : show_json(s, &m);
    if (rc != 0)
        output_note(s->out, "out of memory");
    status_msg_free(memory);
    return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}
