#include "config/go_flags.h"

#include <string.h>

#include "config/config_internal.h"

#define NO_CONTAINERS "container runtimes are not asked"
#define NO_LLDP       "lldpd is not asked"
#define NO_NIC        "records have no fields of the network card"
#define NO_PROFILER   "the daemon does not profile itself; perf(1) does"
#define NO_PROMETHEUS "there is no endpoint of Prometheus; xtcp2client status tells the figures"
#define NO_REGISTRY   "no schema is registered with a registry"
#define NO_S3         "there is no destination S3"
#define NO_URING      "reading through io_uring makes dumps of sockets no faster"

/* In the order of the Go daemon's -help. */
const struct go_flag go_flags[] = {
    {"capturePath", "CAPTUREPATH", "capture_path", "an absolute path"},
    {"columns", NULL, "csv_columns", NULL},
    {"conf", NULL, "print-config", NULL},
    {"d", "DEBUG_LEVEL", "log_level", "error, warn, info, debug or trace"},
    {"deserializers", "DESERIALIZERS", "enabled_deserializers", "names of groups"},
    {"dest", "DEST", "dest", NULL},
    {"destWriteFiles", "DEST_WRITE_FILES", NULL,
     "an output to a file records what a destination gets, --write-files what the kernel sent"},
    {"dockerSocket", "DOCKER_SOCKET", NULL, NO_CONTAINERS},
    {"enrichContainer", "ENRICH_CONTAINER", NULL, NO_CONTAINERS},
    {"enrichLldp", "ENRICH_LLDP", NULL, NO_LLDP},
    {"enrichNic", "ENRICH_NIC", NULL, NO_NIC},
    {"envelopeFlushBytes", "ENVELOPE_FLUSH_BYTES", "envelope_flush_bytes", NULL},
    {"envelopeFlushRows", "ENVELOPE_FLUSH_ROWS", "envelope_flush_rows", NULL},
    {"frequency", "POLL_FREQUENCY", "poll_frequency", NULL},
    {"goMaxProcs", "GOMAXPROCS", NULL, "--max-cpu-percent bounds the CPU time"},
    {"grpcPort", "GRPC_PORT", "grpc_listen", "with an address: 127.0.0.1:8889"},
    {"healthcheck", NULL, NULL, "xtcp2client health asks the daemon"},
    {"hostname", "XTCP_HOSTNAME", "hostname", NULL},
    {"ioUring", NULL, NULL, NO_URING},
    {"ioUringCqeBatch", NULL, NULL, NO_URING},
    {"ioUringRecvBatch", NULL, NULL, NO_URING},
    {"ipv4Ttl", "IPV4_TTL", "ipv4_ttl", NULL},
    {"ipv6HopLimit", "IPV6_HOP_LIMIT", "ipv6_hop_limit", NULL},
    {"kafkaCompression", "KAFKA_COMPRESSION", "kafka_compression", NULL},
    {"kafkaSchemaUrl", "KAFKA_SCHEMA_URL", NULL, NO_REGISTRY},
    {"label", "LABEL", "label", NULL},
    {"lldpdSocket", "LLDPD_SOCKET", NULL, NO_LLDP},
    {"lldpdVersionHint", "LLDPD_VERSION_HINT", NULL, NO_LLDP},
    {"location", "LOCATION", "location", NULL},
    {"marshal", "MARSHAL", "marshal", NULL},
    {"maxLoops", "MAX_LOOPS", "max_loops", NULL},
    {"maxThreads", NULL, NULL, "--collector-threads-max bounds the threads that collect"},
    {"modulus", "MODULUS", "modulus", NULL},
    {"netlinkers", "NETLINKERS", NULL, "one reader for each namespace is as fast as the kernel answers"},
    {"nlmsgSeq", "NLMSQSEQ", NULL, "each request takes the next sequence number of its socket"},
    {"nltimeout", "NLTIMEOUTMS", "nl_timeout_milliseconds", NULL},
    {"packetSize", "PACKET_SIZE", "packet_size", NULL},
    {"packetSizeMply", "PACKETSIZEMPLY", NULL, "--packet-size says it all"},
    {"pollJitterPct", "POLL_JITTER_PCT", "poll_jitter_pct", NULL},
    {"populateNsid", "POPULATE_NSID", "populate_nsid", "true or false"},
    {"produceTimeout", "KAFKA_PRODUCE_TIMEOUT", "produce_timeout", NULL},
    {"profile.mode", NULL, NULL, NO_PROFILER},
    {"promListen", "PROM_LISTEN", NULL, NO_PROMETHEUS},
    {"promPath", "PROM_PATH", NULL, NO_PROMETHEUS},
    {"pyroscopeAppName", "PYROSCOPE_APP_NAME", NULL, NO_PROFILER},
    {"pyroscopeSampleHz", NULL, NULL, NO_PROFILER},
    {"pyroscopeUploadSec", NULL, NULL, NO_PROFILER},
    {"pyroscopeUrl", "PYROSCOPE_URL", NULL, NO_PROFILER},
    {"reconcileBeforePoll", "RECONCILE_BEFORE_POLL", "reconcile_before_poll", "true or false"},
    {"reconcileFrequency", "RECONCILE_FREQUENCY", "reconcile_frequency", NULL},
    {"resolveContainerId", "CONTAINER_ID_RESOLVE", NULL, NO_CONTAINERS},
    {"s3AccessKey", "S3_ACCESS_KEY", NULL, NO_S3},
    {"s3Bucket", "S3_BUCKET", NULL, NO_S3},
    {"s3Endpoint", "S3_ENDPOINT", NULL, NO_S3},
    {"s3FlushInterval", "S3_FLUSH_INTERVAL", NULL, NO_S3},
    {"s3FlushJitterPct", "S3_FLUSH_JITTER_PCT", NULL, NO_S3},
    {"s3FlushThresholdJitterPct", "S3_FLUSH_THRESHOLD_JITTER_PCT", NULL, NO_S3},
    {"s3ParquetFlushBytes", "S3_PARQUET_FLUSH_BYTES", NULL, NO_S3},
    {"s3Prefix", "S3_PREFIX", NULL, NO_S3},
    {"s3Region", "S3_REGION", NULL, NO_S3},
    {"s3SecretKey", "S3_SECRET_KEY", NULL, NO_S3},
    {"s3SkipBucketProbe", "S3_SKIP_BUCKET_PROBE", NULL, NO_S3},
    {"s3UploadBackoffCap", "S3_UPLOAD_BACKOFF_CAP", NULL, NO_S3},
    {"s3UploadMaxAttempts", "S3_UPLOAD_MAX_ATTEMPTS", NULL, NO_S3},
    {"tag", "TAG", "tag", NULL},
    {"timeout", "POLL_TIMEOUT", "poll_timeout", NULL},
    {"topic", "TOPIC", "topic", NULL},
    {"uplinkCount", "UPLINK_COUNT", NULL, NO_NIC},
    {"uplinkInterfaces", "UPLINK_INTERFACES", NULL, NO_NIC},
    {"v", NULL, "version", NULL},
    {"writeFiles", "WRITEFILES", "write_files", NULL},
    {"xtcpProtoFile", "XTCP_PROTO_FILE", NULL, NO_REGISTRY},
};

const size_t go_flag_count = sizeof(go_flags) / sizeof(go_flags[0]);

const struct go_flag *go_flag_find(const char *name, size_t n)
{
    for (size_t i = 0; i < go_flag_count; i++)
        if (strncmp(go_flags[i].name, name, n) == 0 && !go_flags[i].name[n])
            return &go_flags[i];
    return NULL;
}

void go_flag_explain(const struct go_flag *f, bool two_dashes, struct buf *out)
{
    char flag[OPTION_FLAG_MAX];
    if (!f->option) {
        buf_printf(out, "no such option: %s", f->text);
        return;
    }
    option_flag(f->option, flag);
    buf_printf(out, "%s --%s", two_dashes ? "is called" : "options have two dashes here:", flag);
    if (f->text)
        buf_printf(out, ", %s", f->text);
}
