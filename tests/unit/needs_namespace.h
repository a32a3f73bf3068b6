/* Tests that need network namespaces of their own, which only root may make. */
#ifndef XTCP_TESTS_NEEDS_NAMESPACE_H
#define XTCP_TESTS_NEEDS_NAMESPACE_H

/* cmocka.h and its headers come before this one. */
#include "lib/err.h"

/* Skips the test when making them failed: |rc| is -errno then, else 0. */
#define NEEDS_NAMESPACE(rc)                                                                                  \
    do {                                                                                                     \
        if (rc) {                                                                                            \
            print_message("skipped: no namespaces of our own: %s\n", err_name(rc));                          \
            skip();                                                                                          \
        }                                                                                                    \
    } while (0)

#endif
