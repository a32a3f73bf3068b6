/* The commands of ConfigService: get, apply, frequency, trigger, burst. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/configure/config_call.h"
#include "client/show/terminal_text.h"
#include "lib/duration.h"
#include "lib/file.h"
#include "rpc/codec/config/msg_config_reply.h"

#define SERVICE "/xtcp_config.v1.ConfigService/"

static int failed(struct session *s, const struct err *e)
{
    output_note(s->out, "%s", e->text);
    return EXIT_FAILED;
}

static int usage(struct session *s, const char *text)
{
    output_note(s->out, "%s", text);
    return EXIT_USAGE;
}

static int no_memory(struct session *s)
{
    output_note(s->out, "out of memory");
    return EXIT_FAILED;
}

int command_get(struct session *s)
{
    struct config_reply *config = NULL;
    int rc = config_call_get(s, &config);
    if (rc != 0)
        return rc;
    rc = config_reply_json(config, &s->out->data) == 0 ? EXIT_DONE : no_memory(s);
    config_reply_free(config);
    return rc;
}

/* "changed: label, poll_frequency" */
static void tell_changes(struct session *s, const struct config_reply *config)
{
    size_t n;
    const char *const *names = config_reply_changed(config, &n);
    struct buf *out = &s->out->data;
    if (n == 0) {
        buf_str(out, s->options->dry_run ? "nothing would change\n" : "nothing changed\n");
        return;
    }
    struct buf line;
    buf_init(&line);
    buf_str(&line, s->options->dry_run ? "would change: " : "changed: ");
    for (size_t i = 0; i < n; i++) {
        buf_str(&line, i ? ", " : "");
        buf_str(&line, names[i]);
    }
    text_clean_str(out, buf_cstr(&line));
    buf_free(&line);
    buf_printf(out, " (generation %" PRIu64 ")\n", config_reply_generation(config));
}

int command_apply(struct session *s)
{
    char *text = NULL;
    size_t len;
    struct buf request;
    struct err e = {0};
    struct config_reply *config = NULL;
    const char *file = s->options->argument;

    buf_init(&request);
    int rc = file_read_input(file, CONFIG_JSON_MAX, stop_fd(s->stop), &text, &len, &e);
    if (rc == 0)
        rc = config_set_request_from_json(text, len, strcmp(file, "-") == 0 ? "standard input" : file,
                                          s->options->dry_run, &request, &e);
    if (rc != 0) {
        rc = rc == -ENOMEM || rc == ERR_CANCELLED ? failed(s, &e) : usage(s, e.text);
        goto out;
    }
    rc = config_call_call(s, SERVICE "Set", &request, &config);
    if (rc != 0)
        goto out;
    tell_changes(s, config);
    config_reply_free(config);
out:
    buf_free(&request);
    free(text);
    return rc;
}

int command_frequency(struct session *s)
{
    const struct options *o = s->options;
    if (!o->frequency_ns || !o->poll_timeout_ns)
        return usage(
            s,
            "frequency needs --frequency and, behind the command, --timeout: the time between polls and the time that one may take");
    struct buf request;
    struct config_reply *config = NULL;
    buf_init(&request);
    int rc = config_poll_frequency_request(o->frequency_ns, o->poll_timeout_ns, &request) == 0
                 ? config_call_call(s, SERVICE "SetPollFrequency", &request, &config)
                 : no_memory(s);
    buf_free(&request);
    if (rc != 0)
        return rc;
    char frequency[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
    duration_format(config_reply_poll_frequency(config), frequency);
    duration_format(config_reply_poll_timeout(config), timeout);
    buf_printf(&s->out->data, "a poll every %s, which may take %s\n", frequency, timeout);
    config_reply_free(config);
    return EXIT_DONE;
}

int command_trigger(struct session *s)
{
    int rc = session_call(s, SERVICE "TriggerPoll", NULL, NULL);
    if (rc == 0)
        buf_str(&s->out->data, "a poll was triggered\n");
    return rc;
}

static int cancel_burst(struct session *s)
{
    struct rpc_bytes reply = {0};
    struct err e = {0};
    uint32_t cancelled = 0;
    int rc = session_call(s, SERVICE "CancelBurst", NULL, &reply);
    if (rc != 0)
        return rc;
    rc = config_cancel_reply_decode(reply.data, reply.len, &cancelled, &e);
    rpc_bytes_free(&reply);
    if (rc != 0)
        return failed(s, &e);
    if (cancelled)
        buf_printf(&s->out->data, "the burst was ended, %" PRIu32 " poll%s before its end\n", cancelled,
                   cancelled == 1 ? "" : "s");
    else
        buf_str(&s->out->data, "no burst was running\n");
    return EXIT_DONE;
}

int command_burst(struct session *s)
{
    const struct options *o = s->options;
    if (o->cancel) {
        if (o->count || o->interval_ns || o->replace)
            return usage(s, "burst --cancel goes without other options of burst");
        return cancel_burst(s);
    }
    if (!o->count || !o->interval_ns)
        return usage(s, "burst needs --count and --interval, or --cancel");
    if (o->count > UINT32_MAX)
        return usage(s, "burst --count: expected 1 to 1000");

    struct config_msg_burst burst = {
        .count = (uint32_t)o->count, .interval_ns = o->interval_ns, .replace = o->replace};
    struct rpc_bytes reply = {0};
    struct err e = {0};
    struct buf request;
    buf_init(&request);
    int rc = config_burst_request(&burst, &request) == 0
                 ? session_call(s, SERVICE "TriggerPollBurst", &request, &reply)
                 : no_memory(s);
    buf_free(&request);
    if (rc != 0)
        return rc;
    rc = config_burst_reply_decode(reply.data, reply.len, &burst, &e);
    rpc_bytes_free(&reply);
    if (rc != 0)
        return failed(s, &e);
    char interval[DURATION_TEXT_MAX];
    duration_format(burst.interval_ns, interval);
    buf_printf(&s->out->data, "%" PRIu32 " poll%s, one every %s\n", burst.count, burst.count == 1 ? "" : "s",
               interval);
    return EXIT_DONE;
}
