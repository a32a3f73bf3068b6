/* client.yaml: accepted and refused texts with the place of the error, and the order of precedence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/fleet/client_yaml.h"
#include "client/fleet/nodes.h"
#include "lib/buf.h"

static struct client_yaml good(const char *text)
{
    struct client_yaml s;
    struct err e = {0};
    if (client_yaml_parse("/etc/x/client.yaml", text, strlen(text), &s, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

static void bad(const char *text, const char *want)
{
    struct client_yaml s;
    struct err e = {0};
    assert_int_not_equal(client_yaml_parse("c.yaml", text, strlen(text), &s, &e), 0);
    assert_string_equal(e.text, want);
    assert_null(s.nodes);
}

static void test_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "{}\n", "---\n# x\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct client_yaml s;
        struct err e = {0};
        int rc = client_yaml_parse("c", texts[i], strlen(texts[i]), &s, &e);
        /* "---" alone is a null document. */
        if (rc == 0) {
            assert_int_equal(s.n_nodes + s.n_groups + s.n_targets + s.options.n, 0);
            client_yaml_free(&s);
        } else {
            assert_int_equal(i, 3);
        }
    }
}

static void test_values(void **state)
{
    (void)state;
    struct client_yaml s = good("target: [web, node3]\n"
                                "output: csv\n"
                                "columns: netns,tcp_info_rtt\n"
                                "connect-timeout: 3s\n"
                                "token-file: ~/token\n"
                                "header: [\"a: 1\", \"b: 2\"]\n"
                                "quiet: true\n"
                                "nodes:\n"
                                "  node1: {address: \"192.0.2.1:1\", cacert: ca.pem, insecure: false}\n"
                                "  node2: node2.example\n"
                                "groups:\n"
                                "  web: [node1, node2, \"192.0.2.9\"]\n"
                                "  one: node1\n");
    struct options o = {0};
    setenv("HOME", "/home/u", 1);
    assert_int_equal(s.n_targets, 2);
    assert_string_equal(client_yaml_node(&s, "node2")->address, "node2.example");
    assert_int_equal(client_yaml_group(&s, "web")->n_members, 3);
    assert_int_equal(client_yaml_group(&s, "one")->n_members, 1);
    assert_null(client_yaml_node(&s, "web"));
    assert_string_equal(client_yaml_like(&s, "node11"), "node1");
    client_yaml_apply_defaults(&s, &o);
    assert_int_equal(o.output, OUTPUT_CSV);
    assert_string_equal(o.columns, "netns,tcp_info_rtt");
    assert_true(o.quiet);
    assert_int_equal(o.connect_timeout_ns, 0); /* each node's */
    client_yaml_apply(&s, client_yaml_node(&s, "node1"), &o);
    assert_string_equal(o.ca, "/etc/x/ca.pem");
    assert_int_equal(o.connect_timeout_ns, 3000000000);
    assert_int_equal(o.headers.n, 2);
    assert_false(o.insecure);
    client_yaml_free(&s);
}

/* The command line, then the node, then the file. */
static void test_precedence(void **state)
{
    (void)state;
    struct client_yaml s =
        good("insecure: true\ncacert: /file\nservername: file\noutput: csv\nplaintext: true\n"
             "nodes: {n: {address: a, cacert: /node, insecure: false}}\n");
    struct options o = {.server_name = "line", .output = OUTPUT_JSONL};
    client_yaml_apply_defaults(&s, &o);
    client_yaml_apply(&s, client_yaml_node(&s, "n"), &o);
    assert_int_equal(o.output, OUTPUT_JSONL);
    assert_string_equal(o.server_name, "line");
    assert_string_equal(o.ca, "/node");
    assert_false(o.insecure);  /* the node says so */
    assert_false(o.plaintext); /* whoever gives options for TLS means it */
    o = (struct options){0};
    client_yaml_apply(&s, NULL, &o);
    assert_string_equal(o.ca, "/file");
    assert_true(o.insecure);
    assert_true(o.plaintext);
    client_yaml_free(&s);
}

