/* The options of a watcher, checked and copied. */
#ifndef XTCP_NSWATCH_SETTINGS_H
#define XTCP_NSWATCH_SETTINGS_H

#include "nswatch/nswatch.h"

struct nswatch_settings {
    size_t dir_count;
    int64_t proc_interval_ns;
    char *dirs[]; /* absolute, without trailing or doubled slashes, each once; in the same piece of memory */
};

/* Checks |options| and copies them. Returns 0 with |*out|, for free(3); -ENOMEM, ERR_RANGE, ERR_MALFORMED or
 * ERR_LIMIT with a sentence in |e|. */
int settings_new(const struct nswatch_options *options, struct nswatch_settings **out, struct err *e);

#endif
