xtcp_fuzz_target(fuzz_tokens SOURCES fuzz_tokens.c LIBS xtcp_server)
xtcp_fuzz_target(fuzz_selection SOURCES fuzz_selection.c LIBS xtcp_server)
xtcp_fuzz_target(fuzz_access SOURCES fuzz_access.c LIBS xtcp_server)
