/* The PEM files of a TLS listener: whether they can be used, and together. */
#ifndef XTCP_RPC_SERVER_TLS_PEM_H
#define XTCP_RPC_SERVER_TLS_PEM_H

#include "lib/err.h"

/* One of them. */
struct tls_pem_file {
    const char *option; /* of the configuration, which says where it is */
    const char *path;
    const char *text; /* what it holds, NUL-terminated; NULL: there is none */
};

/* Checks a listener's certificate, its private key, and the CA of its clients, which may have no text. One
 * that has expired is logged, and good all the same. Returns 0, or ERR_MALFORMED with |e| naming the option
 * and the file that are to blame; nothing of a key is in it. Any thread. */
int tls_pem_check(const struct tls_pem_file *cert, const struct tls_pem_file *key,
                  const struct tls_pem_file *client_ca, struct err *e);

#endif
