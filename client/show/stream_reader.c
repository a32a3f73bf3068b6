#include "client/show/stream_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/show/units.h"
#include "lib/clock.h"
#include "record/envelope.h"
#include "rpc/codec/msg_stream.h"

#define ERRORS_MAX  10 /* failed namespaces that are told for each poll */
#define REASONS_MAX 3  /* for unseen namespaces, in the line of a poll */

void stream_reader_init(struct stream_reader *r, struct session *s, struct record_sink *records,
                        const struct query *query)
{
    *r = (struct stream_reader){.out = s->out,
                                .records = records,
                                .query = query,
                                .target = s->options->target,
                                .quiet = s->options->quiet,
                                .verbose = s->options->verbose};
}

int stream_reader_request(const struct stream_reader *r, struct buf *request)
{
    buf_reset(request);
    return query_request(r->query, r->plain, request);
}

/* From now on records are filtered here. */
static void choose_here(struct stream_reader *r, const char *why)
{
    r->here = true;
    if (r->verbose)
        output_note(r->out, "%s %s: filter, namespaces and columns are applied here", r->target, why);
}

/* Whether |status| refuses |part| of the request. */
static bool is_about(const struct rpc_status *status, const char *part)
{
    return status->code == CODE_INVALID_ARGUMENT && strncmp(status->text, part, strlen(part)) == 0;
}

bool stream_reader_refused(struct stream_reader *r, const struct rpc_status *status)
{
    bool no_filters = status->code == CODE_UNIMPLEMENTED;
    bool older = is_about(status, "columns: ");
    bool other_filter = is_about(status, "filter: "); /* though the filter is valid here */
    if (r->plain || !query_asks(r->query) || !(no_filters || older || other_filter))
        return false;
    r->plain = true;
    choose_here(r, no_filters ? "does not filter"
                   : older    ? "does not know all fields"
                              : "does not understand the filter");
    return true;
}

void stream_reader_end(struct stream_reader *r)
{
    char time[CLOCK_TEXT_MAX];
    r->n_polls++;
    record_sink_end(r->records, r->node);
    clock_format(r->last.timestamp_ns, 3, time);
    if (!r->quiet)
        output_say(r->out, "%s%spoll of %s: %" PRIu64 " socket%s", r->node ? r->node : "",
                   r->node ? ": " : "", time, r->n_last, r->n_last == 1 ? "" : "s");
    r->n_last = 0;
    r->any_last = false;
}

static int take_row(struct stream_reader *r, const uint8_t *row, size_t len, struct err *e)
{
    struct record_sink_added added;
    if (!r->here && !r->informed && query_asks(r->query))
        choose_here(r, "does not tell what it filters");
    if (!r->edges && r->any_last) {
        /* Finds out whether this is the next poll before the record is shown. */
        int rc = record_sink_poll_of(r->records, row, len, &added.poll, e);
        if (rc != 0)
            return rc;
        if (added.poll.timestamp_ns != r->last.timestamp_ns || added.poll.poll_id != r->last.poll_id)
            stream_reader_end(r);
    }
    int rc = record_sink_add(r->records, row, len, r->here ? r->query : NULL, r->node, &added, e);
    if (rc != 0)
        return rc;
    r->last = added.poll;
    r->any_last = true;
    if (!added.shown)
        return 0;
    r->n_last++;
    r->n_records++;
    return r->max_records && r->n_records >= r->max_records;
}

