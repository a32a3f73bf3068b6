if(TARGET xtcp_record_c)
    xtcp_fuzz_target(fuzz_record SOURCES fuzz_record.c LIBS xtcp_record_c)
endif()
xtcp_fuzz_target(fuzz_mask SOURCES fuzz_mask.c LIBS xtcp_record)
