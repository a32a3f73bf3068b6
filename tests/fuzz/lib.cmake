xtcp_fuzz_target(fuzz_netns_pattern SOURCES fuzz_netns_pattern.c LIBS xtcp_lib)
xtcp_fuzz_target(fuzz_url SOURCES fuzz_url.c LIBS xtcp_lib)
