#include "outputs/sink/http_request.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/utf8.h"

#define HEAD_MAX (64 * 1024)
#define BODY_MAX (64 * 1024)

/* Longest text of curl in an error. */
#define DETAIL_SHOWN 204

/* A connection is left after this time, so that changes of names, addresses and certificates take effect. */
#define CONNECTION_LIFE_S 600

/* How long the authorities that certificates are checked with are kept, once read. */
#define AUTHORITIES_LIFE_S 60

/* ---- The head of an answer ---- */

/* Copies |n| bytes |text| as a NUL-terminated text, cut to |size| - 1 bytes. */
static void copy_text(char *out, size_t size, const char *text, size_t n)
{
    n = n < size - 1 ? n : size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}

/* A status line: "HTTP/1.1 200 OK". Everything before it belonged to an answer that only announced this
 * one. */
static void take_status(struct http_answer *a, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    const char *reason = space ? memchr(space + 1, ' ', n - (size_t)(space + 1 - line)) : NULL;
    a->location[0] = '\0';
    a->reason[0] = '\0';
    a->head_ended = false;
    if (reason)
        copy_text(a->reason, sizeof(a->reason), reason + 1, n - (size_t)(reason + 1 - line));
}

/* curl_write_callback for lines of the head. */
static size_t on_head(char *line, size_t size, size_t n, void *arg)
{
    static const char location[] = "location:";
    struct http_answer *a = arg;
    size_t len = size * n;
    a->head_len += len;
    if (a->head_len > HEAD_MAX)
        return 0; /* ends the request */
    size_t text = len;
    while (text > 0 && (line[text - 1] == '\n' || line[text - 1] == '\r'))
        text--;
    if (text == 0) {
        a->head_ended = true;
    } else if (ascii_begins(line, text, "http/")) {
        take_status(a, line, text);
    } else if (ascii_begins(line, text, location)) {
        const char *value = line + sizeof(location) - 1;
        for (text -= sizeof(location) - 1; text > 0 && (*value == ' ' || *value == '\t'); value++)
            text--;
        copy_text(a->location, sizeof(a->location), value, text);
    }
    return len;
}

/* curl_write_callback for the body. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct http_answer *a = arg;
    size_t len = size * n;
    size_t room = BODY_MAX - a->body.len;
    buf_bytes(&a->body, data, len < room ? len : room);
    a->cut = len > room;
    return a->cut ? 0 : len;
}

static void answer_reset(struct http_answer *a)
{
    buf_reset(&a->body);
    a->status = 0;
    a->reason[0] = a->location[0] = '\0';
    a->retry_after_s = 0;
    a->head_len = 0;
    a->head_ended = a->cut = false;
}

/* ---- What curl waits for ---- */

/* curl_socket_callback: curl waits for |what| on |fd|. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_request *r = arg;
    unsigned i = 0;
    (void)easy;
    (void)unused;
    while (i < r->n_fds && r->fds[i].fd != fd)
        i++;
    if (what == CURL_POLL_REMOVE) {
        if (i < r->n_fds)
            r->fds[i] = r->fds[--r->n_fds];
        return 0;
    }
    if (i == HTTP_FDS_MAX)
        return -1; /* ends the request; one has two sockets at most, of IPv6 and of IPv4 */
    r->n_fds += i == r->n_fds;
    r->fds[i] = (struct pollfd){
        .fd = fd,
        .events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0))};
    return 0;
}

/* curl_multi_timer_callback: curl wants to be called in |ms|; -1: not by time. */
static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http_request *r = arg;
    (void)multi;
    r->timer_ns = ms < 0 ? INT64_MAX : clock_mono_ns() + ms * NS_PER_MS;
    return 0;
}

/* curl_opensocket_callback. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)arg;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- Life ---- */

/* The first failing curl_easy_setopt or curl_multi_setopt of a row of them is the one that counts. */
#define SET(option, value)       (rc = rc ? rc : curl_easy_setopt(r->easy, (option), (value)))
#define SET_MULTI(option, value) (mc = mc ? mc : curl_multi_setopt(r->multi, (option), (value)))

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Everything of TLS. CURLOPT_CAPATH has authorities of the system, which are none of ours when the
 * configuration names some. Without a passphrase that is empty, OpenSSL would ask the terminal for that of
 * a key. */
static CURLcode set_tls(struct http_request *r, const struct output_tls *tls)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CA_CACHE_TIMEOUT, (long)AUTHORITIES_LIFE_S);
    SET(CURLOPT_KEYPASSWD, "");
    if (*tls->ca_file) {
        SET(CURLOPT_CAINFO, tls->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (*tls->cert_file) {
        SET(CURLOPT_SSLCERT, tls->cert_file);
        SET(CURLOPT_SSLKEY, *tls->key_file ? tls->key_file : tls->cert_file);
    }
    return rc;
}

/* How a request is made: as the configuration says, whatever the environment has. */
static CURLcode set_request(struct http_request *r)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_USERAGENT, "xtcp2/" XTCP_VERSION);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_LIFE_S);
    return rc;
}

