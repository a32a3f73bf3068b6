/* client.yaml: it is read, put into effect, and its targets are made addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/fleet/client_yaml.h"
#include "client/fleet/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_target(const char *text)
{
    char out[TARGET_MAX], again[TARGET_MAX];
    bool all;
    struct err e = {0};
    if (target_normalize(text, out, &all, &e) != 0) {
        if (!*e.text)
            abort(); /* an error says what it is */
        return;
    }
    (void)target_is_name(out);
    /* The result is itself an address, and stays as it is. */
    if (target_normalize(out, again, &all, &e) != 0 || strcmp(out, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_yaml s;
    struct err e = {0};
    if (size > 65536)
        return 0;
    if (client_yaml_parse("client.yaml", (const char *)data, size, &s, &e) != 0) {
        if (!e.code || !*e.text)
            abort();
        return 0;
    }
    struct options o = {0};
    client_yaml_apply_defaults(&s, &o);
    for (size_t i = 0; i < s.n_nodes; i++) {
        struct options own = o;
        client_yaml_apply(&s, &s.nodes[i], &own);
        use_target(s.nodes[i].address);
        if (client_yaml_node(&s, s.nodes[i].name) != &s.nodes[i])
            abort();
    }
    for (size_t i = 0; i < s.n_targets; i++) {
        use_target(s.targets[i]);
        (void)client_yaml_like(&s, s.targets[i]);
    }
    client_yaml_free(&s);
    return 0;
}
