#include "client/fleet/join_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/show/address.h"
#include "client/show/report_json.h"
#include "client/show/table.h"
#include "client/show/units.h"
#include "record/names.h"

struct join_table {
    const struct options *options;
    const struct nodes *nodes;
    struct output *out;
    struct table *table; /* NULL: jsonl */
};

/* The columns of both ends, A's before B's. Those that must not be left out come first. */
static const struct table_column columns[] = {
    {"A", TABLE_LEFT, 0, 7, 14, 0},        {"A ADDRESS", TABLE_LEFT, 0, 15, 0, 0},
    {"B", TABLE_LEFT, 0, 7, 14, 0},        {"B ADDRESS", TABLE_LEFT, 0, 15, 0, 0},
    {"STATE", TABLE_LEFT, 4, 11, 0, 0},    {"RTT A", TABLE_RIGHT, 1, 5, 0, 0},
    {"RTT B", TABLE_RIGHT, 1, 5, 0, 0},    {"CWND A", TABLE_RIGHT, 5, 6, 0, 0},
    {"CWND B", TABLE_RIGHT, 5, 6, 0, 0},   {"RETR A", TABLE_RIGHT, 2, 6, 0, 0},
    {"RETR B", TABLE_RIGHT, 2, 6, 0, 0},   {"SEND-Q A", TABLE_RIGHT, 6, 6, 0, 0},
    {"RECV-Q B", TABLE_RIGHT, 6, 6, 0, 0}, {"SEND-Q B", TABLE_RIGHT, 7, 6, 0, 0},
    {"RECV-Q A", TABLE_RIGHT, 7, 6, 0, 0}, {"RATE A", TABLE_RIGHT, 3, 10, 0, 0},
    {"RATE B", TABLE_RIGHT, 3, 10, 0, 0},
};

struct join_table *join_table_new(const struct options *o, const struct nodes *nodes, struct output *out)
{
    struct join_table *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->options = o;
    w->nodes = nodes;
    w->out = out;
    if (o->output == OUTPUT_TABLE)
        w->table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
    if (o->output == OUTPUT_TABLE && !w->table) {
        free(w);
        return NULL;
    }
    return w;
}

void join_table_free(struct join_table *w)
{
    if (!w)
        return;
    table_free(w->table);
    free(w);
}

static void end_address(const uint8_t address[16], uint16_t port, char out[ADDRESS_TEXT_MAX])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(address, mapped, sizeof(mapped)) == 0)
        address_text(AF_INET, address + sizeof(mapped), 4, port, NULL, out);
    else
        address_text(AF_INET6, address, 16, port, NULL, out);
}

static const char *state_name(const struct join_end *e)
{
    const char *name = record_state_name(e->state);
    return name ? name : "";
}

/* ---- The table ---- */

/* "node/namespace" */
static void cell_place(struct join_table *w, const struct join_end *e)
{
    struct buf text;
    buf_init(&text);
    if (w->nodes->n > 1)
        buf_printf(&text, "%s/", w->nodes->items[e->node]->name);
    buf_str(&text, e->netns);
    table_cell(w->table, buf_cstr(&text), text.len);
    buf_free(&text);
}

static void cell_address(struct table *t, const uint8_t address[16], uint16_t port)
{
    char text[ADDRESS_TEXT_MAX];
    end_address(address, port, text);
    table_cell_str(t, text);
}

static void text_rtt(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    if (e->info && e->rtt_us)
        units_time_us(e->rtt_us, out);
}

static void text_cwnd(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    if (e->info)
        units_count(e->cwnd, out);
}

static void text_retrans(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    if (e->info)
        units_count(e->total_retrans, out);
}

static void text_send_queue(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    snprintf(out, UNITS_TEXT_MAX, "%" PRIu32, e->send_queue);
}

static void text_recv_queue(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    snprintf(out, UNITS_TEXT_MAX, "%" PRIu32, e->recv_queue);
}

/* As the column RATE of the other tables: measured, or the kernel's sample. */
static void text_rate(const struct join_end *e, char out[UNITS_TEXT_MAX])
{
    char text[UNITS_TEXT_MAX];
    if (e->measured) {
        units_rate(e->send_rate, out);
    } else if (e->info && e->rate) { /* a sample */
        units_rate(e->rate, text);
        snprintf(out, UNITS_TEXT_MAX, "~%.*s", UNITS_TEXT_MAX - 2, text);
    }
}

/* The numbers, in the order of the columns. */
static const struct {
    bool of_b;
    void (*text)(const struct join_end *e, char out[UNITS_TEXT_MAX]);
} numbers[] = {
    {false, text_rtt},       {true, text_rtt},         {false, text_cwnd},       {true, text_cwnd},
    {false, text_retrans},   {true, text_retrans},     {false, text_send_queue}, {true, text_recv_queue},
    {true, text_send_queue}, {false, text_recv_queue}, {false, text_rate},       {true, text_rate},
};