static CURLcode set_callbacks(struct http_request *r)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, r->detail);
    SET(CURLOPT_HEADERFUNCTION, on_head);
    SET(CURLOPT_HEADERDATA, &r->answer);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, &r->answer);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    return rc;
}

static CURLMcode set_multi(struct http_request *r)
{
    CURLMcode mc = CURLM_OK;
    SET_MULTI(CURLMOPT_SOCKETFUNCTION, on_socket);
    SET_MULTI(CURLMOPT_SOCKETDATA, r);
    SET_MULTI(CURLMOPT_TIMERFUNCTION, on_timer);
    SET_MULTI(CURLMOPT_TIMERDATA, r);
    SET_MULTI(CURLMOPT_MAXCONNECTS, 1L);
    return mc;
}

int http_request_init(struct http_request *r, const struct sink_host *host,
                      const struct output_http_options *o, bool https, const struct http_hidden *hidden,
                      struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    *r = (struct http_request){.host = host, .hidden = hidden, .timer_ns = INT64_MAX};
    buf_init(&r->answer.body);
    r->multi = curl_multi_init(); /* opens two sockets, up to curl 8 without CLOEXEC: we start no programs */
    r->easy = curl_easy_init();
    if (!r->multi || !r->easy)
        return err_set(e, -ENOMEM, "out of memory");
    CURLMcode mc = set_multi(r);
    CURLcode rc = set_request(r);
    if (rc == CURLE_OK)
        rc = set_callbacks(r);
    if (rc == CURLE_OK && https)
        rc = set_tls(r, &o->tls);
    if (rc == CURLE_OUT_OF_MEMORY || mc == CURLM_OUT_OF_MEMORY)
        return err_set(e, -ENOMEM, "out of memory");
    if (rc != CURLE_OK || mc != CURLM_OK)
        return err_set(e, ERR_UNSUPPORTED, "this libcurl (%s) cannot do it: %s",
                       curl_version_info(CURLVERSION_NOW)->version,
                       rc ? curl_easy_strerror(rc) : curl_multi_strerror(mc));
    return 0;
}

void http_request_free(struct http_request *r)
{
    curl_easy_cleanup(r->easy); /* NULL is allowed, by both */
    curl_multi_cleanup(r->multi);
    if (r->answer.body.data)
        explicit_bzero(r->answer.body.data, r->answer.body.cap); /* servers repeat what they are sent */
    buf_free(&r->answer.body);
    explicit_bzero(r, sizeof(*r));
}

/* ---- Running ---- */

/* Whether the request is over, and then its |result|. */
static bool is_over(struct http_request *r, CURLcode *result)
{
    int left;
    CURLMsg *m;
    while ((m = curl_multi_info_read(r->multi, &left))) {
        if (m->msg == CURLMSG_DONE) {
            *result = m->data.result;
            return true;
        }
    }
    return false;
}

/* Lets curl work: by time when it wants that, and on each of the |n| descriptors |fds| that is ready. What
 * is ready there is for curl to find out: told of an error, it would not read the answer that is there as
 * well. */
