#include "record/unpack.h"

#include <errno.h>
#include <stdlib.h>

/* Memory that decoding takes at first, and at most: protobuf-c keeps up to 128 bytes for each unknown field of two
 * bytes. */
#define MEMORY_FIRST 16384
#define MEMORY_MAX   ((size_t)128 * RECORD_UNPACK_MAX)
#define ALIGNMENT    16

void record_reader_free(struct record_reader *r)
{
    free(r->memory);
    *r = (struct record_reader){0};
}

static void *arena_alloc(void *arg, size_t size)
{
    struct record_reader *r = arg;
    if (size > r->size - r->used) {
        r->full = true;
        return NULL;
    }
    void *at = r->memory + r->used;
    size_t step = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    r->used += step < r->size - r->used ? step : r->size - r->used;
    return at;
}

static void arena_free(void *arg, void *at)
{
    (void)arg, (void)at; /* all at once, with the next record */
}

/* Replaces the memory by |size| bytes. */
static int arena_resize(struct record_reader *r, size_t size)
{
    free(r->memory);
    r->memory = malloc(size);
    r->size = r->memory ? size : 0;
    return r->memory ? 0 : -ENOMEM;
}

int record_unpack(struct record_reader *r, const uint8_t *bytes, size_t n, const record_message **out)
{
    ProtobufCAllocator arena = {.alloc = arena_alloc, .free = arena_free, .allocator_data = r};
    if (n > RECORD_UNPACK_MAX)
        return ERR_LIMIT;
    for (;;) {
        r->used = 0;
        r->full = false;
        *out = r->size ? xtcp_flat_record__v1__xtcp_flat_record__unpack(&arena, n, bytes) : NULL;
        if (*out)
            return 0;
        if (r->size && !r->full)
            return ERR_MALFORMED;
        if (r->size >= MEMORY_MAX)
            return ERR_LIMIT;
        int rc = arena_resize(r, r->size ? r->size * 2 : MEMORY_FIRST);
        if (rc < 0)
            return rc;
    }
}
