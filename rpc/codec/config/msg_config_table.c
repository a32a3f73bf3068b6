/* The table of XtcpConfig's fields, and their bounds. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/utf8.h"
#include "rpc/codec/config/msg_config_int.h"

#define WEEK_S 604800

#define FIELD(number_, name_, kind_) .number = (number_), .name = (name_), .kind = CONFIG_FIELD_##kind_
#define REQUIRED                     .required = true
#define RANGE(min_, max_)            .min = (min_), .max = (max_)

/* Why fields are refused, where it is the same for several. */
#define NO_KAFKA      "there is no Kafka destination"
#define NO_S3         "there is no S3 destination"
#define NO_PROFILER   "the daemon does not profile itself: use perf(1)"
#define NO_URING      "reading through io_uring makes dumps of sockets no faster"
#define NO_CONTAINERS "container runtimes are not asked"
#define NO_LLDP       "lldpd is not asked"
#define NO_NIC        "network cards are not looked at"

const struct config_field config_fields[CONFIG_FIELD_COUNT] = {
    {FIELD(10, "nl_timeout_milliseconds", NUMBER), REQUIRED, RANGE(0, 100000),
     .option = "nl_timeout_milliseconds"},
    {FIELD(20, "poll_frequency", DURATION), REQUIRED, RANGE(0, WEEK_S), .above = true,
     .option = "poll_frequency"},
    {FIELD(30, "poll_timeout", DURATION), REQUIRED, RANGE(0, WEEK_S), .above = true,
     .option = "poll_timeout"},
    {FIELD(40, "max_loops", NUMBER), RANGE(0, 100000), .option = "max_loops"},
    {FIELD(50, "netlinkers", FIXED), REQUIRED, RANGE(1, 100), .fixed_number = 1,
     .why = "one reader for each namespace is as fast as the kernel answers"},
    {FIELD(51, "netlinkers_done_chan_size", FIXED), REQUIRED, RANGE(1, 1000), .fixed_number = 1,
     .why = "the reader of a namespace hands over without a queue of its own"},
    {FIELD(60, "nlmsg_seq", FIXED), REQUIRED, RANGE(0, 10000),
     .why = "each request takes the next sequence number of its socket"},
    {FIELD(70, "packet_size", NUMBER), RANGE(0, 1000000), .option = "packet_size"},
    {FIELD(80, "packet_size_mply", FIXED), RANGE(0, 100), .why = "packet_size says it all"},
    {FIELD(90, "write_files", NUMBER), RANGE(0, 1000), .option = "write_files"},
    {FIELD(100, "capture_path", TEXT), RANGE(1, 80), .option = "capture_path"},
    {FIELD(110, "modulus", NUMBER), REQUIRED, RANGE(1, 1000000), .option = "modulus"},
    {FIELD(120, "marshal_to", FIXED), REQUIRED, RANGE(3, 40), .fixed_text = "protobufList",
     .why = "gRPC streams carry protobuf; clients print other forms"},
    {FIELD(122, "envelope_flush_threshold_bytes", FIXED),
     .why = "clients say how many rows they want at once (batch_rows)"},
    {FIELD(123, "envelope_flush_threshold_rows", FIXED),
     .why = "clients say how many rows they want at once (batch_rows)"},
    {FIELD(124, "kafka_compression", FIXED), .why = NO_KAFKA},
    {FIELD(125, "s3_endpoint", FIXED), .why = NO_S3},
    {FIELD(126, "s3_bucket", FIXED), .why = NO_S3},
    {FIELD(127, "s3_prefix", FIXED), .why = NO_S3},
    {FIELD(128, "s3_access_key", FIXED), .secret = true, .why = NO_S3},
    {FIELD(129, "s3_secret_key", FIXED), .secret = true, .why = NO_S3},
    {FIELD(130, "dest", FIXED), REQUIRED, RANGE(4, 512),
     .fixed_text = "null:", .why = "records go to gRPC streams only"},
    {FIELD(132, "s3_parquet_flush_threshold_bytes", FIXED), .why = NO_S3},
    {FIELD(133, "s3_region", FIXED), .why = NO_S3},
    {FIELD(134, "s3_skip_bucket_probe", FIXED), .why = NO_S3},
    {FIELD(135, "dest_write_files", FIXED), RANGE(0, 1000),
     .why =
         "there is no destination whose payloads could be recorded; write_files records what the kernel sent"},
    {FIELD(136, "pyroscope_url", FIXED), .why = NO_PROFILER},
    {FIELD(137, "pyroscope_app_name", FIXED), .why = NO_PROFILER},
    {FIELD(138, "pyroscope_sample_hz", FIXED), .why = NO_PROFILER},
    {FIELD(139, "pyroscope_upload_interval_sec", FIXED), .why = NO_PROFILER},
    {FIELD(140, "topic", FIXED), RANGE(1, 40), .why = NO_KAFKA},
    {FIELD(143, "xtcp_proto_file", FIXED), RANGE(1, 80), .why = NO_KAFKA},
    {FIELD(145, "kafka_schema_url", FIXED), RANGE(1, 60), .why = NO_KAFKA},
    {FIELD(150, "kafka_produce_timeout", FIXED), RANGE(0, 600), .why = NO_KAFKA},
    {FIELD(160, "debug_level", DEBUG_LEVEL), REQUIRED, RANGE(0, 1000), .option = "log_level"},
    {FIELD(170, "label", TEXT), RANGE(0, 40), .option = "label"},
    {FIELD(180, "tag", TEXT), RANGE(0, 40), .option = "tag"},
    {FIELD(181, "location", TEXT), RANGE(0, 253), .option = "location"},
    {FIELD(182, "hostname", TEXT), RANGE(0, 253), .option = "hostname"},
    {FIELD(183, "resolve_container_id", FIXED),
     .why = "namespaces are named by their files, not by containers"},
    {FIELD(184, "ipv4_ttl", NUMBER), RANGE(0, 255), .option = "ipv4_ttl"},
    {FIELD(185, "ipv6_hop_limit", NUMBER), RANGE(0, 255), .option = "ipv6_hop_limit"},
    {FIELD(186, "daemon_version", VERSION), RANGE(0, 253), .why = "it is the version of the daemon"},
    {FIELD(190, "grpc_port", PORT), REQUIRED, RANGE(1, 65535), .option = "grpc_listen",
     .why = "it is the port of the first TCP listener"},
    {FIELD(200, "enabled_deserializers", GROUPS), .option = "enabled_deserializers"},
    {FIELD(210, "io_uring", FIXED), .why = NO_URING},
    {FIELD(211, "io_uring_recv_batch_size", FIXED), RANGE(1, 4096), .why = NO_URING},
    {FIELD(212, "io_uring_cqe_batch_size", FIXED), RANGE(1, 4096), .why = NO_URING},
    {FIELD(220, "csv_columns", FIXED), .why = "CSV is printed by clients, who choose the columns"},
    {FIELD(221, "poll_jitter_pct", NUMBER), RANGE(0, 100), .option = "poll_jitter_pct"},
    {FIELD(222, "s3_flush_interval", FIXED), .why = NO_S3},
    {FIELD(223, "s3_flush_jitter_pct", FIXED), RANGE(0, 100), .why = NO_S3},
    {FIELD(224, "s3_flush_threshold_jitter_pct", FIXED), RANGE(0, 100), .why = NO_S3},
    {FIELD(225, "s3_upload_max_attempts", FIXED), RANGE(1, 100), .why = NO_S3},
    {FIELD(226, "s3_upload_backoff_cap", FIXED), .why = NO_S3},
    {FIELD(227, "reconcile_frequency", DURATION), .option = "reconcile_frequency"},
    {FIELD(228, "reconcile_before_poll", NUMBER), .option = "reconcile_before_poll"},
    {FIELD(230, "enrich_container_enable", FIXED), .why = NO_CONTAINERS},
    {FIELD(231, "docker_socket_path", FIXED), RANGE(0, 255), .why = NO_CONTAINERS},
    {FIELD(232, "enrich_lldp_enable", FIXED), .why = NO_LLDP},
    {FIELD(233, "lldpd_socket_path", FIXED), RANGE(0, 255), .why = NO_LLDP},
    {FIELD(234, "lldpd_version_hint", FIXED), RANGE(0, 16), .why = NO_LLDP},
    {FIELD(235, "enrich_nic_enable", FIXED), .why = NO_NIC},
    {FIELD(236, "uplink_count", FIXED), RANGE(0, 2), .why = NO_NIC},
    {FIELD(237, "uplink_interfaces", FIXED), RANGE(0, 2), .why = NO_NIC},
    {FIELD(238, "populate_nsid", NUMBER), .option = "populate_nsid"},
    {FIELD(1000, "generation", GENERATION),
     .why = "counts the changes that were put in force; in Set, the one that is to be changed or 0"},
    {FIELD(1001, "options", OPTIONS), .why = "what the schema has no field for, one message for each topic"},
};

