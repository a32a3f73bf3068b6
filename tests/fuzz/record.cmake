if(TARGET xtcp_record_c)
    xtcp_fuzz_target(fuzz_record SOURCES fuzz_record.c LIBS xtcp_record_c)
endif()