static CURLMcode work(struct http_request *r, const struct pollfd *fds, unsigned n)
{
    int running;
    CURLMcode mc = CURLM_OK;
    for (unsigned i = 0; i < n && mc == CURLM_OK; i++) {
        if (fds[i].revents)
            mc = curl_multi_socket_action(r->multi, fds[i].fd, 0, &running);
    }
    if (mc == CURLM_OK && r->timer_ns <= clock_mono_ns()) {
        r->timer_ns = INT64_MAX;
        mc = curl_multi_socket_action(r->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return mc;
}

/* Runs the request until it is over. Returns 0 and its |result|, or ERR_CANCELLED, ERR_TIMEOUT. */
static int run(struct http_request *r, int64_t deadline_ns, CURLcode *result)
{
    struct pollfd ready[HTTP_FDS_MAX];
    unsigned n = 0;
    for (;;) {
        if (work(r, ready, n) != CURLM_OK) {
            *result = CURLE_OUT_OF_MEMORY;
            return 0;
        }
        if (is_over(r, result))
            return 0;
        if (clock_mono_ns() >= deadline_ns)
            return ERR_TIMEOUT;
        n = r->n_fds;
        memcpy(ready, r->fds, sizeof(ready));
        int rc = r->host->wait(r->host->arg, ready, n, clock_earlier(deadline_ns, r->timer_ns));
        if (rc < 0)
            return rc;
        n = rc > 0 ? n : 0;
    }
}

/* ---- Errors ---- */

/* The error number of the last failed connection: ": Connection refused", or nothing. */
static const char *system_error(const struct http_request *r, char *out, size_t size)
{
    long number = 0;
    curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &number);
    out[0] = '\0';
    if (number > 0) {
        struct buf text;
        buf_init_fixed(&text, out, size - 1);
        buf_printf(&text, ": %s", err_name(-(int)number));
        out[text.len] = '\0';
    }
    return out;
}

/* What curl says about its error |code|, without secrets and control characters. */
static int set_detail(const struct http_request *r, CURLcode code, const char *prefix, struct err *e)
{
    struct buf text;
    char shown[DETAIL_SHOWN];
    const char *detail = r->detail[0] ? r->detail : curl_easy_strerror(code);
    buf_init(&text);
    http_hide(r->hidden, detail, strlen(detail), &text);
    err_set(e, ERR_UNAVAILABLE, "%s%s", prefix, utf8_quote(buf_cstr(&text), shown, sizeof(shown)));
    buf_free(&text);
    return ERR_UNAVAILABLE;
}

static int set_timeout(const char *what, struct err *e)
{
    return err_set(e, ERR_TIMEOUT, "%s in time", what);
}

static int fail(const struct http_request *r, CURLcode code, struct err *e)
{
    char number[80];
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return set_timeout("no connection", e);
    case CURLE_COULDNT_CONNECT:
        return err_set(e, ERR_UNAVAILABLE, "cannot connect%s", system_error(r, number, sizeof(number)));
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return set_detail(r, code, "the connection broke: ", e);
    case CURLE_GOT_NOTHING:
        return err_set(e, ERR_UNAVAILABLE, "the server closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
        return err_set(e, ERR_UNAVAILABLE, "the answer ended early");
    case CURLE_WRITE_ERROR:
        return err_set(e, ERR_UNAVAILABLE, "the head of the answer is longer than %d KiB", HEAD_MAX >> 10);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(e, ERR_UNAVAILABLE, "the answer is not HTTP");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return set_detail(r, code, "TLS: ", e);
    default:
        return set_detail(r, code, "", e);
    }
}

/* ---- Requests ---- */

/* Runs the request that has been set up. */
static int perform(struct http_request *r, int64_t deadline_ns, struct err *e)
{
    CURLcode code = CURLE_OUT_OF_MEMORY;
    answer_reset(&r->answer);
    r->detail[0] = '\0';
    if (curl_multi_add_handle(r->multi, r->easy) != CURLM_OK)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = run(r, deadline_ns, &code);
    curl_multi_remove_handle(r->multi, r->easy); /* closes a connection that is in the middle of something */
    if (rc == ERR_TIMEOUT)
        return set_timeout(r->answer.head_len ? "no complete answer" : "no answer", e);
    if (rc)
        return err_set(e, rc, "%s", err_name(rc));
    if (code == CURLE_WRITE_ERROR && r->answer.cut)
        code = CURLE_OK;
    if (code == CURLE_OK && r->answer.head_len && !r->answer.head_ended)
        code = CURLE_PARTIAL_FILE; /* curl takes a head that is cut for a whole one */
    return code == CURLE_OK ? 0 : fail(r, code, e);
}

static CURLcode set_target(struct http_request *r, const struct http_target *t, int64_t deadline_ns)
{
    CURLcode rc = CURLE_OK;
    int64_t left_ms = (deadline_ns - clock_mono_ns()) / NS_PER_MS;
    SET(CURLOPT_URL, t->url);
    SET(CURLOPT_RESOLVE, t->addresses);
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        left_ms < 1 ? 1L : (long)left_ms); /* its halves are those of single addresses */
    return rc;
}

int http_request_probe(struct http_request *r, const struct http_target *t, int64_t deadline_ns,
                       struct err *e)
{
    CURLcode rc = set_target(r, t, deadline_ns);
    SET(CURLOPT_CONNECT_ONLY, 1L);
    return rc ? fail(r, rc, e) : perform(r, deadline_ns, e);
}

static void read_answer(struct http_request *r)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->answer.status);
    curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &seconds);
    r->answer.retry_after_s = seconds;
}

int http_request_post(struct http_request *r, const struct http_target *t, const void *body, size_t len,
                      int64_t deadline_ns, struct err *e)
{
    CURLcode rc = set_target(r, t, deadline_ns);
    SET(CURLOPT_CONNECT_ONLY, 0L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    SET(CURLOPT_POSTFIELDS, len ? body : ""); /* NULL stands for a callback */
    if (rc)
        return fail(r, rc, e);
    int failed = perform(r, deadline_ns, e);
    if (failed == 0)
        read_answer(r);
    return failed;
}