const ProtobufCFieldDescriptor *config_field_descriptor(const struct config_field *row)
{
    return protobuf_c_message_descriptor_get_field(&xtcp_config__v1__xtcp_config__descriptor, row->number);
}

/* ---- Durations ---- */

#define DURATION_SECONDS_MAX 315576000000LL /* of google/protobuf/duration.proto */

int config_duration_ns(const Google__Protobuf__Duration *d, const char *name, int64_t *ns, struct err *e)
{
    if (d->seconds > DURATION_SECONDS_MAX || d->seconds < -DURATION_SECONDS_MAX || d->nanos >= NS_PER_S ||
        d->nanos <= -NS_PER_S || (d->seconds > 0 && d->nanos < 0) || (d->seconds < 0 && d->nanos > 0))
        return err_set(e, ERR_MALFORMED,
                       "%s: %" PRId64 " s and %" PRId32
                       " ns are no valid Duration (same sign, less than a second of ns)",
                       name, d->seconds, d->nanos);
    if (__builtin_mul_overflow(d->seconds, NS_PER_S, ns) ||
        __builtin_add_overflow(*ns, (int64_t)d->nanos, ns))
        return err_set(e, ERR_RANGE, "%s: value \"%" PRId64 "s\" is out of range; allowed at most %lld s",
                       name, d->seconds, INT64_MAX / NS_PER_S);
    return 0;
}

