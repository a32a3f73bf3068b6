xtcp_unit_test(collectors_test SOURCES collectors_test.c collectors_fixture.c test_net.c LIBS xtcp_collectors)
xtcp_unit_test(collectors_share_test SOURCES collectors_share_test.c collectors_fixture.c test_net.c
               LIBS xtcp_collectors -Wl,--wrap=thread_start)
xtcp_unit_test(collectors_idle_check_test SOURCES collectors_idle_check_test.c collectors_fixture.c test_net.c
               LIBS xtcp_collectors)
xtcp_unit_test(collectors_filter_test SOURCES collectors_filter_test.c test_net.c LIBS xtcp_collectors)
