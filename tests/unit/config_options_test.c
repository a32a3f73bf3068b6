/* Every option: its default, its bounds from both sides, what is not of its type, and the sentences about
 * that. */
#include "config_test.h"

#include "lib/clock.h"

#define TEXT_40 "0123456789012345678901234567890123456789"
/* Ten characters of four bytes each. */
#define WIDE_10                                                                                              \
    "\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600"
#define WIDE_40  WIDE_10 WIDE_10 WIDE_10 WIDE_10
#define WIDE_250 WIDE_40 WIDE_40 WIDE_40 WIDE_40 WIDE_40 WIDE_40 WIDE_10
#define TEXT_250 TEXT_40 TEXT_40 TEXT_40 TEXT_40 TEXT_40 TEXT_40 "0123456789"

static const struct good {
    const char *option;
    const char *text;
    const char *printed; /* NULL: as |text| */
} good[] = {
    {"grpc_listen", "127.0.0.1:8889", NULL},
    {"grpc_listen", "127.0.0.1:0,unix:/run/xtcp2.sock,[::1]:65535,unix-abstract:xtcp2", NULL},
    {"grpc_listen",
     "0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,0.0.0.0:7,0.0.0.0:8,0.0.0.0:9,0.0.0.0:10,"
     "0.0.0.0:11,0.0.0.0:12,0.0.0.0:13,0.0.0.0:14,0.0.0.0:15,0.0.0.0:16",
     NULL},
    {"grpc_insecure", "true", NULL},
    {"grpc_insecure", "false", NULL},
    {"grpc_health_listen", "", NULL},
    {"grpc_health_listen", "0.0.0.0:8890", NULL},
    {"connections_max", "1", NULL},
    {"connections_max", "1000000", NULL},
    {"connection_calls_max", "1", NULL},
    {"connection_calls_max", "100000", NULL},
    {"control_calls_max", "1", NULL},
    {"control_calls_max", "1000000", NULL},
    {"grpc_tls_listen", "", NULL},
    {"grpc_tls_listen", "0.0.0.0:8443,[::1]:0", NULL},
    {"tls_cert_file", "", NULL},
    {"tls_cert_file", "/etc/xtcp2/tls.crt", NULL},
    {"tls_key_file", "", NULL},
    {"tls_key_file", "/etc/xtcp2/tls.key", NULL},
    {"tls_client_ca_file", "", NULL},
    {"tls_client_ca_file", "/etc/xtcp2/ca.crt", NULL},
    {"access_control_names", "", NULL},
    {"access_control_names", "*.ops.example,spiffe://example/*", NULL},
    {"access_read_names", "*", NULL},
    {"access_read_names", "", NULL},
    {"token_file", "", NULL},
    {"token_file", "/etc/xtcp2/tokens", NULL},
    {"unix_socket_mode", "0600", NULL},
    {"unix_socket_mode", "0666", NULL},
    {"unix_socket_group", "", NULL},
    {"unix_socket_group", "adm", NULL},
    {"access_control_uids", "", NULL},
    {"access_control_uids", "0,1000,4294967294", NULL},
    {"access_read_uids", "*", NULL},
    {"access_read_uids", "root,@root,nobody,@0,1000", NULL},
    {"access_read_uids", "", NULL},
    {"access_anonymous_role", "health", NULL},
    {"access_anonymous_role", "control", NULL},
    {"focus_streams_max", "1", NULL},
    {"focus_streams_max", "10000", NULL},
    {"focus_sockets_max", "1", NULL},
    {"focus_sockets_max", "4096", NULL},
    {"focus_rate_max", "100", NULL},
    {"focus_rate_max", "10000000", NULL},
    {"calls_max", "16", NULL},
    {"calls_max", "1000000", NULL},
    {"queue_memory_max", "8", NULL},
    {"queue_memory_max", "65536", NULL},
    {"calls_rate_max", "10", NULL},
    {"calls_rate_max", "1000000", NULL},
    {"user_share_percent", "1", NULL},
    {"user_share_percent", "100", NULL},
    {"reserved_percent", "0", NULL},
    {"reserved_percent", "40", NULL},
    {"subscribers_max", "1", NULL},
    {"subscribers_max", "100000", NULL},
    {"subscribers_max", "00017", "17"},
    {"queue_rows", "1024", NULL},
    {"queue_rows", "16777216", NULL},
    {"poll_frequency", "10ms", NULL},
    {"poll_frequency", "7d", NULL},
    {"poll_frequency", "90s", "1m30s"},
    {"poll_timeout", "1ms", NULL},
    {"poll_timeout", "168h", "7d"},
    {"enabled_deserializers", "", NULL},
    {"enabled_deserializers", "sockopt,meminfo", "meminfo,sockopt"},
    {"enabled_deserializers", "meminfo,info,vegas,cong,tos,tc,skmem,shut,dctcp,bbr,classid,cgroup,sockopt",
     NULL},
    {"max_cpu_percent", "0", NULL},
    {"max_cpu_percent", "1", NULL},
    {"max_cpu_percent", "6400", NULL},
    {"poll_jitter_pct", "0", NULL},
    {"poll_jitter_pct", "100", NULL},
    {"max_loops", "0", NULL},
    {"max_loops", "1", NULL},
    {"max_loops", "100000", NULL},
    {"ipv4_ttl", "0", NULL},
    {"ipv4_ttl", "255", NULL},
    {"ipv6_hop_limit", "0", NULL},
    {"ipv6_hop_limit", "255", NULL},
    {"reconcile_frequency", "0", "0s"},
    {"reconcile_frequency", "100ms", NULL},
    {"reconcile_frequency", "7d", NULL},
    {"reconcile_before_poll", "true", NULL},
    {"reconcile_before_poll", "false", NULL},
    {"modulus", "1", NULL},
    {"modulus", "1000000", NULL},
    {"packet_size", "0", NULL},
    {"packet_size", "8192", NULL},
    {"packet_size", "1000000", NULL},
    {"nl_timeout_milliseconds", "0", NULL},
    {"nl_timeout_milliseconds", "1", NULL},
    {"nl_timeout_milliseconds", "100000", NULL},
    {"write_files", "0", NULL},
    {"write_files", "1000", NULL},
    {"capture_path", "", NULL},
    {"capture_path", "/var/tmp", NULL},
    {"populate_nsid", "true", NULL},
    {"populate_nsid", "false", NULL},
    {"netns_dirs", "", NULL},
    {"netns_dirs", "/", NULL},
    {"netns_dirs", "/a,/b", NULL},
    /* An item given twice is in the list once. */
    {"netns_dirs", "/run/netns,/b,/run//netns/", "/run/netns,/b"},
    {"netns_dirs", "/,//,/ab,/a/b,/a,/a//b/", "/,/ab,/a/b,/a"},
    {"netns_exclude", "cookie:7,a,cookie:007", "cookie:7,a"},
    {"grpc_listen", "localhost:1,127.0.0.1:1", "localhost:1"},
    {"access_read_names", "a,a", "a"},
    {"access_read_uids", "7,07", "7"},
    {"enabled_deserializers", "info,info", "info"},
    {"netns_include", "", NULL},
    {"netns_include", "web-*,kind:anonymous,cookie:4711,/run/netns/x", NULL},
    {"netns_exclude", "", NULL},
    {"netns_exclude", "default,name:a:b,path:/a/*,inode:4026532001", NULL},
    {"sandbox", "off", NULL},
    {"sandbox", "auto", NULL},
    {"sandbox", "required", NULL},
    {"outputs", "", NULL},
    {"outputs", "[]", ""},
    {"outputs", "[{name: a, to: 'null:'}, {name: b, to: null}]",
     "[{name: \"a\", to: \"null:\"}, {name: \"b\", to: \"null\"}]"},
    {"outputs",
     "[{to: 'http://h/x?password=p', name: 'b', options: {token_file: /t, compress: zstd}, queue: 1024KiB, batch: {rows: 5}}]",
     "[{name: \"b\", to: \"http://h/x?password=***\", batch: {rows: 5}, queue: 1MiB, options: {\"token_file\": "
     "\"/t\", \"compress\": \"zstd\"}}]"},
    {"outputs",
     "[{name: c, to: stdout, columns: [netns, tcp_info_rtt], netns: 'web-*,default', on_full: drop_newest}]",
     "[{name: \"c\", to: \"stdout\", columns: [\"netns\", \"tcp_info_rtt\"], netns: [\"web-*\", \"default\"], on_full: "
     "drop_newest}]"},
    {"outputs_remote", "network", NULL},
    {"outputs_remote", "all", NULL},
    {"output_dirs", "", NULL},
    {"output_dirs", "/var/log/xtcp2,/srv", NULL},
    {"spool_dir", "", NULL},
    {"spool_dir", "/var/spool/xtcp2", NULL},
    {"dest", "null", NULL},
    {"dest", "kafka:broker:9092", NULL},
    {"dest", "http://u:p@h:8123/", "http://u:***@h:8123/"},
    {"marshal", "protoJson", NULL},
    {"marshal", "protobuf-delimited", NULL},
    {"topic", "", NULL},
    {"topic", "sockets", NULL},
    {"csv_columns", "", NULL},
    {"csv_columns", "tcpInfoRtt,netns", NULL},
    {"envelope_flush_rows", "0", NULL},
    {"envelope_flush_rows", "1000000", NULL},
    {"envelope_flush_bytes", "4096", NULL},
    {"envelope_flush_bytes", "0", NULL},
    {"kafka_compression", "", NULL},
    {"kafka_compression", "lz4", NULL},
    {"produce_timeout", "0s", NULL},
    {"produce_timeout", "10m", NULL},
    {"config_watch", "off", NULL},
    {"config_watch", "on", NULL},
    {"proc_scan_interval", "0", "0s"},
    {"proc_scan_interval", "100ms", NULL},
    {"proc_scan_interval", "1h", NULL},
    {"collector_threads_max", "1", NULL},
    {"collector_threads_max", "16384", NULL},
    {"label", "", NULL},
    {"label", TEXT_40, NULL},
    {"label", WIDE_40, NULL},
    {"tag", WIDE_40, NULL},
    {"location", WIDE_250 "\u00fc\u20ac\U0001F600", NULL},
    {"hostname", WIDE_250 "\u00fc\u20ac\U0001F600", NULL},
    {"label", "Zürich, 2. Stock", NULL},
    {"tag", "", NULL},
    {"tag", TEXT_40, NULL},
    {"location", "", NULL},
    {"location", TEXT_250 "012", NULL},
    {"hostname", "", NULL},
    {"hostname", TEXT_250 "012", NULL},
    {"state_file", "", NULL},
    {"state_file", "/var/lib/xtcp2/state.yaml", NULL},
    {"log_level", "error", NULL},
    {"log_level", "warn", NULL},
    {"log_level", "info", NULL},
    {"log_level", "debug", NULL},
    {"log_level", "trace", NULL},
    {"log_format", "text", NULL},
    {"log_format", "json", NULL},
};

