xtcp_unit_test(model_test SOURCES model_test.c LIBS xtcp_model)
