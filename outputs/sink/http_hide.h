/* Texts that no error may show: passwords and tokens, wherever a server or a library repeats them. Inside
 * the HTTP sink only. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_HIDE_H
#define XTCP_OUTPUTS_SINK_HTTP_HIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/url.h"

/* Texts that are shorter than this are not hidden: they are in too many words. */
#define HTTP_HIDE_MIN 3

/* Those that change with the file that they come from; the others are there from the beginning. */
enum http_hidden_place {
    HTTP_HIDDEN_SECRET,  /* the token or the password */
    HTTP_HIDDEN_ENCODED, /* the credentials, as the header has them */
    HTTP_HIDDEN_PLACES,
};

/* Zero: nothing is hidden. */
struct http_hidden {
    char *changing[HTTP_HIDDEN_PLACES]; /* NULL: none */
    char **list;
    size_t n, room;
};

/* Adds a copy of the |n| bytes |text|, which have no NUL. Returns 0 or -ENOMEM. */
int http_hidden_add(struct http_hidden *h, const char *text, size_t n);

/* Adds the secrets of |u|: its password and the values of parameters that url_print_safe hides, as they
 * are and decoded. Returns 0 or -ENOMEM. */
int http_hidden_add_url(struct http_hidden *h, const struct url *u);

/* Puts a copy of |text| at |place|; what was there is wiped. Returns 0 or -ENOMEM, and nothing has changed
 * then. */
int http_hidden_put(struct http_hidden *h, enum http_hidden_place place, const char *text);

/* Wipes and frees everything. */
void http_hidden_free(struct http_hidden *h);

/* Appends |n| bytes |text|, with URL_HIDDEN in the place of each text to hide. */
void http_hide(const struct http_hidden *h, const char *text, size_t n, struct buf *out);

/* Whether the |n| bytes |name|, of a header or a parameter, speak of a secret, by the rule of
 * url_print_safe. */
bool http_is_secret_name(const char *name, size_t n);

#endif
