/* The configuration of the daemon.
 *
 * The life of a configuration:
 *
 *   1. A builder (config/builder.h) starts with the defaults. The front ends put the file, the environment and the
 *      command line on top of them, and config_build makes one validated struct config of it.
 *   2. The owner of the configuration in force gives that struct its |generation| and publishes it. From then on it
 *      is immutable: readers on any thread take a reference, read the fields and drop the reference, without a lock.
 *   3. A change makes a new one: config_copy, setters (or plain assignment of numbers), config_normalise,
 *      config_validate. config_diff says which options differ, and their |reload| whether a running daemon can
 *      follow. The copy is published and the old one unreferenced; it is freed with its last reader.
 *
 * config_options is the single list of everything that can be configured. Defaults, bounds, help, the sample
 * file and the reference page all come from it. */
#ifndef XTCP_CONFIG_CONFIG_H
#define XTCP_CONFIG_CONFIG_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "model/groups.h"
#include "model/role.h"

/* An ordered list of strings; |items| is NULL when |n| is 0. */
struct config_strings {
    char **items;
    size_t n;
};

/* Outputs, see config/output.h; |items| is NULL when |n| is 0. */
struct output_config;
struct config_outputs {
    struct output_config *items;
    size_t n;
};

/* The rights of callers of gRPC to outputs. */
enum config_outputs_remote { CONFIG_OUTPUTS_OFF, CONFIG_OUTPUTS_NETWORK, CONFIG_OUTPUTS_ALL };

/* Mode of the files of unix sockets. */
enum config_socket_mode { CONFIG_SOCKET_0600, CONFIG_SOCKET_0660, CONFIG_SOCKET_0666 };

/* Whether changed files are noticed without a signal. */
enum config_watch { CONFIG_WATCH_OFF, CONFIG_WATCH_ON };

/* Whether the daemon gives up the system calls that it does not need. */
enum config_sandbox { CONFIG_SANDBOX_OFF, CONFIG_SANDBOX_AUTO, CONFIG_SANDBOX_REQUIRED };

/* The values of all options, under the names that config_options gives them, unless a comment says otherwise; help,
 * bounds and defaults stand there. Every string is NUL-terminated, valid UTF-8 without control characters, owned by
 * the struct, never NULL. Durations are in nanoseconds. */
struct config {
    _Atomic unsigned refs; /* config_ref and config_unref only */

    /* The number of this configuration among the published ones, from 1; 0 until the publisher sets it. Not an
     * option: it is never validated or compared. */
    uint64_t generation;

    /* gRPC */
    struct config_strings grpc_listen;     /* each valid for config_listen_parse */
    bool grpc_insecure;                    /* whether grpc_listen may have addresses beyond loopback */
    struct config_strings grpc_tls_listen; /* TCP only */
    char *tls_cert_file, *tls_key_file, *tls_client_ca_file; /* empty: none */
    struct config_strings grpc_health_listen;
    uint32_t connections_max;      /* open at the same time, of all listeners together */
    uint32_t connection_calls_max; /* under way at the same time on one connection */
    uint32_t control_calls_max;    /* calls of one peer in a second that change something */
    uint32_t calls_max;            /* under way at the same time */
    uint32_t calls_rate_max;       /* begun in a second by one user */
    uint32_t queue_memory_max;     /* MiB of messages that wait for readers */
    uint32_t user_share_percent;   /* of each bound, for one user */
    uint32_t reserved_percent;  /* of each bound, for unix sockets, and as much again for the role control */
    uint32_t subscribers_max;   /* streams of records at the same time */
    uint32_t focus_streams_max; /* streams of FocusService at the same time */
    uint32_t focus_sockets_max; /* sockets that one such stream may watch */
    uint32_t focus_rate_max;    /* lookups of sockets in a second, of all such streams together */
    uint32_t queue_rows;        /* rows in the queue of one subscriber; a change holds for new subscribers */
    uint32_t ipv4_ttl;          /* of the packets that listeners send; 0: the kernel's default */
    uint32_t ipv6_hop_limit;    /* of the packets that listeners send; 0: the kernel's default */

    /* Access */
    enum config_socket_mode unix_socket_mode;
    char *unix_socket_group; /* name or number; empty: the process's own */
    struct config_strings access_control_uids, access_read_uids;
    struct config_strings access_control_names, access_read_names; /* patterns of fnmatch(3) */
    enum rpc_role access_anonymous_role;
    char *token_file; /* empty: none */

    /* Polling */
    int64_t poll_frequency;
    int64_t poll_timeout;     /* less than poll_frequency */
    uint32_t poll_jitter_pct; /* percent of the interval */
    uint32_t max_loops;       /* regular polls; 0: no limit */
    groups_t groups;          /* option enabled_deserializers */
    uint32_t max_cpu_percent; /* of one CPU; 0: no limit */

