/* Changes as a client puts them together, held against what the daemon makes of them. */
#include "rpc_config_test.h"

#include <stdio.h>
#include <string.h>

#include "config/output.h"
#include "rpc/codec/config/msg_config_draft.h"

/* The client's view of |c|. */
static struct config_reply *reply_of(const struct config *c)
{
    struct config_reply *r;
    struct err e = {0};
    struct buf b;
    buf_init(&b);
    assert_int_equal(config_msg_encode_reply(c, &extra, NULL, 0, &b), 0);
    assert_int_equal(config_reply_decode(b.data, b.len, &r, &e), 0);
    buf_free(&b);
    return r;
}

/* The daemon's result of |d| over |c|: the candidate is the caller's. */
static int apply(const struct config_draft *d, const struct config *c, struct config_msg_set *out,
                 struct err *e)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(config_draft_request(d, false, &b), 0);
    int rc = config_msg_apply_set(b.data, b.len, c, &extra, out, e);
    buf_free(&b);
    return rc;
}

struct differences {
    char text[2048];
    size_t n;
};

static void tell(void *context, const char *name, const char *before, const char *after)
{
    struct differences *d = context;
    size_t n = strlen(d->text);
    snprintf(d->text + n, sizeof(d->text) - n, "%s: %s -> %s\n", name, before, after);
    d->n++;
}

/* The |assignments|, ending with NULL, over |c|: they become |want|, and that is what is in force then. */
static void changes(struct config **c, const char *const *assignments, const char *want)
{
    struct config_draft *d = config_draft_new();
    struct config_msg_set out;
    struct err e = {0};
    struct differences found = {0};
    for (size_t i = 0; assignments[i]; i++) {
        char key[128];
        const char *equals = strchr(assignments[i], '=');
        snprintf(key, sizeof(key), "%.*s", (int)(equals - assignments[i]), assignments[i]);
        if (config_draft_assign(d, key, equals + 1, &e) != 0)
            fail_msg("%s", e.text);
    }
    if (apply(d, *c, &out, &e) != 0)
        fail_msg("%s", e.text);
    struct config_reply *before = reply_of(*c), *after = reply_of(out.candidate);
    assert_int_equal(config_draft_check(d, after, &e), 0);
    assert_int_equal(config_reply_diff(before, after, tell, &found), 0);
    assert_string_equal(found.text, want);
    assert_int_equal(config_reply_differs(before, after), found.n > 0);
    config_reply_free(before);
    config_reply_free(after);
    config_draft_free(d);
    config_unref(*c);
    *c = out.candidate;
}

#define CHANGES(c, want, ...) changes(&(c), (const char *const[]){__VA_ARGS__, NULL}, want)

static void test_assign(void **state)
{
    (void)state;
    struct config *c = new_config();
    CHANGES(c, "label:  -> rack 7\n", "label=rack 7");
    CHANGES(c, "", "label=rack 7");
    CHANGES(c, "label: rack 7 -> \n", "label=");
    CHANGES(c, "poll_frequency: 5s -> 1m30s\nmodulus: 1 -> 3\n", "poll_frequency=90s", "modulus=3");
    CHANGES(c, "options.limits.queue_rows: 131072 -> 5000\n", "options.limits.queue_rows=5000");
    CHANGES(c, "options.limits.queue_rows: 5000 -> 6000\n", "limits.queue_rows=6000");
    CHANGES(c, "options.limits.queue_rows: 6000 -> 7000\n", "queue_rows=7000");
    CHANGES(c, "options.namespaces.directories: /run/netns,/run/docker/netns -> /a,/b\n",
            "netns_dirs=[/a, '/b']");
    CHANGES(c, "options.namespaces.directories: /a,/b -> \n", "netns_dirs=");
    CHANGES(c,
            "enabled_deserializers: bbr,cgroup,classid,cong,dctcp,info,shut,skmem,sockopt,tc,tos,vegas -> "
            "cong,info\n",
            "enabled_deserializers=info,cong");
    CHANGES(c, "options.namespaces.proc_scan_interval: 10s -> 0s\n", "proc_scan_interval=0s");
    CHANGES(c, "populate_nsid: false -> true\n", "populate_nsid=true");
    CHANGES(c, "populate_nsid: true -> false\n", "populate_nsid=false");
    config_unref(c);
}

static void bad_assignment(const char *key, const char *value, int code, const char *text)
{
    struct config_draft *d = config_draft_new();
    struct err e = {0};
    assert_int_equal(config_draft_assign(d, key, value, &e), code);
    assert_string_equal(e.text, text);
    config_draft_free(d);
}

