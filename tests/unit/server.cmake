xtcp_unit_test(server_schedule_test SOURCES server_schedule_test.c LIBS xtcp_server)
# The fake rpc stands before the library, whose own calls are then not linked.
xtcp_unit_test(server_hub_test SOURCES server_hub_test.c server_fake_rpc.c LIBS xtcp_server)
