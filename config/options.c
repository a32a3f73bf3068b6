/* The option table. */
#include <limits.h>
#include <string.h>

#include "config/internal.h"
#include "config/value.h"
#include "lib/clock.h"
#include "lib/netns_pattern.h"

#define DAY (86400 * NS_PER_S)

static int check_listen(const char *item, struct err *e)
{
    struct config_listen listen;
    return config_listen_parse(item, &listen, e);
}

static bool same_listen(const char *a, const char *b)
{
    struct config_listen x, y;
    return config_listen_parse(a, &x, NULL) == 0 && config_listen_parse(b, &y, NULL) == 0 && x.len == y.len &&
           memcmp(&x.addr, &y.addr, x.len) == 0;
}

static int check_directory(const char *item, struct err *e)
{
    if (item[0] != '/')
        return err_set(e, ERR_MALFORMED, "is not an absolute path");
    if (strlen(item) >= PATH_MAX)
        return err_set(e, ERR_RANGE, "is too long; allowed a path of at most %d bytes", PATH_MAX - 1);
    return 0;
}

static int check_file(const char *item, struct err *e)
{
    if (item[0] != '/' || item[strlen(item) - 1] == '/')
        return err_set(e, ERR_MALFORMED, "is not the absolute path of a file");
    return 0;
}

