/* Changes of a configuration as a client puts them together: from KEY=VALUE, from names to reset, from an
 * edited document. And the difference of two configurations. One thread for each draft. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_DRAFT_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config_reply.h"

/* A SetRequest that is being made. */
struct config_draft;

/* NULL without memory. */
struct config_draft *config_draft_new(void);
void config_draft_free(struct config_draft *d);

/* Has |key| set to |value|, written as in xtcp2.yaml: a number, true or false, a duration (1m30s), a text, or
 * a list with commas between its items, in brackets or without. |key| is the name of a field of XtcpConfig
 * ("label"), a path ("options.log.level", also without "options."), or an option of xtcp2.yaml ("log_level").
 * Returns 0, or ERR_UNKNOWN (with the key that was probably meant), ERR_DUPLICATE, ERR_TYPE, ERR_RANGE,
 * -ENOMEM with |e|. */
int config_draft_assign(struct config_draft *d, const char *key, const char *value, struct err *e);

/* Has |key| put back to its default. Errors as above. */
int config_draft_reset(struct config_draft *d, const char *key, struct err *e);

/* The same for all that can be set, but for where the daemon is reached and by whom (options.listeners,
 * options.access). */
int config_draft_reset_all(struct config_draft *d, struct err *e);

/* Has the configuration |before| changed to what |text| says, its edited protojson of |len| bytes, called
 * |name| in errors; what was taken out of it goes back to its default. The request is for the generation of
 * |before| alone. Returns 0, or as config_set_request_from_json. */
int config_draft_edit(struct config_draft *d, const struct config_reply *before, const char *text, size_t len,
                      const char *name, struct err *e);

/* Appends the SetRequest. Returns 0 or -ENOMEM. */
int config_draft_request(const struct config_draft *d, bool dry_run, struct buf *request);

/* Whether the draft has zeros and empty texts, which a request has no way to say: it asks for the defaults
 * instead. Then a dry run tells whether config_draft_check holds. */
bool config_draft_has_zeros(const struct config_draft *d);

/* Whether |after|, what came of the draft, has the zeros that were assigned. Returns 0, or ERR_RANGE with |e|
 * for the first field that is something else by default. */
int config_draft_check(const struct config_draft *d, const struct config_reply *after, struct err *e);

/* Tells every field in which |a| and |b| differ, in the order of their names in the contract: the proto name
 * or path as SetResponse.changed has it, and both values as config_draft_assign reads them. |generation| is
 * left out. Returns 0 or -ENOMEM. */
int config_reply_diff(const struct config_reply *a, const struct config_reply *b,
                      void (*tell)(void *context, const char *name, const char *before, const char *after),
                      void *context);

/* Whether there is any. Out of memory counts as one. */
bool config_reply_differs(const struct config_reply *a, const struct config_reply *b);

/* The name of every field that can be told or set, by number from 0 on; NULL after the last. */
const char *config_key_name(size_t i);

#endif
