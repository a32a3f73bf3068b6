#include "client/show/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/show/units.h"
#include "lib/clock.h"
#include "record/names.h"

#define SSTHRESH_INFINITE 0x7fffffff /* TCP_INFINITE_SSTHRESH of the kernel's net/tcp.h */

void cell_text(struct cell *c, const char *text)
{
    c->text = text;
    c->n = text ? strlen(text) : 0;
}

void cell_own(struct cell *c)
{
    cell_text(c, c->own);
}

bool cell_has_flow(const record_message *r)
{
    return r->tcp_info_state != 0 && r->inet_diag_msg_state != CELL_LISTEN;
}

/* Whether |v| means that |f| has no value: a zero that tells nothing, or a value that stands for none. */
static bool is_no_value(const struct record_field *f, uint64_t v)
{
    switch (record_field_index(f)) {
    case FIELD_tcp_info_min_rtt:
        return v == 0 || v == UINT32_MAX; /* not measured yet */
    case FIELD_tcp_info_snd_ssthresh:
        return v >= SSTHRESH_INFINITE;
    case FIELD_tcp_info_pacing_rate:
    case FIELD_tcp_info_max_pacing_rate:
        return v == UINT64_MAX;
    case FIELD_tcp_info_rtt:
    case FIELD_tcp_info_rcv_rtt:
    case FIELD_tcp_info_delivery_rate:
    case FIELD_inet_diag_msg_inode:
        return v == 0;
    default:
        return false;
    }
}

static void put_number(struct cell *c, const struct record_field *f, uint64_t v)
{
    if (f->type == TYPE_I64 || f->type == TYPE_ENUM)
        snprintf(c->own, sizeof(c->own), "%" PRId64, (int64_t)v);
    else
        snprintf(c->own, sizeof(c->own), "%" PRIu64, v);
}

static void put_unit(struct cell *c, const struct record_field *f, uint64_t v)
{
    switch ((enum record_unit)f->unit) {
    case UNIT_NS:
        units_time(v, c->own);
        break;
    case UNIT_US:
        units_time_us(v, c->own);
        break;
    case UNIT_MS:
        units_time_us(v > UINT64_MAX / 1000 ? UINT64_MAX : v * 1000, c->own);
        break;
    case UNIT_BYTES:
        units_bytes(v, c->own);
        break;
    case UNIT_SEGMENTS:
        units_count(v, c->own);
        break;
    case UNIT_BYTES_PER_S:
        units_rate(v, c->own);
        break;
    case UNIT_MBIT_PER_S:
        units_rate(v > UINT64_MAX / 125000 ? UINT64_MAX : v * 125000, c->own);
        break;
    default:
        put_number(c, f, v);
    }
}

static void put_value(struct cell *c, const struct record_field *f, uint64_t v)
{
    const char *name = record_people_name(f, v);
    if (name) {
        cell_text(c, name);
        return;
    }
    if (f->print == PRINT_TIME && !c->numeric) {
        char time[CLOCK_TEXT_MAX];
        clock_format((int64_t)v, 3, time);
        snprintf(c->own, sizeof(c->own), "%s", time);
    } else if (f->print == PRINT_HEX && !c->numeric) {
        snprintf(c->own, sizeof(c->own), "0x%" PRIx64, v);
    } else if (c->numeric) {
        put_number(c, f, v);
    } else {
        put_unit(c, f, v);
    }
    cell_own(c);
}

void cell_field(struct cell *c, const record_message *r, const struct record_field *f)
{
    struct record_value v = record_get(r, f);
    bool absent = r->diag_attributes && f->from >= 0 && !v.present; /* the kernel did not send it */
    if (f->type == TYPE_STRING) {
        c->text = (const char *)v.data;
        c->n = v.len;
    } else if (f->type == TYPE_BYTES) {
        if (!v.present)
            return;
        record_address_text(r, v.data, v.len, c->own);
        cell_own(c);
    } else if (f->type == TYPE_ENUM && !v.present && f->print != PRINT_EVENT) {
        return;
    } else if (absent || (f->from == PART_INFO && !cell_has_flow(r))) {
        return;
    } else if (!is_no_value(f, v.number)) {
        put_value(c, f, v.number);
    }
}
