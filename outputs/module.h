/* Modules: sinks that are shared objects, since they need a library that the program does not. */
#ifndef XTCP_OUTPUTS_MODULE_H
#define XTCP_OUTPUTS_MODULE_H

#include <stdbool.h>

#include "config/output.h"

/* Whether the sink of |kind| is part of the program, or its module is there to be loaded. Any thread. */
bool module_is_there(const struct output_kind *kind);

#endif
