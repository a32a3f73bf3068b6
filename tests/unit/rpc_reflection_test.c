/* Server reflection. */
#include "rpc_test.h"

#include <google/protobuf/descriptor.upb.h>
#include <grpc/reflection/v1alpha/reflection.upb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <upb/def.h>

#include "rpc/codec/msg_reflection.h"

/* Answers are read with the v1alpha messages, which are those of v1 on the wire. */
#define REPLY(name) grpc_reflection_v1alpha_ServerReflectionResponse_##name

static struct reflection *reflection;

static int set_up(void **state)
{
    (void)state;
    return reflection_new(reflection_services, REFLECTION_SERVICE_COUNT, &reflection, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    reflection_free(reflection);
    return 0;
}

/* The answer to a request whose oneof |field| is |text|. */
static const grpc_reflection_v1alpha_ServerReflectionResponse *ask(upb_Arena *arena, uint32_t field,
                                                                   const char *text)
{
    struct buf request, reply;
    struct err e;
    buf_init(&request);
    buf_init(&reply);
    put_text(&request, 1, "host.example");
    put_text(&request, field, text);
    if (reflection_answer(reflection, request.data, request.len, &reply, &e) != 0)
        fail_msg("%s", e.text);
    const grpc_reflection_v1alpha_ServerReflectionResponse *m = REPLY(parse)(reply.data, reply.len, arena);
    assert_non_null(m);
    assert_int_equal(REPLY(valid_host)(m).size, strlen("host.example"));
    assert_true(REPLY(has_original_request)(m));
    buf_free(&request);
    buf_free(&reply);
    return m;
}

static void assert_error(uint32_t field, const char *text, int code, const char *part)
{
    upb_Arena *arena = upb_Arena_New();
    const grpc_reflection_v1alpha_ServerReflectionResponse *m = ask(arena, field, text);
    assert_true(REPLY(has_error_response)(m));
    const grpc_reflection_v1alpha_ErrorResponse *error = REPLY(error_response)(m);
    assert_int_equal(grpc_reflection_v1alpha_ErrorResponse_error_code(error), code);
    upb_StringView message = grpc_reflection_v1alpha_ErrorResponse_error_message(error);
    if (!memmem(message.data, message.size, part, strlen(part)))
        fail_msg("\"%.*s\" does not say \"%s\"", (int)message.size, message.data, part);
    upb_Arena_Free(arena);
}

static void test_list(void **state)
{
    (void)state;
    upb_Arena *arena = upb_Arena_New();
    const grpc_reflection_v1alpha_ServerReflectionResponse *m = ask(arena, 7, "*");
    assert_true(REPLY(has_list_services_response)(m));
    size_t n;
    const grpc_reflection_v1alpha_ServiceResponse *const *list =
        grpc_reflection_v1alpha_ListServiceResponse_service(REPLY(list_services_response)(m), &n);
    assert_int_equal(n, REFLECTION_SERVICE_COUNT);
    for (size_t i = 0; i < n; i++) {
        upb_StringView name = grpc_reflection_v1alpha_ServiceResponse_name(list[i]);
        assert_int_equal(name.size, strlen(reflection_services[i]));
        assert_memory_equal(name.data, reflection_services[i], name.size);
    }
    upb_Arena_Free(arena);
}

/* The files in an answer must make a pool by themselves, in an order in which dependencies come from the end.
 */
static void assert_complete(uint32_t field, const char *text, const char *file, size_t n_files)
{
    upb_Arena *arena = upb_Arena_New();
    const grpc_reflection_v1alpha_ServerReflectionResponse *m = ask(arena, field, text);
    if (!REPLY(has_file_descriptor_response)(m))
        fail_msg("no file for %s", text);
    size_t n;
    const upb_StringView *files = grpc_reflection_v1alpha_FileDescriptorResponse_file_descriptor_proto(
        REPLY(file_descriptor_response)(m), &n);
    assert_int_equal(n, n_files);
    upb_DefPool *pool = upb_DefPool_New();
    bool first = true;
    /* Add what can be added until all is in. */
    bool *added = calloc(n, sizeof(*added));
    assert_non_null(added);
    for (size_t round = 0; round < n; round++) {
        for (size_t i = 0; i < n; i++) {
            google_protobuf_FileDescriptorProto *proto =
                google_protobuf_FileDescriptorProto_parse(files[i].data, files[i].size, arena);
            assert_non_null(proto);
            upb_StringView name = google_protobuf_FileDescriptorProto_name(proto);
            if (first) {
                assert_int_equal(name.size, strlen(file));
                assert_memory_equal(name.data, file, name.size);
                first = false;
            }
            upb_Status status;
            upb_Status_Clear(&status);
            if (!added[i])
                added[i] = upb_DefPool_AddFile(pool, proto, &status) != NULL;
        }
    }
    for (size_t i = 0; i < n; i++)
        assert_true(added[i]);
    assert_non_null(upb_DefPool_FindFileByName(pool, file));
    free(added);
    upb_DefPool_Free(pool);
    upb_Arena_Free(arena);
}

static void test_files_by_name(void **state)
{
    (void)state;
    assert_complete(3, "google/protobuf/duration.proto", "google/protobuf/duration.proto", 1);
    assert_complete(3, "xtcp_flat_record/v1/xtcp_flat_record.proto",
                    "xtcp_flat_record/v1/xtcp_flat_record.proto", 1);
    assert_complete(3, "xtcp_config/v1/xtcp_config.proto", "xtcp_config/v1/xtcp_config.proto", 2);
    assert_complete(3, "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1/reflection.proto", 1);
    assert_error(3, "nothing.proto", 5, "no such file: nothing.proto");
    assert_error(3, "", 5, "no such file");
}

static void test_files_by_symbol(void **state)
{
    (void)state;
    static const struct {
        const char *symbol, *file;
        size_t n_files;
    } cases[] = {
        {"xtcp_config.v1.ConfigService", "xtcp_config/v1/xtcp_config.proto", 2},
        {"xtcp_config.v1.ConfigService.SetPollFrequency", "xtcp_config/v1/xtcp_config.proto", 2},
        {"xtcp_config.v1.XtcpConfig", "xtcp_config/v1/xtcp_config.proto", 2},
        {".xtcp_config.v1.XtcpConfig", "xtcp_config/v1/xtcp_config.proto", 2},
        {"google.protobuf.Duration", "google/protobuf/duration.proto", 1},
        {"xtcp_flat_record.v1.XtcpFlatRecord", "xtcp_flat_record/v1/xtcp_flat_record.proto", 1},
        {"xtcp_flat_record.v1.XtcpFlatRecord.CongestionAlgorithm",
         "xtcp_flat_record/v1/xtcp_flat_record.proto", 1},
        {"xtcp_flat_record.v1.XTCPFlatRecordService.PollFlatRecords",
         "xtcp_flat_record/v1/xtcp_flat_record.proto", 1},
        {"xtcp_namespace.v1.NamespaceService", "xtcp_namespace/v1/xtcp_namespace.proto", 1},
        {"xtcp_output.v1.OutputService.Pause", "xtcp_output/v1/xtcp_output.proto", 1},
        {"xtcp_status.v1.StatusService.Get", "xtcp_status/v1/xtcp_status.proto", 2},
        {"xtcp_focus.v1.FocusService.Watch", "xtcp_focus/v1/xtcp_focus.proto", 2},
        {"grpc.health.v1.Health.Watch", "grpc/health/v1/health.proto", 1},
        {"grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto", 1},
        {"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
         "grpc/reflection/v1alpha/reflection.proto", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_complete(4, cases[i].symbol, cases[i].file, cases[i].n_files);
    assert_error(4, "xtcp_config.v1.ConfigService.Nothing", 5, "no such symbol");
    assert_error(4, "xtcp_config.v1.Nothing", 5, "no such symbol: xtcp_config.v1.Nothing");
    assert_error(4, "", 5, "no such symbol");
    assert_error(4, ".", 5, "no such symbol");
    assert_error(4, "ConfigService", 5, "no such symbol");
}

static void test_every_listed_service_has_its_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFLECTION_SERVICE_COUNT; i++) {
        upb_Arena *arena = upb_Arena_New();
        assert_true(REPLY(has_file_descriptor_response)(ask(arena, 4, reflection_services[i])));
        upb_Arena_Free(arena);
    }
}

static void test_extensions(void **state)
{
    (void)state;
    assert_error(5, "\x0a\x01x\x10\x05", 5, "no such extension: x");
    assert_error(6, "nothing", 5, "no such message: nothing");
    upb_Arena *arena = upb_Arena_New();
    const grpc_reflection_v1alpha_ServerReflectionResponse *m = ask(arena, 6, "xtcp_config.v1.XtcpConfig");
    assert_true(REPLY(has_all_extension_numbers_response)(m));
    size_t n;
    grpc_reflection_v1alpha_ExtensionNumberResponse_extension_number(REPLY(all_extension_numbers_response)(m),
                                                                     &n);
    assert_int_equal(n, 0);
    upb_Arena_Free(arena);
}

static void test_no_question_and_no_message(void **state)
{
    (void)state;
    struct buf reply;
    struct err e;
    assert_error(100, "of a newer client", 3, "asks for nothing");
    buf_init(&reply);
    assert_int_equal(reflection_answer(reflection, "\x3a\x05", 2, &reply, &e), ERR_MALFORMED);
    assert_says(e, "ServerReflectionRequest");
    assert_int_equal(reflection_answer(reflection, "\x22\x01\xff", 3, &reply, &e), ERR_MALFORMED);
    assert_int_equal(reply.len, 0);
    buf_free(&reply);
}

static void test_unknown_service_is_refused(void **state)
{
    (void)state;
    const char *const services[] = {"xtcp_config.v1.ConfigService", "xtcp_config.v1.Nothing"};
    struct reflection *r;
    struct err e;
    assert_int_equal(reflection_new(services, 2, &r, &e), ERR_UNKNOWN);
    assert_null(r);
    assert_says(e, "xtcp_config.v1.Nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_files_by_name),
        cmocka_unit_test(test_files_by_symbol),
        cmocka_unit_test(test_every_listed_service_has_its_file),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_no_question_and_no_message),
        cmocka_unit_test(test_unknown_service_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
