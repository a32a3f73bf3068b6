xtcp_unit_test(proto_test SOURCES proto_test.c LIBS xtcp_proto)

# The compiled protos and the documentation against the recorded contract. Descriptors are read with Debian's python3-protobuf.
add_test(NAME wire_contract
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/wire_contract.py ${CMAKE_BINARY_DIR}/proto/xtcp2.protoset
            ${CMAKE_SOURCE_DIR}/tests/data/wire ${CMAKE_SOURCE_DIR}/docs/api.md)
set_tests_properties(wire_contract PROPERTIES LABELS unit TIMEOUT 60)
