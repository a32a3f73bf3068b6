/* Who we are to an HTTP server: a bearer token, or user and password. Token and password may come from a
 * file that changes while we run. Inside the HTTP sink only; one thread. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_AUTH_H
#define XTCP_OUTPUTS_SINK_HTTP_AUTH_H

#include <stdbool.h>

#include "config/output.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/url.h"
#include "outputs/sink/http_hide.h"

/* Zero: nobody. */
struct http_auth {
    const char *user; /* of basic authentication; NULL: a bearer token, or nobody */
    const char *path; /* of the file with the token or the password; NULL: none */
    struct http_hidden *hidden;
    struct file_stamp stamp; /* of the file, before it was read last */
    struct file_attempt attempt;
    char *header; /* "Authorization: …"; NULL: none, or not read yet */
};

/* Takes the credentials of |o| and |u|, which must stay valid; reads no file. The secrets go to |hidden|,
 * too. Returns 0, -ENOMEM, or ERR_DUPLICATE, ERR_MALFORMED with |e| when they contradict each other. */
int http_auth_init(struct http_auth *a, const struct output_http_options *o, const struct url *u,
                   struct http_hidden *hidden, struct err *e);

/* Wipes and frees everything. */
void http_auth_free(struct http_auth *a);

/* Reads the file when it has changed. What was read before stays in use while the file cannot be read.
 * Returns 0, or a code with |e| naming the file when nothing has been read yet. */
int http_auth_refresh(struct http_auth *a, struct err *e);

/* After a refusal: reads the file, changed or not. Returns whether the credentials are others now. */
bool http_auth_renew(struct http_auth *a);

#endif
