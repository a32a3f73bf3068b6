/* The command line and the environment: the input is the arguments, or the variables, separated by NULs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder.h"

#define ARGS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool help = false;
    const char *output = NULL;
    const struct config_program_option own[] = {
        {.name = "output", .short_name = 'o', .metavar = "FORMAT", .help = "Format.", .value = &output},
        {.name = "help", .short_name = 'h', .help = "Help.", .flag = &help, .ends = true},
    };
    char *text = calloc(1, size + 1);
    struct config_builder *b = config_builder_new();
    if (!text || !b)
        abort();
    memcpy(text, data, size);
    char *argv[ARGS_MAX + 1] = {text};
    int argc = 1;
    for (size_t at = strlen(text) + 1; at <= size && argc < ARGS_MAX; at += strlen(text + at) + 1)
        argv[argc++] = text + at;

    struct config *c = NULL;
    struct err e = {0};
    int rc = config_parse_args(b, &(struct config_sources){argc, argv, NULL, false}, own, 2, &e);
    if (rc && (rc != ERR_USAGE || e.code != rc || !*e.text))
        abort();
    if (!rc && config_build(b, &c, &e) == 0 && config_validate(c, NULL))
        abort();
    config_unref(c);
    config_builder_free(b);

    b = config_builder_new();
    if (!b)
        abort();
    e = (struct err){0};
    rc = config_parse_environment(b, argv, &e);
    if (rc && (e.code != rc || !*e.text))
        abort();
    config_builder_free(b);
    free(text);
    return 0;
}
