xtcp_unit_test(filter_kernel_test SOURCES filter_kernel_test.c filter_model.c LIBS xtcp_filter)
