#include "outputs/sink/nsq_frame.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/err.h"

#define TOPIC_MAX 64

enum { SIZE_BYTES = 4, HEAD_BYTES = 8 };

static uint32_t read_u32(const uint8_t *in)
{
    uint32_t value;
    memcpy(&value, in, sizeof(value));
    return be32toh(value);
}

int nsq_frame_parse(const uint8_t *in, size_t n, struct nsq_frame *out)
{
    if (n < SIZE_BYTES)
        return 0;
    uint32_t len = read_u32(in);
    if (len < HEAD_BYTES - SIZE_BYTES || len > NSQ_FRAME_MAX)
        return ERR_MALFORMED;
    if (n < HEAD_BYTES)
        return 0;
    uint32_t type = read_u32(in + SIZE_BYTES);
    if (type != NSQ_RESPONSE && type != NSQ_ERROR)
        return ERR_MALFORMED;
    if (n < SIZE_BYTES + len)
        return 0;
    out->type = (enum nsq_frame_type)type;
    out->data = in + HEAD_BYTES;
    out->size = SIZE_BYTES + len;
    out->len = out->size - HEAD_BYTES;
    return 1;
}

bool nsq_frame_is(const struct nsq_frame *f, const char *text)
{
    return f->len == strlen(text) && memcmp(f->data, text, f->len) == 0;
}

bool nsq_frame_begins(const struct nsq_frame *f, const char *word)
{
    size_t n = strlen(word);
    return f->len >= n && memcmp(f->data, word, n) == 0 && (f->len == n || f->data[n] == ' ');
}

bool nsq_frame_has(const struct nsq_frame *f, const char *name)
{
    char member[64];
    int n = snprintf(member, sizeof(member), "\"%s\":true", name);
    return memmem(f->data, f->len, member, (size_t)n) != NULL;
}

bool nsq_topic_valid(const char *topic)
{
    size_t n = 0;
    while (ascii_is_letter(topic[n]) || ascii_is_digit(topic[n]) || (topic[n] && strchr("._-", topic[n])))
        n++;
    bool ends = topic[n] == '\0' || strcmp(topic + n, "#ephemeral") == 0;
    return n > 0 && ends && strlen(topic) <= TOPIC_MAX;
}
