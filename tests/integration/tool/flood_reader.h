/* The frames that a daemon sends, out of bytes as they come. */
#ifndef XTCP_TEST_FLOOD_READER_H
#define XTCP_TEST_FLOOD_READER_H

#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS,
    FRAME_PING = 6,
    FRAME_GOAWAY,
    FRAME_WINDOW
};
enum { FLAG_ACK = 1, FLAG_END_STREAM = 1 };

struct frame {
    uint32_t len;
    uint8_t type, flags;
    uint32_t stream;
    uint8_t begin[8]; /* of what it carries */
};

/* Zeros are a reader at the begin. */
struct reader {
    uint8_t head[9];
    uint32_t have; /* of the head */
    uint32_t at;   /* behind it */
    struct frame frame;
};

uint32_t get_u32(const uint8_t *at);

/* Calls |frame_came| for each frame that |bytes| complete. */
void stream_reader_take(struct reader *r, const uint8_t *bytes, size_t len,
                        void (*frame_came)(void *context, const struct frame *f), void *context);

#endif
