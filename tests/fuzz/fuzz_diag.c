/* One netlink datagram: whatever is in it, every part of every socket lies inside of it, each event uses some
 * of it up, and what is found can be encoded. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stdlib.h>

#include "inet_diag/diag_parse.h"
#include "record/record.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_inside(const struct record_source *s, const uint8_t *data, size_t size)
{
    check(s->data[PART_MSG] != NULL && s->len[PART_MSG] == sizeof(struct inet_diag_msg));
    for (unsigned i = 0; i < PART_COUNT; i++) {
        if (!s->data[i]) {
            check(s->len[i] == 0);
            continue;
        }
        check(s->data[i] >= data && s->data[i] + s->len[i] <= data + size && s->len[i] > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t row[RECORD_ROW_MAX];
    struct record_context context = {.netns = "fuzz", .groups = GROUPS_ALL};
    struct record_frame frame;
    struct diag_reader r;
    size_t events = 0, sockets = 0;

    check(record_frame_init(&frame, &context) == 0);
    diag_reader_init(&r);
    if (size > 0 && data[size - 1] & 1)
        diag_reader_expect(&r, 77, 4242);
    diag_reader_feed(&r, data, size);
    uint64_t cookie;
    size_t peeked = 0;
    for (size_t at = 0; diag_reader_peek(&r, &at, &cookie);)
        check(++peeked <= size / sizeof(struct nlmsghdr));
    for (enum diag_event event; (event = diag_reader_next(&r)) != DIAG_END;) {
        check(++events <= size / sizeof(struct nlmsghdr) + 1);
        check(r.offset < size);
        if (event == DIAG_DONE || event == DIAG_ERROR)
            check(r.error <= 0);
        if (event != DIAG_SOCKET)
            continue;
        check_inside(&r.source, data, size);
        diag_cookie(&r.source);
        size_t n = record_encode(&frame, &r.source, sockets++, row);
        check(n > 0 && n <= RECORD_ROW_MAX);
    }
    check(r.counts.sockets == sockets);
    return 0;
}
