/* client.yaml, and the targets of whatever it says. No name is looked up: "dns-all" is left out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/nodes.h"
#include "client/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct options options;
    struct settings s;
    struct nodes nodes;
    struct err e = {0};
    if (size > 65536 || memmem(data, size, "all", 3))
        return 0;
    if (settings_parse("client.yaml", (const char *)data, size, &s, &e) != 0) {
        if (!e.code || !*e.text)
            abort(); /* an error says what it is */
        return 0;
    }
    if (nodes_resolve(&options, &s, &nodes, &e) == 0)
        nodes_free(&nodes);
    settings_free(&s);
    return 0;
}
