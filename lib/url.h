/* URLs of destinations: taken apart, and shown without their secrets.
 *
 * Three kinds of text are read, and which of them a scheme takes is the caller's to say:
 *
 *   bare   SCHEME or SCHEME:                 nothing else
 *   path   SCHEME:/PATH or SCHEME:///PATH    nothing in it is decoded; it is a path of the file system
 *   net    SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/PATH][?QUERY]
 *          the same without the two slashes, as in kafka:a:9092,b:9092
 *
 * "net" is RFC 3986 with a list of hosts, but for three rules that leave no doubt about where a password ends:
 *
 *   - The last @ of the whole text is the one in front of the hosts. Any other one behind the hosts is written %40.
 *   - A slash, ? or # in a user or a password is written %2F, %3F or %23.
 *   - There are no fragments: a # is an error.
 *
 * An IPv6 address stands in brackets, as in [::1]:9092; it may have a zone: [fe80::1%eth0], or with %25 in place of %
 * as RFC 6874 has it. All text is UTF-8. Control characters are an error everywhere, spaces are one in "net" (%20). */
#ifndef XTCP_LIB_URL_H
#define XTCP_LIB_URL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define URL_TEXT_MAX  4096 /* bytes of a URL */
#define URL_HOSTS_MAX 32
#define URL_HOST_MAX  253 /* bytes of the name of a host: as long as DNS allows */

enum url_kind {
    URL_BARE, /* "null", "stdout:" */
    URL_PATH, /* "file:/var/log/x" */
    URL_NET,  /* "tcp:h:9000", "https://h/path" */
};

struct url_host {
    char *name;    /* without brackets; a name, an IPv4 or an IPv6 address, with its zone: "fe80::1%eth0" */
    uint16_t port; /* 0: none is given */
};

/* Texts are owned by the struct, NUL-terminated, never NULL unless a comment says so. No text has a control character
 * in it or is not UTF-8, decoded ones included. */
struct url {
    char *scheme;           /* lower case */
    char *user;             /* decoded; NULL: none is given */
    char *password;         /* decoded; NULL: none is given */
    struct url_host *hosts; /* one at least with URL_NET, else NULL */
    size_t n_hosts;
    char *path; /* URL_PATH: the absolute path as it is. URL_NET: decoded, with its slash; "": none */
    char *
        query; /* as it is, without the question mark; "": none. Each % in it is followed by two hexadecimal digits
                    other than 00; decoded it may hold anything else, such as the line breaks of a statement */
};

/* Copies the scheme of |text|, in lower case, into |out|, or "" when it has none (or it is longer than |max| - 1
 * bytes). "null" is the scheme of a text without a colon. Any thread. */
void url_scheme(const char *text, char *out, size_t max);

/* Reads |text| as |kind|. Returns 0 and |out|, for url_free; or ERR_MALFORMED, ERR_RANGE (a port, a length, too many
 * hosts) or -ENOMEM, with |e| saying what is wrong: a sentence that follows after the value in quotes, such as `has no
 * host`. No part of |text| is in it, so no secret is. |out| is empty then. Any thread. */
int url_parse(const char *text, enum url_kind kind, struct url *out, struct err *e);

/* Wipes and frees the texts of |u|, which is empty then; an empty one is fine. */
void url_free(struct url *u);

/* The value of the first parameter |name| (NAME=VALUE, with & between parameters) in the query of |u|, decoded, in |out|
 * of |max| bytes, its NUL included. A + is a +. Returns its length, or -1 when it is not there, is too long, or has a
 * control character or bytes that are not UTF-8 in it; |out| is "" then. Any thread. */
int url_query(const struct url *u, const char *name, char *out, size_t max);

#define URL_HIDDEN "***"

/* Appends |text|, which may be any text, as people may see it. URL_HIDDEN stands in it for
 *
 *   - what is between the first colon behind the scheme and the last @ of the text: the password. A user without a
 *     password may be a token, and is hidden as well;
 *   - the value, to the next &, of each parameter behind the first ? or # whose name has pass, pwd, token, secret, key,
 *     sig, auth or cred in it, in upper or lower case, percent-encoded or not.
 *
 * A text that url_parse refuses for its password is hidden by the same rules, so an error may show it. Hidden
 * characters (utf8_is_hidden) and bytes that are not UTF-8 become U+FFFD; from URL_TEXT_MAX bytes on, "..." stands for
 * the rest. What is appended for a text that url_parse takes as URL_NET stays the same when it is appended once more,
 * unless it has grown beyond URL_TEXT_MAX bytes. Any thread. */
void url_print_safe(const char *text, struct buf *out);

/* The same as a text of its own, for free(); NULL without memory. */
char *url_safe(const char *text);

/* No more bytes are appended for one text. */
#define URL_SAFE_MAX (3 * URL_TEXT_MAX + 3)

#endif
