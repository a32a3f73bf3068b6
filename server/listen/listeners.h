/* All listeners of the daemon. A connection that comes is looked at, counted, and handed to the gRPC server with a
 * role. The listeners follow the configuration while the daemon runs. Any thread, unless said otherwise. */
#ifndef XTCP_SERVER_LISTEN_LISTENERS_H
#define XTCP_SERVER_LISTEN_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/builder.h"
#include "lib/err.h"
#include "rpc/server/server.h"

struct listeners;
struct listeners_change;

/* Whether the certificates, tokens and group of sockets that |c| names exist and are good. Calls |told| for
 * each one that is not. Returns 0, or the code of the last. */
int listeners_check(const struct config *c, config_error_fn *told, void *arg);

/* A set without listeners. It must exist before the first call comes. |epoll| is the one of main's loop, to which
 * the listeners add sources of their own: they accept connections on main. The loop has to end before the set is
 * freed. Returns 0 and the set in |out|, or a code with |e|. */
int listeners_new(const struct config *c, int epoll, struct listeners **out, struct err *e);

/* Opens the listeners of |c| and accepts connections for |server|, which ends before the set is freed. Listeners of
 * the default configuration may fail, with a warning, as long as one of them opens; any other must open. Returns 0,
 * or a code with |e|. */
int listeners_start(struct listeners *g, const struct config *c, struct rpc_server *server, struct err *e);

/* ---- Changes: one at a time ---- */

/* Makes all ready for |c|: opens the listeners that the set does not have yet, without letting anybody in,
 * and reads certificates and tokens. Listeners that stay are not touched, but for mode and group of a unix
 * socket's file. Returns 0 and the change in |out|, which is then either committed or aborted, or a code with
 * |e|, and everything is as before. */
int listeners_prepare(struct listeners *g, const struct config *c, struct listeners_change **out,
                      struct err *e);

/* Whether listeners_prepare would find the files and users that |c| names; listeners are not tried. Returns 0, or
 * a code with |e|. */
int listeners_try(struct listeners *g, const struct config *c, struct err *e);

/* |c| of listeners_prepare is in force: lets people in at the new listeners, shows the new certificates, and
 * closes the listeners that are gone. Their connections live on, those by TLS until their last call ends. */
void listeners_commit(struct listeners *g, struct listeners_change *change);

/* Everything is as it was before listeners_prepare. NULL is allowed. */
void listeners_abort(struct listeners *g, struct listeners_change *change);

/* ---- Looking after them ---- */

/* Looks whether certificates and tokens have changed, without waiting for somebody to connect, or reads them
 * |anyway|; |c| is in force. */
void listeners_refresh(struct listeners *g, const struct config *c, bool anyway);

/* Looks whether clients still find the unix sockets, and warns where they do not. Main thread. */
void listeners_look(struct listeners *g);

/* Makes the files of unix sockets again that are gone, as the configuration in force wants them. Waits for
 * the end of a change that is under way. Main thread. */
void listeners_restore(struct listeners *g);

/* The role of a call (rpc_server_options.role). |c| is in force. */
int listeners_call_role(struct listeners *g, const struct config *c, const struct rpc_caller *caller,
                        struct rpc_grant *out, struct err *e);

/* Whether a call that changes something may be made now (rpc_server_options.admit). */
int listeners_admit(struct listeners *g, const struct config *c, const char *peer, struct err *e);

struct listeners_stats {
    uint64_t no_descriptor;   /* connections turned away for want of a descriptor since the start */
    uint64_t control_refused; /* calls, for control_calls_max */
    uint64_t tokens_refused;  /* calls, with a token that nobody has */
};
void listeners_stats(struct listeners *g, struct listeners_stats *out);

/* The port of the first TCP listener of grpc_listen, 0 when there is none. */
uint16_t listeners_port(const struct listeners *g);

/* ---- The end ---- */

/* Closes the plaintext listeners and lets nothing change any more; connections live on, and the server closes
 * the listeners with TLS when it stops. NULL is allowed. */
void listeners_close(struct listeners *g);

/* Frees it, after the server. NULL is allowed. */
void listeners_free(struct listeners *g);

#endif
