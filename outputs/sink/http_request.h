/* One HTTP request at a time by libcurl, on a connection that stays for the next one. Inside the HTTP sink
 * only; one thread.
 *
 * Waiting is done by sink_host.wait, on the descriptors that curl names. Answers are bounded: 64 KiB of
 * head, 64 KiB of body, and the time of the whole request. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_REQUEST_H
#define XTCP_OUTPUTS_SINK_HTTP_REQUEST_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "config/output.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "outputs/sink/http_hide.h"
#include "outputs/sink/sink.h"

#define HTTP_FDS_MAX 8 /* that sink_host.wait takes */
#define HTTP_TEXT_MAX                                                                                        \
    2048 /* much longer than what is shown of a text: no secret is cut into a part that is */

/* What came back. Texts are as the server sent them, cut to fit. They may have secrets. */
struct http_answer {
    long status;
    char reason[HTTP_TEXT_MAX];   /* of the status line */
    char location[HTTP_TEXT_MAX]; /* of a redirect; "": none */
    int64_t retry_after_s;        /* 0: not said */
    size_t head_len;
    bool head_ended; /* by its empty line */
    struct buf body; /* its first 64 KiB */
    bool cut;        /* there was more */
};

struct http_request {
    const struct sink_host *host;
    const struct http_hidden *hidden;
    CURLM *multi;
    CURL *easy;
    struct pollfd fds[HTTP_FDS_MAX]; /* what curl waits for */
    unsigned n_fds;
    int64_t timer_ns; /* when curl wants to be called; INT64_MAX: by descriptors alone */
    struct http_answer answer;
    char detail[CURL_ERROR_SIZE]; /* of curl, about an error; may have secrets */
};

/* Makes a client by the options |o|; |https|: with TLS. Everything given must stay valid. Returns 0; or
 * -ENOMEM or ERR_UNSUPPORTED (this libcurl cannot do it) with |e|: http_request_free is to be called then,
 * too. */
int http_request_init(struct http_request *r, const struct sink_host *host,
                      const struct output_http_options *o, bool https, const struct http_hidden *hidden,
                      struct err *e);

/* Ends it with its connections. */
void http_request_free(struct http_request *r);

/* What requests are sent to. |addresses| is one text of CURLOPT_RESOLVE, so that curl looks up no name;
 * NULL: |url| has an address. Valid as long as the requests. */
struct http_target {
    const char *url;
    struct curl_slist *addresses;
    struct curl_slist *headers;
};

/* Connects, and closes the connection again. Returns 0; ERR_CANCELLED (a stop), ERR_TIMEOUT after
 * |deadline_ns|, or ERR_UNAVAILABLE, with |e|: what is wrong, without the URL or a secret. */
int http_request_probe(struct http_request *r, const struct http_target *t, int64_t deadline_ns,
                       struct err *e);

/* Posts |len| bytes |body|. Returns 0 when there is an answer, in |r->answer| until the next request; or
 * an error as http_request_probe. */
int http_request_post(struct http_request *r, const struct http_target *t, const void *body, size_t len,
                      int64_t deadline_ns, struct err *e);

#endif
