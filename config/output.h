/* Outputs in the configuration: where records go besides gRPC streams.
 *
 * The option |outputs| is a list of them. In YAML each is a mapping:
 *
 *     outputs:
 *       - name: archive
 *         to: file:/var/log/xtcp2/sockets.jsonl
 *         format: jsonl
 *         filter: state == ESTABLISHED
 *         batch: {rows: 1000}
 *         options: {rotate_size: 100MiB}
 *
 * In text form (command line, environment, state file) the list is the same in YAML's flow style:
 * [{name: archive, to: "file:/var/log/xtcp2/sockets.jsonl"}].
 *
 * Two tables describe it all: output_options has what every output has, output_kinds the destinations with the options
 * of each. Both are made of the rows and types of other options (config/value.h), so bounds, errors and documentation
 * are theirs. */
#ifndef XTCP_CONFIG_OUTPUT_H
#define XTCP_CONFIG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/url.h"

#define OUTPUTS_MAX     16
#define OUTPUT_NAME_MAX 32
#define OUTPUT_DEFAULT  "default" /* the output that dest, marshal and topic make */

/* The fate of rows for which the queue has no room. */
enum output_on_full { OUTPUT_DROP_OLDEST, OUTPUT_DROP_NEWEST, OUTPUT_SPOOL, OUTPUT_ON_FULLS };
extern const char *const output_on_full_names[OUTPUT_ON_FULLS];

/* Whether the daemon starts when the destination cannot be reached. */
enum output_start { OUTPUT_OPTIONAL, OUTPUT_REQUIRED, OUTPUT_STARTS };

/* One output. Texts as in struct config: owned, never NULL. */
struct output_config {
    char *name;                    /* letters, digits, - and _ */
    char *to;                      /* the destination, with its secrets */
    char *format;                  /* a name or alias of outputs/format/formats.def; "": that of its kind */
    char *filter;                  /* "": every socket */
    struct config_strings columns; /* none: all */
    struct config_strings netns;   /* patterns; none: all */
    uint32_t batch_rows;
    uint64_t batch_bytes;   /* of serialized records */
    int64_t batch_interval; /* 0: a batch ends with its poll */
    uint64_t queue;         /* bytes */
    enum output_on_full on_full;
    uint64_t spool_bytes;
    int64_t spool_age; /* 0: no bound */
    enum output_start start;
    struct config_strings options; /* of its kind: each "KEY=VALUE", in the order in which they were given */

    size_t line; /* not an option and never compared: where it begins in its file; 0: elsewhere */
};

/* The keys of every output. The offsets are those of struct output_config. */
extern const struct config_option output_options[];
extern const size_t output_option_count;

/* An output at its defaults, without name and destination. Returns 0 or -ENOMEM. */
int output_config_init(struct output_config *c);
void output_config_free(struct output_config *c);

/* A copy in |to|, which is not yet one. Returns 0 or -ENOMEM. */
int output_config_copy(struct output_config *to, const struct output_config *from);
bool output_config_equal(const struct output_config *a, const struct output_config *b);

/* Whether it can be: its values, its destination and the options of that. Returns 0, or a code with |e| naming the key. Two
 * outputs with one name are the list's matter. */
int output_config_check(const struct output_config *c, struct err *e);

/* Appends it as a mapping in YAML's flow style, without what is at its default: {name: "a", to: "null:"}. Without
 * |secrets|, these are URL_HIDDEN. */
void output_config_print(const struct output_config *c, bool secrets, struct buf *out);

/* Whether the option "KEY=VALUE" (or "KEY") of a destination is a secret: its value is shown to nobody. */
bool output_key_is_secret(const char *key);

/* Puts the secrets of |in_force| where |c| has URL_HIDDEN in their place, as one has it who was shown the configuration
 * and sends it back: only in an output of the same name and destination. Returns 0; ERR_RANGE with |e| when there is a
 * URL_HIDDEN whose secret is not known; or -ENOMEM. */
int outputs_unhide(struct config_outputs *c, const struct config_outputs *in_force, struct err *e);

/* The output that the options dest, marshal, topic and those beside them make: false when dest is null. For
 * output_config_free. |*rc| is 0, or an error with |e| naming the option. */
bool output_config_default(const struct config *c, struct output_config *out, int *rc, struct err *e);

/* ---- Kinds of destinations ---- */

enum output_kind_flag {
    OUTPUT_FILES = 1 << 0, /* it writes a file or connects to a path: outputs_remote "network" refuses it */
    OUTPUT_SECRET_URL = 1 << 1, /* the destination may carry user and password */
    OUTPUT_ONE_OBJECT =
        1 << 2, /* each message stands for itself (a datagram, a message of a broker, a body): header lines
                                   are in each of them */
};