    /* Collection */
    uint32_t modulus;                 /* N: each N-th socket is reported */
    uint32_t packet_size;             /* bytes received at once; 0: as many as the kernel sends */
    uint32_t nl_timeout_milliseconds; /* 0: no limit */
    uint32_t write_files;             /* polls to record */
    char *capture_path;               /* absolute path of the directory for recordings; empty: none */

    /* Namespaces */
    struct config_strings netns_dirs;                   /* absolute paths */
    struct config_strings netns_include, netns_exclude; /* lib/netns_pattern.h */
    int64_t proc_scan_interval;                         /* 0: /proc is never searched */
    uint32_t collector_threads_max;                     /* namespaces with a thread of their own */
    int64_t reconcile_frequency;                        /* 0: never */
    bool reconcile_before_poll;
    bool populate_nsid;

    /* Identity: what records say about this host */
    char *label;
    char *tag;
    char *location;
    char *hostname; /* never empty: the machine's own name when none was given */
    bool
        hostname_given; /* not an option: whether |hostname| was configured rather than asked of the machine */

    /* Outputs */
    struct config_outputs outputs;
    enum config_outputs_remote
        outputs_remote;                /* for peers other than root and the daemon's user on a unix socket */
    struct config_strings output_dirs; /* absolute paths below which outputs made over gRPC may write */
    char *spool_dir;                   /* absolute; empty: there is no place for spools */
    char *dest;                        /* Go's spelling; this and the following make the output "default" */
    char *marshal;
    char *topic;
    char *csv_columns;             /* with commas between them */
    uint32_t envelope_flush_rows;  /* 0: 10,000 */
    uint32_t envelope_flush_bytes; /* 0: 768 KiB */
    char *kafka_compression;       /* empty: auto */
    int64_t kafka_produce_timeout; /* 0: the destination's own */

    char *state_file; /* absolute; empty: nothing is kept */

    enum config_sandbox sandbox;
    enum config_watch config_watch;

    /* Log */
    enum log_level log_level;
    enum log_format log_format;
    uint32_t debug_level; /* not an option: XtcpConfig's number for log_level, see config_set_debug_level */
};

/* ---- The option table ---- */

enum config_type {
    CONFIG_DURATION, /* int64_t, nanoseconds */
    CONFIG_UINT,     /* uint32_t */
    CONFIG_BOOL,     /* bool, "true" or "false" */
    CONFIG_STRING,   /* char * */
    CONFIG_ENUM,     /* an enum, one of |names| */
    CONFIG_LIST,     /* struct config_strings */
    CONFIG_GROUPS,   /* groups_t, a list of group_names */
    CONFIG_SIZE,     /* uint64_t, bytes: "64KiB" */
    CONFIG_PAIRS,    /* struct config_strings of "KEY=VALUE", a mapping */
    CONFIG_OUTPUTS,  /* struct config_outputs, a list of mappings */
};

enum config_reload {
    CONFIG_HOT,     /* a running daemon follows a change */
    CONFIG_RESTART, /* takes effect at the next start */
};

struct value_type;

/* One option. Its text form, the same on the command line and in an environment: a number, a duration, a
 * name, a string, or for the two list types the items with commas between them. */
struct config_option {
    const char *name; /* as in the file, "poll_frequency"; the command line has --poll-frequency */
    enum config_type type;
    size_t offset; /* of the member of struct config */
    enum config_reload reload;

    const char *wire; /* path of the field of XtcpConfig that shows it: "label", "options.log.level" */

    /* Of a field in "options": its place in lists of fields (SetResponse.changed, the client's output), from 1 on
     * without gaps. Of the others 0: they stand before those, by their numbers. */
    unsigned wire_order;

    const char *default_value; /* in text form */
    int64_t min, max;    /* of the value; of a string's length in characters; of a list's number of items */
    const char *zero;    /* meaning of 0, allowed besides |min| to |max|: "off"; NULL: not allowed */
    const char *section; /* heading that it stands under; options of a section are neighbours */
    const char *metavar; /* "DURATION" */
    const char *help;    /* one or more sentences */
    const char *const *names; /* CONFIG_ENUM and CONFIG_GROUPS: |n_names| values, indexed by the enum */
    size_t n_names;

    /* CONFIG_LIST: checks one item; CONFIG_STRING, may be NULL: checks a text that is not empty. Fills |e|
     * with the reason if it is wrong. */
    int (*check_item)(const char *item, struct err *e);

    /* CONFIG_STRING: a URL, which is shown without its secrets. */
    bool secret_url;

    /* CONFIG_OUTPUTS: the operations on the value (config/value.h). */
    const struct value_type *operations;

    /* CONFIG_LIST: whether two checked items mean the same. */
    bool (*same_item)(const char *a, const char *b);
};