static void test_wrong(void **state)
{
    (void)state;
    bad_assignment("labels", "x", ERR_UNKNOWN, "there is no field \"labels\"; did you mean \"label\"?");
    bad_assignment("", "x", ERR_UNKNOWN, "there is no field \"\"");
    bad_assignment("generation", "7", ERR_UNKNOWN, "there is no field \"generation\"");
    bad_assignment("options.log.lvel", "x", ERR_UNKNOWN,
                   "there is no field \"options.log.lvel\"; did you mean \"options.log.level\"?");
    bad_assignment("log_levl", "x", ERR_UNKNOWN,
                   "there is no field \"log_levl\"; did you mean \"log_level\"?");
    bad_assignment("xyz", "x", ERR_UNKNOWN, "there is no field \"xyz\"");
    bad_assignment("modulus", "x", ERR_TYPE, "modulus: value \"x\" is not a whole number");
    bad_assignment("modulus", "-1", ERR_TYPE, "modulus: value \"-1\" is not a whole number");
    bad_assignment("modulus", "", ERR_TYPE, "modulus: value \"\" is not a whole number");
    bad_assignment("modulus", "\xff\x39", ERR_TYPE, "modulus: value \"?9\" is not a whole number");
    bad_assignment("m\xc3", "x", ERR_UNKNOWN, "there is no field \"m?\"");
    bad_assignment("netlinkers", "4294967296", ERR_RANGE,
                   "netlinkers: value \"4294967296\" is out of range; allowed 0 to 4294967295");
    bad_assignment(
        "modulus", "18446744073709551616", ERR_RANGE,
        "modulus: value \"18446744073709551616\" is out of range; allowed 0 to 18446744073709551615");
    bad_assignment("poll_timeout", "soon", ERR_TYPE,
                   "poll_timeout: value \"soon\" is not a duration such as 250ms or 1m30s");
    bad_assignment("populate_nsid", "yes", ERR_TYPE,
                   "populate_nsid: value \"yes\" is not a switch; allowed true and false");

    struct config_draft *d = config_draft_new();
    struct err e = {0};
    assert_int_equal(config_draft_assign(d, "log_level", "debug", &e), 0);
    assert_int_equal(config_draft_assign(d, "log.level", "info", &e), ERR_DUPLICATE);
    assert_string_equal(e.text, "options.log.level: given twice");
    config_draft_free(d);
}

/* A zero that is none: by default it is something else. */
static void test_zero(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_draft *d = config_draft_new();
    struct config_msg_set out;
    struct err e = {0};
    assert_int_equal(config_draft_assign(d, "queue_rows", "0", &e), 0);
    assert_true(config_draft_has_zeros(d));
    assert_int_equal(apply(d, c, &out, &e), 0);
    struct config_reply *after = reply_of(out.candidate);
    assert_int_equal(config_draft_check(d, after, &e), ERR_RANGE);
    assert_string_equal(e.text,
                        "options.limits.queue_rows: cannot be set to \"0\", which is the same as not set; "
                        "without it, it is \"131072\"");
    config_reply_free(after);
    config_unref(out.candidate);
    config_draft_free(d);
    config_unref(c);
}

static void test_reset(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct config_msg_set out;
    struct err e = {0};
    CHANGES(c, "label:  -> a\noptions.limits.queue_rows: 131072 -> 5000\n", "label=a", "queue_rows=5000");
    struct config_draft *d = config_draft_new();
    assert_int_equal(config_draft_reset(d, "labell", &e), ERR_UNKNOWN);
    assert_int_equal(config_draft_reset(d, "queue_rows", &e), 0);
    assert_int_equal(apply(d, c, &out, &e), 0);
    assert_int_equal(out.n_changed, 1);
    assert_string_equal(out.changed[0], "options.limits.queue_rows");
    config_unref(out.candidate);
    assert_int_equal(config_draft_reset_all(d, &e), 0);
    assert_int_equal(apply(d, c, &out, &e), 0);
    assert_int_equal(out.n_changed, 2);
    config_unref(out.candidate);
    config_draft_free(d);
    config_unref(c);
}

/* |text| is the configuration with |from| replaced by |to|. */
static void replaced(const struct config_reply *r, const char *from, const char *to, struct buf *text)
{
    struct buf whole;
    buf_init(&whole);
    assert_int_equal(config_reply_json(r, &whole), 0);
    const char *at = strstr(buf_cstr(&whole), from);
    assert_non_null(at);
    buf_bytes(text, whole.data, (size_t)(at - whole.data));
    buf_str(text, to);
    buf_str(text, at + strlen(from));
    buf_free(&whole);
}

