/* Every option through every front end: what the table says is the test. A value that is not the default goes
 * in through the file, the environment, the command line and Set, and must come out of each of them, and of
 * Get, the same. */
#include "rpc_config_test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"
#include "lib/duration.h"
#include "rpc/codec/config/msg_config_draft.h"
#include "rpc/codec/config/msg_config_internal.h"
#include "rpc/codec/config/msg_config_path.h"

/* ---- A value for each option ---- */

/* For the types whose values the table cannot tell. */
static const char *const samples[] = {"x",
                                      "info,cong",
                                      "/x,/y",
                                      "[::1]:1,unix:/x",
                                      "[::1]:1",
                                      "7,8",
                                      "stdout",
                                      "csv",
                                      "gzip",
                                      "netns",
                                      "[{name: \"a\", to: \"null\"}]"};

/* Sets |option| to |text| in a configuration that is otherwise the default. Returns NULL when that is none.
 */
static struct config *with(const struct config_option *option, const char *text)
{
    struct config *c = NULL;
    assert_int_equal(config_defaults(&c), 0);
    if (config_set_text(c, option, text, NULL) || config_normalise(c) || config_validate(c, NULL)) {
        config_unref(c);
        return NULL;
    }
    return c;
}

/* The value of |option| in |c|. */
static const char *value_of(const struct config_option *option, const struct config *c)
{
    static char storage[4096];
    struct buf out;
    buf_init_fixed(&out, storage, sizeof(storage));
    config_option_print(option, c, &out);
    assert_false(out.failed);
    return buf_cstr(&out);
}

static bool differs(const struct config_option *option, const char *text)
{
    struct config *c = with(option, text);
    struct config *defaults = new_config();
    bool yes = c && strcmp(value_of(option, c), option->default_value) != 0;
    config_unref(c);
    config_unref(defaults);
    return yes;
}

/* A value of |option| that is not its default, in |text|. */
static void another_value(const struct config_option *option, char text[128])
{
    char candidates[16][128];
    size_t n = 0;
    const int64_t numbers[] = {option->max, option->min, 0};
    for (size_t i = 0; i < 3; i++) {
        if (option->type == CONFIG_DURATION)
            duration_format(numbers[i], candidates[n++]);
        else if (option->type == CONFIG_UINT)
            snprintf(candidates[n++], 128, "%lld", (long long)numbers[i]);
    }
    if (option->type == CONFIG_BOOL) {
        snprintf(candidates[n++], 128, "true");
        snprintf(candidates[n++], 128, "false");
    }
    for (size_t i = 0; i < option->n_names && option->type == CONFIG_ENUM && n < 16; i++)
        snprintf(candidates[n++], 128, "%s", option->names[i]);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]) && n < 16; i++)
        snprintf(candidates[n++], 128, "%s", samples[i]);
    for (size_t i = 0; i < n; i++) {
        if (differs(option, candidates[i])) {
            memcpy(text, candidates[i], 128);
            return;
        }
    }
    fail_msg("%s: no value found that differs from the default", option->name);
}

/* ---- File, environment, command line ---- */

static void check_sources(const struct config_option *option, const char *text,
                          const struct config_sources *from, const char *yaml)
{
    struct err e = {0};
    struct config *c = NULL;
    struct config_builder *b = config_builder_new();
    if ((yaml && config_parse_yaml(b, yaml, strlen(yaml), "f", &e)) ||
        config_parse_args(b, from, NULL, 0, &e) || config_build(b, &c, &e)) {
        fail_msg("%s", e.text);
        return;
    }
    assert_string_equal(value_of(option, c), text);
    assert_string_not_equal(config_builder_origin(b, option), "default");
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) { /* and nothing else has changed */
        if (&config_options[i] != option)
            assert_string_equal(config_builder_origin(b, &config_options[i]), "default");
    }
    config_unref(c);
    config_builder_free(b);
}

/* |name| with |prefix| before it, each letter through |letter|. */
static void spell(char *out, const char *prefix, const char *name, int (*letter)(int), const char *text)
{
    out += sprintf(out, "%s", prefix);
    for (; *name; name++)
        *out++ = (char)letter((unsigned char)*name);
    sprintf(out, "=%s", text);
}

static int dashed(int c)
{
    return c == '_' ? '-' : c;
}

