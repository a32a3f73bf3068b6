/* The sample file, which is generated from the option table and committed. */
#include "config_test.h"

#define SAMPLE XTCP_SOURCE_DIR "/config/xtcp2.yaml"

/* With XTCP_UPDATE set in the environment, the sample is written instead of compared. */
static void test_the_sample_is_the_defaults(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    struct buf out;
    buf_init(&out);
    config_dump_yaml(c, &out);
    assert_false(out.failed);
    if (getenv("XTCP_UPDATE")) {
        FILE *f = fopen(SAMPLE, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
        assert_int_equal(fclose(f), 0);
    }
    char *sample = test_read_file(SAMPLE);
    assert_string_equal(sample, buf_cstr(&out));
    free(sample);
    buf_free(&out);
    config_unref(c);
}

static void test_the_sample_loads(void **state)
{
    (void)state;
    struct config_builder *b = config_builder_new();
    struct err e = {0};
    struct config *c = NULL;
    if (config_read_file(b, SAMPLE, &e) || config_build(b, &c, &e)) {
        fail_msg("%s", e.text);
        return;
    }
    struct config *defaults = test_defaults();
    assert_int_equal(config_diff(c, defaults, NULL, 0), 0);
    assert_false(c->hostname_given);
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) /* the sample gives every option */
        assert_string_not_equal(config_builder_origin(b, &config_options[i]), "default");
    config_unref(c);
    config_unref(defaults);
    config_builder_free(b);
}

/* Writing and reading changes nothing, whatever the strings hold. */
static void test_a_dump_reads_back(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    const char *const dirs[] = {"/with \"quotes\" \\ and: more #1", "/\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf"};
    const char *const listen[] = {"unix:/a b", "[::1]:0", "unix-abstract:'x'"};
    config_set_string(c, &c->label, " leading, trailing ");
    config_set_string(c, &c->tag, "\xe2\x80\xa8\xe2\x80\xa9\xf0\x9f\xbf\xbf");
    config_set_string(c, &c->location, "~\xe2\x80\x8f\xf3\xa0\x80\x81");
    config_set_string(c, &c->hostname, "- null");
    config_set_strings(c, &c->netns_dirs, dirs, 2);
    config_set_strings(c, &c->grpc_listen, listen, 3);
    c->groups = 0;
    c->poll_frequency = 1234567890123;
    c->proc_scan_interval = 0;
    config_set_debug_level(c, 100);
    assert_int_equal(config_validate(c, NULL), 0);

    struct buf out;
    buf_init(&out);
    config_dump_yaml(c, &out);
    assert_non_null(strstr(buf_cstr(&out), "\nlocation: \"~\\u200f\\U000e0001\"\n"));
    struct config_builder *b = config_builder_new();
    struct config *again = NULL;
    struct err e = {0};
    if (config_parse_yaml(b, out.data, out.len, "dump", &e) || config_build(b, &again, &e)) {
        fail_msg("%s", e.text);
        return;
    }
    assert_int_equal(config_diff(c, again, NULL, 0), 0);
    assert_string_equal(again->hostname, "- null");
    config_unref(again);
    config_unref(c);
    config_builder_free(b);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sample_is_the_defaults),
        cmocka_unit_test(test_the_sample_loads),
        cmocka_unit_test(test_a_dump_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
