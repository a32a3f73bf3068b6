/* Patterns of namespaces: any text either gives an error with a sentence, or is a pattern that is the same as
 * itself and decides about any namespace. The input is a pattern and a name, with a NUL between them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/netns_pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pattern[512] = {0};
    char name[512] = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t first = nul ? (size_t)(nul - data) : size;
    size_t second = nul ? size - first - 1 : 0;
    if (first >= sizeof(pattern) || second >= sizeof(name))
        return 0;
    memcpy(pattern, data, first);
    memcpy(name, nul ? nul + 1 : data, second);
    struct err e = {0};
    int rc = netns_pattern_check(pattern, &e);
    if (rc) {
        if (e.code != rc || !*e.text)
            abort();
        return 0;
    }
    const char *names[] = {name};
    struct netns_facts f = {
        .names = names, .n_names = 1, .paths = names, .n_paths = 1, .kind = "named", .cookie = 7, .inode = 9};
    char *list[] = {pattern};
    bool matches = netns_pattern_match(pattern, &f);
    if (!netns_pattern_same(pattern, pattern) || netns_selected(&f, list, 1, NULL, 0) != matches ||
        netns_selected(&f, NULL, 0, list, 1) == matches || netns_selected(&f, list, 1, list, 1))
        abort();
    return 0;
}
