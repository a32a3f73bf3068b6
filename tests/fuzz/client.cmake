xtcp_fuzz_target(fuzz_client_stream SOURCES fuzz_client_stream.c LIBS xtcp_client)
xtcp_fuzz_target(fuzz_client_yaml SOURCES fuzz_client_yaml.c LIBS xtcp_client)
xtcp_fuzz_target(fuzz_client_target SOURCES fuzz_client_target.c LIBS xtcp_client)
xtcp_fuzz_target(fuzz_client_top SOURCES fuzz_client_top.c LIBS xtcp_client)
xtcp_fuzz_target(fuzz_client_connection_join SOURCES fuzz_client_connection_join.c LIBS xtcp_client)
xtcp_fuzz_target(fuzz_client_edit SOURCES fuzz_client_edit.c LIBS xtcp_rpc_codec_client)
# It plays the network and the clock itself.
xtcp_fuzz_target(fuzz_client_stream_engine SOURCES fuzz_client_stream_engine.c LIBS xtcp_client)
foreach(played clock_mono_ns arc4random rpc_many_new rpc_many_free rpc_many_next rpc_many_stream_open rpc_many_stream_send rpc_many_stream_connected
        rpc_many_stream_close rpc_client_probe stop_call stop_reason)
    target_link_options(fuzz_client_stream_engine PRIVATE -Wl,--wrap=${played})
endforeach()
