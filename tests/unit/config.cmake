foreach(part args environment listen manual memory migrating_manual options outputs sample snapshot state yaml)
    xtcp_unit_test(config_${part}_test SOURCES config_${part}_test.c LIBS xtcp_config)
endforeach()
target_link_options(config_memory_test PRIVATE
    LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)

# The manual pages are valid roff, where groff is installed.
find_program(XTCP_GROFF groff)
if(XTCP_GROFF)
    foreach(page xtcp2.8 xtcp2.yaml.5)
        add_test(NAME manual_${page} COMMAND ${XTCP_GROFF} -man -ww -z -Tutf8 ${CMAKE_SOURCE_DIR}/man/${page})
        set_tests_properties(manual_${page} PROPERTIES LABELS unit FAIL_REGULAR_EXPRESSION ".")
    endforeach()
endif()
