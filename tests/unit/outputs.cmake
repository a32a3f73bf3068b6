xtcp_unit_test(outputs_test SOURCES outputs_test.c LIBS xtcp_outputs)
xtcp_unit_test(outputs_values_test SOURCES outputs_values_test.c record_random.c LIBS xtcp_outputs)
xtcp_unit_test(outputs_manual_test SOURCES outputs_manual_test.c LIBS xtcp_config)

# The text forms against Python's reading of the same records (Debian's python3-protobuf).
add_executable(outputs_dump outputs_dump.c)
target_link_libraries(outputs_dump PRIVATE xtcp_flags xtcp_outputs)
set_target_properties(outputs_dump PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME outputs_json
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/outputs_json.py $<TARGET_FILE:outputs_dump>
            ${CMAKE_BINARY_DIR}/proto/xtcp2.protoset ${CMAKE_SOURCE_DIR}/tests/data/golden)
set_tests_properties(outputs_json PROPERTIES LABELS unit TIMEOUT 120)

# Sinks that write files, with a system that fails on demand.
foreach(part file rotate standard)
    xtcp_unit_test(outputs_${part}_test SOURCES outputs_${part}_test.c sink_fixture.c LIBS xtcp_outputs_run)
    target_link_options(outputs_${part}_test PRIVATE
        LINKER:--wrap=open,--wrap=write,--wrap=ftruncate,--wrap=fdatasync,--wrap=renameat2,--wrap=clock_wall_ns)
endforeach()

# The spool, and the queue in memory.
xtcp_unit_test(outputs_spool_test SOURCES outputs_spool_test.c outputs_spool_fixture.c LIBS xtcp_outputs_run)
target_link_options(outputs_spool_test PRIVATE LINKER:--wrap=fdatasync,--wrap=pread,--wrap=pwritev)
xtcp_unit_test(outputs_spool_damage_test SOURCES outputs_spool_damage_test.c outputs_spool_fixture.c LIBS xtcp_outputs_run)
xtcp_unit_test(outputs_queue_test SOURCES outputs_queue_test.c LIBS xtcp_outputs_run)

# Rows to messages, and the output around a sink that does what the test says.
xtcp_unit_test(outputs_packer_test SOURCES outputs_packer_test.c outputs_rows.c LIBS xtcp_outputs_run)
target_link_options(outputs_packer_test PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc)
foreach(part output output_spool output_threads)
    xtcp_unit_test(outputs_${part}_test SOURCES outputs_${part}_test.c outputs_output_fixture.c outputs_rows.c LIBS xtcp_outputs_run)
    target_link_options(outputs_${part}_test PRIVATE LINKER:--wrap=sink_find,--wrap=backoff_next)
endforeach()
target_link_options(outputs_output_spool_test PRIVATE LINKER:--wrap=spool_put,--wrap=spool_first)

# Sinks against peers on loopback.
foreach(part stream stream_tls datagram)
    xtcp_unit_test(outputs_${part}_test SOURCES outputs_${part}_test.c net_peer.c net_certificate.c LIBS xtcp_outputs_run)
endforeach()
target_link_options(outputs_stream_test PRIVATE LINKER:--wrap=getaddrinfo,--wrap=socket,--wrap=connect)
foreach(kind nsq valkey)
    if(TARGET xtcp_sink_${kind})
        xtcp_unit_test(outputs_${kind}_test SOURCES outputs_${kind}_test.c net_peer.c net_certificate.c
            LIBS xtcp_sink_${kind} xtcp_outputs)
    endif()
endforeach()
if(TARGET outputs_valkey_test) # with the server that tools/deps.sh has unpacked
    set(redis ${CMAKE_SOURCE_DIR}/.deps/redis)
    set_tests_properties(outputs_valkey_test PROPERTIES ENVIRONMENT
        "XTCP_REDIS_SERVER=${redis}/usr/bin/redis-server;LD_LIBRARY_PATH=${redis}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

# ThreadSanitizer does not know of threads that are made by C11's thrd_create, as librdkafka does.
if(TARGET xtcp_sink_kafka AND NOT XTCP_SANITIZE STREQUAL "thread")
    xtcp_unit_test(outputs_kafka_test SOURCES outputs_kafka_test.c outputs_kafka_broker.c LIBS xtcp_sink_kafka xtcp_outputs)
    target_link_options(outputs_kafka_test PRIVATE LINKER:--wrap=rd_kafka_new,--wrap=rd_kafka_destroy,--wrap=clock_mono_ns)
endif()

if(TARGET xtcp_sink_http)
    xtcp_unit_test(outputs_http_test SOURCES outputs_http_test.c http_peer.c net_peer.c net_certificate.c
        LIBS xtcp_sink_http xtcp_outputs ssl crypto)
endif()
