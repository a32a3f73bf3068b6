xtcp_fuzz_target(fuzz_tokens SOURCES fuzz_tokens.c LIBS xtcp_server)
