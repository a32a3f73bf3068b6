/* Which files the daemon reads again when they change: the configuration file, certificates, tokens. Main
 * thread only. */
#ifndef XTCP_SERVER_LIVE_RELOAD_H
#define XTCP_SERVER_LIVE_RELOAD_H

#include <stdbool.h>

#include "config/config.h"
#include "lib/err.h"
#include "lib/linux/event_source.h"

struct reload;

struct reload_due {
    bool config;  /* the configuration is to be read again */
    bool secrets; /* certificates or tokens are */
    bool sockets; /* the files of unix sockets are to be looked at */
};

/* |config_file| may be NULL or empty: there is none. |epoll| calls |source|, the caller's, when reload_read has
 * something to do. Returns 0 and it in |out|, or a code with |e|. */
int reload_new(const char *config_file, int epoll, const struct event_source *source, struct reload **out,
               struct err *e);

/* Follows the files that |c|, which is in force, names; cheap when it has been called for it before. */
void reload_follow(struct reload *r, const struct config *c);

/* The files that have changed since the last call. To be called when the source is ready. */
struct reload_due reload_read(struct reload *r);

/* All files are about to be read, whether they have changed or not: no change up to now is told later. */
void reload_known(struct reload *r);

/* NULL is allowed. */
void reload_free(struct reload *r);

#endif