/* "ESTABLISHED", or of both ends where they differ: "FIN_WAIT2/CLOSE_WAIT". */
static void cell_state(struct table *t, const struct join_end *a, const struct join_end *b)
{
    char text[64];
    if (b && b->state != a->state)
        snprintf(text, sizeof(text), "%s/%s", state_name(a), state_name(b));
    else
        snprintf(text, sizeof(text), "%s", state_name(a));
    table_cell_str(t, text);
}

/* The text in place of the other end. */
static void cell_missing(struct join_table *w, const struct join_row *row)
{
    char text[48] = "";
    if (row->kind == JOIN_AMBIGUOUS && row->n_candidates)
        snprintf(text, sizeof(text), "? (%zu possible)", row->n_candidates);
    else if (row->kind == JOIN_AMBIGUOUS)
        snprintf(text, sizeof(text), "? (too many possible)");
    table_cell_str(w->table, text);
}

static void add_row(struct join_table *w, const struct join *j, const struct join_row *row)
{
    const struct join_end *a = &j->ends[row->a];
    const struct join_end *b = row->b == JOIN_NONE ? NULL : &j->ends[row->b];
    struct table *t = w->table;
    uint32_t order[2] = {htonl((uint32_t)a->node), htonl(b ? (uint32_t)b->node : UINT32_MAX)};
    table_row(t, order, sizeof(order));
    cell_place(w, a);
    cell_address(t, a->local, a->local_port);
    if (b)
        cell_place(w, b);
    else
        cell_missing(w, row);
    cell_address(t, a->peer, a->peer_port);
    cell_state(t, a, b);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const struct join_end *e = numbers[i].of_b ? b : a;
        char text[UNITS_TEXT_MAX] = "";
        if (e)
            numbers[i].text(e, text);
        table_cell_str(t, text);
    }
}

static int flush_table(struct join_table *w)
{
    size_t height = output_height(w->out);
    table_set_size(w->table, output_width(w->out), height > 4 ? height - 1 : 0);
    if (table_flush(w->table, &w->out->data) != 0 && !w->out->error)
        w->out->error = -ENOMEM;
    return output_flush(w->out);
}

/* ---- jsonl ---- */

static void put_place(struct json *j, const struct join_table *w, const struct join_end *e)
{
    char local[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];
    end_address(e->local, e->local_port, local);
    end_address(e->peer, e->peer_port, peer);
    json_string(j, "node", w->nodes->items[e->node]->name);
    json_string(j, "netns", e->netns);
    json_u64(j, "netns_inode", e->netns_inode);
    json_string(j, "local", local);
    json_string(j, "peer", peer);
    json_string(j, "state", state_name(e));
}

static void put_end(struct json *j, const char *key, const struct join_table *w, const struct join_end *e)
{
    json_object(j, key);
    put_place(j, w, e);
    json_u32(j, "recv_queue", e->recv_queue);
    json_u32(j, "send_queue", e->send_queue);
    if (e->info) {
        json_u32(j, "rtt_us", e->rtt_us);
        json_u32(j, "cwnd", e->cwnd);
        json_u32(j, "retrans", e->retrans);
        json_u32(j, "total_retrans", e->total_retrans);
        json_u64(j, "delivery_rate", e->rate);
        if (e->measured)
            json_u64(j, "send_rate", e->send_rate);
        json_u64(j, "bytes_acked", e->acked);
        json_u64(j, "bytes_received", e->received);
        json_u32(j, "idle_ms", e->idle_ms);
    }
    json_object_end(j);
}

static void put_row(struct join_table *w, const struct join *j, const struct join_row *row)
{
    static const char *const kinds[] = {[JOIN_PAIR] = "pair",
                                        [JOIN_BY_COUNTERS] = "pair_by_counters",
                                        [JOIN_AMBIGUOUS] = "ambiguous",
                                        [JOIN_ONE_END] = "one_end"};
    struct json json = {.out = &w->out->data};
    json_object(&json, NULL);
    json_string(&json, "match", kinds[row->kind]);
    put_end(&json, "a", w, &j->ends[row->a]);
    if (row->b != JOIN_NONE)
        put_end(&json, "b", w, &j->ends[row->b]);
    if (row->kind == JOIN_AMBIGUOUS) {
        json_array(&json, "candidates");
        for (size_t i = 0; i < row->n_candidates; i++) {
            json_object(&json, NULL);
            put_place(&json, w, &j->ends[j->candidates[row->first_candidate + i]]);
            json_object_end(&json);
        }
        json_array_end(&json);
    }
    json_object_end(&json);
    buf_char(&w->out->data, '\n');
}

int join_table(struct join_table *w, const struct join *j)
{
    for (size_t i = 0; i < j->n_rows && !w->out->error; i++) {
        const struct join_row *row = &j->rows[i];
        if (row->kind == JOIN_ONE_END && !w->options->all)
            continue;
        if (!w->table) {
            put_row(w, j, row);
            output_flush_if_large(w->out);
            continue;
        }
        if (table_full(w->table))
            flush_table(w);
        add_row(w, j, row);
    }
    return w->table ? flush_table(w) : output_flush(w->out);
}
