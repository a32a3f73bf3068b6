/* Runs a command for one daemon or for several. Main thread. */
#ifndef XTCP_CLIENT_RUN_H
#define XTCP_CLIENT_RUN_H

#include "client/command.h"

/* Runs |command| as |options| say, with |out|: finds out which nodes it is for, and calls it once for one of
 * them, once for each of several, or once for all when it can do that. Returns an exit code. Before it come
 * rpc_client_init and stop_block_signals. */
int run_command(const struct command *command, struct options *options, struct output *out);

#endif
