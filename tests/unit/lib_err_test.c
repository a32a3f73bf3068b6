/* Errors and their sentences. */
#include "lib_test.h"

#include "lib/err.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(err_name(0), "success");
    assert_string_equal(err_name(-ENOENT), "No such file or directory");
    assert_string_equal(err_name(ERR_RANGE), "value out of range");
    assert_string_equal(err_name(ERR_UNAUTHENTICATED - 1), "unknown error");
    assert_string_equal(err_name(5), "unknown error");
    for (int code = ERR_MALFORMED; code >= ERR_UNAUTHENTICATED; code--) {
        assert_string_not_equal(err_name(code), "unknown error");
        for (int other = ERR_MALFORMED; other > code; other--)
            assert_string_not_equal(err_name(code), err_name(other));
    }
}

static void test_set_and_prefix(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(&e, ERR_RANGE, "value \"%d\" is out of range", 7), ERR_RANGE);
    assert_int_equal(e.code, ERR_RANGE);
    assert_int_equal(err_prefix(&e, "%s", "poll_timeout"), ERR_RANGE);
    assert_int_equal(err_prefix(&e, "file:%d", 3), ERR_RANGE);
    assert_string_equal(e.text, "file:3: poll_timeout: value \"7\" is out of range");
    assert_int_equal(err_set(NULL, -ENOMEM, "%s", "nobody reads this"), -ENOMEM);
    assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct err e = {0};
    err_set(&e, ERR_RANGE, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_set(&e, ERR_RANGE, "end");
    err_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_set(&e, ERR_RANGE, "%.*s", ERR_TEXT_MAX - 1, text);
    err_prefix(&e, "key");
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(e.text, "key: xxx", 8);
}

/* A cut goes between characters: the text may end up in a protobuf string, which must be UTF-8. */
static void test_a_cut_keeps_characters_whole(void **state)
{
    (void)state;
    char text[ERR_TEXT_MAX + 8];
    memset(text, 'x', sizeof(text));
    memcpy(text + ERR_TEXT_MAX - 3, "\xe2\x82\xac", 4); /* the last byte does not fit */
    struct err e = {0};
    err_set(&e, ERR_RANGE, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 3);
    memcpy(text + ERR_TEXT_MAX - 6, "\xe2\x82\xac", 4);
    err_set(&e, ERR_RANGE, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 3);
    err_prefix(&e, "a"); /* pushes the character over the end */
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 3);
    assert_int_equal(e.text[ERR_TEXT_MAX - 4], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_set_and_prefix),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_a_cut_keeps_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
