foreach(part set request reply focus json draft)
    xtcp_fuzz_target(fuzz_rpc_${part} SOURCES fuzz_rpc_${part}.c LIBS xtcp_rpc_msg)
endforeach()
xtcp_fuzz_target(fuzz_rpc_guard SOURCES fuzz_rpc_guard.c LIBS xtcp_rpc)
