/* A seccomp filter against system calls that the daemon has no use for, but that an attacker who takes it over
 * would want. */
#ifndef XTCP_SERVER_PROCESS_SANDBOX_H
#define XTCP_SERVER_PROCESS_SANDBOX_H

#include "config/config.h"
#include "lib/err.h"

/* Refuses these calls from now on, to this thread and to those it starts: they fail with EPERM. Needs
 * privilege_drop or CAP_SYS_ADMIN before. Cannot be undone. Returns 0, -errno or -ENOSYS where the kernel has
 * no seccomp, with |e|. */
int sandbox_install(struct err *e);

/* Does as |how| says: installs the filter and makes the process one that its own user cannot trace or dump.
 * Under a sanitizer, which traces itself at the end, AUTO does nothing. Returns 0, or a code with |e| when it
 * is REQUIRED and cannot be had. Before any thread is started. */
int sandbox_apply(enum config_sandbox how, struct err *e);

#endif
