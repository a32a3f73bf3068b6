/* Connections of a flood: addresses, plain sockets and TLS, none of which ever waits. */
#ifndef XTCP_TEST_FLOOD_LINK_H
#define XTCP_TEST_FLOOD_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct address {
    struct sockaddr_storage bytes;
    socklen_t len;
};

/* |text|: HOST:PORT with a number as HOST, unix:PATH or unix-abstract:NAME. */
bool address_parse(const char *text, struct address *a);

/* |host|: the number of an address, any port. */
bool address_of_host(const char *host, struct address *a);

struct link {
    int fd;
    SSL *ssl;
};

/* A socket that is on its way to |to|, from |from| if that is not NULL. Returns -1 when it cannot be now. */
int link_dial(const struct address *to, const struct address *from);

/* 0: done, 1: not yet, -1: it was refused. With |tls|, that of a handshake as well. */
int link_finish(struct link *l, SSL_CTX *tls);

/* How many bytes; 0 for none at this time, -1 for the end. */
ssize_t link_read(struct link *l, void *to, size_t len);
ssize_t link_write(struct link *l, const void *bytes, size_t len);

/* Closes it at once: by TCP with a reset, so that no port waits for old segments. */
void link_close(struct link *l);

/* For h2, without looking at who answers; |cert| and |key| may be NULL. */
SSL_CTX *link_tls(const char *cert, const char *key);

#endif
