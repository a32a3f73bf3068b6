xtcp_unit_test(nswatch_text_test SOURCES nswatch_text_test.c LIBS xtcp_nswatch)
xtcp_unit_test(nswatch_registry_test SOURCES nswatch_registry_test.c LIBS xtcp_nswatch)
# With real namespaces, in a mount, network and process namespace of their own; skipped without CAP_SYS_ADMIN.
xtcp_unit_test(nswatch_names_test SOURCES nswatch_names_test.c nswatch_world.c LIBS xtcp_nswatch)
# It measures how soon a namespace is known, and nothing else may run beside it.
set_tests_properties(nswatch_names_test PROPERTIES RUN_SERIAL ON)
xtcp_unit_test(nswatch_dirs_test SOURCES nswatch_dirs_test.c nswatch_world.c LIBS xtcp_nswatch)
xtcp_unit_test(nswatch_processes_test SOURCES nswatch_processes_test.c nswatch_world.c LIBS xtcp_nswatch)
xtcp_unit_test(nswatch_limits_test SOURCES nswatch_limits_test.c nswatch_world.c LIBS xtcp_nswatch)
