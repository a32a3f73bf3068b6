#include "client/configure/config_call.h"

#include <errno.h>
#include <inttypes.h>

#include "client/show/terminal_text.h"
#include "rpc/codec/config/msg_config_reply.h"

#define SERVICE "/xtcp_config.v1.ConfigService/"

int config_call_failed(struct session *s, const char *text)
{
    output_note(s->out, "%s", text);
    return EXIT_FAILED;
}

int config_call_call(struct session *s, const char *method, const struct buf *request,
                     struct config_reply **out)
{
    struct rpc_bytes reply = {0};
    struct err e = {0};
    *out = NULL;
    int rc = session_call(s, method, request, &reply);
    if (rc != 0)
        return rc;
    rc = config_reply_decode(reply.data, reply.len, out, &e);
    rpc_bytes_free(&reply);
    return rc == 0 ? EXIT_DONE : config_call_failed(s, e.text);
}

int config_call_get(struct session *s, struct config_reply **out)
{
    return config_call_call(s, SERVICE "Get", NULL, out);
}

int config_call_send(struct session *s, const struct config_draft *d, bool dry_run, struct config_reply **out)
{
    struct buf request;
    *out = NULL;
    buf_init(&request);
    int rc = config_draft_request(d, dry_run, &request) == 0
                 ? config_call_call(s, SERVICE "Set", &request, out)
                 : config_call_failed(s, "out of memory");
    buf_free(&request);
    return rc;
}

struct telling {
    struct buf *out;
    size_t n;
};

/* label: "" -> "rack 7" */
static void tell_field(void *context, const char *name, const char *before, const char *after)
{
    struct telling *t = context;
    buf_printf(t->out, "%s: \"", name);
    text_clean_str(t->out, before);
    buf_str(t->out, "\" -> \"");
    text_clean_str(t->out, after);
    buf_str(t->out, "\"\n");
    t->n++;
}

int config_call_tell(struct session *s, const struct config_reply *before, const struct config_reply *after,
                     enum config_call_mood mood)
{
    struct telling t = {.out = &s->out->data};
    if (config_reply_diff(before, after, tell_field, &t) != 0)
        return config_call_failed(s, "out of memory");
    if (!t.n)
        buf_str(t.out, mood == CONFIG_CALL_DONE ? "nothing changed\n" : "nothing would change\n");
    else if (mood == CONFIG_CALL_COULD)
        buf_str(t.out, "nothing was changed: this is what would\n");
    else if (mood == CONFIG_CALL_DONE)
        buf_printf(t.out, "generation %" PRIu64 "\n", config_reply_generation(after));
    return EXIT_DONE;
}
