/* The command line: option tables, and the parser that reads arguments by them. Pure; any thread. */
#ifndef XTCP_CLIENT_OPTIONS_H
#define XTCP_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

enum output_format {
    OUTPUT_DEFAULT,
    OUTPUT_TABLE,
    OUTPUT_WIDE,
#define FORMAT(id, name) OUTPUT_##id,
#include "outputs/format/formats.def"
#undef FORMAT
    OUTPUT_COUNT,
};

#define OPTION_LIST_MAX 256

/* The values of an option that may be given more than once, in their order. Zeroed: none. */
struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t n;
};

/* Everything that can be asked for on the command line. Zero and NULL: not given. */
struct options {
    /* Global ones. */
    const char *target;         /* name of the daemon of this session in messages: not an option */
    const char *address;        /* where it is, as gRPC takes it; NULL: |target|. Not an option */
    bool several;               /* other daemons are asked as well: messages name this one. Not an option */
    const char *flags_target;   /* one of the targets, given like -tan: perhaps flags of ss. Not an option */
    struct option_list targets; /* as given: addresses, names of nodes and groups, lists of these */
    const char *targets_file;
    bool all_addresses;
    const char *config; /* path of client.yaml */
    enum output_format output;
    int64_t timeout_ns; /* of the whole run */
    /* Options of connecting. */
    bool plaintext;
    bool tls;
    bool insecure;
    const char *ca; /* paths of files */
    const char *cert;
    const char *key;
    const char *server_name;
    const char *authority;
    const char *token_file;
    struct option_list headers;
    int64_t connect_timeout_ns;
    uint64_t message_max; /* bytes */
    bool quiet;
    bool verbose;
    bool help;
    bool version;
    /* Options of verbs. */
    uint64_t count;
    uint64_t polls;
    int64_t every_ns;
    uint64_t rate; /* ticks in a second */
    uint64_t max_sockets;
    int64_t frequency_ns;
    int64_t poll_timeout_ns;
    int64_t interval_ns;
    bool replace;
    bool cancel;
    bool dry_run;
    bool watch;
    bool wait;
    bool all;
    const char *sort; /* of top: one of its orders */
    bool no_color;
    const char *columns; /* names separated by commas */
    const char *sort_by; /* the same, with a direction each */
    bool numeric;
    bool no_header;
    bool time;
    struct option_list netns;
    const char *to; /* of outputs add: the values of an output */
    const char *format;
    const char *filter;
    struct option_list settings;  /* KEY=VALUE */
    const char *argument;         /* the first positional argument */
    struct option_list arguments; /* all of them */
};

#define OPTIONS_TARGET_DEFAULT "127.0.0.1:8889"
#define OPTIONS_TARGET_ENV     "XTCP2_TARGET" /* environment variable that replaces the default */

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_COUNT,    /* uint64_t, 1 and up */
    OPTION_DURATION, /* int64_t ns, above 0 */
    OPTION_TEXT,     /* const char *, not empty */
    OPTION_LIST,     /* struct option_list; each time one more, not empty */
    OPTION_FORMAT,   /* enum output_format */
};

/* One option, where its value goes, and its help. */
struct option_def {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    size_t offset;     /* in struct options */
    const char *value; /* name of the value in the help; NULL for flags */
    const char *help;
};

/* The options that every verb has; the table ends with a NULL name. */
extern const struct option_def options_global[];

/* Reads |value| (NULL for flags) as that of |d| and puts it into |out|, which then points into it. Returns 0,
 * or ERR_USAGE with |e|. */
int options_store(const struct option_def *d, const char *value, struct options *out, struct err *e);

/* Whether |o| has a value for |d|. */
bool options_given(const struct option_def *d, const struct options *o);

/* Tells that the target |text| was given as -tTEXT, like flags of ss. Returns ERR_USAGE. */
int options_no_flags(const char *text, struct err *e);

struct command;

/* Reads |argv| (|argc| entries, the program's name first) into |out|: `[options] COMMAND [options]
 * [ARGUMENT…]`, each option as --name value, --name=value, -x value or -xvalue; "--" ends them; `help
 * COMMAND` is the same as `COMMAND --help`. Long names may have one dash only, as grpcurl's have. |*command|
 * becomes the entry of |list|, |n| of them, or NULL when none was given. With --help or --version the rest
 * may be incomplete. Strings point into |argv|. Returns 0, or ERR_USAGE with |e| saying what is wrong and
 * what may have been meant. */
int options_parse(int argc, char *const argv[], const struct command *list, size_t n, struct options *out,
                  const struct command **command, struct err *e);

/* "table", "jsonl", …; "" for the default one. */
const char *output_format_name(enum output_format f);

struct format;

/* The form of records that |f| is; NULL for tables and the default. */
const struct format *output_format_records(enum output_format f);

#endif