static void test_errors(void **state)
{
    (void)state;
    bad("output: csv\ncollumns: a\n", "c.yaml:2: collumns: is not known; did you mean columns?");
    bad("zzzzzzzz: a\n", "c.yaml:1: zzzzzzzz: is not known");
    bad("nodes:\n  n:\n    adress: x\n", "c.yaml:3: adress: is not known; did you mean address?");
    bad("nodes:\n  n:\n    output: csv\n    address: a\n", "c.yaml:3: output: is not known");
    bad("nodes:\n  n: {cacert: x}\n", "c.yaml:2: n: has no address");
    bad("nodes:\n  n: \"a b\"\n",
        "c.yaml:2: address: target \"a b\": expected HOST, HOST:PORT, [IPV6]:PORT or unix:/path");
    bad("nodes:\n  a:1: {address: x}\n", "c.yaml:2: a:1: a name must not have blanks or any of : / , [ ]");
    bad("nodes: {n: a}\ngroups: {n: [a]}\n", "c.yaml:2: n: is a node and a group");
    bad("quiet: true\nquiet: false\n", "c.yaml:2: quiet: is given twice, first in line 1");
    bad("quiet: maybe\n", "c.yaml:1: quiet: \"maybe\": expected true or false");
    bad("cacert: [a]\n", "c.yaml:1: cacert: a list or mapping where a single value is expected");
    bad("cacert:\n", "c.yaml:1: cacert: has no value; give one or remove the line");
    bad("connect-timeout: 5\n", "c.yaml:1: connect-timeout 5: expected a duration like 500ms, 2s or 1m30s");
    bad("nodes: [a]\n", "c.yaml:1: nodes: expected a mapping (KEY: VALUE on each line)");
    bad("- a\n", "c.yaml:1: expected a mapping (KEY: VALUE on each line)");
    bad("a: [1\n", "c.yaml:2: not valid YAML: did not find expected ',' or ']'");
    bad("a: \"x\\0y\"\n", "c.yaml:1: a: is not known");
    bad("cacert: \"x\\0y\"\n", "c.yaml:1: cacert: holds a NUL");
}

