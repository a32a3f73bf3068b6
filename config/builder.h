/* From defaults, file, environment and command line to a configuration.
 *
 *   config_builder_new ─▶ config_parse_args ─▶ config_build ─▶ struct config
 *                              │ first the file, then the environment, then the command line
 *                              ├──▶ config_read_file ─▶ config_parse_yaml
 *                              └──▶ config_parse_environment
 *
 * The builder remembers where each value came from, so that an error of the whole names the line or the
 * option at fault. One builder serves for one configuration; a reload makes a new one from the same
 * arguments. One thread at a time. */
#ifndef XTCP_CONFIG_BUILDER_H
#define XTCP_CONFIG_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define CONFIG_FILE_MAX (1024 * 1024) /* bytes of a configuration file */

struct config_builder;

/* A builder with every option at its default. NULL when out of memory. */
struct config_builder *config_builder_new(void);
void config_builder_free(struct config_builder *b);

/* Asks for all errors rather than the first. From now on an error does not end the reading where more errors can be
 * found behind it: it is passed to |told| with |arg|, the reading goes on, and config_build fails with the first of
 * them in the end. |told| returns whether the reading is to go on so; while it returns false, everything is as without
 * it.
 *
 * An error that config_parse_* or config_read_file returns has not been passed to |told|, and nothing behind it has
 * been looked at. An error that config_build returns has been, unless it is -ENOMEM. Rules between options are not
 * checked where one of the options is wrong. */
typedef bool config_error_fn(void *arg, const struct err *e);
void config_builder_tell_all(struct config_builder *b, config_error_fn *told, void *arg);

/* The origin of the value of |option|: "FILE:LINE", "XTCP2_POLL_TIMEOUT", "--poll-timeout" or "default".
 * Lives as long as |b| is not changed. */
const char *config_builder_origin(const struct config_builder *b, const struct config_option *option);

/* Applies a YAML document: |len| bytes at |data|, called |filename| in errors. It is one mapping of option
 * names to scalars, or to sequences of scalars for lists; a list that is given replaces the default. An empty
 * document changes nothing. Unknown and duplicate keys, anchors, aliases, tags, more than one document and
 * everything invalid are errors that name file, line and key; |b| may then hold some of the values and is
 * good for config_builder_free alone. Pure: no I/O. */
int config_parse_yaml(struct config_builder *b, const void *data, size_t len, const char *filename,
                      struct err *e);

/* Reads the file |path| and applies it. Returns as config_parse_yaml, ERR_LIMIT when it is larger than
 * CONFIG_FILE_MAX, or another code of file_read (lib/file.h). */
int config_read_file(struct config_builder *b, const char *path, struct err *e);

/* As config_read_file; |path| may also be standard input (file_read_input in lib/file.h), for which there is no time
 * limit. For a program that does nothing else at that time. */
int config_read_input(struct config_builder *b, const char *path, struct err *e);

/* Applies the variables of |environment| ("NAME=VALUE", ends with NULL; NULL: none) that are named after an
 * option, as XTCP2_POLL_FREQUENCY; the value is the option's text form. Other names that begin with XTCP2_
 * are errors, apart from a few that belong to others (environment.c). Returns 0, ERR_UNKNOWN, or what
 * config_set_text returns, with |e| naming the variable. */
int config_parse_environment(struct config_builder *b, char *const environment[], struct err *e);

/* The command line and the environment of a program. */
struct config_sources {
    int argc;
    char *const *argv;
    char *const *environment; /* as environ; NULL: none */
    bool again;               /* not the first time: a file from standard input is ERR_PRECONDITION */
};

/* An option of the program itself, besides those of the configuration. Exactly one of |flag| and |value| is set. */
struct config_program_option {
    const char *name;    /* "output": --output */
    const char *metavar; /* "FORMAT"; NULL: it takes no argument */
    const char *help;
    bool *flag;         /* no argument: set to true */
    const char **value; /* argument: points into argv afterwards; the last one given counts */
    /* Checks an argument, may be NULL: 0, or a code with |e| saying what is wrong and allowed, without naming
     * the option. */
    int (*check)(const char *text, struct err *e);
    char short_name;     /* 'o': -o; 0: none */
    bool is_config_file; /* its argument is a file for config_read_file */
    bool ends;           /* nothing behind it is looked at and no file is read: --help, --version */
};

/* Applies a command line: every option of the table (--poll-frequency 2s, --poll-frequency=2s) and the
 * |n_own| options |own| of the program. Before it come the configuration file, wherever the command line
 * names it, or else the one that XTCP2_CONFIG names (config_read_input the first time), and then the
 * environment. Of a scalar given twice the last counts; of a list all are collected and replace the value
 * from before. Anything but options is an error. |argv| is not reordered, so that it can be applied again.
 * Uses getopt_long's global state: main thread only. Returns 0, ERR_USAGE with |e| naming the option, or the
 * error of the file or the environment. */
int config_parse_args(struct config_builder *b, const struct config_sources *from,
                      const struct config_program_option *own, size_t n_own, struct err *e);

/* Appends the text of --help, at most |width| columns wide: `Usage: SYNOPSIS`, |intro|, the program's own
 * options, then the table's by section, each with default and bounds. */
void config_print_help(struct buf *out, unsigned width, const char *synopsis, const char *intro,
                       const struct config_program_option *own, size_t n_own);

/* Makes the configuration: normalised, validated, one reference, generation 0. |b| stays the caller's.
 * Returns 0 and it in |out|, or an error that names option and origin. */
int config_build(struct config_builder *b, struct config **out, struct err *e);

/* Appends |c| as a commented file that config_parse_yaml reads back to the same values. With the defaults it
 * is the sample config/xtcp2.yaml. */
void config_dump_yaml(const struct config *c, struct buf *out);

/* Appends |c|, which config_build made of |b|, as a file in which the origin stands behind each option;
 * config_parse_yaml reads it back to the same values. */
void config_dump_effective(const struct config_builder *b, const struct config *c, struct buf *out);

#endif
