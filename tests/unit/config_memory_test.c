/* Out of memory at every single allocation: an error that says so, nothing leaked (the sanitizer watches),
 * nothing half done. The linker puts the functions below in place of the allocator's (--wrap). */
#include "config_test.h"

#include <errno.h>

#include "config/output.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

static long allowed = -1; /* allocations until all fail; negative: none does */
static bool failed;       /* one has */

static bool fails(void)
{
    if (allowed != 0) {
        allowed -= allowed > 0;
        return false;
    }
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

/* Everything that allocates, once. Returns 0, or the first error. */
static int whole_life(struct err *e)
{
    static const char text[] =
        "label: x\ngrpc_listen: ['unix:/a', 'unix:/b']\nenabled_deserializers: [info]\ndest: kafka:h\n"
        "outputs: [{name: a, to: 'http://u:p@h/', columns: [netns], filter: 'rtt > 1ms', options: {timeout: 1s, "
        "headers: 'A: b'}}, {name: b, to: null}]\n";
    static const char hidden[] = "[{name: a, to: 'http://u:***@h/', options: {headers: '***'}}]";
    char *argv[] = {(char *)(uintptr_t) "p", (char *)(uintptr_t) "--tag=t",
                    (char *)(uintptr_t) "--netns-dirs=/a,/b", (char *)(uintptr_t) "--netns-dirs=/c", NULL};
    char *environment[] = {(char *)(uintptr_t) "XTCP2_LOCATION=here", NULL};
    static const char *const dirs[] = {"/x", "/y"};
    struct config *built = NULL;
    struct config *copy = NULL;
    struct config_builder *b = config_builder_new();
    int rc = b ? 0 : err_set(e, -ENOMEM, "out of memory");
    if (!rc)
        rc = config_parse_yaml(b, text, sizeof(text) - 1, "f", e);
    if (!rc)
        rc = config_parse_args(b, &(struct config_sources){4, argv, environment, false}, NULL, 0, e);
    if (!rc)
        rc = config_build(b, &built, e);
    if (!rc) {
        copy = config_copy(built);
        rc = copy ? 0 : err_set(e, -ENOMEM, "out of memory");
    }
    if (!rc && (config_set_strings(copy, &copy->netns_dirs, dirs, 2) ||
                config_set_string(copy, &copy->hostname, "") || config_normalise(copy)))
        rc = err_set(e, -ENOMEM, "out of memory");
    if (!rc)
        rc = config_validate(copy, e);
    if (!rc)
        rc = config_set_text(copy, test_option("outputs"), hidden, e);
    if (!rc)
        rc = outputs_unhide(&copy->outputs, &built->outputs, e);
    config_unref(copy);
    config_unref(built);
    config_builder_free(b);
    return rc;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    long n = 0;
    for (;; n++) {
        struct err e = {0};
        allowed = n;
        int rc = whole_life(&e);
        allowed = -1;
        if (!failed) {
            assert_int_equal(rc, 0);
            break;
        }
        failed = false;
        assert_int_equal(rc, -ENOMEM);
        assert_int_equal(e.code, -ENOMEM);
        assert_non_null(strstr(e.text, "out of memory"));
    }
    assert_true(n > 50);
}

static void test_a_failed_change_changes_nothing(void **state)
{
    (void)state;
    struct config *c = test_defaults();
    struct config *before = config_copy(c);
    static const char *const dirs[] = {"/x", "/y"};
    for (long n = 0; n < 4; n++) {
        allowed = n;
        assert_int_equal(config_set_strings(c, &c->netns_dirs, dirs, 2), -ENOMEM);
        allowed = -1;
        assert_int_equal(config_diff(c, before, NULL, 0), 0);
    }
    struct err e = {0};
    allowed = 0;
    assert_int_equal(config_set_text(c, test_option("label"), "x", &e), -ENOMEM);
    allowed = -1;
    assert_string_equal(e.text, "label: out of memory");
    assert_string_equal(c->label, "");
    allowed = 0;
    struct buf out;
    buf_init(&out);
    config_dump_yaml(c, &out);
    allowed = -1;
    assert_true(out.failed);
    buf_free(&out);
    config_unref(c);
    config_unref(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_failed_change_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
