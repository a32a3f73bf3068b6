#include "record/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/utf8.h"
#include "record/names.h"

struct record_value record_get(const record_message *r, const struct record_field *f)
{
    /* The descriptor has the same fields in the same order (a test holds the two against each other). */
    const ProtobufCFieldDescriptor *d = &r->base.descriptor->fields[record_field_index(f)];
    const uint8_t *at = (const uint8_t *)r + d->offset;
    struct record_value v = {0};
    switch ((enum record_type)f->type) {
    case TYPE_U32: {
        uint32_t number;
        memcpy(&number, at, sizeof(number));
        v.number = number;
        break;
    }
    case TYPE_ENUM: {
        int32_t number;
        memcpy(&number, at, sizeof(number));
        v.number = (uint64_t)(int64_t)number;
        break;
    }
    case TYPE_U64:
    case TYPE_I64:
        memcpy(&v.number, at, sizeof(v.number));
        break;
    case TYPE_STRING: {
        const char *text;
        memcpy(&text, at, sizeof(text));
        v.data = (const uint8_t *)text;
        v.len = text ? strlen(text) : 0;
        break;
    }
    case TYPE_BYTES: {
        ProtobufCBinaryData bytes;
        memcpy(&bytes, at, sizeof(bytes));
        v.data = bytes.data;
        v.len = bytes.len;
        break;
    }
    }
    v.present = v.number != 0 || v.len != 0;
    return v;
}

const char *record_value_name(const struct record_field *f, uint64_t number)
{
    switch ((enum record_print)f->print) {
    case PRINT_STATE:
        return record_state_name(number);
    case PRINT_CA_STATE:
        return record_ca_state_name(number);
    case PRINT_ALGORITHM:
        return record_algorithm_name(number);
    case PRINT_EVENT:
        return record_event_name(number);
    default:
        return NULL;
    }
}

void record_address_text(const record_message *r, const uint8_t *data, size_t n, char out[RECORD_ADDRESS_MAX])
{
    static const char digits[] = "0123456789abcdef";
    if (n == 4 || (n == 16 && r->inet_diag_msg_family == AF_INET)) {
        inet_ntop(AF_INET, data, out, RECORD_ADDRESS_MAX);
    } else if (n == 16) {
        inet_ntop(AF_INET6, data, out, RECORD_ADDRESS_MAX);
    } else {
        size_t used = 0;
        for (size_t i = 0; i < n && used + 2 < RECORD_ADDRESS_MAX; i++) {
            out[used++] = digits[data[i] >> 4];
            out[used++] = digits[data[i] & 15];
        }
        out[used] = '\0';
    }
}

void record_put_clean(struct buf *out, const void *text, size_t n)
{
    const uint8_t *s = text;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(s + i, n - i);
        if (len == 0)
            buf_str(out, UTF8_REPLACEMENT);
        else if (utf8_is_control(s + i, len))
            buf_printf(out, "\\u%04x", s[i + len - 1]);
        else
            buf_bytes(out, s + i, len);
        i += len ? len : 1;
    }
}

/* One step of a scale: from |from| on, numbers are divided by it and end in |suffix|. */
struct scale {
    double from;
    const char *suffix;
};

static const struct scale microseconds[] = {
    {86400e6, "d"}, {3600e6, "h"}, {60e6, "m"}, {1e6, "s"}, {1e3, "ms"}, {1, "us"},
};
static const struct scale binary_bytes[] = {
    {1024. * 1024 * 1024 * 1024, "T"}, {1024. * 1024 * 1024, "G"}, {1024. * 1024, "M"}, {1024, "K"}, {1, ""},
};
static const struct scale bits_per_second[] = {
    {1e12, "Tbps"}, {1e9, "Gbps"}, {1e6, "Mbps"}, {1e3, "Kbps"}, {1, "bps"},
};

/* |v| in three significant digits; |scale| ends with the step from 1. */
static void put_scaled(struct buf *out, double v, const struct scale *scale)
{
    const struct scale *step = scale;
    while (step->from > 1 && v < step->from)
        step++;
    if (step->from == 1) {
        buf_printf(out, "%.0f%s", v, step->suffix);
        return;
    }
    v /= step->from;
    buf_printf(out, "%.*f%s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, step->suffix);
}

/* What fields have for people only; 0 when |f| is none of them. */
static int put_human(struct buf *out, const struct record_field *f, uint64_t v)
{
    const char *name = NULL;
    char time[CLOCK_TEXT_MAX];
    if (f->print == PRINT_FAMILY)
        name = record_family_name(v);
    else if (f->print == PRINT_TIMER)
        name = record_timer_name(v);
    if (name) {
        buf_str(out, name);
    } else if (f->print == PRINT_TIME) {
        clock_format((int64_t)v, 3, time);
        buf_str(out, time);
    } else if (f->print == PRINT_HEX) {
        buf_printf(out, "0x%llx", (unsigned long long)v);
    } else if (f->unit == UNIT_US || f->unit == UNIT_MS) {
        put_scaled(out, (double)v * (f->unit == UNIT_MS ? 1e3 : 1), microseconds);
    } else if (f->unit == UNIT_BYTES) {
        put_scaled(out, (double)v, binary_bytes);
    } else if (f->unit == UNIT_BYTES_PER_S) {
        if (v == UINT64_MAX)
            buf_str(out, "unlimited");
        else
            put_scaled(out, (double)v * 8, bits_per_second);
    } else if (f->unit == UNIT_MBIT_PER_S) {
        put_scaled(out, (double)v * 1e6, bits_per_second);
    } else {
        return 0;
    }
    return 1;
}

void record_print(struct buf *out, const record_message *r, const struct record_field *f,
                  enum record_style style)
{
    struct record_value v = record_get(r, f);
    char address[RECORD_ADDRESS_MAX];
    if (!v.present)
        return;
    const char *name = record_value_name(f, v.number);
    if (f->type == TYPE_STRING) {
        record_put_clean(out, v.data, v.len);
    } else if (f->type == TYPE_BYTES) {
        record_address_text(r, v.data, v.len, address);
        buf_str(out, address);
    } else if (name) {
        buf_str(out, name);
    } else if (style != RECORD_HUMAN || !put_human(out, f, v.number)) {
        if (f->type == TYPE_I64 || f->type == TYPE_ENUM)
            buf_i64(out, (int64_t)v.number);
        else
            buf_u64(out, v.number);
    }
}
