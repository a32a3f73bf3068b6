foreach(part stream config_table config_set config_requests json control reflection)
    xtcp_unit_test(rpc_${part}_test SOURCES rpc_${part}_test.c LIBS xtcp_rpc_msg)
endforeach()
