/* The answer of StatusService, for the commands that show some of it. */
#ifndef XTCP_CLIENT_CMD_STATUS_H
#define XTCP_CLIENT_CMD_STATUS_H

#include "client/session.h"
#include "rpc/codec/msg_status.h"

/* Asks the daemon of |s|. Returns EXIT_DONE with the answer in |out|, which lives until
 * status_msg_free(|*memory|), or another exit status, and the failure has been told on standard error. */
int status_ask(struct session *s, struct status_msg *out, void **memory);

#endif