#define LISTEN_EXPECTED "; expected ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or unix-abstract:NAME"
#define UID_EXPECTED    "; expected a user (a number or a name), @ and a group, or * for every user"
#define GROUPS_ALLOWED                                                                                       \
    "; allowed any of meminfo, info, vegas, cong, tos, tc, skmem, shut, dctcp, bbr, classid, cgroup, "       \
    "sockopt"
#define NO_DURATION " is not a duration such as 250ms or 1m30s; allowed "

static const struct bad {
    const char *option;
    const char *text;
    int code;
    const char *error;
} bad[] = {
    {"grpc_listen", "", ERR_RANGE, "grpc_listen: value \"\" is an empty list; allowed 1 to 16 values"},
    {"grpc_listen", "8889", ERR_MALFORMED, "grpc_listen: value \"8889\" has no port" LISTEN_EXPECTED},
    {"grpc_listen", "127.0.0.1:1,", ERR_MALFORMED, "grpc_listen: value \"\" has no port" LISTEN_EXPECTED},
    {"grpc_listen",
     "0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,0.0.0.0:7,0.0.0.0:8,0.0.0.0:9,0.0.0.0:10,"
     "0.0.0.0:11,0.0.0.0:12,0.0.0.0:13,0.0.0.0:14,0.0.0.0:15,0.0.0.0:16,0.0.0.0:17",
     ERR_RANGE, "grpc_listen: value \"0.0.0.0:17\" is one value too many; allowed 1 to 16 values"},
    {"grpc_insecure", "1", ERR_MALFORMED, "grpc_insecure: value \"1\" is no switch; allowed true or false"},
    {"grpc_health_listen", "8890", ERR_MALFORMED,
     "grpc_health_listen: value \"8890\" has no port" LISTEN_EXPECTED},
    {"unix_socket_group", TEXT_40 TEXT_40, ERR_RANGE,
     "unix_socket_group: value \"" TEXT_40 TEXT_40 "\" is too long; allowed at most 64 characters"},
    {"connections_max", "0", ERR_RANGE, "connections_max: value \"0\" is out of range; allowed 1 to 1000000"},
    {"connection_calls_max", "100001", ERR_RANGE,
     "connection_calls_max: value \"100001\" is out of range; allowed 1 to 100000"},
    {"grpc_tls_listen", "unix:/s", ERR_RANGE,
     "grpc_tls_listen: value \"unix:/s\" is a unix socket; expected ADDRESS:PORT or [IPV6]:PORT"},
    {"tls_cert_file", "a\nb", ERR_MALFORMED,
     "tls_cert_file: value \"a?b\" holds a control character; allowed at most 255 characters"},
    {"tls_key_file", "a\nb", ERR_MALFORMED,
     "tls_key_file: value \"a?b\" holds a control character; allowed at most 255 characters"},
    {"tls_client_ca_file", "a\nb", ERR_MALFORMED,
     "tls_client_ca_file: value \"a?b\" holds a control character; allowed at most 255 characters"},
    {"token_file", "a\nb", ERR_MALFORMED,
     "token_file: value \"a?b\" holds a control character; allowed at most 255 characters"},
    {"access_control_names", "a,,b", ERR_RANGE,
     "access_control_names: value \"\" is no pattern of a name; expected 1 to 253 bytes"},
    {"access_read_names", "a,,b", ERR_RANGE,
     "access_read_names: value \"\" is no pattern of a name; expected 1 to 253 bytes"},
    {"control_calls_max", "0", ERR_RANGE,
     "control_calls_max: value \"0\" is out of range; allowed 1 to 1000000"},
    {"unix_socket_mode", "0777", ERR_UNKNOWN,
     "unix_socket_mode: value \"0777\" is unknown; allowed 0600, 0660 or 0666"},
    {"access_control_uids", "root,no-such-user", ERR_UNKNOWN,
     "access_control_uids: value \"no-such-user\" is no user of this machine" UID_EXPECTED},
    {"access_control_uids", "@no-such-group", ERR_UNKNOWN,
     "access_control_uids: value \"@no-such-group\" is no group of this machine" UID_EXPECTED},
    {"access_control_uids", "@", ERR_MALFORMED, "access_control_uids: value \"@\" is empty" UID_EXPECTED},
    {"access_control_uids", "@4294967295", ERR_RANGE,
     "access_control_uids: value \"@4294967295\" is out of range" UID_EXPECTED},
    {"access_read_uids", "4294967295", ERR_RANGE,
     "access_read_uids: value \"4294967295\" is out of range" UID_EXPECTED},
    {"access_read_uids", "99999999999999999999999", ERR_RANGE,
     "access_read_uids: value \"99999999999999999999999\" is out of range" UID_EXPECTED},
    {"access_anonymous_role", "admin", ERR_UNKNOWN,
     "access_anonymous_role: value \"admin\" is unknown; allowed health, read or control"},
    {"focus_streams_max", "0", ERR_RANGE,
     "focus_streams_max: value \"0\" is out of range; allowed 1 to 10000"},
    {"focus_sockets_max", "4097", ERR_RANGE,
     "focus_sockets_max: value \"4097\" is out of range; allowed 1 to 4096"},
    {"focus_rate_max", "99", ERR_RANGE,
     "focus_rate_max: value \"99\" is out of range; allowed 100 to 10000000"},
    {"calls_max", "15", ERR_RANGE, "calls_max: value \"15\" is out of range; allowed 16 to 1000000"},
    {"queue_memory_max", "7", ERR_RANGE, "queue_memory_max: value \"7\" is out of range; allowed 8 to 65536"},
    {"calls_rate_max", "9", ERR_RANGE, "calls_rate_max: value \"9\" is out of range; allowed 10 to 1000000"},
    {"user_share_percent", "0", ERR_RANGE,
     "user_share_percent: value \"0\" is out of range; allowed 1 to 100"},
    {"user_share_percent", "101", ERR_RANGE,
     "user_share_percent: value \"101\" is out of range; allowed 1 to 100"},
    {"reserved_percent", "41", ERR_RANGE, "reserved_percent: value \"41\" is out of range; allowed 0 to 40"},
    {"subscribers_max", "0", ERR_RANGE, "subscribers_max: value \"0\" is out of range; allowed 1 to 100000"},
    {"subscribers_max", "100001", ERR_RANGE,
     "subscribers_max: value \"100001\" is out of range; allowed 1 to 100000"},
    {"subscribers_max", "99999999999999999999999", ERR_RANGE,
     "subscribers_max: value \"99999999999999999999999\" is out of range; allowed 1 to 100000"},
    {"subscribers_max", "-1", ERR_MALFORMED,
     "subscribers_max: value \"-1\" is not a whole number; allowed 1 to 100000"},
    {"subscribers_max", "1.5", ERR_MALFORMED,
     "subscribers_max: value \"1.5\" is not a whole number; allowed 1 to 100000"},
    {"subscribers_max", "", ERR_MALFORMED,
     "subscribers_max: value \"\" is not a whole number; allowed 1 to 100000"},
    {"queue_rows", "1023", ERR_RANGE, "queue_rows: value \"1023\" is out of range; allowed 1024 to 16777216"},
    {"queue_rows", "16777217", ERR_RANGE,
     "queue_rows: value \"16777217\" is out of range; allowed 1024 to 16777216"},
    {"queue_rows", "0x400", ERR_MALFORMED,
     "queue_rows: value \"0x400\" is not a whole number; allowed 1024 to 16777216"},
    {"poll_frequency", "9999us", ERR_RANGE,
     "poll_frequency: value \"9999us\" is out of range; allowed 10ms to 7d"},
    {"poll_frequency", "7d1ns", ERR_RANGE,
     "poll_frequency: value \"7d1ns\" is out of range; allowed 10ms to 7d"},
    {"poll_frequency", "0", ERR_RANGE, "poll_frequency: value \"0\" is out of range; allowed 10ms to 7d"},
    {"poll_frequency", "5", ERR_MALFORMED, "poll_frequency: value \"5\"" NO_DURATION "10ms to 7d"},
    {"poll_frequency", "-5s", ERR_MALFORMED, "poll_frequency: value \"-5s\"" NO_DURATION "10ms to 7d"},
    {"poll_frequency", "99999999999999999999d", ERR_RANGE,
     "poll_frequency: value \"99999999999999999999d\" is out of range; allowed 10ms to 7d"},
    {"max_cpu_percent", "6401", ERR_RANGE,
     "max_cpu_percent: value \"6401\" is out of range; allowed 0 for off, or 1 to 6400"},
    {"modulus", "0", ERR_RANGE, "modulus: value \"0\" is out of range; allowed 1 to 1000000"},
    {"packet_size", "8191", ERR_RANGE,
     "packet_size: value \"8191\" is out of range; allowed 0 for the kernel's, or 8192 to 1000000"},
    {"nl_timeout_milliseconds", "100001", ERR_RANGE,
     "nl_timeout_milliseconds: value \"100001\" is out of range; allowed 0 for no limit, or 1 to 100000"},
    {"write_files", "1001", ERR_RANGE,
     "write_files: value \"1001\" is out of range; allowed 0 for off, or 1 to 1000"},
    {"capture_path", "here", ERR_MALFORMED,
     "capture_path: value \"here\" is not an absolute path; allowed at most 80 characters"},
    {"populate_nsid", "1", ERR_MALFORMED, "populate_nsid: value \"1\" is no switch; allowed true or false"},
    {"poll_jitter_pct", "101", ERR_RANGE, "poll_jitter_pct: value \"101\" is out of range; allowed 0 to 100"},
    {"max_loops", "100001", ERR_RANGE,
     "max_loops: value \"100001\" is out of range; allowed 0 for no limit, or 1 to 100000"},
    {"ipv4_ttl", "256", ERR_RANGE,
     "ipv4_ttl: value \"256\" is out of range; allowed 0 for the kernel's, or 1 to 255"},
    {"ipv6_hop_limit", "256", ERR_RANGE,
     "ipv6_hop_limit: value \"256\" is out of range; allowed 0 for the kernel's, or 1 to 255"},
    {"reconcile_frequency", "99ms", ERR_RANGE,
     "reconcile_frequency: value \"99ms\" is out of range; allowed 0 for off, or 100ms to 7d"},
    {"reconcile_before_poll", "yes", ERR_MALFORMED,
     "reconcile_before_poll: value \"yes\" is no switch; allowed true or false"},
    {"reconcile_before_poll", "", ERR_MALFORMED,
     "reconcile_before_poll: value \"\" is no switch; allowed true or false"},
    {"collector_threads_max", "0", ERR_RANGE,
     "collector_threads_max: value \"0\" is out of range; allowed 1 to 16384"},
    {"collector_threads_max", "16385", ERR_RANGE,
     "collector_threads_max: value \"16385\" is out of range; allowed 1 to 16384"},
    {"poll_timeout", "999us", ERR_RANGE, "poll_timeout: value \"999us\" is out of range; allowed 1ms to 7d"},
    {"poll_timeout", "8d", ERR_RANGE, "poll_timeout: value \"8d\" is out of range; allowed 1ms to 7d"},
    {"poll_timeout", "soon", ERR_MALFORMED, "poll_timeout: value \"soon\"" NO_DURATION "1ms to 7d"},
    {"enabled_deserializers", "info,inet", ERR_UNKNOWN,
     "enabled_deserializers: value \"inet\" is unknown" GROUPS_ALLOWED},
    {"enabled_deserializers", "info,", ERR_UNKNOWN,
     "enabled_deserializers: value \"\" is unknown" GROUPS_ALLOWED},
    {"netns_include", "kind:other", ERR_UNKNOWN,
     "netns_include: value \"kind:other\" is no kind; allowed kind:own, kind:named and kind:anonymous"},
    {"netns_include", "a,,b", ERR_MALFORMED,
     "netns_include: value \"\" selects nothing: a pattern is missing"},
    {"netns_exclude", "cookie:x", ERR_MALFORMED,
     "netns_exclude: value \"cookie:x\" is no number after the colon"},
    {"outputs", "[{name: a, to: null, quee: 1MiB}]", ERR_UNKNOWN,
     "outputs: quee: no such key; did you mean queue?"},
    {"outputs", "[{name: a, to: null, queue: 1KiB}]", ERR_RANGE,
     "outputs: queue: value \"1KiB\" is out of range; allowed 256KiB to 4GiB"},
    {"outputs", "[{name: a, to: null, name: b}]", ERR_DUPLICATE, "outputs: name: given twice"},
    {"outputs", "[{name: a, to: null, events: true}]", ERR_UNSUPPORTED,
     "outputs: events: this daemon has no close events"},
    {"outputs", "{name: a}", ERR_TYPE, "outputs: something else where a list of outputs is expected"},
    {"outputs", "[x]", ERR_TYPE, "outputs: an output: something else where a mapping is expected"},
    {"outputs", "[{name: a b, to: null}]", ERR_MALFORMED,
     "outputs: name: value \"a b\" has other characters than letters, digits, - and _; allowed at most 32 characters"},
    {"outputs", "[{name: a, to: null, filter: 'rtt >'}]", ERR_MALFORMED,
     "outputs: filter: value \"rtt >\" is no filter: column 6: expected a number, but the expression ends here; allowed at most 4096 characters"},
    {"outputs", "[{name: a, to: null, columns: [rtt_]}]", ERR_UNKNOWN,
     "outputs: columns: value \"rtt_\" is no field of records"},
    {"outputs", "[{name: a, to: null, format: xml}]", ERR_UNKNOWN,
     "outputs: format: value \"xml\" is no format (jsonl, json, protojson, protojson-envelope, humanize, csv, tsv, prototext, protobuf-list, protobuf-delimited, msgpack, null); allowed at most 40 characters"},
    {"outputs", "[", ERR_MALFORMED, "outputs: not valid YAML: did not find expected node content"},
    {"outputs", "[{name: &x a}]", ERR_UNSUPPORTED, "outputs: name: anchors (&NAME) are not allowed"},
    {"outputs_remote", "on", ERR_UNKNOWN,
     "outputs_remote: value \"on\" is unknown; allowed off, network or all"},
    {"output_dirs", "tmp", ERR_MALFORMED, "output_dirs: value \"tmp\" is not an absolute path"},
    {"spool_dir", "tmp", ERR_MALFORMED,
     "spool_dir: value \"tmp\" is not an absolute path; allowed at most 255 characters"},
    {"dest", "fax:1", ERR_UNKNOWN,
     "dest: value \"fax:1\" is no destination (such as null, stdout, file:/var/log/xtcp2/x, kafka:broker:9092); allowed at most 512 characters"},
    {"dest", "tcp:host", ERR_MALFORMED,
     "dest: value \"tcp:host\" has no port; allowed at most 512 characters"},
    {"marshal", "xml", ERR_UNKNOWN,
     "marshal: value \"xml\" is no format (protobufList, protoJson, protoText, msgpack, jsonl, csv, tsv, humanize, and those of docs/outputs.md); allowed at most 40 characters"},
    {"topic", "x\x01", ERR_MALFORMED,
     "topic: value \"x?\" holds a control character; allowed at most 80 characters"},
    {"csv_columns", "netns,x", ERR_UNKNOWN,
     "csv_columns: value \"netns,x\" has \"x\", which is no field of records; allowed at most 8192 characters"},
    {"envelope_flush_rows", "1000001", ERR_RANGE,
     "envelope_flush_rows: value \"1000001\" is out of range; allowed 0 for 10000, or 1 to 1000000"},
    {"envelope_flush_bytes", "4095", ERR_RANGE,
     "envelope_flush_bytes: value \"4095\" is out of range; allowed 0 for 786432, or 4096 to 8388608"},
    {"kafka_compression", "br", ERR_UNKNOWN,
     "kafka_compression: value \"br\" is unknown (auto, none, gzip, snappy, lz4, zstd); allowed at most 16 characters"},
    {"produce_timeout", "1ms", ERR_RANGE,
     "produce_timeout: value \"1ms\" is out of range; allowed 0 for that of the destination, or 1s to 10m"},
    {"config_watch", "true", ERR_UNKNOWN, "config_watch: value \"true\" is unknown; allowed off or on"},
    {"sandbox", "on", ERR_UNKNOWN, "sandbox: value \"on\" is unknown; allowed off, auto or required"},
    {"netns_dirs", "run/netns", ERR_MALFORMED, "netns_dirs: value \"run/netns\" is not an absolute path"},
    {"netns_dirs", "/a\x01", ERR_MALFORMED, "netns_dirs: value \"/a?\" holds a control character"},
    {"netns_dirs", "/1,/2,/3,/4,/5,/6,/7,/8,/9,/10,/11,/12,/13,/14,/15,/16,/17", ERR_RANGE,
     "netns_dirs: value \"/17\" is one value too many; allowed at most 16 values"},
    {"proc_scan_interval", "99ms", ERR_RANGE,
     "proc_scan_interval: value \"99ms\" is out of range; allowed 0 for off, or 100ms to 1h"},
    {"proc_scan_interval", "1h1s", ERR_RANGE,
     "proc_scan_interval: value \"1h1s\" is out of range; allowed 0 for off, or 100ms to 1h"},
    {"proc_scan_interval", "off", ERR_MALFORMED,
     "proc_scan_interval: value \"off\"" NO_DURATION "0 for off, or 100ms to 1h"},
    {"label", WIDE_40 "x", ERR_RANGE, NULL},
    {"tag", WIDE_40 "x", ERR_RANGE, NULL},
    {"location", WIDE_250 "xyzx", ERR_RANGE, NULL},
    {"hostname", WIDE_250 "xyzx", ERR_RANGE, NULL},
    {"label", TEXT_40 "x", ERR_RANGE,
     "label: value \"" TEXT_40 "x\" is too long; allowed at most 40 characters"},
    {"label", "a\nb", ERR_MALFORMED,
     "label: value \"a?b\" holds a control character; allowed at most 40 characters"},
    {"label", "a\xc2\x85", ERR_MALFORMED,
     "label: value \"a?\" holds a control character; allowed at most 40 characters"},
    {"tag", TEXT_40 "x", ERR_RANGE, "tag: value \"" TEXT_40 "x\" is too long; allowed at most 40 characters"},
    {"tag", "\xff", ERR_MALFORMED, "tag: value \"?\" is not valid UTF-8; allowed at most 40 characters"},
    {"tag", "\xed\xa0\x80", ERR_MALFORMED,
     "tag: value \"???\" is not valid UTF-8; allowed at most 40 characters"},
    {"location", TEXT_250 "0123", ERR_RANGE,
     "location: value \"" TEXT_40 TEXT_40 TEXT_40
     "01234567...\" is too long; allowed at most 253 characters"},
    {"hostname", TEXT_250 "0123", ERR_RANGE,
     "hostname: value \"" TEXT_40 TEXT_40 TEXT_40
     "01234567...\" is too long; allowed at most 253 characters"},
    {"hostname", "a\x7f", ERR_MALFORMED,
     "hostname: value \"a?\" holds a control character; allowed at most 253 characters"},
    {"state_file", "state.yaml", ERR_MALFORMED,
     "state_file: value \"state.yaml\" is not the absolute path of a file; allowed at most 255 characters"},
    {"state_file", "/var/lib/", ERR_MALFORMED,
     "state_file: value \"/var/lib/\" is not the absolute path of a file; allowed at most 255 characters"},
    {"log_level", "loud", ERR_UNKNOWN,
     "log_level: value \"loud\" is unknown; allowed error, warn, info, debug or trace"},
    {"log_level", "", ERR_UNKNOWN,
     "log_level: value \"\" is unknown; allowed error, warn, info, debug or trace"},
    {"log_format", "JSON", ERR_UNKNOWN, "log_format: value \"JSON\" is unknown; allowed text or json"},
};

