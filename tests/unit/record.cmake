if(TARGET xtcp_proto_c)
    xtcp_unit_test(record_diff_test SOURCES record_diff_test.c record_model.c LIBS xtcp_record xtcp_proto_c)
endif()
