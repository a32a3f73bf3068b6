/* The command join: one poll of all nodes at the same time, and both ends of each connection side by side. */
#include <errno.h>

#include "client/command.h"
#include "client/fleet/connection_join.h"
#include "client/fleet/join_table.h"
#include "client/fleet/record_streams.h"
#include "client/show/measured_rate.h"

/* The fields that join_add reads. */
#define COLUMNS                                                                                              \
    "netns,netns_inode,netns_cookie,inet_diag_msg_family,inet_diag_msg_state,"                               \
    "inet_diag_msg_socket_source,inet_diag_msg_socket_source_port,inet_diag_msg_socket_destination,"         \
    "inet_diag_msg_socket_destination_port,inet_diag_msg_rqueue,inet_diag_msg_wqueue,tcp_info_state,"        \
    "tcp_info_options,tcp_info_send_scale,tcp_info_rcv_scale,tcp_info_rtt,tcp_info_snd_cwnd,"                \
    "tcp_info_retrans,tcp_info_total_retrans,tcp_info_last_data_sent,tcp_info_last_data_recv,"               \
    "tcp_info_bytes_acked,tcp_info_bytes_received,tcp_info_delivery_rate,inet_diag_msg_socket_cookie"

struct joined {
    struct fleet *fleet;
    struct options options; /* of the request */
    struct view *view;
    struct query *query;
    struct record_sink *records;
    struct record_streams streams;
    size_t node; /* whose message is being read */
    struct join join;
    struct measured_rate *measured;
    struct join_table *table;
};

static int take_record(void *context, const record_message *m, const char *node)
{
    struct joined *d = context;
    size_t before = d->join.n_ends;
    int rc = join_add(&d->join, d->node, m);
    measured_rate_take(d->measured, m, node);
    if (d->join.n_ends > before) {
        struct join_end *end = &d->join.ends[before];
        end->measured = measured_rate(d->measured, m, node, &end->send_rate);
    }
    return rc;
}

static int on_message(void *context, size_t i, const struct rpc_bytes *message, struct err *e)
{
    struct record_streams *s = context;
    struct joined *d = s->owner;
    d->node = i;
    int rc = stream_reader_message(&s->readers[i], message, e);
    return rc == -ENOMEM ? err_set(e, rc, "more sockets than fit into memory") : rc;
}

static int open_join(struct joined *d, struct err *e)
{
    const struct nodes *nodes = d->fleet->nodes;
    d->options = *d->fleet->options;
    d->options.columns = COLUMNS;
    d->options.sort_by = NULL;
    d->options.output = OUTPUT_JSONL;
    int rc = view_new(&d->options, &d->view, e);
    if (rc == 0)
        rc = query_new(&d->options, d->view, &d->query, e);
    if (rc < 0)
        return rc;
    d->records = record_sink_new_to(d->view, take_record, d, d->fleet->out);
    d->table = join_table_new(d->fleet->options, nodes, d->fleet->out);
    d->measured = measured_rate_new();
    if (!d->records || !d->table || !d->measured)
        return err_set(e, -ENOMEM, "out of memory");
    return 0;
}

static void tell(struct joined *d)
{
    const struct join *j = &d->join;
    if (d->fleet->options->quiet && !j->left_out)
        return;
    struct buf line;
    buf_init(&line);
    size_t pairs = j->counts[JOIN_PAIR] + j->counts[JOIN_BY_COUNTERS];
    buf_printf(&line, "%zu connection%s with both ends", pairs, pairs == 1 ? "" : "s");
    if (j->counts[JOIN_BY_COUNTERS])
        buf_printf(&line, " (%zu told apart by counters)", j->counts[JOIN_BY_COUNTERS]);
    buf_printf(&line, ", %zu ambiguous, %zu with one end here", j->counts[JOIN_AMBIGUOUS],
               j->counts[JOIN_ONE_END]);
    if (j->left_out)
        buf_printf(&line, "; %zu sockets left out, more than %d", j->left_out, JOIN_ENDS_MAX);
    output_say(d->fleet->out, "%s", buf_cstr(&line));
    buf_free(&line);
}

/* One poll of all nodes is complete, or about to begin. */
static void on_poll(void *owner, bool complete)
{
    struct joined *d = owner;
    if (!complete) {
        join_reset(&d->join);
        return;
    }
    if (join_match(&d->join) != 0) {
        output_note(d->fleet->out, "out of memory");
        d->fleet->out->error = -ENOMEM;
        return;
    }
    join_table(d->table, &d->join);
    for (size_t i = 0; i < d->fleet->nodes->n; i++)
        measured_rate_end(d->measured, d->streams.readers[i].node);
    tell(d);
}

static int run_polls(struct joined *d)
{
    static const struct stream_hooks hooks = {.message = on_message};
    const struct options *o = d->fleet->options;
    uint64_t count = o->count || o->every_ns ? o->count : 1, done;
    d->streams = (struct record_streams){
        .fleet = d->fleet, .query = d->query, .records = d->records, .owner = d, .polls = true};
    if (record_streams_open(&d->streams, &hooks) != 0)
        return EXIT_FAILED;
    for (size_t i = 0; i < d->fleet->nodes->n; i++)
        d->streams.readers[i].quiet = true; /* losses are still told */
    enum stream_end end = record_streams_poll(&d->streams, count, on_poll, &done);
    if (end == STREAM_END_STOPPED)
        return count == 0 || stop_reason(d->fleet->stop) == STOP_READER ? EXIT_DONE : EXIT_FAILED;
    if (end != STREAM_END_TIMEOUT || !count)
        return stream_engine_exit_code(d->streams.engine);
    output_note(d->fleet->out, "the time is over, before all polls were complete");
    return EXIT_FAILED;
}

int command_join(struct fleet *fleet)
{
    struct joined d = {.fleet = fleet};
    struct err e = {0};
    int rc = open_join(&d, &e);
    if (rc == 0) {
        rc = run_polls(&d);
    } else {
        output_note(fleet->out, "%s", e.text);
        rc = rc == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    }
    record_streams_close(&d.streams);
    join_table_free(d.table);
    join_reset(&d.join);
    record_sink_free(d.records);
    measured_rate_free(d.measured);
    query_free(d.query);
    view_free(d.view);
    return rc;
}
