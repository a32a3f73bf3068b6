/* The state file: keeps the changes made in the running daemon for its next start.
 *
 * It holds the hot options in which the configuration in force differs from the one made of file, environment
 * and command line. At a start it wins over the file; environment and command line win over it. */
#ifndef XTCP_CONFIG_STATE_H
#define XTCP_CONFIG_STATE_H

#include <stddef.h>

#include "config/builder.h"

/* Puts the state of |len| bytes at |data|, called |filename| in errors, on top of the values that |b| has
 * from defaults and file; those from environment and command line stay. All or nothing: with an error
 * (ERR_MALFORMED for bytes that are no state, ERR_TRUNCATED for one that was cut, or those of a configuration
 * file) |b| is as before. */
int config_parse_state(struct config_builder *b, const void *data, size_t len, const char *filename,
                       struct err *e);

/* The same with the file |path|; one that does not exist is an empty state. */
int config_read_state(struct config_builder *b, const char *path, struct err *e);

/* Appends the state of a daemon that has |c| in force and was started with |base|. */
void config_dump_state(const struct config *base, const struct config *c, struct buf *out);

/* Replaces the state file |path| (absolute): at any moment it is the old or the new one, also when the
 * machine stops. A file that is no state file stays. Blocks for the disk. Returns 0, ERR_PRECONDITION,
 * -errno. */
int config_write_state(const char *path, const void *data, size_t len, struct err *e);

#endif
