/* Lists of outputs, to be read, changed and shown: for the files of config/ and the codec of the configuration. */
#ifndef XTCP_CONFIG_OUTPUT_LIST_H
#define XTCP_CONFIG_OUTPUT_LIST_H

#include "config/output.h"
#include "lib/buf.h"

/* The row of output_options called |name| ("batch.rows"), or NULL. */
const struct config_option *output_option_find(const char *name);

/* The place of its value in |c|. */
void *output_field(const struct config_option *o, struct output_config *c);

/* Whether the value differs from the default. */
bool output_config_has(const struct config_option *o, const struct output_config *c);

/* Another one at its defaults, at the end; NULL without memory. */
struct output_config *outputs_add(struct config_outputs *list);
void outputs_clear(struct config_outputs *list);

/* The first one called |name|, or NULL. */
const struct output_config *outputs_find(const struct config_outputs *list, const char *name);

/* Whether |to| is a destination of |kind|. Returns 0, or a code with |why|: a sentence that follows after the value. */
int output_check_url(const struct output_kind *kind, const char *to, struct err *why);

/* ---- output_default.c: |check_item| of the options that make the output "default" ---- */

int output_check_dest(const char *text, struct err *e);
int output_check_marshal(const char *text, struct err *e);
int output_check_csv_columns(const char *text, struct err *e);
int output_check_codec(const char *text, struct err *e);

/* ---- value_outputs.c ---- */

/* Replaces |list| by what the text form |text| says, "" for none; nothing is checked but that the keys exist and their
 * values are within bounds. Returns 0 or a code with |e|, and |list| is as before. */
int outputs_set_text(struct config_outputs *list, const char *text, struct err *e);

/* Appends the text form, with or without the secrets. */
void outputs_print(const struct config_outputs *list, bool secrets, struct buf *out);

#endif
