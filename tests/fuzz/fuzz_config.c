/* The configuration file: any bytes either give an error with a sentence, or a valid configuration that
 * survives being written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct err *e)
{
    for (const char *p = e->text; *p; p++) {
        if ((unsigned char)*p < 0x20)
            abort();
    }
}

static bool count_error(void *arg, const struct err *e)
{
    check_text(e);
    if (!e->code || strncmp(e->text, "fuzz:", 5) != 0)
        abort();
    ++*(size_t *)arg;
    return true;
}

/* How many errors are told of |data| when all are wanted, with the one that ended the reading. */
static size_t count_errors(const void *data, size_t size)
{
    struct config *c = NULL;
    struct err e = {0};
    size_t n = 0;
    struct config_builder *b = config_builder_new();
    if (!b)
        abort();
    config_builder_tell_all(b, count_error, &n);
    if (config_parse_yaml(b, data, size, "fuzz", &e))
        n++;
    else if ((config_build(b, &c, &e) != 0) != (n != 0))
        abort();
    config_builder_free(b);
    config_unref(c);
    return n;
}

/* The configuration in |data|, or NULL; an error must have said something fit to be logged. */
static struct config *load(const void *data, size_t size)
{
    struct config *c = NULL;
    struct err e = {0};
    struct config_builder *b = config_builder_new();
    if (!b)
        abort();
    int rc = config_parse_yaml(b, data, size, "fuzz", &e);
    if (!rc)
        rc = config_build(b, &c, &e);
    if (rc && (e.code != rc || strncmp(e.text, "fuzz:", 5) != 0))
        abort();
    check_text(&e);
    config_builder_free(b);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = load(data, size);
    if ((count_errors(data, size) == 0) != (c != NULL))
        abort();
    if (!c)
        return 0;
    if (config_validate(c, NULL))
        abort();
    struct buf text;
    buf_init(&text);
    config_dump_yaml(c, &text);
    struct config *again = load(text.data, text.len);
    if (!again || config_diff(c, again, NULL, 0) || c->hostname_given != again->hostname_given)
        abort();
    buf_free(&text);
    config_unref(again);
    config_unref(c);
    return 0;
}
