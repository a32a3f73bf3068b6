#include "client/session.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "rpc/client/client_probe.h"

#define BACKOFF_FIRST_NS (1 * NS_PER_S)
#define BACKOFF_LAST_NS  (30 * NS_PER_S)
#define LOOK_MAX_NS      (3 * NS_PER_S)

void session_channel_options(const struct options *o, struct rpc_channel_options *out)
{
    *out = (struct rpc_channel_options){.plaintext = o->plaintext,
                                        .tls = o->tls,
                                        .insecure = o->insecure,
                                        .ca = o->ca,
                                        .cert = o->cert,
                                        .key = o->key,
                                        .server_name = o->server_name,
                                        .authority = o->authority,
                                        .token_file = o->token_file,
                                        .headers = o->headers.items,
                                        .n_headers = o->headers.n,
                                        .connect_timeout_ns = o->connect_timeout_ns,
                                        .message_max = o->message_max};
}

const char *session_address(const struct options *o)
{
    return o->address ? o->address : o->target;
}

int64_t session_deadline(const struct options *o)
{
    return o->timeout_ns && o->timeout_ns < INT64_MAX / 2 ? clock_mono_ns() + o->timeout_ns : 0;
}

int session_open(struct session *s, const struct options *options, struct output *out, struct stop *stop,
                 struct err *e)
{
    struct rpc_channel_options how;
    *s = (struct session){.options = options, .out = out, .stop = stop};
    s->deadline_ns = session_deadline(options);
    session_channel_options(options, &how);
    int rc = rpc_channel_new(session_address(options), &how, &s->channel, e);
    if (rc == 0)
        stop_attach(stop, s->channel);
    return rc;
}

void session_close(struct session *s)
{
    stop_attach(s->stop, NULL);
    rpc_channel_free(s->channel);
    s->channel = NULL;
}

/* The meaning of failures. The first row whose code and words fit counts; %s is the target. */
static const struct {
    int code;
    const char *words; /* part of gRPC's text; NULL: any */
    const char *meaning;
    bool quote; /* the text says more */
    bool probe; /* another look at the connection may tell more */
} meanings[] = {
    {CODE_UNAVAILABLE, "Connection refused",
     "nothing listens at %s: is xtcp2 running there? (--target names another place)", false, false},
    {CODE_UNAVAILABLE, "No such file or directory",
     "there is no socket at %s: is xtcp2 running and listening there? (--target names another place)", false,
     false},
    {CODE_UNAVAILABLE, "Permission denied",
     "this user may not connect to %s: ask for access to the socket, or try as root", false, false},
    {CODE_UNAVAILABLE, "DNS resolution failed", "cannot find the address of %s: is the name right?", true,
     false},
    {CODE_UNAVAILABLE, "No route to host", "there is no way to %s (no route to host): is the host up?", false,
     false},
    {CODE_UNAVAILABLE, "Network is unreachable",
     "there is no way to %s (network is unreachable): see the routes of this host", false, false},
    {CODE_UNAVAILABLE, "http1", "%s is a web server, not a gRPC one: --target names another place", false,
     false},
    {CODE_UNAVAILABLE, "timed out before receiving SETTINGS",
     "%s takes connections, but does not answer in time: what is there is stopped, overloaded or no xtcp2 "
     "(--connect-timeout gives it more time)",
     false, true},
    {CODE_UNAVAILABLE, "Handshake read failed",
     "%s takes connections, but does not answer in time to a TLS handshake: what is there is stopped, "
     "overloaded or no xtcp2 (--connect-timeout gives it more time)",
     false, true},
    {CODE_UNAVAILABLE, "before receiving SETTINGS",
     "%s takes connections, but does not answer as xtcp2 does: --target names another place", false, true},
    {CODE_UNAVAILABLE, "handshaker shutdown",
     "%s does not answer in time: the host is down, or what is there is stopped, overloaded or no xtcp2 "
     "(--connect-timeout gives it more time)",
     false, true},
    {CODE_UNAVAILABLE, "Timeout",
     "%s does not answer: is the host up? (--connect-timeout gives it more time)", true, true},
    {CODE_UNAVAILABLE, "timed out",
     "%s does not answer: is the host up? (--connect-timeout gives it more time)", true, true},
    {CODE_UNAVAILABLE, "is not in peer certificate",
     "the certificate of %s is for another name: --servername gives the name to expect", true, true},
    {CODE_UNAVAILABLE, "CERTIFICATE_VERIFY_FAILED",
     "the certificate of %s is not signed by a CA that is trusted: --cacert names the file with the right one",
     true, true},
    {CODE_UNAVAILABLE, "WRONG_VERSION_NUMBER",
     "%s does not speak TLS: leave out the options for TLS, or add --plaintext", false, true},
    {CODE_UNAVAILABLE, NULL,
     "no connection to %s; if something else than xtcp2 listens there, --target names another place", true,
     true},
    {CODE_UNIMPLEMENTED, NULL,
     "%s does not offer this: it is an older daemon or another program (--target names another place)", true,
     false},
    {CODE_PERMISSION_DENIED, NULL,
     "%s does not allow this: show who you are with --cert and --key or with --token-file, or ask for access",
     true, false},
    {CODE_UNAUTHENTICATED, NULL,
     "%s wants to know who you are: show it with --cert and --key or with --token-file", true, false},
    {CODE_DEADLINE_EXCEEDED, NULL, "no answer from %s in time (--timeout gives it more)", false, false},
};

