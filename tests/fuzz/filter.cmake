xtcp_fuzz_target(fuzz_filter SOURCES fuzz_filter.c ${CMAKE_SOURCE_DIR}/tests/unit/filter_model.c LIBS xtcp_filter)
