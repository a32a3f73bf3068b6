/* Changes of a configuration as a client puts them together: from KEY=VALUE, from names to reset, from an edited
 * document; and the difference of two configurations. A draft is for one thread at a time. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_DRAFT_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config_reply.h"

/* A SetRequest that is being made. */
struct config_draft;

/* An empty draft, for config_draft_free; NULL when out of memory. */
struct config_draft *config_draft_new(void);

/* Frees |d|; nothing when NULL. */
void config_draft_free(struct config_draft *d);

/* Sets |key| to |value|, written as in xtcp2.yaml: a number, true or false, a duration (1m30s), a text, or a list with
 * commas between its items, in brackets or without. |key| is the name of a field of XtcpConfig ("label"), a path
 * ("options.log.level", also without "options."), or an option of xtcp2.yaml ("log_level"). Returns 0, or with |e|
 * ERR_UNKNOWN (with the key that was probably meant), ERR_DUPLICATE, ERR_TYPE, ERR_RANGE, -ENOMEM. */
int config_draft_assign(struct config_draft *d, const char *key, const char *value, struct err *e);

/* Puts |key| back to its default. Returns as config_draft_assign. */
int config_draft_reset(struct config_draft *d, const char *key, struct err *e);

/* Puts every field back to its default, except those that decide where the daemon is reached and by whom
 * (options.listeners, options.access). Returns as config_draft_assign. */
int config_draft_reset_all(struct config_draft *d, struct err *e);

/* Changes the configuration |before| to |text|, its edited protojson of |len| bytes, called |name| in errors; a field
 * that was taken out goes back to its default. The daemon will accept the request for the generation of |before|
 * alone. Returns as config_set_request_from_json. */
int config_draft_edit(struct config_draft *d, const struct config_reply *before, const char *text, size_t len,
                      const char *name, struct err *e);

/* Changes the list of outputs of |before| in one thing, with an empty draft: an output is added, as the |n| |pairs|
 * "KEY=VALUE" say; or the one called |name| is removed. KEY is that of an output in xtcp2.yaml ("name", "to", "queue",
 * "batch.rows"; lists have commas between their items), or else an option of its destination. The daemon will accept the
 * request for the generation of |before| alone. Return 0, or with |e| ERR_UNKNOWN (there is no such output), ERR_TYPE and
 * others (a value cannot be), -ENOMEM. */
int config_draft_add_output(struct config_draft *d, const struct config_reply *before,
                            const char *const *pairs, size_t n, struct err *e);
int config_draft_remove_output(struct config_draft *d, const struct config_reply *before, const char *name,
                               struct err *e);

/* Appends the SetRequest. Returns 0 or -ENOMEM. */
int config_draft_request(const struct config_draft *d, bool dry_run, struct buf *request);

/* Whether zeros or empty texts were assigned. A request cannot say them and asks for the defaults instead; a dry run
 * and config_draft_check tell whether these are the same. */
bool config_draft_has_zeros(const struct config_draft *d);

/* Checks that |after|, the reply to the draft, has the zeros that were assigned. Returns 0, or ERR_RANGE with |e|
 * about the first field whose default is another value. */
int config_draft_check(const struct config_draft *d, const struct config_reply *after, struct err *e);

/* Calls |tell| with |context| for every field in which |a| and |b| differ, except |generation|, in the order of
 * config_key_name: |name| is the path as SetResponse.changed has it, |before| and |after| are the values as
 * config_draft_assign reads them, valid during the call. Returns 0 or -ENOMEM. */
int config_reply_diff(const struct config_reply *a, const struct config_reply *b,
                      void (*tell)(void *context, const char *name, const char *before, const char *after),
                      void *context);

/* Whether |a| and |b| differ in such a field. Out of memory counts as a difference. */
bool config_reply_differs(const struct config_reply *a, const struct config_reply *b);

/* The path of every field that can be read or set: those of XtcpConfig by their numbers, then those in options by the
 * order that the option table gives them. |i| counts from 0; NULL after the last. */
const char *config_key_name(size_t i);

#endif
