/* A capture file: every part of every socket lies inside of it, the counts are right, and an error has its
 * sentence. */
#include <stdlib.h>

#include "inet_diag/replay.h"

struct seen {
    const uint8_t *data;
    size_t size;
    uint64_t sockets;
};

static int see(void *arg, const struct record_source *s)
{
    struct seen *seen = arg;
    for (unsigned i = 0; i < PART_COUNT; i++) {
        if (s->data[i] && (s->data[i] < seen->data || s->data[i] + s->len[i] > seen->data + seen->size))
            abort();
    }
    seen->sockets++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.data = data, .size = size};
    struct replay_result result;
    struct err e = {0};
    int rc = replay_pcap(data, size, see, &seen, &result, &e);
    if (rc != e.code || (rc && e.text[0] == '\0') || rc > 0 || result.sockets != seen.sockets)
        abort();
    return 0;
}
