/* The headers of requests. Inside the HTTP sink only; one thread. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_HEADERS_H
#define XTCP_OUTPUTS_SINK_HTTP_HEADERS_H

#include <curl/curl.h>

#include "config/output.h"
#include "lib/err.h"
#include "outputs/format/format.h"
#include "outputs/sink/http_hide.h"

/* Those of a configuration. */
#define HTTP_HEADERS_MAX 32

struct http_headers {
    struct curl_slist nodes[HTTP_HEADERS_MAX + 4];
    size_t n; /* those that never change: of the configuration, Content-Type, Content-Encoding */
};

/* Makes the headers of |o| for bodies of |f|. Values of headers whose names speak of secrets go to
 * |hidden|. Returns 0, -ENOMEM, or ERR_MALFORMED, ERR_DUPLICATE, ERR_LIMIT with |e| naming the option, but
 * no value. */
int http_headers_init(struct http_headers *h, const struct output_http_options *o, const struct format *f,
                      struct http_hidden *hidden, struct err *e);

/* Wipes and frees everything. */
void http_headers_free(struct http_headers *h);

/* Whether the configuration has the header |name|. */
bool http_headers_have(const struct http_headers *h, const char *name);

/* All of them for curl, with the lines |host| and |authorization| (NULL: none), which stay the caller's.
 * Valid until the next call. */
struct curl_slist *http_headers_list(struct http_headers *h, char *host, char *authorization);

#endif
