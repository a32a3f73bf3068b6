xtcp_unit_test(collectors_diag_test SOURCES collectors_diag_test.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_dump_test SOURCES collectors_dump_test.c collectors_net.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_exact_test SOURCES collectors_exact_test.c collectors_net.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_test SOURCES collectors_test.c collectors_fixture.c collectors_net.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_share_test SOURCES collectors_share_test.c collectors_fixture.c collectors_net.c
               LIBS xtcp_collectors -Wl,--wrap=thread_start)
xtcp_unit_test(collectors_gate_test SOURCES collectors_gate_test.c collectors_fixture.c collectors_net.c
               LIBS xtcp_collectors)
xtcp_unit_test(collectors_filter_test SOURCES collectors_filter_test.c collectors_net.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_capture_test SOURCES collectors_capture_test.c
               LIBS xtcp_collectors -Wl,--wrap=close)
xtcp_unit_test(collectors_device_test SOURCES collectors_device_test.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_replay_test SOURCES collectors_replay_test.c LIBS xtcp_collectors)
if(TARGET xtcp_proto_upb)
    xtcp_unit_test(collectors_encode_test SOURCES collectors_encode_test.c
        LIBS xtcp_collectors xtcp_record xtcp_proto_c xtcp_proto_upb)
endif()
