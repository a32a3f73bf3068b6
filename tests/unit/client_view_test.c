/* The views made of --columns and --sort-by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/show/view.h"
#include "filter/filter.h"

static struct view *view_of(const char *columns, const char *sort_by)
{
    const struct options o = {.output = OUTPUT_TABLE, .columns = columns, .sort_by = sort_by};
    struct view *v;
    struct err e = {0};
    if (view_new(&o, &v, &e) != 0)
        fail_msg("%s", e.text);
    return v;
}

static void bad(const char *columns, const char *sort_by, const char *text)
{
    const struct options o = {.output = OUTPUT_TABLE, .columns = columns, .sort_by = sort_by};
    struct view *v;
    struct err e = {0};
    assert_int_equal(view_new(&o, &v, &e), ERR_USAGE);
    assert_null(v);
    assert_string_equal(e.text, text);
}

static void test_all(void **state)
{
    (void)state;
    const struct record_field *mask[FIELD_COUNT];
    struct view *v = view_of(NULL, NULL);
    assert_int_equal(v->n_fields, FIELD_COUNT);
    assert_false(v->chosen);
    assert_int_equal(view_mask(v, mask), 0); /* all */
    assert_string_equal(v->columns[0].own->name, "netns");
    view_free(v);
}

static void test_names(void **state)
{
    (void)state;
    struct view *v = view_of("peer, tcp_info_rtt ,recv-q,recv_q,hostname", NULL);
    assert_int_equal(v->n_columns, 5);
    assert_string_equal(v->columns[0].own->name, "peer");
    assert_ptr_equal(v->columns[1].field, &record_fields[FIELD_tcp_info_rtt]);
    assert_string_equal(v->columns[1].title, "TCP_INFO_RTT");
    assert_ptr_equal(v->columns[2].own, v->columns[3].own);
    /* The other formats have what they are made of, each once. */
    static const int fields[] = {FIELD_inet_diag_msg_socket_destination,
                                 FIELD_inet_diag_msg_socket_destination_port,
                                 FIELD_inet_diag_msg_family,
                                 FIELD_tcp_info_rtt,
                                 FIELD_inet_diag_msg_rqueue,
                                 FIELD_hostname};
    assert_int_equal(v->n_fields, sizeof(fields) / sizeof(fields[0]));
    for (size_t i = 0; i < v->n_fields; i++)
        assert_ptr_equal(v->fields[i], &record_fields[fields[i]]);
    view_free(v);
}

/* Fields that are sent but not shown: the keys, and those needed to read the others. */
static void test_mask(void **state)
{
    (void)state;
    static const int fields[] = {FIELD_timestamp_ns,        FIELD_inet_diag_msg_family,
                                 FIELD_inet_diag_msg_state, FIELD_tcp_info_state,
                                 FIELD_tcp_info_rtt,        FIELD_poll_id,
                                 FIELD_diag_attributes, /* what tells zeros from what was not sent */
                                 FIELD_tcp_info_len,        FIELD_mark};
    const struct record_field *mask[FIELD_COUNT];
    struct view *v = view_of("mark", "-tcp_info_rtt");
    assert_int_equal(v->n_fields, 1);
    assert_int_equal(view_mask(v, mask), sizeof(fields) / sizeof(fields[0]));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_ptr_equal(mask[i], &record_fields[fields[i]]);
    view_free(v);
}