static int take_envelope(struct stream_reader *r, const struct stream_event *event, struct err *e)
{
    struct wire w = wire_over(event->bytes, event->len);
    const uint8_t *row;
    size_t row_len;
    int rc;
    while ((rc = envelope_next(&w, &row, &row_len)) == 1) {
        rc = take_row(r, row, row_len, e);
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? 0 : err_set(e, ERR_MALFORMED, "sent an envelope that is none");
}

/* The errors of |end| are those of failed namespaces, then those of unseen ones. Returns how many are of
 * failed ones. */
static size_t failures(const struct poll_end *end)
{
    return end->n_errors < end->namespaces_failed ? end->n_errors : end->namespaces_failed;
}

static void tell_error(const struct stream_reader *r, const struct poll_error *error)
{
    output_say(r->out, "%s%s namespace %s (inode %" PRIu64 "): %s", r->node ? r->node : "",
               r->node ? ":" : " ", error->name, error->inode, error->text);
}

static void tell_failures(const struct stream_reader *r, const struct poll_end *end)
{
    size_t n = failures(end);
    size_t told = n < ERRORS_MAX ? n : ERRORS_MAX;
    for (size_t i = 0; i < told; i++)
        tell_error(r, &end->errors[i]);
    if (end->namespaces_failed > told && told)
        output_say(r->out, "  and %zu more", end->namespaces_failed - told);
}

/* ---- Namespaces that are known but cannot be seen into ---- */

static bool unseen_wanted(const struct stream_reader *r, const struct poll_error *error)
{
    return query_wants_netns(r->query, error->name, error->inode);
}

/* The number of unseen namespaces among those that are asked for. When not all are asked for, only the listed
 * ones count. */
static uint32_t count_unseen(const struct stream_reader *r, const struct poll_end *end)
{
    uint32_t n = 0;
    if (!query_chooses_netns(r->query))
        return end->namespaces_unseen;
    for (size_t i = failures(end); i < end->n_errors; i++)
        n += unseen_wanted(r, &end->errors[i]);
    return n;
}

/* The reasons, each once: " (cannot be entered: CAP_SYS_ADMIN is missing)" */
static void put_reasons(const struct stream_reader *r, const struct poll_end *end, struct buf *line)
{
    const char *reasons[REASONS_MAX];
    size_t n = 0, more = 0;
    for (size_t i = failures(end); i < end->n_errors; i++) {
        size_t k = 0;
        while (k < n && strcmp(reasons[k], end->errors[i].text) != 0)
            k++;
        if (k < n || !unseen_wanted(r, &end->errors[i]))
            continue;
        if (n < REASONS_MAX)
            reasons[n++] = end->errors[i].text;
        else
            more++;
    }
    for (size_t k = 0; k < n; k++)
        buf_printf(line, "%s%s", k ? "; " : " (", reasons[k]);
    buf_str(line, more ? "; …)" : n ? ")" : "");
}

static void put_unseen(const struct stream_reader *r, const struct poll_end *end, uint32_t n,
                       struct buf *line)
{
    if (n == 0)
        return;
    buf_printf(line, "; %" PRIu32 " namespace%s not seen", n, n == 1 ? "" : "s");
    put_reasons(r, end, line);
}

/* Tells each by its name. */
static void tell_unseen(const struct stream_reader *r, const struct poll_end *end, uint32_t n)
{
    uint32_t told = 0;
    for (size_t i = failures(end); i < end->n_errors; i++) {
        if (!unseen_wanted(r, &end->errors[i]))
            continue;
        tell_error(r, &end->errors[i]);
        told++;
    }
    if (n > told)
        output_say(r->out, "  and %" PRIu32 " more", n - told);
}

/* "42 sockets", or when only some were asked for: "3 matching sockets" */
static void put_sockets(const struct stream_reader *r, const struct poll_end *end, struct buf *line)
{
    bool some = query_selects(r->query);
    uint64_t n = some ? r->n_last : end->sockets;
    buf_printf(line, "%" PRIu64 "%s socket%s", n, some ? " matching" : "", n == 1 ? "" : "s");
}

/* "poll 7: 42 sockets in 3 namespaces, 3.1ms; 0 lost; held back 180ms by max_cpu_percent" */
static void tell_end(struct stream_reader *r, const struct poll_end *end)
{
    struct buf line;
    char took[UNITS_TEXT_MAX], held[UNITS_TEXT_MAX];
    uint32_t unseen = count_unseen(r, end);
    bool other = unseen != r->unseen; /* it is the same in every poll: once is enough for -q and -v */
    bool trouble = end->rows_lost || end->namespaces_failed || end->dumps_interrupted || (unseen && other);
    r->unseen = unseen;
    if (r->quiet && !trouble)
        return;
    units_time(end->duration_ns, took);
    buf_init(&line);
    if (r->node)
        buf_printf(&line, "%s: ", r->node);
    buf_printf(&line, "poll %" PRIu64 ": ", end->poll_id);
    put_sockets(r, end, &line);
    buf_printf(&line, " in %" PRIu32 " namespace%s, %s; %" PRIu64 " lost", end->namespaces,
               end->namespaces == 1 ? "" : "s", took, end->rows_lost);
    if (end->rows_lost)
        buf_str(&line, " (this client was too slow)");
    if (r->deferred_ns) {
        units_time(r->deferred_ns, held);
        buf_printf(&line, "; held back %s by max_cpu_percent", held);
    }
    if (end->namespaces_failed)
        buf_printf(&line, "; %" PRIu32 " namespace%s failed", end->namespaces_failed,
                   end->namespaces_failed == 1 ? "" : "s");
    put_unseen(r, end, unseen, &line);
    if (end->dumps_interrupted)
        buf_printf(&line, "; sockets came and went during %" PRIu32 " dump%s, some may be missing",
                   end->dumps_interrupted, end->dumps_interrupted == 1 ? "" : "s");
    output_say(r->out, "%s", buf_cstr(&line));
    buf_free(&line);
    tell_failures(r, end);
    if (r->verbose && other)
        tell_unseen(r, end, unseen);
}

/* Whether |text|, |len| bytes, is one of |lines|. */
static bool has_line(const char *lines, const char *text, size_t len)
{
    for (; *lines; lines += strcspn(lines, "\n") + 1)
        if (strncmp(lines, text, len) == 0 && lines[len] == '\n')
            return true;
    return false;
}

/* Keeps the |n| |warnings| for an empty answer, each once; those that do not fit are left out. */
static void note_unknown(struct stream_reader *r, const char *const *warnings, size_t n)
{
    size_t used = strlen(r->unknown);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(warnings[i]);
        if (!len || used + len + 2 > sizeof(r->unknown) || has_line(r->unknown, warnings[i], len))
            continue;
        memcpy(r->unknown + used, warnings[i], len);
        used += len;
        memcpy(r->unknown + used++, "\n", 2);
    }
}

