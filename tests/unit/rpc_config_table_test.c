/* The table of XtcpConfig's fields against the descriptor, the recorded constraints and the option table. */
#include "rpc_config_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "generated.h"
#include "rpc/codec/config/msg_config_int.h"

#define DESCRIPTOR (&xtcp_config__v1__xtcp_config__descriptor)

static const struct config_field *row_of(uint32_t number)
{
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        if (config_fields[i].number == number)
            return &config_fields[i];
    }
    return NULL;
}

static void test_every_field_has_a_row(void **state)
{
    (void)state;
    assert_int_equal(DESCRIPTOR->n_fields, CONFIG_FIELD_COUNT);
    for (unsigned i = 0; i < DESCRIPTOR->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &DESCRIPTOR->fields[i];
        const struct config_field *row = &config_fields[i];
        assert_int_equal(row->number, f->id);
        assert_string_equal(row->name, f->name);
        assert_ptr_equal(config_field_descriptor(row), f);
        /* What a kind does with the field's memory fits its type. */
        switch (row->kind) {
        case CONFIG_FIELD_DURATION:
            assert_ptr_equal(f->descriptor, &google__protobuf__duration__descriptor);
            break;
        case CONFIG_FIELD_NUMBER:
            assert_true(f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_UINT64 ||
                        f->type == PROTOBUF_C_TYPE_BOOL);
            assert_true(f->type == PROTOBUF_C_TYPE_BOOL || row->max <= UINT32_MAX);
            break;
        case CONFIG_FIELD_TEXT:
        case CONFIG_FIELD_VERSION:
            assert_int_equal(f->type, PROTOBUF_C_TYPE_STRING);
            break;
        case CONFIG_FIELD_FIXED:
            assert_true(!row->fixed_text || f->type == PROTOBUF_C_TYPE_STRING);
            assert_true(!row->fixed_number || f->type == PROTOBUF_C_TYPE_UINT32 ||
                        f->type == PROTOBUF_C_TYPE_UINT64);
            break;
        default:
            break;
        }
    }
}

static void test_options_and_fields_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *row = &config_fields[i];
        if (!row->option)
            continue;
        const struct config_option *option = config_option_find(row->option);
        assert_non_null(option);
        assert_non_null(option->wire);
        assert_string_equal(option->wire, row->name);
    }
    for (size_t i = 0; i < CONFIG_OPTION_PATHS; i++)
        assert_non_null(config_option_find(config_option_paths[i].option));
    /* Nothing that can be configured is missing from XtcpConfig. */
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_wire_name(&config_options[i]);
        bool found = strncmp(name, "options.", 8) == 0;
        for (size_t k = 0; k < CONFIG_FIELD_COUNT && !found; k++)
            found = config_fields[k].option && strcmp(config_fields[k].option, config_options[i].name) == 0;
        if (!found)
            fail_msg("no field of XtcpConfig shows the option %s", config_options[i].name);
    }
}

/* ---- The recorded constraints ---- */

struct constraint {
    const char *message, *field, *number, *required, *unit, *lower, *upper;
};

/* Splits |line|, which ends with a newline, at its tabs. */
static void split(char *line, struct constraint *c)
{
    const char **const columns[] = {&c->message, &c->field, &c->number, &c->required,
                                    &c->unit,    &c->lower, &c->upper};
    char *rest = line;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        *columns[i] = strsep(&rest, "\t\n");
        assert_non_null(*columns[i]);
    }
}

static void check_row(const struct constraint *c)
{
    const struct config_field *row = row_of((uint32_t)strtoul(c->number, NULL, 10));
    if (!row)
        fail_msg("no row for %s", c->field);
    assert_string_equal(row->name, c->field);
    assert_int_equal(row->required, strcmp(c->required, "required") == 0);
    bool above = c->lower[0] == '>' && c->lower[1] != '=';
    assert_int_equal(row->above, above);
    uint64_t lower = c->lower[0] == '>' ? strtoull(c->lower + (above ? 1 : 2), NULL, 10) : 0;
    uint64_t upper = c->upper[0] == '<' ? strtoull(c->upper + 2, NULL, 10) : 0;
    if (row->min != lower || row->max != upper)
        fail_msg("%s: bounds of the row differ from the contract's", c->field);
}

static void test_rows_have_the_recorded_constraints(void **state)
{
    (void)state;
    FILE *f = fopen(XTCP_SOURCE_DIR "/tests/data/rpc/config_constraints.tsv", "r");
    assert_non_null(f);
    char line[256];
    unsigned rows = 0;
    while (fgets(line, sizeof(line), f)) {
        struct constraint c;
        if (line[0] == '#')
            continue;
        split(line, &c);
        if (strcmp(c.message, "XtcpConfig") != 0)
            continue;
        check_row(&c);
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, CONFIG_FIELD_COUNT - 2); /* ours: generation, options */
}

/* ---- What is in force satisfies the constraints ---- */

static void test_get_satisfies_its_own_constraints(void **state)
{
    (void)state;
    struct config *c = new_config();
    XtcpConfig__V1__GetResponse *reply = get(c);
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        const struct config_field *row = &config_fields[i];
        const ProtobufCFieldDescriptor *f = config_field_descriptor(row);
        struct err e;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)config_field_at_const(reply->config, f)) {
            assert_false(row->required);
            continue;
        }
        if (!row->required && row->min > 0)
            continue; /* unset: zero or empty */
        if (config_field_check(row, reply->config, &e) < 0)
            fail_msg("%s", e.text);
    }
    free_message(reply);
    config_unref(c);
}

