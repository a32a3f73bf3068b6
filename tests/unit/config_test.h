/* Shared by the tests of config/. */
#ifndef XTCP_TESTS_CONFIG_TEST_H
#define XTCP_TESTS_CONFIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"
#include "config/config.h"

static inline struct config *test_defaults(void)
{
    struct config *c = NULL;
    assert_int_equal(config_defaults(&c), 0);
    return c;
}

static inline const struct config_option *test_option(const char *name)
{
    const struct config_option *o = config_option_find(name);
    assert_non_null(o);
    return o;
}

/* The value of option |name| in |c| as text, in a buffer that the next call reuses. */
static inline const char *test_value(const struct config *c, const char *name)
{
    static char storage[8192];
    struct buf out;
    buf_init_fixed(&out, storage, sizeof(storage));
    config_option_print(test_option(name), c, &out);
    assert_false(out.failed);
    return buf_cstr(&out);
}

/* The contents of a file of the source tree; free it. */
static inline char *test_read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 1 << 20);
    assert_non_null(data);
    size_t n = fread(data, 1, (1 << 20) - 1, f);
    data[n] = '\0';
    fclose(f);
    return data;
}

#endif
