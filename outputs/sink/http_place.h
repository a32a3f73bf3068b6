/* Where an HTTP sink sends to: the hosts of its URL, one after the other, as curl wants them. Inside the
 * HTTP sink only; one thread. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_PLACE_H
#define XTCP_OUTPUTS_SINK_HTTP_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "config/output.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "outputs/sink/sink.h"

#define HTTP_SHOWN_MAX 124 /* leaves room for the rest of an error */

struct http_place {
    const struct sink_env *env;
    const char *server_name; /* that stands in the URL instead of the host, for TLS; NULL: the host itself */
    bool https;
    char shown[HTTP_SHOWN_MAX]; /* the configured URL in errors: without secrets, cut */
    struct buf path;            /* path and query, escaped where they have to be */
    size_t host;                /* that is used, of env->url */
    struct buf url;             /* for curl, of that host; no user and password in it */
    struct buf host_header;     /* "Host: …"; empty: curl makes it of the URL */
    struct buf addresses;       /* of the host, as CURLOPT_RESOLVE has them; empty: the URL has an address */
    struct curl_slist resolved; /* the same, as a list of one */
    int64_t resolved_ns;        /* the last attempt to find them */
};

/* Reads the URL of |env| and the TLS option |server_name|, which must stay valid. Returns 0, -ENOMEM, or
 * ERR_MALFORMED with |e|. In any case for http_place_free. */
int http_place_init(struct http_place *p, const struct sink_env *env, const char *server_name, struct err *e);
void http_place_free(struct http_place *p);

/* The next host of the URL, after the last one the first. */
void http_place_next(struct http_place *p);

/* Whether it is time to look for the addresses again, though the last ones work. */
bool http_place_is_stale(const struct http_place *p);

/* Looks up the addresses of the host until |deadline_ns|. Returns 0, or as net_addresses with |e|; what
 * was known before stays then. */
int http_place_resolve(struct http_place *p, int64_t deadline_ns, struct err *e);

/* The lines for curl. NULL: none. */
struct curl_slist *http_place_addresses(struct http_place *p);
char *http_place_host_header(struct http_place *p);

#endif
