/* The state file: any bytes either give an error with a sentence and change nothing, or a valid configuration
 * whose state, written and read again, makes the same one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"
#include "config/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes a configuration of the defaults and the state in |data|, in |*out|. Returns whether the state was
 * accepted. */
static bool load(const void *data, size_t size, struct config **out)
{
    struct err e = {0};
    struct config_builder *b = config_builder_new();
    if (!b)
        abort();
    int rc = config_parse_state(b, data, size, "fuzz", &e);
    if (rc && (e.code != rc || strncmp(e.text, "fuzz", 4) != 0))
        abort();
    if (config_build(b, out, &e) || config_validate(*out, NULL))
        abort();
    config_builder_free(b);
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *base = NULL;
    struct config *c = NULL;
    struct config *again = NULL;
    struct buf text;
    if (config_defaults(&base))
        abort();
    bool good = load(data, size, &c);
    if (!good && config_diff(base, c, NULL, 0))
        abort();
    buf_init(&text);
    config_dump_state(base, c, &text);
    if (!load(text.data, text.len, &again) || config_diff(c, again, NULL, 0))
        abort();
    buf_free(&text);
    config_unref(again);
    config_unref(c);
    config_unref(base);
    return 0;
}