static void test_place(void **state)
{
    (void)state;
    bool required;
    setenv("HOME", "/home/u", 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv(CLIENT_YAML_ENV);
    char *path = client_yaml_find(NULL, &required);
    assert_string_equal(path, "/home/u/.config/xtcp2/client.yaml");
    assert_false(required);
    free(path);
    setenv("XDG_CONFIG_HOME", "/cfg", 1);
    path = client_yaml_find(NULL, &required);
    assert_string_equal(path, "/cfg/xtcp2/client.yaml");
    free(path);
    setenv(CLIENT_YAML_ENV, "/env.yaml", 1);
    path = client_yaml_find(NULL, &required);
    assert_string_equal(path, "/env.yaml");
    assert_true(required);
    free(path);
    path = client_yaml_find("/given.yaml", &required);
    assert_string_equal(path, "/given.yaml");
    free(path);
    unsetenv(CLIENT_YAML_ENV);
    struct client_yaml s;
    struct err e = {0};
    assert_int_equal(client_yaml_load("/nonexistent/x.yaml", false, &s, &e), 0);
    client_yaml_free(&s);
    assert_true(client_yaml_load("/nonexistent/x.yaml", true, &s, &e) < 0);
    assert_string_equal(e.text, "/nonexistent/x.yaml: cannot open: No such file or directory");
}

/* The sample of the documentation is one that works. */
static void test_sample(void **state)
{
    (void)state;
    struct client_yaml s;
    struct err e = {0};
    struct nodes nodes;
    const struct options o = {0};
    if (client_yaml_load(SAMPLE, true, &s, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(s.n_nodes >= 2 && s.n_groups >= 1);
    unsetenv(OPTIONS_TARGET_ENV);
    assert_int_equal(nodes_resolve(&o, &s, &nodes, &e), 0);
    nodes_free(&nodes);
    client_yaml_free(&s);
}

/* ---- nodes ---- */

static void names_are(const struct nodes *nodes, const char *want)
{
    struct buf all;
    buf_init(&all);
    for (size_t i = 0; i < nodes->n; i++)
        buf_printf(&all, "%s%s", i ? " " : "", nodes->items[i]->told);
    assert_string_equal(buf_cstr(&all), want);
    buf_free(&all);
}

static void resolve(const struct options *o, const struct client_yaml *s, const char *want)
{
    struct nodes nodes;
    struct err e = {0};
    if (nodes_resolve(o, s, &nodes, &e) != 0)
        fail_msg("%s", e.text);
    names_are(&nodes, want);
    nodes_free(&nodes);
}

static void test_nodes(void **state)
{
    (void)state;
    struct client_yaml s = good("target: web\n"
                                "nodes: {n1: {address: 192.0.2.1, tls: true}, n2: \"192.0.2.2:7\"}\n"
                                "groups: {web: [n1, n2, 192.0.2.3], all: [web, n1]}\n");
    struct client_yaml none = {0};
    struct options o = {0};
    unsetenv(OPTIONS_TARGET_ENV);
    resolve(&o, &none, "127.0.0.1:8889");
    resolve(&o, &s, "n1 (192.0.2.1:8889) n2 (192.0.2.2:7) 192.0.2.3:8889");
    setenv(OPTIONS_TARGET_ENV, "n2, 10.0.0.1", 1);
    resolve(&o, &s, "n2 (192.0.2.2:7) 10.0.0.1:8889");
    o.targets = (struct option_list){.items = {"all,n1", "a,,a", "unix:/a,b"}, .n = 3};
    resolve(&o, &s, "n1 (192.0.2.1:8889) n2 (192.0.2.2:7) 192.0.2.3:8889 a:8889 unix:/a,b");
    o.targets.n = 0;
    o.targets_file = "/dev/null";
    struct nodes nodes;
    struct err e = {0};
    assert_int_equal(nodes_resolve(&o, &s, &nodes, &e), ERR_USAGE);
    assert_string_equal(e.text, "/dev/null: has no targets");
    unsetenv(OPTIONS_TARGET_ENV);
    client_yaml_free(&s);
}

static void test_targets_file(void **state)
{
    (void)state;
    char path[] = "/tmp/xtcp2-targets-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# all of them\n\nnode1 # the first\n node2:1 , node3\r\n";
    static const char wrong[] = "node1\nno de\n";
    const struct options o = {.targets_file = path};
    const struct client_yaml none = {0};
    struct nodes nodes;
    struct err e = {0};
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    resolve(&o, &none, "node1:8889 node2:1 node3:8889");
    assert_int_equal(pwrite(fd, wrong, sizeof(wrong) - 1, 0), sizeof(wrong) - 1);
    assert_int_equal(ftruncate(fd, sizeof(wrong) - 1), 0);
    assert_int_equal(nodes_resolve(&o, &none, &nodes, &e), ERR_USAGE);
    assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
    assert_non_null(strstr(e.text, ":2: target \"no de\": expected"));
    static const char nul[] = "node1\nnode2 # \0x\nnode3\n";
    assert_int_equal(pwrite(fd, nul, sizeof(nul) - 1, 0), sizeof(nul) - 1);
    assert_int_equal(nodes_resolve(&o, &none, &nodes, &e), ERR_USAGE);
    assert_non_null(strstr(e.text, ":2: holds a NUL byte"));
    close(fd);
    unlink(path);
}

static void test_slip_of_the_pen(void **state)
{
    (void)state;
    struct client_yaml s = good("nodes: {xtcp2-node-one: 192.0.2.1}\n");
    const struct options o = {.targets = {.items = {"xtcp2-nod-one"}, .n = 1}};
    struct nodes nodes;
    struct err e = {0};
    assert_int_equal(nodes_resolve(&o, &s, &nodes, &e), ERR_USAGE);
    assert_string_equal(e.text,
                        "target \"xtcp2-nod-one\": neither a host nor a name of /etc/x/client.yaml; did you "
                        "mean xtcp2-node-one?");
    client_yaml_free(&s);
}

static void test_groups_in_circles(void **state)
{
    (void)state;
    struct client_yaml s = good("groups: {a: [b], b: [a]}\n");
    const struct options o = {.targets = {.items = {"a"}, .n = 1}};
    struct nodes nodes;
    struct err e = {0};
    assert_int_equal(nodes_resolve(&o, &s, &nodes, &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "groups within groups"));
    client_yaml_free(&s);
}

/* Every address is a node; its certificate is for the name. */
static void test_all_addresses(void **state)
{
    (void)state;
    struct client_yaml s = good("nodes: {l: {address: \"dns-all:///localhost:7\", tls: true}}\n");
    const struct options o = {.targets = {.items = {"l"}, .n = 1}};
    struct nodes nodes;
    struct err e = {0};
    assert_int_equal(nodes_resolve(&o, &s, &nodes, &e), 0);
    assert_true(nodes.n >= 1);
    for (size_t i = 0; i < nodes.n; i++) {
        const struct node *n = nodes.items[i];
        if (strcmp(n->address, "localhost:7") == 0)
            skip(); /* there is no resolver here */
        assert_int_equal(strncmp(n->name, "l/", 2), 0);
        assert_string_equal(n->name + 2, n->address);
        assert_string_equal(n->options.server_name, "localhost");
    }
    nodes_free(&nodes);
    client_yaml_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_values),
        cmocka_unit_test(test_precedence),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_place),           cmocka_unit_test(test_sample),
        cmocka_unit_test(test_nodes),           cmocka_unit_test(test_targets_file),
        cmocka_unit_test(test_slip_of_the_pen), cmocka_unit_test(test_groups_in_circles),
        cmocka_unit_test(test_all_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
