/* Texts that a person edits. One thread. */
#ifndef XTCP_CLIENT_CONFIGURE_EDITOR_H
#define XTCP_CLIENT_CONFIGURE_EDITOR_H

#include <limits.h>

#include "lib/buf.h"
#include "lib/err.h"

/* Puts |text| into a new file that only this user can read, named XTCP-….|suffix| (".json"), in $TMPDIR or
 * /tmp.
 * |path| receives its name. Returns 0 or -errno with |e|. */
int editor_file(const struct buf *text, const char *suffix, char path[PATH_MAX], struct err *e);

/* Opens the file |path| in $VISUAL, $EDITOR or vi, and waits for its end. Where standard input is a terminal,
 * the editor has it for itself: Ctrl-C and Ctrl-Z are the editor's. Returns 0, ERR_CANCELLED when the editor
 * says that it failed, or -errno, with |e|. */
int editor_run(const char *path, struct err *e);

#endif
