/* Checks the PEM files of a TLS listener: whether each can be used, and whether they fit together. */
#ifndef XTCP_RPC_SERVER_TLS_PEM_H
#define XTCP_RPC_SERVER_TLS_PEM_H

#include "lib/err.h"

/* One of them. */
struct tls_pem_file {
    const char *option; /* option of the configuration with its path */
    const char *path;
    const char *text; /* its contents, NUL-terminated; NULL: there is none */
};

/* Checks a listener's certificate, its private key, and the CA of its clients, which may have no text. An
 * expired certificate is logged, but accepted. Returns 0, or ERR_MALFORMED with |e| naming the option and the
 * file that are to blame; nothing of a key is in it. Any thread. */
int tls_pem_check(const struct tls_pem_file *cert, const struct tls_pem_file *key,
                  const struct tls_pem_file *client_ca, struct err *e);

#endif