static void test_defaults_are_the_documented_ones(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        assert_string_equal(test_value(c, config_options[i].name), config_options[i].default_value);
    assert_int_equal(c->grpc_listen.n, 2);
    assert_string_equal(c->grpc_listen.items[0], "127.0.0.1:8889");
    assert_string_equal(c->grpc_listen.items[1], "unix:/run/xtcp2/xtcp2.sock");
    assert_int_equal(c->netns_dirs.n, 2);
    assert_string_equal(c->netns_dirs.items[0], "/run/netns");
    assert_string_equal(c->netns_dirs.items[1], "/run/docker/netns");
    assert_int_equal(c->poll_frequency, 5 * NS_PER_S);
    assert_int_equal(c->poll_timeout, 2 * NS_PER_S);
    assert_int_equal(c->proc_scan_interval, 10 * NS_PER_S);
    assert_int_equal(c->groups, GROUPS_DEFAULT);
    assert_int_equal(c->queue_rows, 131072);
    assert_int_equal(c->subscribers_max, 1000);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_TEXT);
    assert_int_equal(c->debug_level, 10);
    assert_int_equal(c->generation, 0);
    assert_int_equal(config_validate(c, NULL), 0);
    config_unref(c);
}

static void test_good_values_are_set_and_printed_back(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct err e = {0};
        if (config_set_text(c, test_option(good[i].option), good[i].text, &e))
            fail_msg("%s", e.text);
        assert_string_equal(test_value(c, good[i].option), good[i].printed ? good[i].printed : good[i].text);
    }
    config_unref(c);
}