/* A poll has given nothing: tells the possible reason, once. */
static void tell_unknown(struct stream_reader *r, const struct poll_end *end)
{
    note_unknown(r, end->warnings, end->n_warnings);
    for (char *at = r->unknown; *at;) {
        char *line = at;
        at += strcspn(at, "\n");
        *at++ = '\0';
        output_note(r->out, "%s%s%s", r->node ? r->node : "", r->node ? ": " : "", line);
    }
    r->unknown[0] = '\0';
}

static int take_end(struct stream_reader *r, const struct poll_end *end)
{
    r->edges = true;
    int rc = record_sink_end(r->records, r->node);
    /* The end of a poll that was under way when the stream began does not make it complete. */
    if (r->open) {
        r->n_polls++;
        if (!r->n_last && !end->rows_lost && !r->told_unknown)
            tell_unknown(r, end);
        r->told_unknown = true;
        tell_end(r, end);
    }
    r->open = false;
    r->n_last = 0;
    return rc;
}

/* The daemon tells its understanding of the request. */
static void take_info(struct stream_reader *r, const struct subscription_info *info)
{
    static const char *const places[] = {"", "by the kernel", "by the collector", "on the stream"};
    r->informed = true;
    note_unknown(r, info->warnings, info->n_warnings);
    for (size_t i = 0; r->verbose && i < info->n_parts; i++) {
        uint32_t place = info->parts[i].place;
        output_note(r->out, "%s: filtered %s: %s", r->target,
                    place < sizeof(places) / sizeof(places[0]) ? places[place] : "there",
                    info->parts[i].expression);
    }
}

int stream_reader_message(struct stream_reader *r, const struct rpc_bytes *message, struct err *e)
{
    struct stream_event event;
    int rc = stream_event_decode(message->data, message->len, &event, e);
    if (rc != 0)
        return rc;
    switch (event.kind) {
    case STREAM_EVENT_RECORD:
        rc = take_row(r, event.bytes, event.len, e);
        break;
    case STREAM_EVENT_ENVELOPE:
        rc = take_envelope(r, &event, e);
        break;
    case STREAM_EVENT_BEGIN:
        r->edges = r->open = true;
        r->deferred_ns = event.begin.deferred_ns;
        r->n_last = 0;
        break;
    case STREAM_EVENT_END:
        rc = take_end(r, &event.end);
        break;
    case STREAM_EVENT_INFO:
        take_info(r, &event.info);
        break;
    case STREAM_EVENT_NONE:
        break;
    }
    stream_event_free(&event);
    return rc;
}

void stream_reader_again(struct stream_reader *r)
{
    r->unknown[0] = '\0'; /* the new stream tells it again */
    r->open = false;
    r->edges = false;
    r->informed = false;
    r->here = r->plain;
    r->n_last = 0;
    r->any_last = false;
}
