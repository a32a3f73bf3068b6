/* The rights of a caller to outputs: outputs_remote, and output_dirs. */
#ifndef XTCP_SERVER_SERVICES_OUTPUTS_POWER_H
#define XTCP_SERVER_SERVICES_OUTPUTS_POWER_H

#include "config/config.h"
#include "lib/err.h"
#include "rpc/server/server.h"

/* Whether |call| may put |candidate| in the place of |in_force|, as far as outputs go. Returns 0; or ERR_PERMISSION with |e| naming
 * the output, what it may not have, and the option that says so; or -ENOMEM. Any thread. */
int outputs_power_check(const struct rpc_call *call, const struct config *in_force,
                        const struct config *candidate, struct err *e);

/* The same without a call: |power| is what the caller may do. */
int outputs_power_compare(enum config_outputs_remote power, bool owner, const struct config *in_force,
                          const struct config *candidate, struct err *e);

#endif
