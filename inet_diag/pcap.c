#include "inet_diag/pcap.h"

#include <byteswap.h>
#include <string.h>

#define MAGIC_MICROSECONDS 0xa1b2c3d4u
#define MAGIC_NANOSECONDS  0xa1b23c4du
#define MAGIC_PCAPNG       0x0a0d0d0au /* a palindrome: the same in both byte orders */
#define VERSION_MAJOR      2

#define FILE_HEADER     24
#define FILE_VERSION    4
#define FILE_LINKTYPE   20
#define LINKTYPE_MASK   0x0fffffffu /* the upper bits tell about frame check sequences */
#define PACKET_HEADER   16
#define PACKET_CAPTURED 8
#define PACKET_LENGTH   12

static uint32_t get_u32(const struct pcap_reader *r, size_t at)
{
    uint32_t v;
    memcpy(&v, r->data + at, sizeof(v));
    return r->swapped ? bswap_32(v) : v;
}

static uint16_t get_u16(const struct pcap_reader *r, size_t at)
{
    uint16_t v;
    memcpy(&v, r->data + at, sizeof(v));
    return r->swapped ? bswap_16(v) : v;
}

int pcap_open(struct pcap_reader *r, const void *data, size_t len, struct err *e)
{
    *r = (struct pcap_reader){.data = data, .len = len};
    if (len < sizeof(uint32_t))
        return err_set(e, ERR_TRUNCATED,
                       "no capture: the file ends at offset %zu, inside of its magic number", len);
    uint32_t magic = get_u32(r, 0);
    if (magic == MAGIC_PCAPNG)
        return err_set(e, ERR_UNSUPPORTED,
                       "offset 0: a pcapng file; `editcap -F pcap` makes a pcap file of it");
    r->swapped = magic == bswap_32(MAGIC_MICROSECONDS) || magic == bswap_32(MAGIC_NANOSECONDS);
    if (!r->swapped && magic != MAGIC_MICROSECONDS && magic != MAGIC_NANOSECONDS)
        return err_set(e, ERR_MALFORMED, "offset 0: no pcap file: it begins with 0x%08x", magic);
    if (len < FILE_HEADER)
        return err_set(e, ERR_TRUNCATED, "the file ends at offset %zu, inside of its header of %d bytes", len,
                       FILE_HEADER);
    unsigned major = get_u16(r, FILE_VERSION);
    if (major != VERSION_MAJOR)
        return err_set(e, ERR_UNSUPPORTED, "offset %d: pcap version %u, expected %d", FILE_VERSION, major,
                       VERSION_MAJOR);
    r->linktype = get_u32(r, FILE_LINKTYPE) & LINKTYPE_MASK;
    r->next = FILE_HEADER;
    return 0;
}

int pcap_next(struct pcap_reader *r, struct pcap_packet *p, struct err *e)
{
    size_t at = r->next;
    size_t left = r->len - at;
    *p = (struct pcap_packet){.data = r->data + r->len, .offset = r->len};
    if (left == 0)
        return 0;
    r->next = r->len;
    if (left < PACKET_HEADER)
        return err_set(e, ERR_TRUNCATED,
                       "the file ends at offset %zu, inside of the header of the packet at offset %zu",
                       r->len, at);
    size_t captured = get_u32(r, at + PACKET_CAPTURED);
    p->wire_len = get_u32(r, at + PACKET_LENGTH);
    p->offset = at + PACKET_HEADER;
    p->data = r->data + p->offset;
    left -= PACKET_HEADER;
    if (captured > left) {
        p->len = left;
        return err_set(e, ERR_TRUNCATED, "the file ends at offset %zu, inside of the packet at offset %zu",
                       r->len, at);
    }
    p->len = captured;
    r->next = p->offset + captured;
    return 1;
}
