foreach(part args environment listen memory options sample snapshot yaml)
    xtcp_unit_test(config_${part}_test SOURCES config_${part}_test.c LIBS xtcp_config)
endforeach()
target_link_options(config_memory_test PRIVATE
    LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
