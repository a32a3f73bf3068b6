#include <string.h>

#include "filter/node.h"
#include "lib/ascii.h"
#include "lib/nearest.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Names that no prefix explains; the first one of a field is the one in canonical texts. */
static const struct {
    const char *name;
    uint16_t field; /* enum record_field_id */
} short_names[] = {
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

/* What tables call it in their titles, where neither of the above does, and what was called otherwise before
 * there were these: older ones of this program know none of them. They go before names without their prefix:
 * "retrans" is the sum that the column RETRANS is about, not what is in flight. */
static const struct {
    const char *name;
    uint16_t field;
} titles[] = {
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

/* A name that begins with |alias| is that of the field whose name begins with |proto| instead; what comes
 * first goes first. */
static const struct {
    const char *alias;
    const char *proto;
} prefixes[] = {
    {"", "tcp_info_"},         {"", "inet_diag_msg_socket_"}, {"", "inet_diag_msg_"}, {"", "sk_mem_info_"},
    {"", "mem_info_"},         {"skmem_", "sk_mem_info_"},    {"mem_", "mem_info_"},  {"bbr_", "bbr_info_"},
    {"vegas_", "vegas_info_"}, {"dctcp_", "dctcp_info_"},
};

const char *const filter_keywords[] = {
    "state",  "exclude",   "excl", "src",   "dst", "sport", "dport", "dev", "fwmark",
    "cgroup", "autobound", "idle", "limit", "not", "and",   "or",    NULL,
};

#define NAME_MAX_BYTES 64

/* Whether prefixes explain the name of |f|: tcp_info_len is none of struct tcp_info. */
static bool has_prefix(const struct record_field *f)
{
    return f && f != &record_fields[FIELD_tcp_info_len];
}

static const struct record_field *by_prefix(size_t i, const char *name, size_t n)
{
    char whole[NAME_MAX_BYTES];
    size_t alias = strlen(prefixes[i].alias);
    size_t proto = strlen(prefixes[i].proto);
    if (n <= alias || memcmp(name, prefixes[i].alias, alias) != 0 || proto + n - alias > sizeof(whole))
        return NULL;
    memcpy(whole, prefixes[i].proto, proto);
    memcpy(whole + proto, name + alias, n - alias);
    const struct record_field *f = record_field_by_name(whole, proto + n - alias);
    return has_prefix(f) ? f : NULL;
}

const struct record_field *filter_field(const char *typed, size_t n)
{
    char name[NAME_MAX_BYTES];
    if (n > sizeof(name))
        return NULL;
    for (size_t i = 0; i < n; i++)
        name[i] = ascii_fold_name(typed[i]);
    const struct record_field *f = record_field_by_name(name, n);
    for (size_t i = 0; !f && i < COUNT(short_names); i++) {
        if (strlen(short_names[i].name) == n && memcmp(short_names[i].name, name, n) == 0)
            f = &record_fields[short_names[i].field];
    }
    for (size_t i = 0; !f && i < COUNT(titles); i++) {
        if (strlen(titles[i].name) == n && memcmp(titles[i].name, name, n) == 0)
            f = &record_fields[titles[i].field];
    }
    for (size_t i = 0; !f && i < COUNT(prefixes); i++)
        f = by_prefix(i, name, n);
    return f;
}

static bool is_keyword(const char *name)
{
    for (size_t i = 0; filter_keywords[i]; i++) {
        if (strcmp(filter_keywords[i], name) == 0)
            return true;
    }
    return false;
}

/* The name of |f| with prefix |i| taken off, without an alias' prefix of its own; NULL when it leads
 * elsewhere. */
static const char *stripped(const struct record_field *f, size_t i)
{
    size_t n = strlen(prefixes[i].proto);
    if (*prefixes[i].alias || strncmp(f->name, prefixes[i].proto, n) != 0)
        return NULL;
    const char *name = f->name + n;
    return filter_field(name, strlen(name)) == f && !is_keyword(name) ? name : NULL;
}

/* The short name |*i| of |f|, titles left out; NULL, with |*i| less by as many as there are, when it has not
 * so many. */
static const char *short_name(const struct record_field *f, size_t *i)
{
    for (size_t k = 0; k < COUNT(short_names); k++) {
        if (short_names[k].field == record_field_index(f) && (*i)-- == 0)
            return short_names[k].name;
    }
    for (size_t k = 0; k < COUNT(prefixes); k++) {
        const char *name = stripped(f, k);
        if (name && (*i)-- == 0)
            return name;
    }
    return NULL;
}

const char *filter_field_alias(const struct record_field *f, size_t i)
{
    const char *name = short_name(f, &i);
    if (name)
        return name;
    for (size_t k = 0; k < COUNT(titles); k++) {
        if (titles[k].field == record_field_index(f) && i-- == 0)
            return titles[k].name;
    }
    return NULL;
}

const char *filter_field_name(const struct record_field *f)
{
    size_t first = 0;
    const char *name = short_name(f, &first);
    return name ? name : f->name;
}

/* ---- Names that are meant ---- */

#define ALLOWED_MAX 3 /* changes from a name to what was meant */

/* A search for what |name| was meant to be. */
struct search {
    const char *name;
    size_t n;
    size_t limit;     /* a candidate must need fewer changes */
    const char *best; /* NULL: none is like it */
};

static struct search search_for(const char *name, size_t n)
{
    return (struct search){.name = name, .n = n, .limit = 1 + (n < 4 ? 1 : n < 8 ? 2 : ALLOWED_MAX)};
}

/* Of several that are equally close the first one counts. */
static void offer(struct search *s, const char *candidate)
{
    if (!s->limit)
        return;
    size_t d = nearest_distance(s->name, s->n, candidate, strlen(candidate), s->limit - 1);
    if (d >= s->limit)
        return;
    s->best = candidate;
    s->limit = d;
}

const char *filter_suggest(const char *const *names, size_t count, const char *name, size_t n)
{
    struct search s = search_for(name, n);
    for (size_t i = 0; i < count; i++)
        offer(&s, names[i]);
    return s.best;
}

const char *filter_field_suggest(const char *typed, size_t n)
{
    char name[NAME_MAX_BYTES];
    if (n > sizeof(name))
        return NULL;
    for (size_t i = 0; i < n; i++)
        name[i] = ascii_fold_name(typed[i]);
    struct search s = search_for(name, n);
    for (size_t i = 0; filter_keywords[i]; i++)
        offer(&s, filter_keywords[i]);
    for (size_t i = 0; i < COUNT(short_names); i++)
        offer(&s, short_names[i].name);
    for (size_t i = 0; i < COUNT(titles); i++)
        offer(&s, titles[i].name);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        offer(&s, record_fields[i].name);
        for (size_t k = 0; has_prefix(&record_fields[i]) && k < COUNT(prefixes); k++) {
            size_t prefix = strlen(prefixes[k].proto);
            if (!*prefixes[k].alias && strncmp(record_fields[i].name, prefixes[k].proto, prefix) == 0)
                offer(&s, record_fields[i].name + prefix);
        }
    }
    return s.best;
}
