/* The table of XtcpConfig's fields, and their bounds. */
#include <inttypes.h>
#include <string.h>

#include "lib/utf8.h"
#include "rpc/codec/config/msg_config_internal.h"

#define WEEK_S 604800

#define FIELD(number_, name_, kind_) .number = (number_), .name = (name_), .kind = CONFIG_FIELD_##kind_
#define REQUIRED                     .required = true
#define RANGE(min_, max_)            .min = (min_), .max = (max_)

/* Reasons to refuse fields that several fields share. */
#define NO_REGISTRY   "the daemon asks no schema registry"
#define NO_S3         "there is no S3 destination"
#define NO_PROFILER   "the daemon does not profile itself: use perf(1)"
#define NO_URING      "reading through io_uring makes dumps of sockets no faster"
#define NO_CONTAINERS "container runtimes are not asked"
#define NO_LLDP       "lldpd is not asked"
#define NO_NIC        "network cards are not looked at"

const struct config_field config_fields[] = {
    {FIELD(10, "nl_timeout_milliseconds", OPTION), REQUIRED, RANGE(0, 100000)},
    {FIELD(20, "poll_frequency", OPTION), REQUIRED, RANGE(0, WEEK_S), .above = true},
    {FIELD(30, "poll_timeout", OPTION), REQUIRED, RANGE(0, WEEK_S), .above = true},
    {FIELD(40, "max_loops", OPTION), RANGE(0, 100000)},
    {FIELD(50, "netlinkers", FIXED), REQUIRED, RANGE(1, 100), .fixed_number = 1,
     .why = "one reader for each namespace is as fast as the kernel answers"},
    {FIELD(51, "netlinkers_done_chan_size", FIXED), REQUIRED, RANGE(1, 1000), .fixed_number = 1,
     .why = "the reader of a namespace hands over without a queue of its own"},
    {FIELD(60, "nlmsg_seq", FIXED), REQUIRED, RANGE(0, 10000),
     .why = "each request takes the next sequence number of its socket"},
    {FIELD(70, "packet_size", OPTION), RANGE(0, 1000000)},
    {FIELD(80, "packet_size_mply", FIXED), RANGE(0, 100), .why = "packet_size says it all"},
    {FIELD(90, "write_files", OPTION), RANGE(0, 1000)},
    {FIELD(100, "capture_path", OPTION), RANGE(1, 80)},
    {FIELD(110, "modulus", OPTION), REQUIRED, RANGE(1, 1000000)},
    {FIELD(120, "marshal_to", OPTION), REQUIRED, RANGE(3, 40)},
    {FIELD(122, "envelope_flush_threshold_bytes", OPTION)},
    {FIELD(123, "envelope_flush_threshold_rows", OPTION)},
    {FIELD(124, "kafka_compression", OPTION)},
    {FIELD(125, "s3_endpoint", FIXED), .why = NO_S3},
    {FIELD(126, "s3_bucket", FIXED), .why = NO_S3},
    {FIELD(127, "s3_prefix", FIXED), .why = NO_S3},
    {FIELD(128, "s3_access_key", FIXED), .secret = true, .why = NO_S3},
    {FIELD(129, "s3_secret_key", FIXED), .secret = true, .why = NO_S3},
    {FIELD(130, "dest", OPTION), REQUIRED, RANGE(4, 512)},
    {FIELD(132, "s3_parquet_flush_threshold_bytes", FIXED), .why = NO_S3},
    {FIELD(133, "s3_region", FIXED), .why = NO_S3},
    {FIELD(134, "s3_skip_bucket_probe", FIXED), .why = NO_S3},
    {FIELD(135, "dest_write_files", FIXED), RANGE(0, 1000),
     .why = "an output to a file records what a destination gets; write_files records what the kernel sent"},
    {FIELD(136, "pyroscope_url", FIXED), .why = NO_PROFILER},
    {FIELD(137, "pyroscope_app_name", FIXED), .why = NO_PROFILER},
    {FIELD(138, "pyroscope_sample_hz", FIXED), .why = NO_PROFILER},
    {FIELD(139, "pyroscope_upload_interval_sec", FIXED), .why = NO_PROFILER},
    {FIELD(140, "topic", OPTION), RANGE(1, 40)},
    {FIELD(143, "xtcp_proto_file", FIXED), RANGE(1, 80), .why = NO_REGISTRY},
    {FIELD(145, "kafka_schema_url", FIXED), RANGE(1, 60), .why = NO_REGISTRY},
    {FIELD(150, "kafka_produce_timeout", OPTION), RANGE(0, 600)},
    {FIELD(160, "debug_level", DEBUG_LEVEL), REQUIRED, RANGE(0, 1000)},
    {FIELD(170, "label", OPTION), RANGE(0, 40)},
    {FIELD(180, "tag", OPTION), RANGE(0, 40)},
    {FIELD(181, "location", OPTION), RANGE(0, 253)},
    {FIELD(182, "hostname", OPTION), RANGE(0, 253)},
    {FIELD(183, "resolve_container_id", FIXED),
     .why = "namespaces are named by their files, not by containers"},
    {FIELD(184, "ipv4_ttl", OPTION), RANGE(0, 255)},
    {FIELD(185, "ipv6_hop_limit", OPTION), RANGE(0, 255)},
    {FIELD(186, "daemon_version", VERSION), RANGE(0, 253), .why = "it is the version of the daemon"},
    {FIELD(190, "grpc_port", PORT), REQUIRED, RANGE(1, 65535),
     .why = "it is the port of the first TCP listener"},
    {FIELD(200, "enabled_deserializers", OPTION)},
    {FIELD(210, "io_uring", FIXED), .why = NO_URING},
    {FIELD(211, "io_uring_recv_batch_size", FIXED), RANGE(1, 4096), .why = NO_URING},
    {FIELD(212, "io_uring_cqe_batch_size", FIXED), RANGE(1, 4096), .why = NO_URING},
    {FIELD(220, "csv_columns", OPTION)},
    {FIELD(221, "poll_jitter_pct", OPTION), RANGE(0, 100)},
    {FIELD(222, "s3_flush_interval", FIXED), .why = NO_S3},
    {FIELD(223, "s3_flush_jitter_pct", FIXED), RANGE(0, 100), .why = NO_S3},
    {FIELD(224, "s3_flush_threshold_jitter_pct", FIXED), RANGE(0, 100), .why = NO_S3},
    {FIELD(225, "s3_upload_max_attempts", FIXED), RANGE(1, 100), .why = NO_S3},
    {FIELD(226, "s3_upload_backoff_cap", FIXED), .why = NO_S3},
    {FIELD(227, "reconcile_frequency", OPTION)},
    {FIELD(228, "reconcile_before_poll", OPTION)},
    {FIELD(230, "enrich_container_enable", FIXED), .why = NO_CONTAINERS},
    {FIELD(231, "docker_socket_path", FIXED), RANGE(0, 255), .why = NO_CONTAINERS},
    {FIELD(232, "enrich_lldp_enable", FIXED), .why = NO_LLDP},
    {FIELD(233, "lldpd_socket_path", FIXED), RANGE(0, 255), .why = NO_LLDP},
    {FIELD(234, "lldpd_version_hint", FIXED), RANGE(0, 16), .why = NO_LLDP},
    {FIELD(235, "enrich_nic_enable", FIXED), .why = NO_NIC},
    {FIELD(236, "uplink_count", FIXED), RANGE(0, 2), .why = NO_NIC},
    {FIELD(237, "uplink_interfaces", FIXED), RANGE(0, 2), .why = NO_NIC},
    {FIELD(238, "populate_nsid", OPTION)},
    {FIELD(1000, "generation", GENERATION),
     .why = "counts the changes that were put in force; in Set, the one that is to be changed or 0"},
    {FIELD(1001, "options", OPTIONS), .why = "what the schema has no field for, one message for each topic"},
};