/* With an address, what a table shows beside it; other formats have it in fields of its own. */
static void test_mask_of_addresses(void **state)
{
    (void)state;
    static const int beside[] = {FIELD_inet_diag_msg_socket_interface, FIELD_v6only,
                                 FIELD_socket_interface_name};
    static const struct {
        enum output_format format;
        const char *columns;
        bool want;
    } cases[] = {{OUTPUT_TABLE, "local", true},
                 {OUTPUT_WIDE, "mark,peer", true},
                 {OUTPUT_TABLE, "mark", false},
                 {OUTPUT_CSV, "local,peer", false}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const struct options o = {.output = cases[c].format, .columns = cases[c].columns};
        const struct record_field *mask[FIELD_COUNT];
        struct view *v;
        struct err e = {0};
        assert_int_equal(view_new(&o, &v, &e), 0);
        size_t n = view_mask(v, mask);
        for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
            bool found = false;
            for (size_t k = 0; k < n; k++)
                found = found || mask[k] == &record_fields[beside[i]];
            assert_int_equal(found, cases[c].want);
        }
        view_free(v);
    }
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        int field;
        bool descending;
    } want[] = {{FIELD_tcp_info_rtt, true},      {FIELD_netns, false},
                {FIELD_tcp_info_snd_cwnd, true}, {FIELD_tcp_info_total_retrans, false},
                {FIELD_tcp_info_retrans, false}, {FIELD_mark, false}};
    struct view *v = view_of(NULL, "-RTT,netns, Cwnd:desc,RETRANS:asc,+mark");
    assert_int_equal(v->n_keys, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < v->n_keys; i++) {
        assert_ptr_equal(v->keys[i].field, &record_fields[want[i].field]);
        assert_int_equal(v->keys[i].descending, want[i].descending);
    }
    view_free(v);
}

/* The title of a column is a name of it, for columns and orders, and a word of a filter about the same.
 */
static void test_titles(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_socket_table_columns; i++) {
        const struct socket_table_column *c = &socket_table_columns[i];
        for (int lower = 0; lower < 2; lower++) {
            char title[VIEW_TITLE_MAX] = {0}, text[VIEW_TITLE_MAX + 16];
            struct filter *f = NULL;
            struct filter_error e;
            for (size_t k = 0; c->look.title[k]; k++)
                title[k] = (char)(lower && c->look.title[k] >= 'A' && c->look.title[k] <= 'Z'
                                      ? c->look.title[k] + ('a' - 'A')
                                      : c->look.title[k]);
            struct view *v = view_of(title, title);
            assert_ptr_equal(v->columns[0].own, c);
            assert_ptr_equal(v->keys[0].field, &record_fields[c->fields[0]]);
            assert_ptr_equal(v->keys[0].own, c->rank || c->measured ? c : NULL);
            view_free(v);
            const struct record_field *field = filter_field(title, strlen(title));
            if (!c->rank && strcmp(c->name, "cgroup") != 0) /* several fields at once; a word of ss */
                assert_ptr_equal(field, &record_fields[c->fields[0]]);
            snprintf(text, sizeof(text), "%s = %s", title, strcmp(c->name, "state") == 0 ? "listening" : "1");
            int rc = filter_parse(text, &f, &e);
            if (rc != (strcmp(c->name, "limit") == 0 ? ERR_TYPE : 0))
                fail_msg("%s: %s", text, rc ? e.err.text : "");
            filter_unref(f);
        }
    }
}

/* Names that are alike mean one thing each, wherever they are written. */
static void test_retransmissions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int field;
    } names[] = {
        {"retrans", FIELD_tcp_info_total_retrans},   {"total_retrans", FIELD_tcp_info_total_retrans},
        {"retrans_out", FIELD_tcp_info_retrans},     {"tcp_info_retrans", FIELD_tcp_info_retrans},
        {"retransmits", FIELD_tcp_info_retransmits}, {"bytes_retrans", FIELD_tcp_info_bytes_retrans}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct view *v = view_of(names[i].name, names[i].name);
        assert_ptr_equal(v->columns[0].field, &record_fields[names[i].field]);
        assert_ptr_equal(v->keys[0].field, &record_fields[names[i].field]);
        assert_ptr_equal(filter_field(names[i].name, strlen(names[i].name)), &record_fields[names[i].field]);
        view_free(v);
    }
}

static void test_wrong(void **state)
{
    (void)state;
    bad("locl", NULL, "--columns: there is no column locl; did you mean local?");
    bad("xyzzyxyzzy", NULL, "--columns: there is no column xyzzyxyzzy; see xtcp2client(1)");
    bad("rtt,,cwnd", NULL, "--columns: a name is missing");
    bad("rtt,", NULL, "--columns: a name is missing");
    bad(NULL, "-", "--sort-by: a name is missing");
    bad(NULL, "retransmit", "--sort-by: there is no column retransmit; did you mean retransmits?");
    bad(NULL, "rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt,rtt",
        "--sort-by: too many of them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_of_addresses),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_retransmissions),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