static void edits(struct config *c, const char *from, const char *to, const char *want)
{
    struct config_reply *before = reply_of(c);
    struct config_draft *d = config_draft_new();
    struct config_msg_set out;
    struct differences found = {0};
    struct err e = {0};
    struct buf text;
    buf_init(&text);
    replaced(before, from, to, &text);
    if (config_draft_edit(d, before, buf_cstr(&text), text.len, "x.json", &e) != 0)
        fail_msg("%s", e.text);
    if (apply(d, c, &out, &e) != 0)
        fail_msg("%s", e.text);
    struct config_reply *after = reply_of(out.candidate);
    assert_int_equal(config_reply_diff(before, after, tell, &found), 0);
    assert_string_equal(found.text, want);
    config_reply_free(before);
    config_reply_free(after);
    config_unref(out.candidate);
    config_draft_free(d);
    buf_free(&text);
}

static void test_edit(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct err e = {0};
    CHANGES(c, "label:  -> a\noptions.limits.queue_rows: 131072 -> 5000\n", "label=a", "queue_rows=5000");
    edits(c, "\"label\": \"a\"", "\"label\": \"b\"", "label: a -> b\n");
    edits(c, "\"label\": \"a\",", "", "label: a -> \n");
    edits(c, "\"label\": \"a\"", "\"label\": \"\"", "label: a -> \n");
    edits(c, "\"queueRows\": 5000,", "", "options.limits.queue_rows: 5000 -> 131072\n");
    edits(c, "\"generation\"", "\"tag\": \"t\", \"generation\"", "tag:  -> t\n");
    edits(c, "\"label\"", "\"label\"", "");

    /* Somebody else was faster. */
    struct config_reply *before = reply_of(c);
    struct config_draft *d = config_draft_new();
    struct config_msg_set out;
    struct buf text;
    buf_init(&text);
    replaced(before, "\"label\": \"a\"", "\"label\": \"b\"", &text);
    assert_int_equal(config_draft_edit(d, before, buf_cstr(&text), text.len, "x.json", &e), 0);
    c->generation++;
    assert_int_equal(apply(d, c, &out, &e), ERR_STALE);
    assert_int_equal(config_draft_edit(d, before, "{\"label\": 7}", 12, "x.json", &e), ERR_TYPE);
    config_draft_free(d);
    config_reply_free(before);
    buf_free(&text);
    config_unref(c);
}

/* Every name that there is can be printed, and set unless only one value is possible. */
static void test_keys(void **state)
{
    (void)state;
    const char *name;
    size_t n = 0;
    for (; (name = config_key_name(n)); n++) {
        struct config_draft *d = config_draft_new();
        struct err e = {0};
        assert_int_equal(config_draft_reset(d, name, &e), 0);
        config_draft_free(d);
        d = config_draft_new();
        /* One of these is a value of its type. */
        static const char *const values[] = {"1", "1s", "true", "a,b", "[{name: a, to: \"null:\"}]"};
        int rc = -1;
        for (size_t i = 0; rc != 0 && i < sizeof(values) / sizeof(values[0]); i++) {
            config_draft_free(d);
            d = config_draft_new();
            rc = config_draft_assign(d, name, values[i], &e);
        }
        if (rc != 0)
            fail_msg("%s", e.text);
        config_draft_free(d);
    }
    assert_in_range(n, 90, 128); /* the draft has room for all */
}

/* ---- One output ---- */

/* Changes |*c| by adding an output of |pairs|, which end with NULL, or by removing the one called |name|. Returns the code
 * of the draft or of the daemon. */
static int change_outputs(struct config **c, const char *const *pairs, const char *name, struct err *e)
{
    struct config_draft *d = config_draft_new();
    struct config_reply *before = reply_of(*c);
    struct config_msg_set out;
    size_t n = 0;
    *e = (struct err){0};
    while (pairs && pairs[n])
        n++;
    int rc = pairs ? config_draft_add_output(d, before, pairs, n, e)
                   : config_draft_remove_output(d, before, name, e);
    if (rc == 0)
        rc = apply(d, *c, &out, e);
    if (rc == 0) {
        config_unref(*c);
        *c = out.candidate;
    }
    config_reply_free(before);
    config_draft_free(d);
    return rc;
}