const size_t config_field_count = sizeof(config_fields) / sizeof(config_fields[0]);

const struct config_field *config_field_find(const char *name)
{
    for (size_t i = 0; i < config_field_count; i++) {
        if (strcmp(config_fields[i].name, name) == 0)
            return &config_fields[i];
    }
    return NULL;
}

const ProtobufCFieldDescriptor *config_field_descriptor(const struct config_field *row)
{
    return protobuf_c_message_descriptor_get_field(&xtcp_config__v1__xtcp_config__descriptor, row->number);
}

struct config_place config_field_place(const struct config_field *row, const XtcpConfig__V1__XtcpConfig *m)
{
    return config_place_in(&m->base, config_field_descriptor(row));
}

/* ---- Options ---- */

const struct config_option *config_option_by_wire(const char *path)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].wire, path) == 0)
            return &config_options[i];
    }
    return NULL;
}

const struct config_option *config_nested_option(size_t i)
{
    for (size_t k = 0; k < CONFIG_OPTION_COUNT; k++) {
        if (config_options[k].wire_order == i + 1)
            return &config_options[k];
    }
    return NULL;
}

const struct config_option *config_field_option(const struct config_field *row)
{
    switch (row->kind) {
    case CONFIG_FIELD_OPTION:
        return config_option_by_wire(row->name);
    case CONFIG_FIELD_DEBUG_LEVEL:
        return &config_options[CONFIG_OPTION_log_level];
    case CONFIG_FIELD_PORT:
        return &config_options[CONFIG_OPTION_grpc_listen];
    default:
        return NULL;
    }
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

int config_field_check(const struct config_field *row, const struct config_place *p, struct err *e)
{
    if (p->f->label == PROTOBUF_C_LABEL_REPEATED)
        return check_number(row, *config_place_count(p), " entries", e);
    switch (config_place_kind(p)) {
    case CONFIG_PLACE_NUMBER:
        return check_number(row, config_place_number(p), "", e);
    case CONFIG_PLACE_TEXT:
        return check_text(row, *(char *const *)p->at, e);
    case CONFIG_PLACE_DURATION:
        return check_duration(row, *(Google__Protobuf__Duration *const *)p->at, e);
    default:
        return 0; /* a bool: both values are legal; a message: its own fields are checked */
    }
}