static void test_bad_values_are_refused_with_a_sentence(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    struct config *untouched = config_copy(c);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        int rc = config_set_text(c, test_option(bad[i].option), bad[i].text, &e);
        if (bad[i].error)
            assert_string_equal(e.text, bad[i].error);
        else
            assert_non_null(strstr(e.text, " is too long; allowed at most "));
        assert_int_equal(rc, bad[i].code);
        assert_int_equal(e.code, bad[i].code);
        assert_int_equal(config_set_text(c, test_option(bad[i].option), bad[i].text, NULL), rc);
        assert_int_equal(config_diff(c, untouched, NULL, 0), 0);
    }
    config_unref(c);
    config_unref(untouched);
}

/* Every option occurs in both tables above: a new one cannot be forgotten here. */
static void test_every_option_is_tested(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        size_t n_good = 0, n_bad = 0;
        for (size_t j = 0; j < sizeof(good) / sizeof(good[0]); j++)
            n_good += strcmp(good[j].option, config_options[i].name) == 0;
        for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++)
            n_bad += strcmp(bad[j].option, config_options[i].name) == 0;
        if (n_good < 2 || n_bad < 1)
            fail_msg("%s: %zu good and %zu bad values", config_options[i].name, n_good, n_bad);
    }
}

static void test_the_longest_directory(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    struct err e = {0};
    char path[4097];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[4095] = '\0';
    assert_int_equal(config_set_text(c, test_option("netns_dirs"), path, NULL), 0);
    path[4095] = 'a';
    path[4096] = '\0';
    assert_int_equal(config_set_text(c, test_option("netns_dirs"), path, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "...\" is too long; allowed a path of at most 4095 bytes"));
    config_unref(c);
}

