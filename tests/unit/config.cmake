foreach(part args listen options sample snapshot yaml)
    xtcp_unit_test(config_${part}_test SOURCES config_${part}_test.c LIBS xtcp_config)
endforeach()