/* A destination. |name| is also the name of its sink (outputs/sink/) and of the module that has it. */
struct output_kind {
    const char *name;
    const char *schemes[3]; /* "http", "https" */
    enum url_kind url;
    unsigned flags;                      /* enum output_kind_flag */
    uint16_t port;                       /* where none is given; 0: one must be */
    const char *module;                  /* what a package calls it; NULL: part of the program */
    const char *format;                  /* where none is given */
    const char *doc;                     /* one line */
    const char *example;                 /* of |to| */
    const struct config_option *options; /* offsets are those of the kind's own struct */
    size_t n_options;
    size_t options_size; /* of that struct */
    const char *passed;  /* keys that begin so are passed to the library as they are: "kafka."; NULL: none */
};

extern const struct output_kind output_kinds[];
extern const size_t output_kind_count;

/* The kind of the destination |to|, or NULL. */
const struct output_kind *output_kind_of(const char *to);

/* The name of its format, given or not. */
const char *output_config_format(const struct output_config *c, const struct output_kind *kind);

/* Fills |options|, a zeroed struct of the kind of |c|, with the defaults and with what |c| says. Returns 0 or as
 * config_set_text with |e|. For output_options_free. */
int output_options_read(const struct output_kind *kind, const struct output_config *c, void *options,
                        struct err *e);
void output_options_free(const struct output_kind *kind, void *options);

/* ---- Structs of the kinds' options ---- */

enum output_compress { OUTPUT_COMPRESS_NONE, OUTPUT_COMPRESS_GZIP, OUTPUT_COMPRESS_ZSTD };
enum output_fsync { OUTPUT_FSYNC_NONE, OUTPUT_FSYNC_ROTATE, OUTPUT_FSYNC_BATCH };
enum output_framing { OUTPUT_FRAMING_NONE, OUTPUT_FRAMING_VARINT };
enum output_key { OUTPUT_KEY_NONE, OUTPUT_KEY_HOSTNAME, OUTPUT_KEY_NETNS, OUTPUT_KEY_SOCKET };

enum output_codec {
    OUTPUT_CODEC_AUTO,
    OUTPUT_CODEC_NONE,
    OUTPUT_CODEC_GZIP,
    OUTPUT_CODEC_SNAPPY,
    OUTPUT_CODEC_LZ4,
    OUTPUT_CODEC_ZSTD
};

/* TLS of a client, of those kinds that have it. File names are absolute; empty: none. */
struct output_tls {
    char *ca_file;   /* empty: the system's authorities */
    char *cert_file; /* of the client, with the key below */
    char *key_file;
    char *server_name; /* that the certificate must have; empty: that of the URL */
};

struct output_file_options {
    char *mode;                    /* octal, "0640" */
    uint64_t rotate_size;          /* bytes; 0: never */
    int64_t rotate_interval;       /* ns; 0: never */
    uint32_t rotate_keep;          /* rotated files that stay; 0: all */
    enum output_compress compress; /* of rotated files */
    enum output_fsync fsync;
};

struct output_stream_options { /* tcp, unix */
    enum output_framing framing;
    int64_t timeout; /* to connect, and without progress of sending */
    uint64_t resend; /* bytes that are sent again after a connection broke */
    bool tls;
    struct output_tls files;
};

struct output_datagram_options { /* udp, unixgram */
    uint32_t size;               /* bytes of a datagram; 0: as many as the socket takes */
};

struct output_http_options {
    char *headers;      /* "NAME: VALUE", several separated by '|' */
    char *content_type; /* empty: that of the format */
    enum output_compress compress;
    int64_t timeout;  /* of one request */
    char *token_file; /* of a bearer token */
    char *user;       /* basic authentication; also in the URL */
    char *password_file;
    struct output_tls tls;
    char *dead_letter_file; /* gets what is refused; empty: it is dropped */
};

struct output_kafka_options {
    char *topic;
    enum output_key key;
    enum output_codec compression;
    int64_t linger;
    int64_t timeout; /* of a message, in all its attempts */
    char *user;      /* SASL; also in the URL */
    char *password_file;
};

struct output_nsq_options {
    char *topic;       /* empty: the path of the URL; without one: xtcp */
    uint64_t size;     /* bytes of a message */
    int64_t timeout;   /* to connect, without progress of sending, and for an answer */
    char *secret_file; /* for AUTH; empty: none */
    bool tls;
    struct output_tls files;
};

enum output_valkey_mode { OUTPUT_VALKEY_PUBLISH, OUTPUT_VALKEY_STREAM };

struct output_valkey_options {
    char *key; /* a channel, or the key of a stream; empty: xtcp */
    enum output_valkey_mode mode;
    uint32_t stream_length; /* messages that stay in the stream, about; 0: all */
    uint32_t database;      /* also the path of the URL */
    int64_t timeout;        /* to connect, without progress of sending, and for an answer */
    char *user;             /* also in the URL */
    char *password_file;
    bool tls; /* also by the scheme rediss */
    struct output_tls files;
};

#endif