static void test_sources(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        char text[128], argument[256], variable[256], yaml[512];
        another_value(o, text);
        bool list = o->type == CONFIG_LIST || o->type == CONFIG_GROUPS;
        const char *quote = o->type == CONFIG_OUTPUTS ? "" : "'";
        snprintf(yaml, sizeof(yaml), "%s: %s%s%s\n", o->name, quote, text, quote);
        if (list) { /* the items are not split in a file */
            char *to = yaml + sprintf(yaml, "%s: [", o->name);
            for (const char *p = text; *p; p += strcspn(p, ","), p += *p == ',')
                to += sprintf(to, "'%.*s', ", (int)strcspn(p, ","), p);
            sprintf(to, "]\n");
        }
        spell(argument, "--", o->name, dashed, text);
        spell(variable, "XTCP2_", o->name, toupper, text);
        char *none[] = {(char *)"xtcp2", NULL};
        char *line[] = {(char *)"xtcp2", argument, NULL};
        char *environment[] = {variable, NULL};
        check_sources(o, text, &(struct config_sources){1, none, NULL, false}, yaml);
        check_sources(o, text, &(struct config_sources){1, none, environment, false}, NULL);
        check_sources(o, text, &(struct config_sources){2, line, NULL, false}, NULL);
    }
}

/* ---- Set and Get ---- */

/* The protojson form of the proto name |name|: sub_message.field becomes "subMessage":{"field": */
static unsigned json_path(const char *name, struct buf *out)
{
    unsigned depth = 1;
    buf_str(out, "{\"");
    for (; *name; name++) {
        if (*name == '.') {
            buf_str(out, "\":{\"");
            depth++;
        } else if (*name == '_') {
            buf_char(out, (char)toupper((unsigned char)*++name));
        } else {
            buf_char(out, *name);
        }
    }
    buf_str(out, "\":");
    return depth;
}

static void json_items(struct buf *out, const char *text, const char *after)
{
    for (const char *p = text; *p; p += strcspn(p, ","), p += *p == ',') {
        buf_str(out, p == text ? "" : ",");
        buf_json_string(out, p, strcspn(p, ","));
        buf_str(out, after);
    }
}

/* A value as protojson has it. A list or number that may be empty or zero is in a message of its own. */
static void json_value(const struct config_option *o, const char *name, const char *text, struct buf *out)
{
    int64_t ns;
    switch (o->type) {
    case CONFIG_DURATION:
        assert_int_equal(duration_parse(text, &ns), 0);
        buf_printf(out, "\"%lld.%09llds\"", (long long)(ns / 1000000000), (long long)(ns % 1000000000));
        break;
    case CONFIG_UINT:
    case CONFIG_BOOL:
        buf_str(out, text);
        break;
    case CONFIG_GROUPS:
        buf_str(out, "{\"enabled\":{");
        json_items(out, text, ":true");
        buf_str(out, "}}");
        break;
    case CONFIG_LIST:
        buf_str(out, strcmp(name, "options.listeners.listen") == 0         ? "["
                     : strcmp(name, "options.namespaces.directories") == 0 ? "{\"path\":["
                                                                           : "{\"item\":[");
        json_items(out, text, "");
        buf_str(out, strcmp(name, "options.listeners.listen") == 0 ? "]" : "]}");
        break;
    case CONFIG_OUTPUTS:
        buf_str(out, "{\"output\":[{\"name\":\"a\",\"to\":\"null\"}]}");
        break;
    default:
        buf_json_string(out, text, strlen(text));
    }
}

static int set_over_json(const struct config_option *o, const char *text, const struct config *in_force,
                         struct config_msg_set *out, struct err *e)
{
    struct buf json, request;
    const char *name = o->wire;
    buf_init(&json);
    buf_init(&request);
    unsigned depth = json_path(name, &json);
    json_value(o, name, text, &json);
    while (depth--)
        buf_char(&json, '}');
    int rc = config_set_request_from_json(buf_cstr(&json), json.len, "test", false, &request, e);
    if (rc)
        fail_msg("%s\n%s", e->text, buf_cstr(&json));
    rc = config_msg_apply_set(request.data, request.len, in_force, &extra, out, e);
    buf_free(&json);
    buf_free(&request);
    return rc;
}

/* The reply of Get for |c|, set over the defaults. */
static void check_get(const struct config_option *o, const struct config *c, const char *text)
{
    struct buf reply, json, request;
    struct config_reply *told;
    struct config_msg_set set;
    struct err e = {0};
    struct config *defaults = new_config();
    buf_init(&reply);
    buf_init(&json);
    buf_init(&request);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &reply), 0);
    assert_int_equal(config_reply_decode(reply.data, reply.len, &told, &e), 0);
    assert_int_equal(config_reply_json(told, &json), 0);
    assert_int_equal(config_set_request_from_json(json.data, json.len, "test", false, &request, &e), 0);
    if (config_msg_apply_set(request.data, request.len, defaults, &extra, &set, &e))
        fail_msg("%s: %s", o->name, e.text);
    assert_string_equal(value_of(o, set.candidate), text);
    config_unref(set.candidate);
    config_unref(defaults);
    config_reply_free(told);
    buf_free(&reply);
    buf_free(&json);
    buf_free(&request);
}

