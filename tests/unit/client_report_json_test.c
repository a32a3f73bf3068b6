/* The two spellings of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/show/report_json.h"

static void write_sample(struct buf *b, bool canonical, bool empty)
{
    struct json j = {.out = b, .canonical = canonical};
    const char *const names[] = {"a", "b\"c"};
    json_object(&j, NULL);
    json_string(&j, "last_error", empty ? NULL : "x\ny");
    json_u64(&j, "poll_id", empty ? 0 : UINT64_MAX);
    json_u32(&j, "namespaces_failed", empty ? 0 : UINT32_MAX);
    json_i32(&j, "code", empty ? 0 : -1);
    json_enum(&j, "kind", "NAMESPACE_KIND_", empty ? "unknown" : "own", empty ? 0 : 1);
    json_enum(&j, "state", "NAMESPACE_STATE_", "unknown", empty ? 0 : 99);
    json_time(&j, "last_poll_ns", empty ? 0 : 1700000000123456789);
    json_strings(&j, "names", names, empty ? 0 : 2);
    json_object(&j, "inner");
    json_object_end(&j);
    json_object_end(&j);
}

static void check(bool canonical, bool empty, const char *want)
{
    struct buf b;
    buf_init(&b);
    write_sample(&b, canonical, empty);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void test_jsonl(void **state)
{
    (void)state;
    check(false, false,
          "{\"last_error\":\"x\\ny\",\"poll_id\":18446744073709551615,\"namespaces_failed\":4294967295,"
          "\"code\":-1,"
          "\"kind\":\"own\",\"state\":\"unknown\",\"last_poll_ns\":1700000000123456789,"
          "\"last_poll\":\"2023-11-14T22:13:20.123456789Z\",\"names\":[\"a\",\"b\\\"c\"],\"inner\":{}}");
    check(false, true,
          "{\"last_error\":\"\",\"poll_id\":0,\"namespaces_failed\":0,\"code\":0,\"kind\":\"unknown\","
          "\"state\":\"unknown\",\"last_poll_ns\":0,\"names\":[],\"inner\":{}}");
}

static void test_protojson(void **state)
{
    (void)state;
    check(true, false,
          "{\"lastError\":\"x\\ny\",\"pollId\":\"18446744073709551615\",\"namespacesFailed\":4294967295,"
          "\"code\":-1,"
          "\"kind\":\"NAMESPACE_KIND_OWN\",\"state\":99,\"lastPollNs\":\"1700000000123456789\","
          "\"names\":[\"a\",\"b\\\"c\"],\"inner\":{}}");
    check(true, true, "{\"inner\":{}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_protojson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
