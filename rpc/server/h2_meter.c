#include "rpc/server/h2_meter.h"

#include "lib/tsan.h"

#define FLAG_ACK 0x1 /* of SETTINGS and PING */

static void count(struct h2_meter *m, struct h2_count *c)
{
    bool ack = m->header[4] & FLAG_ACK;
    c->frames++;
    switch (m->type) {
    case H2_HEADERS:
        c->calls++;
        m->block = m->parts = 0;
        break;
    case H2_RST_STREAM:
        c->resets++;
        break;
    case H2_CONTINUATION:
        c->endless |= ++m->parts > H2_PARTS_MAX;
        break;
    case H2_DATA:
        break;
    case H2_WINDOW_UPDATE:
        c->answers++;
        break;
    case H2_SETTINGS:
    case H2_PING:
        if (ack)
            c->answers++;
        else
            c->costly++;
        break;
    default:
        c->costly++;
        break;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The bytes are in memory of gRPC's, whose hand-overs between threads ThreadSanitizer does not see. */
TSAN_IGNORED void h2_meter_read(struct h2_meter *m, const uint8_t *p, size_t n, struct h2_count *c)
{
    while (n > 0) {
        size_t step;
        if (m->preface < H2_PREFACE_SIZE) {
            step = least(H2_PREFACE_SIZE - m->preface, n);
            m->preface += (uint8_t)step;
        } else if (m->left > 0) {
            step = least(m->left, n);
            m->left -= (uint32_t)step;
            if (m->type == H2_DATA)
                c->data += step;
            else if (m->type == H2_HEADERS || m->type == H2_CONTINUATION)
                c->endless |= (m->block += (uint32_t)step) > H2_BLOCK_MAX;
        } else {
            step = 1;
            m->header[m->head++] = *p;
            if (m->head == H2_HEADER_SIZE) {
                m->head = 0;
                m->type = m->header[3];
                m->left = (uint32_t)m->header[0] << 16 | (uint32_t)m->header[1] << 8 | m->header[2];
                count(m, c);
            }
        }
        p += step;
        n -= step;
    }
}