/* The index of each option in the table, as CONFIG_OPTION_poll_frequency, and the number of options. */
enum config_option_index {
#define OPTION(name, ...) CONFIG_OPTION_##name,
#include "config/options_grpc.def"

#include "config/options_daemon.def"

#include "config/options_outputs.def"
#undef OPTION
    CONFIG_OPTION_COUNT
};

extern const struct config_option config_options[CONFIG_OPTION_COUNT];

/* The option called |name| ("poll_frequency"), or NULL. */
const struct config_option *config_option_find(const char *name);

/* Appends the value that |option| has in |c| in text form: config_set_text reads it back to the same value, but for secrets,
 * which are hidden. A hostname that was not given is empty. */
void config_option_print(const struct config_option *option, const struct config *c, struct buf *out);

/* Appends the allowed values, as errors, help and documentation tell them: "10ms to 7d", "at most 40 bytes",
 * "text or json". */
void config_option_print_bounds(const struct config_option *option, struct buf *out);

/* ---- Snapshots ---- */

/* A configuration with every option at its default, one reference, not yet published. Returns 0 and it in
 * |out|, or -ENOMEM. */
int config_defaults(struct config **out);

/* A deep copy to change: one reference, the same generation. NULL when out of memory. */
struct config *config_copy(const struct config *c);

/* One more reference; returns |c|. Any thread. */
const struct config *config_ref(const struct config *c);

/* Drops a reference and frees |c| with the last one; nothing when NULL. Any thread. */
void config_unref(const struct config *c);

/* Compares |a| and |b| option by option. Returns the number of options whose values differ; the first |max| of them, in
 * table order, are in |out|, which may be NULL when |max| is 0. A hostname counts by its value, given or not. */
size_t config_diff(const struct config *a, const struct config *b, const struct config_option **out,
                   size_t max);

/* ---- Changing a configuration that nobody else sees yet ---- */

/* Sets |option| from its text form, checked against the option's own bounds; on an error |c| is as before and
 * |e| (may be NULL) says `NAME: value "TEXT" …` with what is allowed. Returns 0, ERR_MALFORMED, ERR_RANGE,
 * ERR_UNKNOWN (a name) or -ENOMEM. An item that is given twice is in the list once. Rules between options are
 * checked by config_validate. */
int config_set_text(struct config *c, const struct config_option *option, const char *text, struct err *e);

/* Replaces the string at |field| (&c->label, …) by a copy of |text|. Checks nothing: config_validate does.
 * Setting &c->hostname also sets |hostname_given|; an empty hostname stands for the machine's own from
 * config_normalise on. Returns 0, or -ENOMEM with |c| unchanged. */
int config_set_string(struct config *c, char **field, const char *text);

/* Replaces the list at |field| (&c->grpc_listen, …) by copies of |items|. As config_set_string. */
int config_set_strings(struct config *c, struct config_strings *field, const char *const *items, size_t n);

/* Sets |debug_level| and the |log_level| that it means: 0 error, from 1 warn, from 10 info, from 100 debug,
 * from 1000 trace. */
void config_set_debug_level(struct config *c, uint32_t debug_level);

/* Makes the fields that follow from others agree with them, after changes: the machine's hostname where none is given,
 * and the debug_level of a log_level. An item that is in a list twice stays once. config_build does this by itself.
 * Returns 0 or -ENOMEM. */
int config_normalise(struct config *c);

/* Checks that every value is within its bounds and that the rules between options hold. Returns 0, or the code of the
 * first error with |e| (may be NULL) naming the option, its value and what is allowed. */
int config_validate(const struct config *c, struct err *e);

/* ---- Listeners ---- */

#define CONFIG_LISTEN_MAX 16

enum config_listen_kind { CONFIG_LISTEN_TCP, CONFIG_LISTEN_UNIX, CONFIG_LISTEN_ABSTRACT };

/* An address to listen on, ready for bind(2). */
struct config_listen {
    enum config_listen_kind kind;
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } addr;
    socklen_t len; /* of |addr| */
    uint16_t port; /* TCP: host order, 0: any free one; else 0 */
};

/* Reads one listener: `127.0.0.1:8889`, `localhost:8889` (which is 127.0.0.1), `[::1]:8889`,
 * `unix:/run/xtcp2.sock`, `unix-abstract:NAME`. Names other than localhost are refused, since their addresses
 * change. Returns 0, ERR_MALFORMED or ERR_RANGE with |e| (may be NULL) saying what is wrong, without naming
 * |text|. */
int config_listen_parse(const char *text, struct config_listen *out, struct err *e);

/* Whether only processes of this machine can connect there. */
bool config_listen_is_local(const struct config_listen *l);

/* Whether |list|, of access_control_names or access_read_names, has a pattern for |name|. */
bool config_names_have(const struct config_strings *list, const char *name);

#endif
