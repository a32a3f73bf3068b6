/* Frames of nsqd: what is taken of any bytes lies within them, and no frame changes when more bytes come. The same
 * bytes, as a text, are the name of a topic: what is accepted is safe in a command. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "outputs/sink/nsq_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Parses a copy of exactly |n| bytes: a sanitizer sees a read past their end. */
static int parse(const uint8_t *data, size_t n, struct nsq_frame *out)
{
    uint8_t *exact = malloc(n ? n : 1);
    require(exact);
    if (n)
        memcpy(exact, data, n);
    int rc = nsq_frame_parse(exact, n, out);
    require(rc == 1 || rc == 0 || rc == ERR_MALFORMED);
    if (rc == 1) {
        require(out->size <= n && out->size <= NSQ_FRAME_MAX + 4 &&
                out->data + out->len == exact + out->size);
        require(nsq_frame_is(out, "OK") <= nsq_frame_begins(out, "OK"));
        require(!nsq_frame_has(out, "tls_v1") || out->len >= strlen("\"tls_v1\":true"));
    }
    free(exact);
    return rc;
}

static void check_frames(const uint8_t *data, size_t size)
{
    struct nsq_frame whole, part;
    int rc;
    while ((rc = parse(data, size, &whole)) != ERR_MALFORMED) {
        size_t complete = rc == 1 ? whole.size : size + 1;
        for (size_t n = 0; n < complete && n <= size && n < 64; n++)
            require(parse(data, n, &part) == 0);
        if (rc == 0)
            break;
        require(parse(data, whole.size, &part) == 1 && part.type == whole.type && part.len == whole.len);
        data += whole.size;
        size -= whole.size;
    }
}

static void check_topic(const uint8_t *data, size_t size)
{
    char *topic = malloc(size + 1);
    require(topic);
    if (size)
        memcpy(topic, data, size);
    topic[size] = '\0';
    if (nsq_topic_valid(topic))
        require(*topic && strlen(topic) <= 64 && !strpbrk(topic, " \t\r\n/\"\\"));
    free(topic);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_topic(data, size);
    check_frames(data, size);
    return 0;
}
