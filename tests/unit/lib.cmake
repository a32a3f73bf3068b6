foreach(part buf data err file log netns netns_pattern quota time excerpt event_source)
    xtcp_unit_test(lib_${part}_test SOURCES lib_${part}_test.c LIBS xtcp_lib)
endforeach()
target_link_options(lib_file_test PRIVATE LINKER:--wrap=open,--wrap=thread_start)
