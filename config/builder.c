#include "config/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/internal.h"
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
    int rc = value_type(option)->set(option, b->config, text, e);
    if (rc) {
        prefix_option(e, origin, option);
        return rc;
    }
    b->fixed[option_index(option)] = true;
    return builder_set_origin(b, option, origin, e);
}

int config_builder_set(struct config_builder *b, const char *key, const char *text, const char *origin,
                       struct err *e)
{
    const struct config_option *option = config_option_find(key);
    if (!option) {
        char quoted[VALUE_QUOTED_MAX];
        return err_set(e, ERR_UNKNOWN, "%s: %s: no such option", origin, value_quote(key, quoted));
    }
    return builder_set(b, option, text, origin, e);
}

const char *config_builder_origin(const struct config_builder *b, const struct config_option *option)
{
    const char *origin = b->origins[option_index(option)];
    return origin ? origin : "default";
}

/* Reads |fd| to its end, |max| bytes at most, into |data|. */
static int read_all(int fd, char *data, size_t max, size_t *len)
{
    *len = 0;
    while (*len < max) {
        ssize_t n = read(fd, data + *len, max - *len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            *len += (size_t)n;
    }
    return ERR_LIMIT;
}

int file_read(const char *path, char **data, size_t *len, struct err *e)
{
    int rc;
    *data = malloc(CONFIG_FILE_MAX + 1);
    if (!*data)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        rc = err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
        goto fail;
    }
    rc = read_all(fd, *data, CONFIG_FILE_MAX + 1, len);
    close(fd);
    if (rc == 0)
        return 0;
    if (rc == ERR_LIMIT)
        err_set(e, rc, "%s: larger than %d bytes", path, CONFIG_FILE_MAX);
    else
        err_set(e, rc, "%s: cannot read: %s", path, strerror(-rc));
fail:
    free(*data);
    *data = NULL;
    return rc;
}

int config_read_file(struct config_builder *b, const char *path, struct err *e)
{
    char *data;
    size_t len = 0;
    int rc = file_read(path, &data, &len, e);
    if (rc)
        return rc;
    rc = config_parse_yaml(b, data, len, path, e);
    free(data);
    return rc;
}

/* Who asks for a short interval need not speak of the timeout as well. */
static void fit_default_timeout(const struct config_builder *b, struct config *c)
{
    if (!b->origins[option_index(config_option_find("poll_timeout"))] && c->poll_timeout >= c->poll_frequency)
        c->poll_timeout = c->poll_frequency / 2;
}

int config_build(struct config_builder *b, struct config **out, struct err *e)
{
    struct config *c = config_copy(b->config);
    if (!c || config_normalise(c)) {
        config_unref(c);
        return err_set(e, -ENOMEM, "out of memory");
    }
    fit_default_timeout(b, c);
    int rc = validate_with_origins(c, b->origins, e);
    if (rc) {
        config_unref(c);
        return rc;
    }
    *out = c;
    return 0;
}