/* The table is well-formed: what the front ends and printers rely on. */
static void test_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        assert_ptr_equal(config_option_find(o->name), o);
        assert_int_equal(strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(o->name));
        assert_true(o->help[strlen(o->help) - 1] == '.');
        assert_non_null(o->metavar);
        assert_true(o->min <= o->max);
        assert_true(o->type != CONFIG_LIST || o->check_item);
        assert_true(o->type == CONFIG_LIST || o->type == CONFIG_STRING || !o->check_item);
        assert_true((o->type == CONFIG_LIST) == (o->same_item != NULL));
        for (size_t j = i + 1; j < CONFIG_OPTION_COUNT; j++) {
            assert_string_not_equal(o->name, config_options[j].name);
            assert_true(o->offset != config_options[j].offset);
            if (strcmp(o->section, config_options[j].section) == 0) /* neighbours */
                assert_string_equal(o->section, config_options[j - 1].section);
        }
    }
    assert_null(config_option_find("poll-frequency"));
    assert_null(config_option_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_the_documented_ones),
        cmocka_unit_test(test_good_values_are_set_and_printed_back),
        cmocka_unit_test(test_bad_values_are_refused_with_a_sentence),
        cmocka_unit_test(test_every_option_is_tested),
        cmocka_unit_test(test_the_longest_directory),
        cmocka_unit_test(test_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
