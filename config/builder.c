/* The knowledge of a builder besides values: their origins, and the errors that have been told. */
#include "config/builder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"
#include "config/value.h"

struct config_builder *config_builder_new(void)
{
    struct config_builder *b = calloc(1, sizeof(*b));
    if (b && config_defaults(&b->config)) {
        free(b);
        return NULL;
    }
    return b;
}

void config_builder_free(struct config_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++)
        free(b->origins[i]);
    config_unref(b->config);
    free(b);
}

void config_builder_tell_all(struct config_builder *b, config_error_fn *told, void *arg)
{
    b->told = told;
    b->told_arg = arg;
}

int builder_tell(struct config_builder *b, const struct config_option *option, const struct err *e)
{
    if (!b->told || e->code == -ENOMEM || !b->told(b->told_arg, e))
        return e->code;
    if (!b->first.code)
        b->first = *e;
    if (option)
        b->wrong[option_index(option)] = true;
    return 0;
}

int builder_set_origin(struct config_builder *b, const struct config_option *option, const char *origin,
                       struct err *e)
{
    char *copy = strdup(origin);
    if (!copy)
        return err_set(e, -ENOMEM, "out of memory");
    free(b->origins[option_index(option)]);
    b->origins[option_index(option)] = copy;
    return 0;
}

int builder_set(struct config_builder *b, const struct config_option *option, const char *text,
                const char *origin, struct err *e)
{
    int rc = config_set_value(b->config, option, text, e);
    if (rc) {
        prefix_option(e, origin, option);
        return rc;
    }
    b->fixed[option_index(option)] = true;
    return builder_set_origin(b, option, origin, e);
}

const char *config_builder_origin(const struct config_builder *b, const struct config_option *option)
{
    const char *origin = b->origins[option_index(option)];
    return origin ? origin : "default";
}
