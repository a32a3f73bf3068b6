/* The part of the command outputs that changes the configuration. One thread. */
#ifndef XTCP_CLIENT_CMD_OUTPUTS_CHANGE_H
#define XTCP_CLIENT_CMD_OUTPUTS_CHANGE_H

#include "client/session.h"

/* Add the output |name|, as the options of |s| have it; remove it. Return an exit code. */
int outputs_change_add(struct session *s, const char *name);
int outputs_change_remove(struct session *s, const char *name);

#endif
