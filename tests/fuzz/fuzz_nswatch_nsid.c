/* A datagram of rtnetlink's group NSID: the result follows from the types of the whole messages in it. */
#include "nswatch/nsid.h"

#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same, the plain way. */
static unsigned expect(const uint8_t *data, size_t size)
{
    unsigned heard = 0;
    struct nlmsghdr h;
    for (size_t at = 0; size - at >= sizeof(h);) {
        memcpy(&h, data + at, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > size - at)
            break;
        heard |= h.nlmsg_type == RTM_NEWNSID ? NSID_NEW : h.nlmsg_type == RTM_DELNSID ? NSID_GONE : 0;
        size_t step = NLMSG_ALIGN((size_t)h.nlmsg_len);
        if (step > size - at)
            break;
        at += step;
    }
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(1, size ? size : 1); /* aligned, and of exactly this size */
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (nsid_parse(copy, size) != expect(data, size))
        abort();
    free(copy);
    return 0;
}
