/* The manual of the filter language: its list of fields is made from the field table, its examples are
 * parsed, and it lacks no keyword. With XTCP_UPDATE set in the environment the list is written instead of
 * compared. */
#include "generated.h"

#include "filter/node.h"

#define MANUAL XTCP_SOURCE_DIR "/man/xtcp2-filter.7"

static void roff(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_str(out, "\\&");
    for (; *text; text++)
        buf_str(out, *text == '\\' ? "\\e" : *text == '-' ? "\\-" : (char[]){*text, '\0'});
}

static void put_name(struct buf *out, const char *name)
{
    const struct record_field *f = filter_field(name, strlen(name));
    assert_non_null(f);
    buf_str(out, out->data[out->len - 1] == '\n' ? "\\fB" : ", \\fB");
    roff(out, name);
    buf_str(out, "\\fR");
}

static void put_field(struct buf *out, const struct record_field *f)
{
    const char *alias;
    buf_str(out, ".TP\n");
    for (size_t i = 0; (alias = filter_field_alias(f, i)); i++)
        put_name(out, alias);
    put_name(out, f->name);
    if (f->unit != UNIT_NONE)
        buf_printf(out, " (%s)", record_unit_names[f->unit]);
    else if (f->type == TYPE_STRING)
        buf_str(out, " (text)");
    else if (f->type == TYPE_BYTES)
        buf_str(out, " (address)");
    buf_char(out, '\n');
    roff(out, f->doc);
    buf_str(out, ".\n");
}

static void test_list_of_fields(void **state)
{
    (void)state;
    struct buf fresh;
    buf_init(&fresh);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        if (i == 0 || f->section != record_fields[i - 1].section) {
            buf_str(&fresh, ".SS ");
            roff(&fresh, record_sections[f->section].title);
            buf_char(&fresh, '\n');
        }
        put_field(&fresh, f);
    }
    generated_check(MANUAL, ".\\\" fields\n", ".\\\" end of fields\n", &fresh);
    buf_free(&fresh);
}

static void test_examples(void **state)
{
    (void)state;
    char *text = generated_read(MANUAL);
    char *line = strstr(text, ".\\\" examples\n.EX\n");
    unsigned count = 0;
    assert_non_null(line);
    line = strstr(line, ".EX\n") + 4;
    for (char *end; strncmp(line, ".EE", 3) != 0; line = end + 1, count++) {
        struct filter *f;
        struct filter_error e;
        char example[256];
        size_t n = 0;
        end = strchr(line, '\n');
        for (const char *p = line; p < end && n + 1 < sizeof(example); p++) {
            if (*p != '\\')
                example[n++] = *p;
        }
        example[n] = '\0';
        if (filter_parse(example, &f, &e))
            fail_msg("%s: %s", example, e.err.text);
        filter_unref(f);
    }
    assert_true(count >= 10);
    free(text);
}

/* Every field has one preferred name, which leads to it; no name is one of two fields, or a keyword. */
static void test_names(void **state)
{
    (void)state;
    char *text = generated_read(MANUAL);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct record_field *f = &record_fields[i];
        const char *name = filter_field_name(f);
        assert_ptr_equal(filter_field(name, strlen(name)), f);
        assert_ptr_equal(filter_field(f->name, f->name_len), f);
        const char *alias;
        for (size_t k = 0; (alias = filter_field_alias(f, k)); k++)
            assert_ptr_equal(filter_field(alias, strlen(alias)), f);
    }
    for (size_t i = 0; filter_keywords[i]; i++) {
        char bold[64];
        snprintf(bold, sizeof(bold), "\\fB%s\\fR", filter_keywords[i]);
        char line[64];
        snprintf(line, sizeof(line), "%s", filter_keywords[i]);
        if (!strstr(text, bold) && !strstr(text, line))
            fail_msg("the manual does not have %s", filter_keywords[i]);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_of_fields),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
