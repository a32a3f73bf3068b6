/* Certificates of the TLS listeners: read, checked, and read again when their files change.
 *
 * gRPC asks for them whenever somebody connects; existing connections keep the ones they have. */
#ifndef XTCP_RPC_SERVER_TLS_H
#define XTCP_RPC_SERVER_TLS_H

#include <grpc/grpc_security.h>
#include <stdbool.h>

#include "lib/err.h"

/* Paths of PEM files. */
struct rpc_tls_files {
    const char *cert;      /* the server's certificate and the chain to its CA */
    const char *key;       /* its private key */
    const char *client_ca; /* CAs that sign certificates of clients, which then must show one; "" for none */
};

struct rpc_tls;

/* Reads the files. Returns 0 and their contents in |out|, with one reference, or a code with |e| naming the
 * option and the file that are to blame. */
int rpc_tls_new(const struct rpc_tls_files *files, struct rpc_tls **out, struct err *e);

/* One more reference. */
struct rpc_tls *rpc_tls_ref(struct rpc_tls *t);

/* Drops the caller's reference; credentials hold their own. NULL is allowed. */
void rpc_tls_unref(struct rpc_tls *t);

/* Puts the files of |fresh|, with their contents, in the place of those of |t|: clients that connect from now
 * on are shown these. |fresh| gets those of |t|. Any thread. */
void rpc_tls_exchange(struct rpc_tls *t, struct rpc_tls *fresh);

/* Whether |files| are those that |t| reads. */
bool rpc_tls_same_files(struct rpc_tls *t, const struct rpc_tls_files *files);

/* Reads the files again if they have changed, a second after the system could not read them, or |anyway|.
 * An error in them is logged, once for each change and each time |anyway|, and the contents read before stay.
 * Any thread. */
void rpc_tls_refresh(struct rpc_tls *t, bool anyway);

/* Credentials for one port: an object of its own for each. With |ask_clients|, clients must show a
 * certificate that a CA in client_ca has signed. */
grpc_server_credentials *rpc_tls_credentials(struct rpc_tls *t, bool ask_clients, void **state);

/* Frees the |state| of rpc_tls_credentials, after the server with these credentials. */
void rpc_tls_release(void *state);

#endif
