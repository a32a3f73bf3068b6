/* The file that keeps what an HTTP server refuses. Inside the HTTP sink only. */
#ifndef XTCP_OUTPUTS_SINK_HTTP_DEAD_LETTER_H
#define XTCP_OUTPUTS_SINK_HTTP_DEAD_LETTER_H

#include <stddef.h>

#include "lib/err.h"

/* The file does not become longer than this. */
#define HTTP_DEAD_LETTER_MAX (1LL << 30)

/* Appends |len| bytes |data|, wholly or not at all, to |path|, which is made with mode 0600 if need be; a
 * symbolic link is not followed. Returns 0, -errno, ERR_TYPE for anything but a regular file, or ERR_LIMIT
 * when it is full; then |e| says why, with the path. Waits for the file system. */
int http_dead_letter(const char *path, const void *data, size_t len, struct err *e);

#endif
