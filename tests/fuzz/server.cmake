xtcp_fuzz_target(fuzz_token_table SOURCES fuzz_token_table.c LIBS xtcp_server)
xtcp_fuzz_target(fuzz_selection SOURCES fuzz_selection.c LIBS xtcp_server)
xtcp_fuzz_target(fuzz_access SOURCES fuzz_access.c LIBS xtcp_server)
