/* The fields of a record as a table for filters. */
#include "filter/filter.h"
#include "filter/table.h"
#include "record/fields.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Names that no prefix explains; the first one of a field is the one in canonical texts. */
static const struct filter_name short_names[] = {
    {"sport", FIELD_inet_diag_msg_socket_source_port},
    {"dport", FIELD_inet_diag_msg_socket_destination_port},
    {"src", FIELD_inet_diag_msg_socket_source},
    {"dst", FIELD_inet_diag_msg_socket_destination},
    {"state", FIELD_inet_diag_msg_state},
    {"recv_q", FIELD_inet_diag_msg_rqueue},
    {"send_q", FIELD_inet_diag_msg_wqueue},
    {"cong", FIELD_congestion_algorithm_string},
    {"algorithm", FIELD_congestion_algorithm_enum},
    {"cwnd", FIELD_tcp_info_snd_cwnd},
    {"ssthresh", FIELD_tcp_info_snd_ssthresh},
    {"mss", FIELD_tcp_info_snd_mss},
    {"rttvar", FIELD_tcp_info_rtt_var},
    {"minrtt", FIELD_tcp_info_min_rtt},
    {"notsent", FIELD_tcp_info_not_sent_bytes},
    {"lastsnd", FIELD_tcp_info_last_data_sent},
    {"lastrcv", FIELD_tcp_info_last_data_recv},
    {"lastack", FIELD_tcp_info_last_ack_recv},
    {"app_limited", FIELD_tcp_info_delivery_rate_app_limited},
    {"tos", FIELD_type_of_service},
    {"tclass", FIELD_traffic_class},
    {"cgroup_id", FIELD_c_group},
    {"shutdown", FIELD_shutdown_state},
    {"host", FIELD_hostname},
    {"container", FIELD_container_name},
};

/* Titles of columns that are none of the names above, and names that had another meaning before: older
 * versions of this program know none of them. They go before names without their prefix: "retrans" is the sum
 * in the column RETRANS, not the number in flight. */
static const struct filter_name titles[] = {
    {"time", FIELD_timestamp_ns},
    {"local", FIELD_inet_diag_msg_socket_source},
    {"peer", FIELD_inet_diag_msg_socket_destination},
    {"retrans", FIELD_tcp_info_total_retrans},
    {"sent", FIELD_tcp_info_bytes_sent},
    {"received", FIELD_tcp_info_bytes_received},
    {"rate", FIELD_tcp_info_delivery_rate},
    {"ca", FIELD_tcp_info_ca_state},
    {"pacing", FIELD_tcp_info_pacing_rate},
    {"busy", FIELD_tcp_info_busy_time},
    {"reord", FIELD_tcp_info_reord_seen},
    {"retrans_out", FIELD_tcp_info_retrans},
    {"info_len", FIELD_tcp_info_len},
};

static const struct filter_prefix prefixes[] = {
    {"", "tcp_info_"},         {"", "inet_diag_msg_socket_"}, {"", "inet_diag_msg_"}, {"", "sk_mem_info_"},
    {"", "mem_info_"},         {"skmem_", "sk_mem_info_"},    {"mem_", "mem_info_"},  {"bbr_", "bbr_info_"},
    {"vegas_", "vegas_info_"}, {"dctcp_", "dctcp_info_"},
};

const struct filter_table filter_record_table = {
    .fields = record_fields,
    .n_fields = FIELD_COUNT,
    .short_names = short_names,
    .n_short_names = COUNT(short_names),
    .titles = titles,
    .n_titles = COUNT(titles),
    .prefixes = prefixes,
    .n_prefixes = COUNT(prefixes),
    .bare = FIELD_tcp_info_len, /* it is no member of struct tcp_info */
    .roles =
        {
            [FILTER_STATE] = FIELD_inet_diag_msg_state,
            [FILTER_FAMILY] = FIELD_inet_diag_msg_family,
            [FILTER_SOURCE] = FIELD_inet_diag_msg_socket_source,
            [FILTER_DESTINATION] = FIELD_inet_diag_msg_socket_destination,
            [FILTER_SOURCE_PORT] = FIELD_inet_diag_msg_socket_source_port,
            [FILTER_DESTINATION_PORT] = FIELD_inet_diag_msg_socket_destination_port,
            [FILTER_DEVICE] = FIELD_inet_diag_msg_socket_interface,
            [FILTER_MARK] = FIELD_mark,
            [FILTER_CGROUP] = FIELD_c_group,
            [FILTER_LAST_SENT] = FIELD_tcp_info_last_data_sent,
            [FILTER_LAST_RECEIVED] = FIELD_tcp_info_last_data_recv,
        },
};

const struct record_field *filter_field(const char *typed, size_t n)
{
    return filter_table_field(&filter_record_table, typed, n);
}

const char *filter_field_name(const struct record_field *f)
{
    return filter_table_name(&filter_record_table, f);
}

const char *filter_field_alias(const struct record_field *f, size_t i)
{
    return filter_table_alias(&filter_record_table, f, i);
}
