/* The tokens of token_file. Any thread. */
#ifndef XTCP_SERVER_LISTEN_TOKENS_H
#define XTCP_SERVER_LISTEN_TOKENS_H

#include <stdbool.h>

#include "lib/err.h"
#include "rpc/server/server.h"
#include "server/listen/token_table.h"

struct tokens;

/* Reads the tokens of the file |path|; none for an empty path. Returns 0 and them in |out|, or a code with
 * |e| naming the file, and the line where one is wrong. */
int tokens_new(const char *path, struct tokens **out, struct err *e);
void tokens_free(struct tokens *t);

/* Reads the file again if it has changed, if it is another |path| than before, a second after the system
 * could not read it, or |anyway|. An error in it is logged, once for each change and each time |anyway|, and
 * the tokens read before stay valid. */
void tokens_refresh(struct tokens *t, const char *path, bool anyway);

/* Looks for |token| and puts what it grants into |out|. Begins with tokens_refresh, not |anyway|.
 * The time that this takes tells nothing about the tokens. */
bool tokens_find(struct tokens *t, const char *path, const char *token, struct rpc_grant *out);

#endif
