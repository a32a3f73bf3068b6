/* Small files that are read as a whole: certificates, keys, tokens. */
#ifndef XTCP_RPC_FILE_H
#define XTCP_RPC_FILE_H

#include "lib/err.h"

#define RPC_FILE_MAX (1024 * 1024) /* bytes */

/* Reads the file |path| into |*out|, NUL-terminated; free it with rpc_file_forget. Returns 0, or a code with
 * |e| saying what is wrong, after "PATH: ". */
int rpc_file_read(const char *path, char **out, struct err *e);

/* Frees |text| and leaves nothing of it in memory. NULL is allowed. */
void rpc_file_forget(char *text);

#endif