#define MEANINGS (sizeof(meanings) / sizeof(meanings[0]))

/* The row of |status|, or MEANINGS. */
static size_t meaning_of(const struct rpc_status *status)
{
    size_t i = 0;
    while (i < MEANINGS && (meanings[i].code != status->code ||
                            (meanings[i].words && !strstr(status->text, meanings[i].words))))
        i++;
    return i;
}

void session_explain(struct buf *b, const char *target, const char *method, const struct rpc_status *status)
{
    size_t i = meaning_of(status);
    if (i < MEANINGS) {
        const char *at = strstr(meanings[i].meaning, "%s");
        buf_bytes(b, meanings[i].meaning, (size_t)(at - meanings[i].meaning));
        buf_str(b, target);
        buf_str(b, at + 2);
        if (meanings[i].quote && status->text[0])
            buf_printf(b, " (%s)", status->text);
        return;
    }
    /* The daemon's own words, which name the field and its bounds. */
    const char *name = strrchr(method, '/');
    buf_printf(b, "%s: %s", name ? name + 1 : method, status->text[0] ? status->text : "failed");
    buf_printf(b, " (%s)", rpc_status_name(status->code));
}

/* Time spent on all looks of the process: one without a result takes seconds, and there may be many nodes. */
static _Atomic int64_t looked_ns;

/* Looks into a connection that failed; see rpc_client_probe. */
static bool look_into(struct buf *b, const struct options *o)
{
    struct rpc_channel_options how;
    int64_t start = clock_mono_ns();
    if (atomic_load(&looked_ns) > LOOK_MAX_NS)
        return false;
    session_channel_options(o, &how);
    bool found = rpc_client_probe(o->target, session_address(o), &how, b);
    atomic_fetch_add(&looked_ns, clock_mono_ns() - start);
    return found;
}

/* Connecting to a path without a socket fails in the same way as to a socket where nobody listens. Returns
 * whether the path is the reason. */
static bool tell_path(struct buf *b, const struct options *o)
{
    const char *path = session_address(o);
    struct stat st;
    if (strncmp(path, "unix:", 5) != 0)
        return false;
    path += 5;
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (stat(path, &st) != 0 || S_ISSOCK(st.st_mode))
        return false;
    buf_printf(b, "%s is %s, no socket: --target names another place", o->target,
               S_ISDIR(st.st_mode)   ? "a directory"
               : S_ISREG(st.st_mode) ? "a file"
                                     : "something else");
    return true;
}

void session_why(struct buf *b, const struct options *o, const char *method, const struct rpc_status *status)
{
    size_t i = meaning_of(status);
    if (status->code == CODE_UNAVAILABLE && tell_path(b, o))
        return;
    if (i < MEANINGS && meanings[i].probe && look_into(b, o))
        return;
    if (i == MEANINGS && o->several) /* the daemon's own words do not name it, all others do */
        buf_printf(b, "%s: ", o->target);
    session_explain(b, o->target, method, status);
}

void session_tell_failure(struct session *s, const char *method, const struct rpc_status *status)
{
    switch (stop_reason(s->stop)) {
    case STOP_READER:
        return;
    case STOP_SIGNAL:
        output_note(s->out, "interrupted");
        return;
    case STOP_NOT:
        break;
    }
    struct buf text;
    buf_init(&text);
    session_why(&text, s->options, method, status);
    output_note(s->out, "%s", buf_cstr(&text));
    buf_free(&text);
}

int session_call(struct session *s, const char *method, const struct buf *request, struct rpc_bytes *reply)
{
    return session_call_within(s, method, request, SESSION_CALL_TIMEOUT_NS, reply);
}

int session_call_within(struct session *s, const char *method, const struct buf *request, int64_t timeout_ns,
                        struct rpc_bytes *reply)
{
    struct rpc_status status = {0};
    struct rpc_call_options options = {.timeout_ns = timeout_ns};
    if (s->deadline_ns) {
        options.timeout_ns = s->deadline_ns - clock_mono_ns();
        if (options.timeout_ns <= 0)
            options.timeout_ns = 1;
    }
    int rc = rpc_unary(s->channel, method, request ? request->data : NULL, request ? request->len : 0,
                       &options, reply, &status);
    if (rc == 0)
        return 0;
    session_tell_failure(s, method, &status);
    return EXIT_FAILED;
}

bool session_may_retry(int code)
{
    switch (code) {
    case CODE_OK:                 /* a daemon that stops ends its streams with this */
    case CODE_CANCELLED:          /* by the other side */
    case CODE_RESOURCE_EXHAUSTED: /* too slow, or too many streams for the moment */
    case CODE_INTERNAL:           /* a connection that broke in the middle of a frame */
    case CODE_UNKNOWN:
    case CODE_DEADLINE_EXCEEDED:
    case CODE_ABORTED:
    case CODE_UNAVAILABLE:
    case CODE_DATA_LOSS:
        return true;
    default:
        return false;
    }
}

int64_t backoff_next(struct backoff *b, uint32_t random)
{
    b->base_ns = b->base_ns ? b->base_ns * 2 : BACKOFF_FIRST_NS;
    if (b->base_ns > BACKOFF_LAST_NS)
        b->base_ns = BACKOFF_LAST_NS;
    int64_t fifth = b->base_ns / 5;
    return b->base_ns - fifth + (int64_t)(random % (uint64_t)(2 * fifth + 1));
}
