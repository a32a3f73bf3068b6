/* The frames that a daemon sends. */
#include "tests/integration/tool/flood_reader.h"

uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A byte of a head. */
static void take_head(struct reader *r, uint8_t byte)
{
    r->head[r->have++] = byte;
    if (r->have == sizeof(r->head))
        r->frame = (struct frame){.len = get_u32(r->head) >> 8,
                                  .type = r->head[3],
                                  .flags = r->head[4],
                                  .stream = get_u32(r->head + 5)};
}

/* Reads the payload behind a header. Returns how many bytes it took. */
static size_t take_rest(struct reader *r, const uint8_t *bytes, size_t len)
{
    size_t left = r->frame.len - r->at;
    size_t n = len < left ? len : left;
    for (size_t i = 0; i < n && r->at + i < sizeof(r->frame.begin); i++)
        r->frame.begin[r->at + i] = bytes[i];
    r->at += (uint32_t)n;
    return n;
}

void stream_reader_take(struct reader *r, const uint8_t *bytes, size_t len,
                        void (*frame_came)(void *context, const struct frame *f), void *context)
{
    while (len) {
        size_t n = 1;
        if (r->have < sizeof(r->head))
            take_head(r, bytes[0]);
        else
            n = take_rest(r, bytes, len);
        bytes += n;
        len -= n;
        if (r->have == sizeof(r->head) && r->at == r->frame.len) {
            frame_came(context, &r->frame);
            *r = (struct reader){0};
        }
    }
}
