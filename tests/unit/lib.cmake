foreach(part buf data err log netns_pattern quota time)
    xtcp_unit_test(lib_${part}_test SOURCES lib_${part}_test.c LIBS xtcp_lib)
endforeach()