#define ADD(c, e, ...)     change_outputs(c, (const char *const[]){__VA_ARGS__, NULL}, NULL, e)
#define REMOVE(c, e, name) change_outputs(c, NULL, name, e)

static void test_add_output(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct err e;
    if (ADD(&c, &e, "name=a", "to=http://u:secret@h:1/x?y=z", "headers=X-Key: secret") ||
        ADD(&c, &e, "name=b", "to=file:/var/log/xtcp2/b", "queue=64MiB", "batch.rows=7",
            "columns=netns,poll_id", "rotate_size=1GiB", "filter=dport = 443"))
        fail_msg("%s", e.text);
    assert_int_equal(c->outputs.n, 2);
    /* The first one's secrets have not gone anywhere, and are there all the same. */
    assert_string_equal(c->outputs.items[0].to, "http://u:secret@h:1/x?y=z");
    assert_string_equal(c->outputs.items[0].options.items[0], "headers=X-Key: secret");
    const struct output_config *b = &c->outputs.items[1];
    assert_string_equal(b->name, "b");
    assert_true(b->queue == 64 * 1024 * 1024 && b->batch_rows == 7 && b->columns.n == 2);
    assert_string_equal(b->columns.items[1], "poll_id");
    assert_int_equal(b->options.n, 1);
    assert_string_equal(b->options.items[0], "rotate_size=1GiB");
    assert_string_equal(b->filter, "dport = 443");
    config_unref(c);
}

static void test_output_that_cannot_be_added(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct err e;
    assert_int_equal(ADD(&c, &e, "name=a", "to=null:"), 0);
    assert_int_equal(ADD(&c, &e, "name=a", "to=null:"), ERR_DUPLICATE);
    assert_says(e, "name: another output has it");
    assert_int_equal(ADD(&c, &e, "name=b", "to=null:", "queue"), ERR_TYPE);
    assert_says(e, "queue: expected KEY=VALUE");
    assert_int_equal(ADD(&c, &e, "name=b", "to=null:", "queue=much"), ERR_MALFORMED);
    assert_says(e, "queue: value \"much\" is not a size");
    assert_int_equal(ADD(&c, &e, "name=b", "to=null:", "size=1", "size=2"), ERR_DUPLICATE);
    assert_int_equal(ADD(&c, &e, "name=b", "to=null:", "nothing=1"), ERR_UNKNOWN);
    assert_says(e, "null has no option \"nothing\"");
    assert_int_equal(ADD(&c, &e, "name=b", "to=nowhere:"), ERR_UNKNOWN);
    assert_int_equal(c->outputs.n, 1);
    config_unref(c);
}

static void test_remove_output(void **state)
{
    (void)state;
    struct config *c = new_config();
    struct err e;
    assert_int_equal(REMOVE(&c, &e, "a"), ERR_UNKNOWN);
    assert_int_equal(ADD(&c, &e, "name=a", "to=null:"), 0);
    assert_int_equal(ADD(&c, &e, "name=b", "to=null:"), 0);
    assert_int_equal(REMOVE(&c, &e, "c"), ERR_UNKNOWN);
    assert_says(e, "there is no output \"c\"");
    assert_int_equal(REMOVE(&c, &e, "default"), ERR_UNKNOWN);
    assert_says(e, "set dest=null:");
    assert_int_equal(REMOVE(&c, &e, "a"), 0);
    assert_int_equal(c->outputs.n, 1);
    assert_string_equal(c->outputs.items[0].name, "b");
    assert_int_equal(REMOVE(&c, &e, "b"), 0); /* an empty list, not an absent one */
    assert_int_equal(c->outputs.n, 0);
    config_unref(c);
}

/* The list that was read may not be the one in force any more. */
static void test_outputs_of_a_generation(void **state)
{
    (void)state;
    static const char *const pairs[] = {"name=a", "to=null:"};
    struct config *c = new_config();
    struct config_reply *before = reply_of(c);
    struct config_draft *d = config_draft_new();
    struct config_msg_set out;
    struct err e;
    assert_int_equal(config_draft_add_output(d, before, pairs, 2, &e), 0);
    c->generation++;
    assert_int_equal(apply(d, c, &out, &e), ERR_STALE);
    config_draft_free(d);
    config_reply_free(before);
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assign),        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_zero),          cmocka_unit_test(test_reset),
        cmocka_unit_test(test_edit),          cmocka_unit_test(test_keys),
        cmocka_unit_test(test_add_output),    cmocka_unit_test(test_output_that_cannot_be_added),
        cmocka_unit_test(test_remove_output), cmocka_unit_test(test_outputs_of_a_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