/* Length of |path| without trailing slashes. */
static size_t directory_length(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

static bool same_directory(const char *a, const char *b)
{
    size_t n = directory_length(a);
    return n == directory_length(b) && memcmp(a, b, n) == 0;
}

static const char *const socket_mode_names[] = {
    [CONFIG_SOCKET_0600] = "0600", [CONFIG_SOCKET_0660] = "0660", [CONFIG_SOCKET_0666] = "0666"};

static const char *const role_names[] = {
    [CONFIG_ROLE_HEALTH] = "health", [CONFIG_ROLE_READ] = "read", [CONFIG_ROLE_CONTROL] = "control"};

static const char *const watch_names[] = {[CONFIG_WATCH_OFF] = "off", [CONFIG_WATCH_ON] = "on"};

static const char *const sandbox_names[] = {
    [CONFIG_SANDBOX_OFF] = "off", [CONFIG_SANDBOX_AUTO] = "auto", [CONFIG_SANDBOX_REQUIRED] = "required"};

/* What every option has; the rest depends on its type. */
#define OPTION(name_, field_, type_, reload_)                                                                \
    .name = (name_), .type = (type_), .offset = offsetof(struct config, field_), .reload = (reload_)

const struct config_option config_options[CONFIG_OPTION_COUNT] = {
    {
        OPTION("grpc_listen", grpc_listen, CONFIG_LIST, CONFIG_HOT),
        .default_value = "127.0.0.1:8889,unix:/run/xtcp2/xtcp2.sock",
        .min = 1,
        .max = CONFIG_LISTEN_MAX,
        .section = "gRPC",
        .metavar = "LISTENER",
        .help = "Where gRPC clients connect: ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or unix-abstract:NAME. "
                "Port 0 takes a free one, which the log tells. What cannot be listened on is an error, "
                "unless it is the default: then the rest of it will do.",
        .wire = "grpc_port",
        .check_item = check_listen,
        .same_item = same_listen,
    },
    {
        OPTION("grpc_insecure", grpc_insecure, CONFIG_BOOL, CONFIG_HOT),
        .default_value = "false",
        .section = "gRPC",
        .metavar = "BOOL",
        .help =
            "Whether grpc_listen may have addresses that other machines can reach. What goes there is not "
            "encrypted, and everybody who gets there has access_anonymous_role.",
    },
    {
        OPTION("grpc_tls_listen", grpc_tls_listen, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = CONFIG_LISTEN_MAX,
        .section = "gRPC",
        .metavar = "LISTENER",
        .help = "Where gRPC is served with TLS: ADDRESS:PORT or [IPV6]:PORT.",
        .check_item = access_check_tls_listen,
        .same_item = same_listen,
    },
    {
        OPTION("tls_cert_file", tls_cert_file, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 255,
        .check_item = check_file,
        .section = "gRPC",
        .metavar = "FILE",
        .help = "Certificate of the daemon and those that lead from it to its CA, in PEM. When this or one "
                "of the next two files changes, who connects from then on gets to see what is in it; if that "
                "is no good, what was there before.",
    },
    {
        OPTION("tls_key_file", tls_key_file, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 255,
        .check_item = check_file,
        .section = "gRPC",
        .metavar = "FILE",
        .help = "Private key of that certificate, in PEM, without a passphrase.",
    },
    {
        OPTION("tls_client_ca_file", tls_client_ca_file, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 255,
        .check_item = check_file,
        .section = "gRPC",
        .metavar = "FILE",
        .help = "Certificates, in PEM, of those who may sign the certificates of clients. When it is given, "
                "only clients that show such a certificate can connect to grpc_tls_listen.",
    },
    {
        OPTION("grpc_health_listen", grpc_health_listen, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = CONFIG_LISTEN_MAX,
        .section = "gRPC",
        .metavar = "LISTENER",
        .help = "Where grpc.health.v1 is served and nothing else, to everybody: for probes such as a "
                "kubelet's. Any address.",
        .check_item = check_listen,
        .same_item = same_listen,
    },
    {
        OPTION("connections_max", connections_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "4096",
        .min = 1,
        .max = 1000000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help =
            "How many connections there can be at the same time, of all kinds together; who comes then is "
            "shown out.",
    },
    {
        OPTION("connection_calls_max", connection_calls_max, CONFIG_UINT, CONFIG_RESTART),
        .default_value = "256",
        .min = 1,
        .max = 100000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help = "How many calls there can be on one connection at the same time; further ones wait.",
    },
    {
        OPTION("control_calls_max", control_calls_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "1000",
        .min = 1,
        .max = 1000000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help =
            "How many calls that change something one peer (an address, or a user by unix sockets) can make "
            "in a second; further ones end with RESOURCE_EXHAUSTED.",
    },
    {
        OPTION("subscribers_max", subscribers_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "1000",
        .min = 1,
        .max = 100000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help = "How many clients can receive records at the same time.",
    },
    {
        OPTION("focus_streams_max", focus_streams_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "128",
        .min = 1,
        .max = 10000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help = "How many clients can follow chosen sockets (FocusService) at the same time.",
    },
    {
        OPTION("focus_sockets_max", focus_sockets_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "1000",
        .min = 1,
        .max = 4096,
        .section = "gRPC",
        .metavar = "COUNT",
        .help = "How many sockets one of them can follow.",
    },
    {
        OPTION("focus_rate_max", focus_rate_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "100000",
        .min = 100,
        .max = 10000000,
        .section = "gRPC",
        .metavar = "COUNT",
        .help =
            "How many sockets can be asked for in a second, by all of them together; a tick counts as 20 at "
            "least. 100000 take a third of a CPU.",
    },
    {
        OPTION("queue_rows", queue_rows, CONFIG_UINT, CONFIG_HOT),
        .default_value = "131072",
        .min = 1024,
        .max = 16777216,
        .section = "gRPC",
        .metavar = "ROWS",
        .help = "How many records wait for one client at most. What comes while its queue is full is dropped "
                "for this "
                "client, counted and reported to it. A change holds for clients that connect later.",
    },
    {
        OPTION("ipv4_ttl", ipv4_ttl, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 255,
        .zero = "the kernel's",
        .section = "gRPC",
        .metavar = "TTL",
        .help = "Time to live of the IPv4 packets that carry gRPC: how many routers away a client can be. "
                "A change holds for clients that connect later.",
        .wire = "ipv4_ttl",
    },
    {
        OPTION("ipv6_hop_limit", ipv6_hop_limit, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 255,
        .zero = "the kernel's",
        .section = "gRPC",
        .metavar = "HOPS",
        .help = "The same for IPv6.",
        .wire = "ipv6_hop_limit",
    },
    {
        OPTION("unix_socket_mode", unix_socket_mode, CONFIG_ENUM, CONFIG_HOT),
        .default_value = "0660",
        .section = "Access",
        .metavar = "MODE",
        .help =
            "Mode of the files of unix sockets: who can connect there, the user of the daemon, members of "
            "unix_socket_group, or everybody.",
        .names = socket_mode_names,
        .n_names = sizeof(socket_mode_names) / sizeof(socket_mode_names[0]),
    },
    {
        OPTION("unix_socket_group", unix_socket_group, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 64,
        .section = "Access",
        .metavar = "GROUP",
        .help = "Group of the files of unix sockets, a name or a number; when empty, the daemon's own.",
    },
    {
        OPTION("access_control_uids", access_control_uids, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = 64,
        .section = "Access",
        .metavar = "USER",
        .help =
            "Users of this machine who have the role control, besides root and the user of the daemon: "
            "numbers, "
            "names, @ and a group, or * for everybody. Names are looked up when the configuration is read. A "
            "change holds for connections that come later.",
        .check_item = access_check_user,
        .same_item = access_same_user,
    },
    {
        OPTION("access_read_uids", access_read_uids, CONFIG_LIST, CONFIG_HOT),
        .default_value = "*",
        .min = 0,
        .max = 64,
        .section = "Access",
        .metavar = "USER",
        .help = "Users of this machine who have the role read; those who are in neither list have the role "
                "health.",
        .check_item = access_check_user,
        .same_item = access_same_user,
    },
    {
        OPTION("access_control_names", access_control_names, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = 64,
        .section = "Access",
        .metavar = "PATTERN",
        .help = "Clients by TLS who have the role control: patterns, as *.ops.example, of a name in the "
                "certificate (a subject alternative name, or the common name). Needs tls_client_ca_file.",
        .check_item = access_check_name,
        .same_item = access_same_name,
    },
    {
        OPTION("access_read_names", access_read_names, CONFIG_LIST, CONFIG_HOT),
        .default_value = "*",
        .min = 0,
        .max = 64,
        .section = "Access",
        .metavar = "PATTERN",
        .help = "Clients by TLS who have the role read; those who are in neither list have the role health.",
        .check_item = access_check_name,
        .same_item = access_same_name,
    },
    {
        OPTION("access_anonymous_role", access_anonymous_role, CONFIG_ENUM, CONFIG_HOT),
        .default_value = "read",
        .section = "Access",
        .metavar = "ROLE",
        .help = "Role of callers who cannot show who they are: by TLS without tls_client_ca_file, and from "
                "other machines by plaintext TCP (grpc_insecure).",
        .names = role_names,
        .n_names = sizeof(role_names) / sizeof(role_names[0]),
    },
    {
        OPTION("token_file", token_file, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 255,
        .check_item = check_file,
        .section = "Access",
        .metavar = "FILE",
        .help =
            "Tokens that raise the role of a call which brings one (authorization: Bearer TOKEN): lines of "
            "ROLE:TOKEN, with read or control and at least 16 characters. Nobody but its owner, root or the "
            "user of the daemon, may write the file, and not everybody read it. Changes are noticed.",
    },
    {
        OPTION("poll_frequency", poll_frequency, CONFIG_DURATION, CONFIG_HOT),
        .default_value = "5s",
        .min = 10 * NS_PER_MS,
        .max = 7 * DAY,
        .section = "Polling",
        .metavar = "DURATION",
        .help = "Time from the start of one poll to the start of the next.",
        .wire = "poll_frequency",
    },
    {
        OPTION("poll_timeout", poll_timeout, CONFIG_DURATION, CONFIG_HOT),
        .default_value = "2s",
        .min = NS_PER_MS,
        .max = 7 * DAY,
        .section = "Polling",
        .metavar = "DURATION",
        .help = "When a poll gives up on namespaces that have not answered. Less than poll_frequency; if it "
                "is not "
                "given and the default is too long, half of that.",
        .wire = "poll_timeout",
    },
    {
        OPTION("poll_jitter_pct", poll_jitter_pct, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .max = 100,
        .section = "Polling",
        .metavar = "PERCENT",
        .help = "Each regular poll comes later by a random part of the interval, at most so many percent of "
                "it, so that many hosts do not poll in step. The interval does not drift.",
        .wire = "poll_jitter_pct",
    },
    {
        OPTION("max_loops", max_loops, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 100000,
        .zero = "no limit",
        .section = "Polling",
        .metavar = "COUNT",
        .help = "How many regular polls are made, from the start or from a change of this option on. After "
                "them the daemon polls on request only.",
        .wire = "max_loops",
    },
    {
        OPTION("enabled_deserializers", groups, CONFIG_GROUPS, CONFIG_HOT),
        .default_value = "info,vegas,cong,tos,tc,skmem,shut,dctcp,bbr,classid,cgroup,sockopt",
        .max = GROUP_COUNT,
        .section = "Polling",
        .metavar = "GROUP",
        .help = "The groups of attributes that the kernel is asked for and that records carry. Addresses, "
                "ports, state "
                "and queues of a socket are always there.",
        .wire = "enabled_deserializers",
        .names = group_names,
        .n_names = GROUP_COUNT,
    },
    {
        OPTION("max_cpu_percent", max_cpu_percent, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 6400,
        .zero = "off",
        .section = "Polling",
        .metavar = "PERCENT",
        .help = "CPU time that the daemon may use, in percent of one CPU. When it uses more, regular polls "
                "are made less "
                "often until it fits.",
    },
    {
        OPTION("modulus", modulus, CONFIG_UINT, CONFIG_HOT),
        .default_value = "1",
        .min = 1,
        .max = 1000000,
        .section = "Collection",
        .metavar = "N",
        .help = "Reports each N-th socket of a namespace, beginning with the first. The kernel lists all of "
                "them all the same.",
        .wire = "modulus",
    },
    {
        OPTION("packet_size", packet_size, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 8192,
        .max = 1000000,
        .zero = "the kernel's",
        .section = "Collection",
        .metavar = "BYTES",
        .help =
            "How much is received from the kernel at once. It never sends more than 32768 bytes, which is "
            "what it does by default.",
        .wire = "packet_size",
    },
    {
        OPTION("nl_timeout_milliseconds", nl_timeout_milliseconds, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 100000,
        .zero = "no limit",
        .section = "Collection",
        .metavar = "MILLISECONDS",
        .help = "When a namespace is given up that has not sent anything for so long, besides poll_timeout.",
        .wire = "nl_timeout_milliseconds",
    },
    {
        OPTION("write_files", write_files, CONFIG_UINT, CONFIG_HOT),
        .default_value = "0",
        .min = 1,
        .max = 1000,
        .zero = "off",
        .section = "Collection",
        .metavar = "POLLS",
        .help =
            "How many polls are recorded, from the start or from a change of this option on: the kernel's "
            "raw answers, a file for each namespace and poll, which --replay reads.",
        .wire = "write_files",
    },
    {
        OPTION("capture_path", capture_path, CONFIG_STRING, CONFIG_HOT),
        .default_value = "/var/tmp",
        .max = 80,
        .section = "Collection",
        .metavar = "DIRECTORY",
        .help = "The directory that they are written to, an absolute path; when empty, nothing is recorded. "
                "Files "
                "that are there already stay.",
        .wire = "capture_path",
        .check_item = check_directory,
    },
    {
        OPTION("netns_dirs", netns_dirs, CONFIG_LIST, CONFIG_HOT),
        .default_value = "/run/netns,/run/docker/netns",
        .min = 0,
        .max = 16,
        .section = "Namespaces",
        .metavar = "DIRECTORY",
        .help = "Directories whose files are network namespaces, as ip-netns and Docker keep them: absolute "
                "paths. They "
                "need not exist.",
        .check_item = check_directory,
        .same_item = same_directory,
    },
    {
        OPTION("netns_include", netns_include, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = 64,
        .section = "Namespaces",
        .metavar = "PATTERN",
        .help = "Which namespaces are collected; all when there is no pattern. A pattern is a name (web-*, "
                "default for the daemon's own; * ? [ab] as in a shell, name:A:B for a name with a colon), a "
                "path (/run/netns/web-*), kind:own, kind:named, kind:anonymous, cookie:NUMBER or "
                "inode:NUMBER (netns:[NUMBER], as records have it, is the same). The others stay in the list "
                "of namespaces, as excluded.",
        .check_item = netns_pattern_check,
        .same_item = netns_pattern_same,
    },
    {
        OPTION("netns_exclude", netns_exclude, CONFIG_LIST, CONFIG_HOT),
        .default_value = "",
        .min = 0,
        .max = 64,
        .section = "Namespaces",
        .metavar = "PATTERN",
        .help = "Which namespaces are not collected, whatever netns_include says: patterns as there.",
        .check_item = netns_pattern_check,
        .same_item = netns_pattern_same,
    },
    {
        OPTION("proc_scan_interval", proc_scan_interval, CONFIG_DURATION, CONFIG_HOT),
        .default_value = "10s",
        .min = 100 * NS_PER_MS,
        .max = 3600 * NS_PER_S,
        .zero = "off",
        .section = "Namespaces",
        .metavar = "DURATION",
        .help = "How often /proc is searched for the namespaces of processes, which need not have a file.",
    },
    {
        OPTION("collector_threads_max", collector_threads_max, CONFIG_UINT, CONFIG_HOT),
        .default_value = "512",
        .min = 1,
        .max = 16384,
        .section = "Namespaces",
        .metavar = "COUNT",
        .help = "How many namespaces are collected by a thread of their own; those beyond it share a few "
                "threads. A change holds for namespaces that come later.",
    },
    {
        OPTION("reconcile_frequency", reconcile_frequency, CONFIG_DURATION, CONFIG_HOT),
        .default_value = "0s",
        .min = 100 * NS_PER_MS,
        .max = 7 * DAY,
        .zero = "off",
        .section = "Namespaces",
        .metavar = "DURATION",
        .help = "How often all directories, /proc and the identity of each namespace are looked at again, "
                "besides what the kernel tells by itself.",
        .wire = "reconcile_frequency",
    },
    {
        OPTION("reconcile_before_poll", reconcile_before_poll, CONFIG_BOOL, CONFIG_HOT),
        .default_value = "false",
        .section = "Namespaces",
        .metavar = "BOOL",
        .help = "Whether each poll waits until that has been done, half a second at most.",
        .wire = "reconcile_before_poll",
    },
    {
        OPTION("populate_nsid", populate_nsid, CONFIG_BOOL, CONFIG_HOT),
        .default_value = "false",
        .section = "Namespaces",
        .metavar = "BOOL",
        .help =
            "Whether records carry the id that the daemon's namespace has for theirs (nsid), if it has one.",
        .wire = "populate_nsid",
    },
    {
        OPTION("label", label, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 40,
        .section = "Identity",
        .metavar = "TEXT",
        .help = "Label that every record carries.",
        .wire = "label",
    },
    {
        OPTION("tag", tag, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 40,
        .section = "Identity",
        .metavar = "TEXT",
        .help = "Tag that every record carries.",
        .wire = "tag",
    },
    {
        OPTION("location", location, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 253,
        .section = "Identity",
        .metavar = "TEXT",
        .help = "Where this host is: site, rack, zone.",
        .wire = "location",
    },
    {
        OPTION("hostname", hostname, CONFIG_STRING, CONFIG_HOT),
        .default_value = "",
        .max = 253,
        .section = "Identity",
        .metavar = "NAME",
        .help = "Name of this host in the records; when empty, the one that the machine has.",
        .wire = "hostname",
    },
    {
        OPTION("state_file", state_file, CONFIG_STRING, CONFIG_RESTART),
        .default_value = "",
        .max = 255,
        .section = "State",
        .metavar = "FILE",
        .help =
            "Where what is changed over gRPC is kept for the next start: an absolute path; when empty, it "
            "is not kept. At a start it wins over the configuration file; environment and command line "
            "win over it.",
        .check_item = check_file,
    },
    {
        OPTION("sandbox", sandbox, CONFIG_ENUM, CONFIG_RESTART),
        .default_value = "auto",
        .section = "Process",
        .metavar = "HOW",
        .help =
            "Whether the daemon gives up system calls that it has no use for (seccomp), such as starting "
            "programs, mounting, tracing and loading code into the kernel, and cannot be traced or dumped "
            "by its own user. auto: as far as the kernel lets it; required: or it does not start.",
        .names = sandbox_names,
        .n_names = sizeof(sandbox_names) / sizeof(sandbox_names[0]),
    },
    {
        OPTION("config_watch", config_watch, CONFIG_ENUM, CONFIG_HOT),
        .default_value = "on",
        .section = "Process",
        .metavar = "HOW",
        .help =
            "Whether a change of the configuration file, of certificates and of tokens is noticed when it is "
            "made, also when they are links that come to point elsewhere; the configuration is then read "
            "again as with SIGHUP.",
        .names = watch_names,
        .n_names = sizeof(watch_names) / sizeof(watch_names[0]),
    },
    {
        OPTION("log_level", log_level, CONFIG_ENUM, CONFIG_HOT),
        .default_value = "info",
        .section = "Log",
        .metavar = "LEVEL",
        .help = "The least important events that are logged.",
        .wire = "debug_level",
        .names = log_level_names,
        .n_names = LOG_LEVELS,
    },
    {
        OPTION("log_format", log_format, CONFIG_ENUM, CONFIG_HOT),
        .default_value = "text",
        .section = "Log",
        .metavar = "FORMAT",
        .help = "How a line of the log looks.",
        .names = log_format_names,
        .n_names = 2,
    },
};

const struct config_option *config_option_find(const char *name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (strcmp(config_options[i].name, name) == 0)
            return &config_options[i];
    }
    return NULL;
}

void config_option_print(const struct config_option *option, const struct config *c, struct buf *out)
{
    if (option->offset == offsetof(struct config, hostname) && !c->hostname_given)
        return;
    value_type(option)->print(value_field_const(option, c), option, out);
}

void config_option_print_bounds(const struct config_option *option, struct buf *out)
{
    value_type(option)->bounds(option, out);
}

void option_flag(const char *name, char out[OPTION_FLAG_MAX])
{
    size_t n = 0;
    for (; name[n] && n < OPTION_FLAG_MAX - 1; n++)
        out[n] = name[n] == '_' ? '-' : name[n];
    out[n] = '\0';
}
