/* The kinds of destinations and their options. The rows of a kind are in the order in which documents have them. */
#include <stdlib.h>
#include <string.h>

#include "config/output.h"
#include "config/value.h"
#include "lib/ascii.h"
#include "lib/clock.h"

#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* ---- Checks of values ---- */

static int check_path(const char *text, struct err *e)
{
    if (text[0] != '/' || text[strlen(text) - 1] == '/')
        return err_set(e, ERR_MALFORMED, "is not the absolute path of a file");
    return 0;
}

static int check_mode(const char *text, struct err *e)
{
    size_t n = strspn(text, "01234567");
    if (n < 3 || n > 4 || text[n] || (n == 4 && text[0] != '0'))
        return err_set(e, ERR_MALFORMED, "is no mode of a file; such as 0640");
    return 0;
}

static int check_topic(const char *text, struct err *e)
{
    size_t n = 0;
    while (ascii_is_letter(text[n]) || ascii_is_digit(text[n]) || (text[n] && strchr("._-", text[n])))
        n++;
    if (text[n] || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return err_set(e, ERR_MALFORMED, "has other characters than letters, digits, '.', '_' and '-'");
    return 0;
}

/* ---- Names ---- */

static const char *const compress_names[] = {
    [OUTPUT_COMPRESS_NONE] = "none", [OUTPUT_COMPRESS_GZIP] = "gzip", [OUTPUT_COMPRESS_ZSTD] = "zstd"};
static const char *const fsync_names[] = {
    [OUTPUT_FSYNC_NONE] = "none", [OUTPUT_FSYNC_ROTATE] = "rotate", [OUTPUT_FSYNC_BATCH] = "batch"};
static const char *const framing_names[] = {
    [OUTPUT_FRAMING_NONE] = "none", [OUTPUT_FRAMING_VARINT] = "varint"};
static const char *const key_names[] = {[OUTPUT_KEY_NONE] = "none",
                                        [OUTPUT_KEY_HOSTNAME] = "hostname",
                                        [OUTPUT_KEY_NETNS] = "netns",
                                        [OUTPUT_KEY_SOCKET] = "socket"};
static const char *const codec_names[] = {
    [OUTPUT_CODEC_AUTO] = "auto",     [OUTPUT_CODEC_NONE] = "none", [OUTPUT_CODEC_GZIP] = "gzip",
    [OUTPUT_CODEC_SNAPPY] = "snappy", [OUTPUT_CODEC_LZ4] = "lz4",   [OUTPUT_CODEC_ZSTD] = "zstd"};

#define NAMES(list) .names = (list), .n_names = sizeof(list) / sizeof((list)[0])

/* ---- Options ---- */

#define ROW(kind_, name_, member_, type_, ...)                                                               \
    {                                                                                                        \
        .name = (name_), .type = (type_), .offset = offsetof(struct output_##kind_##_options, member_),      \
        .section = "Outputs", __VA_ARGS__                                                                    \
    }

#define TEXT(kind_, name_, member_, max_, ...)                                                               \
    ROW(kind_, name_, member_, CONFIG_STRING, .default_value = "", .max = (max_), __VA_ARGS__)

#define FILE_NAME(kind_, name_, member_, help_)                                                              \
    TEXT(kind_, name_, member_, 4095, .metavar = "FILE", .help = (help_), .check_item = check_path)

#define TIMEOUT(kind_, help_)                                                                                \
    ROW(kind_, "timeout", timeout, CONFIG_DURATION, .default_value = "10s", .min = 100 * NS_PER_MS,          \
        .max = 600 * NS_PER_S, .metavar = "DURATION", .help = (help_))

#define TLS(kind_, member_)                                                                                  \
    FILE_NAME(kind_, "tls_ca_file", member_.ca_file,                                                         \
              "PEM: who may sign the server's certificate; when empty, the system's "                        \
              "authorities."),                                                                               \
        FILE_NAME(kind_, "tls_cert_file", member_.cert_file, "PEM: the certificate of this client."),        \
        FILE_NAME(kind_, "tls_key_file", member_.key_file, "PEM: its key."),                                 \
        TEXT(kind_, "tls_server_name", member_.server_name, 253, .metavar = "NAME",                          \
             .help = "The name in the server's certificate, when it is not that of the URL.")

static const struct config_option file_options[] = {
    ROW(file, "mode", mode, CONFIG_STRING, .default_value = "0640", .max = 4, .metavar = "MODE",
        .help = "The mode of files that are made.", .check_item = check_mode),
    ROW(file, "rotate_size", rotate_size, CONFIG_SIZE, .default_value = "0", .min = 64 * KIB,
        .max = 1024 * GIB, .zero = "never", .metavar = "BYTES",
        .help = "The file is put aside when it is as long as this."),
    ROW(file, "rotate_interval", rotate_interval, CONFIG_DURATION, .default_value = "0s", .min = NS_PER_S,
        .max = 366 * 86400 * NS_PER_S, .zero = "never", .metavar = "DURATION",
        .help = "The file is put aside at each multiple of this time (UTC)."),
    ROW(file, "rotate_keep", rotate_keep, CONFIG_UINT, .default_value = "7", .min = 1, .max = 100000,
        .zero = "all", .metavar = "COUNT", .help = "How many of these files stay."),
    ROW(file, "compress", compress, CONFIG_ENUM, .default_value = "none", .metavar = "HOW",
        .help = "How they are compressed.", NAMES(compress_names)),
    ROW(file, "fsync", fsync, CONFIG_ENUM, .default_value = "none", .metavar = "WHEN",
        .help = "When the disk is waited for.", NAMES(fsync_names)),
};

#define STREAM_ROWS(framing_)                                                                                \
    ROW(stream, "framing", framing, CONFIG_ENUM, .default_value = (framing_), .metavar = "HOW",              \
        .help = "What stands in front of a message: nothing, or its length as a varint.",                    \
        NAMES(framing_names)),                                                                               \
        TIMEOUT(stream, "How long connecting, and sending without progress, may take."),                     \
        ROW(stream, "resend", resend, CONFIG_SIZE, .default_value = "4MiB", .max = 64 * MIB,                 \
            .zero = "nothing", .metavar = "BYTES",                                                           \
            .help =                                                                                          \
                "How much of what was sent last is sent again after a connection broke: the peer may not have read it.")

static const struct config_option tcp_options[] = {
    STREAM_ROWS("none"),
    ROW(stream, "tls", tls, CONFIG_BOOL, .default_value = "false", .metavar = "BOOL",
        .help = "Whether to use TLS."),
    TLS(stream, files),
};

static const struct config_option unix_options[] = {STREAM_ROWS("varint")};

static const struct config_option udp_options[] = {
    ROW(datagram, "size", size, CONFIG_UINT, .default_value = "1400", .min = 256, .max = 65507,
        .metavar = "BYTES", .help = "The size of datagrams. A record that is longer has one of its own."),
};

static const struct config_option unixgram_options[] = {
    ROW(datagram, "size", size, CONFIG_UINT, .default_value = "0", .min = 256, .max = 1 << 20,
        .zero = "what the socket takes", .metavar = "BYTES", .help = "The size of datagrams."),
};

static const struct config_option http_options[] = {
    TEXT(http, "headers", headers, 4096, .metavar = "NAME: VALUE",
         .help = "Headers of each request, with | between them."),
    TEXT(http, "content_type", content_type, 200, .metavar = "TYPE",
         .help = "The type of the body, when it is not that of the format."),
    ROW(http, "compress", compress, CONFIG_ENUM, .default_value = "none", .metavar = "HOW",
        .help = "How bodies are compressed.", NAMES(compress_names)),
    TIMEOUT(http, "How long a request may take."),
    FILE_NAME(http, "token_file", token_file, "Holds a bearer token."),
    TEXT(http, "user", user, 200, .metavar = "NAME",
         .help = "For basic authentication; it may be in the URL, too."),
    FILE_NAME(http, "password_file", password_file, "Holds the password for it."),
    TLS(http, tls),
    FILE_NAME(http, "dead_letter_file", dead_letter_file,
              "Gets the bodies that were refused for good; when empty, these are dropped."),
};

static const struct config_option kafka_options[] = {
    TEXT(kafka, "topic", topic, 249, .metavar = "TOPIC",
         .help = "The topic; when empty, the path of the URL, and without one, xtcp.",
         .check_item = check_topic),
    ROW(kafka, "key", key, CONFIG_ENUM, .default_value = "none", .metavar = "HOW",
        .help = "The key of messages, each of which has records of one key only.", NAMES(key_names)),
    ROW(kafka, "compression", compression, CONFIG_ENUM, .default_value = "auto", .metavar = "HOW",
        .help = "How messages are compressed; auto is zstd.", NAMES(codec_names)),
    ROW(kafka, "linger", linger, CONFIG_DURATION, .default_value = "5ms", .max = 60 * NS_PER_S,
        .zero = "not at all", .metavar = "DURATION", .help = "How long messages wait for others to go with."),
    ROW(kafka, "timeout", timeout, CONFIG_DURATION, .default_value = "30s", .min = NS_PER_S,
        .max = 900 * NS_PER_S, .metavar = "DURATION",
        .help = "How long the library tries to deliver a message before the output waits."),
    TEXT(kafka, "user", user, 200, .metavar = "NAME", .help = "For SASL; it may be in the URL, too."),
    FILE_NAME(kafka, "password_file", password_file, "Holds the password for it."),
};

static const char *const valkey_modes[] = {
    [OUTPUT_VALKEY_PUBLISH] = "publish", [OUTPUT_VALKEY_STREAM] = "stream"};

#define USE_TLS(kind_)                                                                                       \
    ROW(kind_, "tls", tls, CONFIG_BOOL, .default_value = "false", .metavar = "BOOL",                         \
        .help = "Whether to use TLS.")

static const struct config_option nsq_options[] = {
    TEXT(nsq, "topic", topic, 64, .metavar = "TOPIC",
         .help = "The topic; when empty, the path of the URL, and without one, xtcp.",
         .check_item = check_topic),
    ROW(nsq, "size", size, CONFIG_SIZE, .default_value = "1MiB", .min = 4 * KIB, .max = 64 * MIB,
        .metavar = "BYTES", .help = "The largest message that nsqd takes (its --max-msg-size)."),
    TIMEOUT(nsq, "How long connecting, sending without progress, and an answer may take."),
    FILE_NAME(nsq, "secret_file", secret_file, "Holds the secret for AUTH."),
    USE_TLS(nsq),
    TLS(nsq, files),
};

static const struct config_option valkey_options[] = {
    TEXT(valkey, "channel", key, 512, .metavar = "NAME",
         .help = "The channel, or the key of the stream; when empty, xtcp."),
    ROW(valkey, "mode", mode, CONFIG_ENUM, .default_value = "publish", .metavar = "HOW",
        .help =
            "Whether messages are published, which is for those who listen at that moment, or added to a stream.",
        NAMES(valkey_modes)),
    ROW(valkey, "stream_length", stream_length, CONFIG_UINT, .default_value = "10000", .min = 1,
        .max = 1000000000, .zero = "all", .metavar = "COUNT",
        .help = "How many messages stay in the stream, about."),
    ROW(valkey, "database", database, CONFIG_UINT, .default_value = "0", .max = 100000, .metavar = "NUMBER",
        .help = "The database; it may be the path of the URL, too."),
    TIMEOUT(valkey, "How long connecting, sending without progress, and an answer may take."),
    TEXT(valkey, "user", user, 200, .metavar = "NAME", .help = "For AUTH; it may be in the URL, too."),
    FILE_NAME(valkey, "password_file", password_file, "Holds the password for it."),
    USE_TLS(valkey),
    TLS(valkey, files),
};

/* ---- Kinds ---- */

#define OPTIONS(list, type)                                                                                  \
    .options = (list), .n_options = sizeof(list) / sizeof((list)[0]), .options_size = sizeof(type)

const struct output_kind output_kinds[] = {
    {.name = "null",
     .schemes = {"null"},
     .url = URL_BARE,
     .format = "protobuf-list",
     .example = "null",
     .flags = OUTPUT_ONE_OBJECT,
     .doc = "Records are formatted and dropped."},
    {.name = "stdout",
     .schemes = {"stdout"},
     .url = URL_BARE,
     .format = "jsonl",
     .example = "stdout",
     .flags = OUTPUT_FILES,
     .doc = "Standard output."},
    {.name = "stderr",
     .schemes = {"stderr"},
     .url = URL_BARE,
     .format = "jsonl",
     .example = "stderr",
     .flags = OUTPUT_FILES,
     .doc = "Standard error, where the log is."},
    {.name = "file",
     .schemes = {"file"},
     .url = URL_PATH,
     .format = "jsonl",
     .example = "file:/var/log/xtcp2/sockets.jsonl",
     .flags = OUTPUT_FILES,
     OPTIONS(file_options, struct output_file_options),
     .doc = "A file that is appended to; SIGHUP opens it again."},
    {.name = "tcp",
     .schemes = {"tcp"},
     .url = URL_NET,
     .format = "protobuf-list",
     .example = "tcp:collector:9000",
     OPTIONS(tcp_options, struct output_stream_options),
     .doc = "A TCP connection, with TLS if wanted."},
    {.name = "unix",
     .schemes = {"unix"},
     .url = URL_PATH,
     .format = "protobuf-list",
     .example = "unix:/run/collector.sock",
     .flags = OUTPUT_FILES,
     OPTIONS(unix_options, struct output_stream_options),
     .doc = "A unix stream socket."},
    {.name = "udp",
     .schemes = {"udp"},
     .url = URL_NET,
     .format = "protobuf-list",
     .example = "udp:collector:9000",
     .flags = OUTPUT_ONE_OBJECT,
     OPTIONS(udp_options, struct output_datagram_options),
     .doc = "UDP datagrams."},
    {.name = "unixgram",
     .schemes = {"unixgram"},
     .url = URL_PATH,
     .format = "protobuf-list",
     .example = "unixgram:/run/collector.sock",
     .flags = OUTPUT_FILES | OUTPUT_ONE_OBJECT,
     OPTIONS(unixgram_options, struct output_datagram_options),
     .doc = "A unix datagram socket."},
    {.name = "http",
     .schemes = {"http", "https"},
     .url = URL_NET,
     .format = "jsonl",
     .port = 80,
     .example = "https://collector/sockets",
     .flags = OUTPUT_ONE_OBJECT | OUTPUT_SECRET_URL,
     .module = "xtcp2-output-http",
     OPTIONS(http_options, struct output_http_options),
     .doc = "POST requests, a body for each message."},
    {.name = "kafka",
     .schemes = {"kafka"},
     .url = URL_NET,
     .format = "protobuf-list",
     .port = 9092,
     .example = "kafka:broker-1:9092,broker-2:9092",
     .flags = OUTPUT_ONE_OBJECT | OUTPUT_SECRET_URL,
     .module = "xtcp2-output-kafka",
     OPTIONS(kafka_options, struct output_kafka_options),
     .passed = "kafka.",
     .doc = "A topic of Kafka or Redpanda."},
    {.name = "nsq",
     .schemes = {"nsq"},
     .url = URL_NET,
     .format = "protobuf-list",
     .port = 4150,
     .example = "nsq:nsqd-1:4150,nsqd-2:4150",
     .flags = OUTPUT_ONE_OBJECT,
     .module = "xtcp2-output-nsq",
     OPTIONS(nsq_options, struct output_nsq_options),
     .doc = "A topic of NSQ, at one nsqd after the other."},
    {.name = "valkey",
     .schemes = {"valkey", "redis", "rediss"},
     .url = URL_NET,
     .format = "protobuf-list",
     .port = 6379,
     .example = "valkey:server:6379",
     .flags = OUTPUT_ONE_OBJECT | OUTPUT_SECRET_URL,
     .module = "xtcp2-output-valkey",
     OPTIONS(valkey_options, struct output_valkey_options),
     .doc = "A channel or a stream of Valkey or Redis."},
};
const size_t output_kind_count = sizeof(output_kinds) / sizeof(output_kinds[0]);

const struct output_kind *output_kind_of(const char *to)
{
    char scheme[32];
    url_scheme(to, scheme, sizeof(scheme));
    for (size_t i = 0; i < output_kind_count; i++)
        for (size_t k = 0; k < 3 && output_kinds[i].schemes[k]; k++)
            if (strcmp(output_kinds[i].schemes[k], scheme) == 0)
                return &output_kinds[i];
    return NULL;
}