static void test_set_and_get(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        struct config *in_force = new_config();
        struct config_msg_set set;
        struct err e = {0};
        char text[128];
        another_value(o, text);
        int rc = set_over_json(o, text, in_force, &set, &e);
        if (o->reload == CONFIG_RESTART) {
            assert_int_equal(rc, ERR_UNSUPPORTED);
            assert_says(e, o->wire);
            assert_says(e, "cannot be changed while the daemon runs");
            assert_says(e, o->name);
        } else {
            if (rc)
                fail_msg("%s: %s", o->name, e.text);
            assert_string_equal(value_of(o, set.candidate), text);
            assert_int_equal(config_diff(in_force, set.candidate, NULL, 0), 1);
            assert_true(set.n_changed >= 1);
            check_get(o, set.candidate, text);
            config_unref(set.candidate);
        }
        config_unref(in_force);
    }
}

/* ---- The wire path ---- */

/* The value in the reply of Get for |c| at the wire path of |o|, as config_draft_assign reads it. */
static void told_by_get(const struct config_option *o, const struct config *c, struct buf *text)
{
    struct buf reply;
    struct config_reply *told;
    struct err e;
    buf_init(&reply);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &reply), 0);
    assert_int_equal(config_reply_decode(reply.data, reply.len, &told, &e), 0);
    assert_false(config_path_absent(&told->message->config->base, o->wire));
    config_path_print(&told->message->config->base, o->wire, text);
    config_reply_free(told);
    buf_free(&reply);
}

static int set_by_wire_name(const struct config_option *o, const char *text, const struct config *in_force,
                            struct config_msg_set *out, struct err *e)
{
    struct buf request;
    struct config_draft *d = config_draft_new();
    buf_init(&request);
    if (config_draft_assign(d, o->wire, text, e))
        fail_msg("%s", e->text);
    assert_int_equal(config_draft_request(d, false, &request), 0);
    int rc = config_msg_apply_set(request.data, request.len, in_force, &extra, out, e);
    config_draft_free(d);
    buf_free(&request);
    return rc;
}

/* Every option is told by Get at its wire path, and what is told there sets it. */
static void test_wire_path(void **state)
{
    (void)state;
    struct config *defaults = new_config();
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        struct config_msg_set set;
        struct err e = {0};
        char text[128];
        struct buf told;
        buf_init(&told);
        another_value(o, text);
        struct config *c = with(o, text);
        told_by_get(o, c, &told);
        int rc = set_by_wire_name(o, buf_cstr(&told), defaults, &set, &e);
        if (rc != (o->reload == CONFIG_RESTART ? ERR_UNSUPPORTED : 0))
            fail_msg("%s: %s", o->name, e.text);
        if (rc == 0) {
            assert_string_equal(value_of(o, set.candidate), text);
            assert_string_equal(set.changed[set.n_changed - 1], o->wire);
            config_unref(set.candidate);
        }
        config_unref(c);
        buf_free(&told);
    }
    config_unref(defaults);
}

/* ---- Texts about it ---- */

static void test_help(void **state)
{
    (void)state;
    struct buf help;
    buf_init(&help);
    config_print_help(&help, 1000, "xtcp2", "", NULL, 0);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        char flag[128], bounds_text[512];
        struct buf bounds;
        spell(flag, "\n      --", o->name, dashed, "");
        size_t end = strlen(flag) - 1; /* of the name */
        snprintf(flag + end, sizeof(flag) - end, " %s", o->metavar);
        const char *line = strstr(buf_cstr(&help), flag);
        assert_non_null(line);
        buf_init_fixed(&bounds, bounds_text, sizeof(bounds_text));
        config_option_print_bounds(o, &bounds);
        const char *next = strstr(line + 1, "\n      --");
        const char *found = strstr(line, buf_cstr(&bounds));
        assert_true(found && (!next || found < next));
        found = strstr(line, o->help);
        assert_true(found && (!next || found < next));
    }
    buf_free(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_set_and_get),
        cmocka_unit_test(test_wire_path),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
