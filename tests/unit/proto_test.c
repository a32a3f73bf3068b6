/*
 * The two runtimes of the generated code, protobuf-c and upb, agree on the bytes, and the descriptors that
 * reflection serves are all there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <upb/def.h>
#include <upb/upb.h>

#include <google/protobuf/duration.upb.h>
#include <grpc/health/v1/health.upb.h>
#include <grpc/health/v1/health.upbdefs.h>
#include <grpc/reflection/v1/reflection.upb.h>
#include <grpc/reflection/v1/reflection.upbdefs.h>
#include <grpc/reflection/v1alpha/reflection.upb.h>
#include <grpc/reflection/v1alpha/reflection.upbdefs.h>

#include "xtcp_config/v1/xtcp_config.pb-c.h"
#include "xtcp_config/v1/xtcp_config.upb.h"
#include "xtcp_config/v1/xtcp_config.upbdefs.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.upb.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.upbdefs.h"
#include "xtcp_focus/v1/xtcp_focus.upbdefs.h"
#include "xtcp_namespace/v1/xtcp_namespace.upb.h"
#include "xtcp_namespace/v1/xtcp_namespace.upbdefs.h"
#include "xtcp_output/v1/xtcp_output.upbdefs.h"
#include "xtcp_status/v1/xtcp_status.upb.h"
#include "xtcp_status/v1/xtcp_status.upbdefs.h"

static void record_of_upb_is_read_by_protobuf_c(void **state)
{
    (void)state;
    upb_Arena *arena = upb_Arena_New();
    xtcp_flat_record_v1_Envelope *envelope = xtcp_flat_record_v1_Envelope_new(arena);
    xtcp_flat_record_v1_XtcpFlatRecord *row = xtcp_flat_record_v1_Envelope_add_row(envelope, arena);
    xtcp_flat_record_v1_XtcpFlatRecord_set_netns(row, upb_StringView_FromString("blue"));
    xtcp_flat_record_v1_XtcpFlatRecord_set_tcp_info_rtt(row, 4711);
    xtcp_flat_record_v1_XtcpFlatRecord_set_netns_cookie(row, UINT64_MAX);
    xtcp_flat_record_v1_XtcpFlatRecord_set_congestion_algorithm_enum(
        row, xtcp_flat_record_v1_XtcpFlatRecord_CONGESTION_ALGORITHM_BBR1);

    size_t size = 0;
    char *bytes = xtcp_flat_record_v1_Envelope_serialize(envelope, arena, &size);
    assert_non_null(bytes);
    XtcpFlatRecord__V1__Envelope *read = xtcp_flat_record__v1__envelope__unpack(NULL, size, (uint8_t *)bytes);
    assert_non_null(read);
    assert_int_equal(read->n_row, 1);
    assert_string_equal(read->row[0]->netns, "blue");
    assert_int_equal(read->row[0]->tcp_info_rtt, 4711);
    assert_true(read->row[0]->netns_cookie == UINT64_MAX);
    assert_int_equal(read->row[0]->congestion_algorithm_enum,
                     XTCP_FLAT_RECORD__V1__XTCP_FLAT_RECORD__CONGESTION_ALGORITHM__CONGESTION_ALGORITHM_BBR1);
    xtcp_flat_record__v1__envelope__free_unpacked(read, NULL);
    upb_Arena_Free(arena);
}

static void config_of_protobuf_c_is_read_by_upb(void **state)
{
    (void)state;
    Google__Protobuf__Duration frequency = GOOGLE__PROTOBUF__DURATION__INIT;
    frequency.seconds = 5;
    XtcpConfig__V1__Namespaces namespaces = XTCP_CONFIG__V1__NAMESPACES__INIT;
    Google__Protobuf__Duration never = GOOGLE__PROTOBUF__DURATION__INIT;
    namespaces.proc_scan_interval = &never;
    XtcpConfig__V1__DaemonOptions options = XTCP_CONFIG__V1__DAEMON_OPTIONS__INIT;
    options.namespaces = &namespaces;
    XtcpConfig__V1__XtcpConfig config = XTCP_CONFIG__V1__XTCP_CONFIG__INIT;
    config.poll_frequency = &frequency;
    config.options = &options;

    size_t size = xtcp_config__v1__xtcp_config__get_packed_size(&config);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    xtcp_config__v1__xtcp_config__pack(&config, bytes);
    upb_Arena *arena = upb_Arena_New();
    xtcp_config_v1_XtcpConfig *read = xtcp_config_v1_XtcpConfig_parse((char *)bytes, size, arena);
    assert_non_null(read);
    assert_int_equal(google_protobuf_Duration_seconds(xtcp_config_v1_XtcpConfig_poll_frequency(read)), 5);
    const xtcp_config_v1_DaemonOptions *topics = xtcp_config_v1_XtcpConfig_options(read);
    assert_false(xtcp_config_v1_DaemonOptions_has_listeners(topics));
    /* A message of its own tells zero from "not said". */
    const xtcp_config_v1_Namespaces *topic = xtcp_config_v1_DaemonOptions_namespaces(topics);
    assert_true(xtcp_config_v1_Namespaces_has_proc_scan_interval(topic));
    assert_false(xtcp_config_v1_Namespaces_has_directories(topic));
    upb_Arena_Free(arena);
    free(bytes);
}

static void every_service_has_its_descriptor(void **state)
{
    (void)state;
    static const char *const services[] = {
        "xtcp_flat_record.v1.XTCPFlatRecordService",
        "xtcp_config.v1.ConfigService",
        "xtcp_namespace.v1.NamespaceService",
        "xtcp_output.v1.OutputService",
        "xtcp_status.v1.StatusService",
        "xtcp_focus.v1.FocusService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    upb_DefPool *pool = upb_DefPool_New();
    assert_non_null(xtcp_flat_record_v1_XtcpFlatRecord_getmsgdef(pool));
    assert_non_null(xtcp_config_v1_XtcpConfig_getmsgdef(pool));
    assert_non_null(xtcp_namespace_v1_Namespace_getmsgdef(pool));
    assert_non_null(xtcp_output_v1_OutputStatus_getmsgdef(pool));
    assert_non_null(xtcp_status_v1_GetResponse_getmsgdef(pool));
    assert_non_null(xtcp_focus_v1_WatchRequest_getmsgdef(pool));
    assert_non_null(grpc_health_v1_HealthCheckRequest_getmsgdef(pool));
    assert_non_null(grpc_reflection_v1_ServerReflectionRequest_getmsgdef(pool));
    assert_non_null(grpc_reflection_v1alpha_ServerReflectionRequest_getmsgdef(pool));
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        assert_non_null(upb_DefPool_FindServiceByName(pool, services[i]));
    upb_DefPool_Free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_of_upb_is_read_by_protobuf_c),
        cmocka_unit_test(config_of_protobuf_c_is_read_by_upb),
        cmocka_unit_test(every_service_has_its_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
