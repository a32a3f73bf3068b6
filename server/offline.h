/* The two modes without a daemon: one poll, and the replay of a recording. Both write records to standard
 * output and nothing else; both return the exit status. Main thread. */
#ifndef XTCP_SERVER_OFFLINE_H
#define XTCP_SERVER_OFFLINE_H

#include "config/config.h"
#include "lib/err.h"

/* Whether |name| is an output format of these modes: 0, or ERR_UNKNOWN with |e| naming them. */
int offline_check_format(const char *name, struct err *e);

/* Polls all namespaces once. |format| as checked, NULL: jsonl. Returns 0, or 1 when a namespace failed or the
 * output could not be written, with a line on the log. */
int offline_once(const struct config *config, const char *format);

/* Prints the records of the capture |path| ("-": standard input). Returns 0, or 1 with a line on the log when
 * the capture is damaged or foreign; the records before that have been printed. */
int offline_replay(const struct config *config, const char *path, const char *format);

#endif
