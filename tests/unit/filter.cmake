xtcp_unit_test(filter_parse_test SOURCES filter_parse_test.c LIBS xtcp_filter)
xtcp_unit_test(filter_table_test SOURCES filter_table_test.c LIBS xtcp_filter)
xtcp_unit_test(filter_kernel_test SOURCES filter_kernel_test.c filter_model.c LIBS xtcp_filter)
xtcp_unit_test(filter_memory_test SOURCES filter_memory_test.c LIBS xtcp_filter)
target_link_options(filter_memory_test PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup)
if(TARGET xtcp_filter_c)
    xtcp_unit_test(filter_match_test SOURCES filter_match_test.c filter_model.c LIBS xtcp_filter_c)
endif()
xtcp_unit_test(filter_manual_test SOURCES filter_manual_test.c LIBS xtcp_filter)

# The manual page is valid roff, where groff is installed.
find_program(XTCP_GROFF groff)
if(XTCP_GROFF)
    add_test(NAME manual_xtcp2-filter.7
        COMMAND ${XTCP_GROFF} -man -ww -z -Tutf8 ${CMAKE_SOURCE_DIR}/man/xtcp2-filter.7)
    set_tests_properties(manual_xtcp2-filter.7 PROPERTIES LABELS unit FAIL_REGULAR_EXPRESSION ".")
endif()
