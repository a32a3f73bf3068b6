/* The interface between the files of config/. */
#ifndef XTCP_CONFIG_CONFIG_INTERNAL_H
#define XTCP_CONFIG_CONFIG_INTERNAL_H

#include "config/builder.h"
#include "config/config.h"

/* ---- options.c ---- */

#define OPTION_FLAG_MAX 48

/* |name| as the command line spells it: "poll-frequency". */
void option_flag(const char *name, char out[OPTION_FLAG_MAX]);

#define OPTION_VARIABLE_MAX    48
#define OPTION_VARIABLE_PREFIX "XTCP2_"

/* |name| as the environment spells it: "XTCP2_POLL_FREQUENCY". */
void option_variable(const char *name, char out[OPTION_VARIABLE_MAX]);

/* Its place in the table. */
static inline size_t option_index(const struct config_option *option)
{
    return (size_t)(option - config_options);
}

/* ---- environment.c ---- */

/* The file that XTCP2_CONFIG names, or NULL. */
const char *environment_file(char *const environment[]);

/* ---- config.c ---- */

#define DEBUG_LEVEL_MAX 1000 /* of XtcpConfig.debug_level */

/* config_set_text without the option's name in the error. */
int config_set_value(struct config *c, const struct config_option *option, const char *text, struct err *e);

/* Puts origin and name of |option| before the sentence in |e|, and returns e's code. An origin that is an
 * option of the command line or a variable is a name already. |origin| NULL: the name alone. */
int prefix_option(struct err *e, const char *origin, const struct config_option *option);

/* ---- yaml_write.c, print.c ---- */

/* Appends the |n| bytes |text|, valid UTF-8, as a double-quoted scalar on one line. */
void yaml_string(struct buf *out, const char *text, size_t n);

/* Appends `NAME: VALUE` and a newline, secrets included: for a file that nobody else reads. */
void yaml_pair(struct buf *out, const struct config_option *o, const struct config *c);

/* ---- builder.c ---- */

struct config_builder {
    struct config *config;
    char *origins[CONFIG_OPTION_COUNT]; /* NULL: default */
    bool fixed[CONFIG_OPTION_COUNT];    /* by environment or command line: wins over the state file */
    bool wrong[CONFIG_OPTION_COUNT];    /* an error about it has been told */
    config_error_fn *told;              /* NULL: the first error ends the reading */
    void *told_arg;
    struct err first; /* the first error that was told */
};

/* Passes |e|, which is about |option| (NULL: about none), to the listener of config_builder_tell_all. Returns 0 when
 * the reading is to go on, else e's code. */
int builder_tell(struct config_builder *b, const struct config_option *option, const struct err *e);

/* Sets |option| from |text|; the error carries |origin|. */
int builder_set(struct config_builder *b, const struct config_option *option, const char *text,
                const char *origin, struct err *e);

/* Remembers |origin| for |option|. Returns 0 or -ENOMEM. */
int builder_set_origin(struct config_builder *b, const struct config_option *option, const char *origin,
                       struct err *e);

/* ---- access.c ---- */

/* |check_item| of access_control_uids and access_read_uids. */
int access_check_user(const char *item, struct err *e);

/* |check_item| of grpc_tls_listen. */
int access_check_tls_listen(const char *item, struct err *e);

/* |check_item| and |same_item| of access_control_names and access_read_names. */
int access_check_name(const char *item, struct err *e);
bool access_same_name(const char *a, const char *b);

/* Whether plaintext TCP from other machines, which is neither encrypted nor authenticated, is allowed (grpc_insecure).
 * Returns 0, or ERR_RANGE with the sentence about grpc_listen, without its name, in |e|. */
int access_check_exposure(const struct config *c, struct err *e);

#endif