void config_duration_set(Google__Protobuf__Duration *d, int64_t ns)
{
    d->seconds = ns / NS_PER_S;
    d->nanos = (int32_t)(ns % NS_PER_S);
}

int config_duration_check(int64_t ns, const char *name, uint64_t min_s, uint64_t max_s, bool above,
                          struct err *e)
{
    int64_t min = (int64_t)min_s * NS_PER_S;
    int64_t max = max_s ? (int64_t)max_s * NS_PER_S : INT64_MAX;
    if (ns >= min && ns <= max && !(above && ns == min))
        return 0;
    char upper[48] = "";
    if (max_s)
        snprintf(upper, sizeof(upper), ", at most %" PRIu64 "s", max_s);
    return err_set(e, ERR_RANGE, "%s: value \"%.9gs\" is out of range; allowed %s %" PRIu64 "s%s", name,
                   (double)ns / (double)NS_PER_S, above ? "more than" : "at least", min_s, upper);
}

/* ---- Bounds ---- */

static int check_number(const struct config_field *row, uint64_t value, const char *unit, struct err *e)
{
    if (value >= row->min && (row->max == 0 || value <= row->max))
        return 0;
    return err_set(e, ERR_RANGE,
                   "%s: value \"%" PRIu64 "\"%s is out of range; allowed %" PRIu64 " to %" PRIu64, row->name,
                   value, unit, row->min, row->max);
}

const char *config_quote(const char *text, char out[CONFIG_QUOTE_MAX])
{
    return utf8_quote(text, out, CONFIG_QUOTE_MAX);
}

/* The contract's lengths count characters, not bytes. */
static int check_text(const struct config_field *row, const char *text, struct err *e)
{
    uint64_t n = utf8_characters(text);
    if (n >= row->min && (row->max == 0 || n <= row->max))
        return 0;
    char quoted[CONFIG_QUOTE_MAX];
    return err_set(e, ERR_RANGE,
                   "%s: value \"%s\" has %" PRIu64 " characters; allowed %" PRIu64 " to %" PRIu64, row->name,
                   config_quote(text, quoted), n, row->min, row->max);
}

static int check_duration(const struct config_field *row, const Google__Protobuf__Duration *d, struct err *e)
{
    int64_t ns;
    int rc = config_duration_ns(d, row->name, &ns, e);
    return rc < 0 ? rc : config_duration_check(ns, row->name, row->min, row->max, row->above, e);
}

int config_field_check(const struct config_field *row, const XtcpConfig__V1__XtcpConfig *m, struct err *e)
{
    const ProtobufCFieldDescriptor *f = config_field_descriptor(row);
    const void *at = config_field_at_const(m, f);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return check_number(row, *(const size_t *)((const char *)m + f->quantifier_offset), " entries", e);
    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return check_number(row, *(const uint32_t *)at, "", e);
    case PROTOBUF_C_TYPE_UINT64:
        return check_number(row, *(const uint64_t *)at, "", e);
    case PROTOBUF_C_TYPE_STRING:
        return check_text(row, *(char *const *)at, e);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (f->descriptor == &google__protobuf__duration__descriptor)
            return check_duration(row, *(Google__Protobuf__Duration *const *)at, e);
        return 0;
    default:
        return 0; /* bool: both values are legal */
    }
}
