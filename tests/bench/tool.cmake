# The suite: what `make bench` runs. bench.py measures; bench_tool makes sockets, bare loops and readers for it.
add_executable(bench_tool tool/main.c tool/sockets.c tool/bare.c tool/stages.c tool/control.c
    tool/readers.c tool/watch.c)
target_link_libraries(bench_tool PRIVATE xtcp_flags xtcp_collectors xtcp_rpc_codec xtcp_rpc_client)
set_target_properties(bench_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

set(bench_command
    /usr/bin/python3 -B ${CMAKE_CURRENT_SOURCE_DIR}/bench.py --daemon $<TARGET_FILE:xtcp2> --tool $<TARGET_FILE:bench_tool>)

add_custom_target(bench
    COMMAND ${bench_command} --json ${CMAKE_BINARY_DIR}/bench.json
    DEPENDS xtcp2 bench_tool
    USES_TERMINAL
    VERBATIM)

# The same with little of everything and without bounds: that every figure comes about.
add_test(NAME bench_suite COMMAND ${bench_command} --set smoke --json ${CMAKE_BINARY_DIR}/bench-smoke.json --check)
set_tests_properties(bench_suite PROPERTIES LABELS bench-smoke TIMEOUT 120 SKIP_RETURN_CODE 77 RUN_SERIAL ON)
