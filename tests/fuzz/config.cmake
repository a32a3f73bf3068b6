xtcp_fuzz_target(fuzz_config SOURCES fuzz_config.c LIBS xtcp_config)
xtcp_fuzz_target(fuzz_args SOURCES fuzz_args.c LIBS xtcp_config)
xtcp_fuzz_target(fuzz_state SOURCES fuzz_state.c LIBS xtcp_config)
