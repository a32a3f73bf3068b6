xtcp_fuzz_target(fuzz_envelope SOURCES fuzz_envelope.c LIBS xtcp_outputs)
