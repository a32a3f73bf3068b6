xtcp_fuzz_target(fuzz_diag SOURCES fuzz_diag.c LIBS xtcp_collectors)
xtcp_fuzz_target(fuzz_pcap SOURCES fuzz_pcap.c LIBS xtcp_collectors)
xtcp_fuzz_target(fuzz_sockstat SOURCES fuzz_sockstat.c LIBS xtcp_collectors)
xtcp_fuzz_target(fuzz_exact SOURCES fuzz_exact.c LIBS xtcp_collectors)