static void test_get_tells_what_is_in_force(void **state)
{
    (void)state;
    struct config *c = new_config();
    assert_int_equal(config_set_string(c, &c->label, "rack 7"), 0);
    XtcpConfig__V1__GetResponse *reply = get(c);
    const XtcpConfig__V1__XtcpConfig *m = reply->config;
    assert_int_equal(m->poll_frequency->seconds, 5);
    assert_int_equal(m->poll_timeout->seconds, 2);
    assert_int_equal(m->modulus, 1);
    assert_int_equal(m->netlinkers, 1);
    assert_int_equal(m->netlinkers_done_chan_size, 1);
    assert_string_equal(m->marshal_to, "protobufList");
    assert_string_equal(m->dest, "null:");
    assert_int_equal(m->debug_level, 10);
    assert_string_equal(m->label, "rack 7");
    assert_string_equal(m->hostname, c->hostname);
    assert_string_equal(m->daemon_version, "1.2.3");
    assert_int_equal(m->grpc_port, 8889);
    assert_int_equal(m->generation, 5);
    assert_int_equal(m->enabled_deserializers->n_enabled, GROUP_COUNT);
    assert_string_equal(m->enabled_deserializers->enabled[0]->key, "meminfo");
    assert_false(m->enabled_deserializers->enabled[0]->value);
    assert_true(m->enabled_deserializers->enabled[1]->value);
    assert_int_equal(m->options->listeners->n_listen, 2);
    assert_string_equal(m->options->listeners->listen[0], "127.0.0.1:8889");
    assert_string_equal(m->options->access->unix_socket_mode, "0660");
    assert_int_equal(m->options->access->control_uids->n_item, 0);
    assert_string_equal(m->options->access->read_uids->item[0], "*");
    assert_int_equal(m->options->namespaces->directories->n_path, 2);
    assert_int_equal(m->options->namespaces->proc_scan_interval->seconds, 10);
    assert_int_equal(m->options->namespaces->include->n_item, 0);
    assert_int_equal(m->options->namespaces->exclude->n_item, 0);
    assert_string_equal(m->options->process->sandbox, "auto");
    assert_int_equal(m->options->limits->queue_rows, c->queue_rows);
    assert_int_equal(m->options->limits->subscribers_max, c->subscribers_max);
    assert_string_equal(m->options->log->level, "info");
    assert_string_equal(m->options->log->format, "text");
    free_message(reply);
    config_unref(c);
}

static uint32_t port_of(const char *const *listen, size_t n, uint32_t bound)
{
    struct config *c = new_config();
    struct config_msg_extra x = {.grpc_port = bound};
    assert_int_equal(config_set_strings(c, &c->grpc_listen, listen, n), 0);
    uint32_t port = config_view_port(c, &x);
    config_unref(c);
    return port;
}

static void test_port_is_that_of_the_first_tcp_listener(void **state)
{
    (void)state;
    const char *const listen[] = {"unix:/run/a.sock", "[::1]:7001", "127.0.0.1:7002"};
    assert_int_equal(port_of(listen, 3, 0), 7001);
    assert_int_equal(port_of(listen, 1, 0), 8889);
    assert_int_equal(port_of(listen, 3, 40000), 40000);
    const char *const any[] = {"127.0.0.1:0"};
    assert_int_equal(port_of(any, 1, 0), 8889);
}

/* ---- The documentation ---- */

/* The value of a field that has only one. */
static void fixed_value(const struct config_field *row, struct buf *out)
{
    const ProtobufCFieldDescriptor *f = config_field_descriptor(row);
    if (row->fixed_text)
        buf_printf(out, "`%s`", row->fixed_text);
    else if (f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_UINT64)
        buf_printf(out, "`%llu`", (unsigned long long)row->fixed_number);
    else if (f->type == PROTOBUF_C_TYPE_BOOL)
        buf_str(out, "`false`");
    else
        buf_str(out, "empty");
}

static void document_row(const struct config_field *row, struct buf *out)
{
    buf_printf(out, "| `%s` | ", row->name);
    if (row->option)
        buf_printf(out, "option `%s`", row->option);
    if (row->kind == CONFIG_FIELD_FIXED) {
        buf_str(out, "always ");
        fixed_value(row, out);
    }
    if (row->why)
        buf_printf(out, "%s%s", row->option || row->kind == CONFIG_FIELD_FIXED ? ": " : "", row->why);
    buf_str(out, " |\n");
}

static void test_the_documentation_lists_every_field(void **state)
{
    (void)state;
    struct buf rows;
    buf_init(&rows);
    for (size_t i = 0; i < CONFIG_FIELD_COUNT; i++) {
        assert_true(config_fields[i].option || config_fields[i].why);
        document_row(&config_fields[i], &rows);
    }
    generated_check(XTCP_SOURCE_DIR "/docs/configuration.md", "| field | here |\n|---|---|\n", "\n", &rows);
    buf_free(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_has_a_row),
        cmocka_unit_test(test_options_and_fields_agree),
        cmocka_unit_test(test_rows_have_the_recorded_constraints),
        cmocka_unit_test(test_the_documentation_lists_every_field),
        cmocka_unit_test(test_get_satisfies_its_own_constraints),
        cmocka_unit_test(test_get_tells_what_is_in_force),
        cmocka_unit_test(test_port_is_that_of_the_first_tcp_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
