xtcp_unit_test(outputs_test SOURCES outputs_test.c LIBS xtcp_outputs)

# The text forms against Python's reading of the same records (Debian's python3-protobuf).
add_executable(outputs_dump outputs_dump.c)
target_link_libraries(outputs_dump PRIVATE xtcp_flags xtcp_outputs)
set_target_properties(outputs_dump PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME outputs_json
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/outputs_json.py $<TARGET_FILE:outputs_dump>
            ${CMAKE_BINARY_DIR}/proto/xtcp2.protoset ${CMAKE_SOURCE_DIR}/tests/data/golden)
set_tests_properties(outputs_json PROPERTIES LABELS unit TIMEOUT 120)
