foreach(part stream focus config_table config_set config_requests options json control output reflection)
    xtcp_unit_test(rpc_${part}_test SOURCES rpc_${part}_test.c LIBS xtcp_rpc_codec_client)
endforeach()
xtcp_unit_test(rpc_config_outputs_test SOURCES rpc_config_outputs_test.c LIBS xtcp_rpc_codec_client)
target_link_options(rpc_config_outputs_test PRIVATE
    LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
xtcp_unit_test(rpc_h2_meter_test SOURCES rpc_h2_meter_test.c LIBS xtcp_rpc)
# Once as gRPC reads by the C library, once as it reads through the guard.
xtcp_unit_test(rpc_guard_test SOURCES rpc_guard_test.c LIBS xtcp_rpc)
xtcp_unit_test(rpc_guard_hooked_test SOURCES rpc_guard_test.c $<TARGET_OBJECTS:xtcp_rpc_hook> LIBS xtcp_rpc)
target_compile_definitions(rpc_guard_hooked_test PRIVATE XTCP_HOOKED=1)
xtcp_unit_test(rpc_inflate_test SOURCES rpc_inflate_test.c LIBS xtcp_rpc)
xtcp_unit_test(rpc_client_test SOURCES rpc_client_test.c LIBS xtcp_rpc)
xtcp_unit_test(rpc_server_test SOURCES rpc_server_test.c LIBS xtcp_rpc)
target_link_options(rpc_server_test PRIVATE -Wl,--wrap=calloc)
xtcp_unit_test(rpc_listen_socket_test SOURCES rpc_listen_socket_test.c LIBS xtcp_rpc)
target_link_options(rpc_listen_socket_test PRIVATE LINKER:--wrap=bind)

# Our protojson against that of Debian's python3-protobuf.
add_executable(rpc_json_pipe rpc_json_pipe.c)
target_link_libraries(rpc_json_pipe PRIVATE xtcp_rpc_codec_client)
set_target_properties(rpc_json_pipe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME rpc_json_python
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/rpc_json_python.py ${CMAKE_BINARY_DIR}/proto/xtcp2.protoset
            $<TARGET_FILE:rpc_json_pipe>)
set_tests_properties(rpc_json_python PROPERTIES LABELS unit TIMEOUT 120)
xtcp_unit_test(rpc_draft_test SOURCES rpc_draft_test.c LIBS xtcp_rpc_codec_client)
xtcp_unit_test(rpc_prctl_test SOURCES rpc_prctl_test.c LIBS xtcp_rpc_prctl)
