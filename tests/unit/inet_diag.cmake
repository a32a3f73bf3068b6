xtcp_unit_test(inet_diag_parse_test SOURCES inet_diag_parse_test.c LIBS xtcp_inet_diag)
xtcp_unit_test(inet_diag_dump_test SOURCES inet_diag_dump_test.c test_net.c LIBS xtcp_inet_diag)
xtcp_unit_test(inet_diag_lookup_test SOURCES inet_diag_lookup_test.c test_net.c LIBS xtcp_inet_diag)
xtcp_unit_test(inet_diag_capture_test SOURCES inet_diag_capture_test.c
               LIBS xtcp_inet_diag -Wl,--wrap=close)
xtcp_unit_test(inet_diag_device_test SOURCES inet_diag_device_test.c LIBS xtcp_inet_diag)
xtcp_unit_test(inet_diag_replay_test SOURCES inet_diag_replay_test.c LIBS xtcp_inet_diag)
if(TARGET xtcp_proto_upb)
    xtcp_unit_test(inet_diag_encode_test SOURCES inet_diag_encode_test.c
        LIBS xtcp_inet_diag xtcp_record xtcp_proto_c xtcp_proto_upb)
endif()
