xtcp_unit_test(server_peer_rate_test SOURCES server_peer_rate_test.c LIBS xtcp_server)
xtcp_unit_test(server_listeners_test SOURCES server_listeners_test.c LIBS xtcp_server)
xtcp_unit_test(server_access_test SOURCES server_access_test.c LIBS xtcp_server)
xtcp_unit_test(server_tokens_test SOURCES server_tokens_test.c LIBS xtcp_server)
xtcp_unit_test(server_schedule_test SOURCES server_schedule_test.c LIBS xtcp_server)
# It plays the collectors itself: those of the library are then not linked.
xtcp_unit_test(server_inventory_test SOURCES server_inventory_test.c LIBS xtcp_server)
# The fake rpc stands before the library, whose own calls are then not linked.
xtcp_unit_test(server_hub_test SOURCES server_hub_test.c server_fake_rpc.c LIBS xtcp_server)
xtcp_unit_test(server_plan_test SOURCES server_plan_test.c server_fake_rpc.c LIBS xtcp_server)
add_test(NAME server_command
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/server_command.py $<TARGET_FILE:xtcp2> ${CMAKE_SOURCE_DIR})
set_tests_properties(server_command PROPERTIES LABELS unit TIMEOUT 300)
xtcp_unit_test(server_change_log_test SOURCES server_change_log_test.c LIBS xtcp_server)
xtcp_unit_test(server_live_config_test SOURCES server_live_config_test.c LIBS xtcp_server)
target_link_options(server_live_config_test PRIVATE LINKER:--wrap=config_write_state)
xtcp_unit_test(server_sandbox_test SOURCES server_sandbox_test.c LIBS xtcp_server)
xtcp_unit_test(server_selection_test SOURCES server_selection_test.c LIBS xtcp_server)
xtcp_unit_test(server_file_watch_test SOURCES server_file_watch_test.c LIBS xtcp_server)
xtcp_unit_test(server_watchdog_test SOURCES server_watchdog_test.c LIBS xtcp_server)
xtcp_unit_test(server_outbox_test SOURCES server_outbox_test.c LIBS xtcp_server)
# The fake rpc says who calls.
xtcp_unit_test(server_outputs_power_test SOURCES server_outputs_power_test.c server_fake_rpc.c LIBS xtcp_server)
# It plays the outputs itself: those of the library are then not linked.
xtcp_unit_test(server_output_news_test SOURCES server_output_news_test.c LIBS xtcp_server)
xtcp_unit_test(server_focus_test SOURCES server_focus_test.c server_fake_rpc.c LIBS xtcp_server)
xtcp_unit_test(server_address_owner_test SOURCES server_address_owner_test.c LIBS xtcp_server)
