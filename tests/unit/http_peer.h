/* An HTTP server that misbehaves as a test tells it to: on a thread, on 127.0.0.1, with one connection at
 * a time. */
#ifndef XTCP_TESTS_HTTP_PEER_H
#define XTCP_TESTS_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happens after a request has been read, or instead of reading it. */
enum http_peer_act {
    PEER_ANSWER,        /* |text| is sent, and the connection stays */
    PEER_CLOSE,         /* |text| is sent, and the connection closed */
    PEER_RESET,         /* |text| is sent, and the connection reset */
    PEER_CLOSE_AT_ONCE, /* the connection is closed before anything is read */
    PEER_EARLY,         /* |text| is sent after the head of the request; the body is not asked for */
    PEER_SILENT,        /* nothing until the client goes */
    PEER_ENDLESS,       /* |text| is sent, then |again| until the client goes */
    PEER_DRIP,          /* |text|, then a byte of 'x' each 10 ms until the client goes */
};

struct http_peer_step {
    enum http_peer_act act;
    const char *text; /* NULL: PEER_OK */
    const char *again;
};

#define PEER_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* A request that came, as far as it came. */
struct http_peer_request {
    char *head; /* with its empty line, NUL-terminated */
    uint8_t *body;
    size_t body_len;
    unsigned connection; /* its number, from 1 on */
};

struct http_peer;

/* PEM files of a server with TLS. |client_ca|: clients have to have a certificate of it; NULL: they need
 * none. */
struct http_peer_tls {
    const char *cert, *key, *client_ca;
};

/* Starts one, with TLS if |tls|. It takes the |n| steps |steps|, which must stay valid, one for each
 * request, then answers PEER_OK. */
struct http_peer *http_peer_start(const struct http_peer_tls *tls, const struct http_peer_step *steps,
                                  size_t n);
void http_peer_stop(struct http_peer *p);

uint16_t http_peer_port(const struct http_peer *p);

/* Connections that were taken so far. */
unsigned http_peer_connections(struct http_peer *p);

/* How many requests have been read, and the |i|th of them, valid until http_peer_stop. */
size_t http_peer_count(struct http_peer *p);
const struct http_peer_request *http_peer_request(struct http_peer *p, size_t i);

/* The value of the header |name| of |r| in |out|; false: it has none. */
bool http_peer_header(const struct http_peer_request *r, const char *name, char *out, size_t size);

#endif
