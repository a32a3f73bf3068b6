/* The table of XtcpConfig's fields against the descriptor, the recorded constraints and the option table. */
#include "rpc_config_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "generated.h"
#include "rpc/codec/config/msg_config_internal.h"

#define DESCRIPTOR (&xtcp_config__v1__xtcp_config__descriptor)

static const struct config_field *row_of(uint32_t number)
{
    for (size_t i = 0; i < config_field_count; i++) {
        if (config_fields[i].number == number)
            return &config_fields[i];
    }
    return NULL;
}

static void test_every_field_has_a_row(void **state)
{
    (void)state;
    assert_int_equal(DESCRIPTOR->n_fields, config_field_count);
    for (unsigned i = 0; i < DESCRIPTOR->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &DESCRIPTOR->fields[i];
        const struct config_field *row = &config_fields[i];
        assert_int_equal(row->number, f->id);
        assert_string_equal(row->name, f->name);
        assert_ptr_equal(config_field_descriptor(row), f);
        /* The way in which a kind uses the field's memory fits its type. */
        switch (row->kind) {
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

/* ---- Options and fields ---- */

/* Whether the value of |o| can be at |p|. */
static bool fits(const struct config_option *o, const struct config_place *p)
{
    enum config_place_kind kind = config_place_kind(p);
    switch (o->type) {
    case CONFIG_DURATION:
        return kind == CONFIG_PLACE_DURATION;
    case CONFIG_UINT:
        return kind == CONFIG_PLACE_NUMBER;
    case CONFIG_BOOL:
        return kind == CONFIG_PLACE_BOOL;
    case CONFIG_STRING:
    case CONFIG_ENUM:
        return kind == CONFIG_PLACE_TEXT;
    case CONFIG_LIST:
        return kind == CONFIG_PLACE_LIST || kind == CONFIG_PLACE_WRAPPED;
    case CONFIG_GROUPS:
        return kind == CONFIG_PLACE_GROUPS;
    case CONFIG_OUTPUTS:
        return kind == CONFIG_PLACE_OUTPUTS;
    case CONFIG_SIZE:
    case CONFIG_PAIRS:
        return false; /* of outputs alone: rpc_config_outputs_test */
    }
    return false;
}

/* Nothing that can be configured is missing from XtcpConfig. */
static void test_every_option_has_a_field(void **state)
{
    (void)state;
    ProtobufCMessage *m = config_message_new(DESCRIPTOR);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        if (!o->wire)
            fail_msg("%s has no wire path", o->name);
        struct config_place p = config_place_make(m, o->wire);
        if (!p.f)
            fail_msg("%s: XtcpConfig has no field %s", o->name, o->wire);
        else if (!fits(o, &p))
            fail_msg("%s: the field %s is of another type", o->name, o->wire);
        assert_ptr_equal(config_option_by_wire(o->wire), o); /* and not of two options */
        /* A field of XtcpConfig itself has a row that says so; the others have a place in lists. */
        const struct config_field *row = config_field_find(o->wire);
        assert_int_equal(row != NULL, p.parent == m);
        assert_true(!row || row->kind == CONFIG_FIELD_OPTION);
        assert_true(!row || o->type != CONFIG_UINT || row->max ||
                    (p.f && p.f->type == PROTOBUF_C_TYPE_UINT32));
        assert_int_equal(row != NULL,
                         strncmp(o->wire, CONFIG_NESTED_PREFIX, strlen(CONFIG_NESTED_PREFIX)) != 0);
        assert_int_equal(row != NULL, o->wire_order == 0);
    }
    protobuf_c_message_free_unpacked(m, NULL);
}

/* The orders are 1, 2, 3 and so on. */
static void test_nested_options_have_an_order(void **state)
{
    (void)state;
    size_t nested = 0, listed = 0;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        nested += config_options[i].wire_order != 0;
    while (config_nested_option(listed))
        listed++;
    assert_int_equal(listed, nested);
}

/* Every field of |type|, whose fields have |path| before their names, shows an option. */
static void check_fields(const ProtobufCMessageDescriptor *type, const char *path)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        struct config_place p = {.f = &type->fields[i]};
        char name[128], inside[130];
        snprintf(name, sizeof(name), "%s%s", path, p.f->name);
        snprintf(inside, sizeof(inside), "%s.", name);
        bool inner = config_place_kind(&p) == CONFIG_PLACE_OTHER ||
                     strcmp(name, "options.listeners") == 0; /* a list in a message, as others' are */
        if (inner) {
            check_fields(p.f->descriptor, inside);
        } else if (!config_option_by_wire(name)) {
            fail_msg("no option has the wire path %s", name);
        }
    }
}

static void test_every_field_of_ours_shows_an_option(void **state)
{
    (void)state;
    check_fields(&xtcp_config__v1__daemon_options__descriptor, CONFIG_NESTED_PREFIX);
    for (size_t i = 0; i < config_field_count; i++) {
        if (config_fields[i].kind == CONFIG_FIELD_OPTION && !config_field_option(&config_fields[i]))
            fail_msg("no option has the wire path %s", config_fields[i].name);
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
    assert_int_equal(rows, config_field_count - 2); /* ours: generation, options */
}

/* ---- The configuration in force satisfies the constraints ---- */

static void test_get_satisfies_its_own_constraints(void **state)
{
    (void)state;
    struct config *c = new_config();
    XtcpConfig__V1__GetResponse *reply = get(c);
    for (size_t i = 0; i < config_field_count; i++) {
        const struct config_field *row = &config_fields[i];
        struct config_place p = config_field_place(row, reply->config);
        struct err e;
        if (p.f->type == PROTOBUF_C_TYPE_MESSAGE && config_place_absent(&p)) {
            assert_false(row->required);
            continue;
        }
        if (!row->required && row->min > 0)
            continue; /* unset: zero or empty */
        if (config_field_check(row, &p, &e) < 0)
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
    uint32_t port = config_port_of(c, &x);
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
    const struct config_option *option = config_field_option(row);
    if (option)
        buf_printf(out, "option `%s`", option->name);
    if (row->kind == CONFIG_FIELD_FIXED) {
        buf_str(out, "always ");
        fixed_value(row, out);
    }
    if (row->why)
        buf_printf(out, "%s%s", option || row->kind == CONFIG_FIELD_FIXED ? ": " : "", row->why);
    buf_str(out, " |\n");
}

static void test_the_documentation_lists_every_field(void **state)
{
    (void)state;
    struct buf rows;
    buf_init(&rows);
    for (size_t i = 0; i < config_field_count; i++) {
        assert_true(config_field_option(&config_fields[i]) || config_fields[i].why);
        document_row(&config_fields[i], &rows);
    }
    generated_check(XTCP_SOURCE_DIR "/docs/configuration.md", "| field | here |\n|---|---|\n", "\n", &rows);
    buf_free(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_has_a_row),
        cmocka_unit_test(test_every_option_has_a_field),
        cmocka_unit_test(test_nested_options_have_an_order),
        cmocka_unit_test(test_every_field_of_ours_shows_an_option),
        cmocka_unit_test(test_rows_have_the_recorded_constraints),
        cmocka_unit_test(test_the_documentation_lists_every_field),
        cmocka_unit_test(test_get_satisfies_its_own_constraints),
        cmocka_unit_test(test_get_tells_what_is_in_force),
        cmocka_unit_test(test_port_is_that_of_the_first_tcp_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
