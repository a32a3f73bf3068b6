/* A target as people type it: an error with a sentence, or an address that stays as it is; and a list of
 * targets becomes nodes with different names and addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/fleet/nodes.h"
#include "client/fleet/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_address(void *context, const char *address, const char *host)
{
    char out[TARGET_MAX];
    bool all;
    (void)host;
    ++*(size_t *)context;
    /* An address that the resolver has found is itself a target, and no name. */
    if (target_normalize(address, out, &all, NULL) != 0 || all || strcmp(address, out) != 0 ||
        target_is_name(out))
        abort();
    return 0;
}

/* Whether looking it up would ask the network. */
static bool needs_network(const char *text)
{
    char out[TARGET_MAX];
    bool all = false;
    struct err e = {0};
    int rc = target_normalize(text, out, &all, &e);
    if (rc != 0) {
        if (rc != ERR_USAGE || e.code != rc || !*e.text)
            abort();
        return false;
    }
    if (strlen(out) >= TARGET_MAX)
        abort();
    char again[TARGET_MAX];
    bool all_again;
    bool name = target_is_name(out);
    if (all && !name) {
        /* Digits alone: the resolver answers by itself, or not at all for a device that is not there. */
        size_t n = 0;
        if (target_addresses(out, count_address, &n, &e) == 0 && n != 1)
            abort();
    }
    if (target_normalize(out, again, &all_again, &e) != 0 || all_again || strcmp(out, again) != 0 ||
        target_is_name(again) != name)
        abort();
    return name && all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options o = {0};
    struct client_yaml s = {0};
    struct nodes nodes;
    struct err e = {0};
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    bool alone = strlen(text) == size;
    bool network = false;
    for (size_t at = 0; at <= size && o.targets.n < OPTION_LIST_MAX; at += strlen(text + at) + 1) {
        network = needs_network(text + at) || network;
        /* Lists hold more of them, each of which might be for the resolver. */
        network = network || strstr(text + at, TARGET_ALL_SCHEME) != NULL;
        o.targets.items[o.targets.n++] = text + at;
    }
    if (!network) {
        int rc = nodes_resolve(&o, &s, &nodes, &e);
        if (rc != 0 && (e.code != rc || !*e.text || nodes.n != 0))
            abort();
        if (rc == 0 && (nodes.n == 0 || (alone && !strchr(text, ',') && nodes.n != 1)))
            abort();
        for (size_t i = 0; i < nodes.n; i++)
            for (size_t k = 0; k < i; k++)
                if (strcmp(nodes.items[i]->name, nodes.items[k]->name) == 0 &&
                    strcmp(nodes.items[i]->address, nodes.items[k]->address) == 0)
                    abort();
        nodes_free(&nodes);
    }
    free(text);
    return 0;
}
