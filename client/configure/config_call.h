/* Calls of ConfigService, and the report of their changes. One thread. */
#ifndef XTCP_CLIENT_CONFIGURE_CONFIG_CALL_H
#define XTCP_CLIENT_CONFIGURE_CONFIG_CALL_H

#include <stdbool.h>

#include "client/session.h"
#include "rpc/codec/config/msg_config_draft.h"

/* Sends |request| to |method| of ConfigService and reads the configuration that comes back into |*out|, for
 * config_reply_free. Returns EXIT_DONE, or EXIT_FAILED with the failure told. */
int config_call_call(struct session *s, const char *method, const struct buf *request,
                     struct config_reply **out);

/* The configuration in force. */
int config_call_get(struct session *s, struct config_reply **out);

/* Sends |d| and reads the resulting configuration. */
int config_call_send(struct session *s, const struct config_draft *d, bool dry_run,
                     struct config_reply **out);

enum config_call_mood {
    CONFIG_CALL_DONE,  /* this was changed */
    CONFIG_CALL_COULD, /* this would be: --dry-run */
    CONFIG_CALL_ASKS,  /* this will be, if somebody wants it */
};

/* Prints a line for each field in which |after| differs from |before|, or one that says that no field
 * does. */
int config_call_tell(struct session *s, const struct config_reply *before, const struct config_reply *after,
                     enum config_call_mood mood);

/* Writes |text| as a message about a failure. Returns EXIT_FAILED. */
int config_call_failed(struct session *s, const char *text);

#endif
