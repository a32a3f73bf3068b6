/* Numbers as people write them, and the names that some have. */
#include <string.h>

#include "filter/node.h"
#include "lib/ascii.h"
#include "record/names.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

typedef unsigned __int128 wide; /* a number with its unit, before it is divided by the field's */

/* ---- Units ---- */

/* A quantity is counted in its smallest unit: nanoseconds, bytes, bits per second, pieces. */
enum quantity { PIECES, TIME, BYTES, RATE };

/* The units of the numbers of a field. */
static const struct {
    enum quantity quantity;
    uint64_t base;
} field_units[UNIT_COUNT] = {
    [UNIT_NONE] = {PIECES, 1},      [UNIT_NS] = {TIME, 1},
    [UNIT_US] = {TIME, 1000},       [UNIT_MS] = {TIME, 1000000},
    [UNIT_BYTES] = {BYTES, 1},      [UNIT_SEGMENTS] = {PIECES, 1},
    [UNIT_BYTES_PER_S] = {RATE, 8}, [UNIT_MBIT_PER_S] = {RATE, 1000000},
};

static const char *const unit_help[] = {
    [PIECES] = "k, M, G, Ki, Mi or Gi",
    [TIME] = "ns, us, ms, s, m, h or d",
    [BYTES] = "B, kB, MB, GB, TB, KiB, MiB, GiB or TiB",
    [RATE] = "bit, kbit, Mbit, Gbit, B/s, kB/s, MB/s, GB/s, KiB/s or MiB/s",
};

#define S  ((uint64_t)1000000000)
#define KI ((uint64_t)1024)

/* Canonical texts use the first one that leaves no fraction. */
static const struct {
    enum quantity quantity;
    const char *name;
    uint64_t factor;
    bool print;
} units[] = {
    {TIME, "d", 86400 * S, false},
    {TIME, "h", 3600 * S, false},
    {TIME, "m", 60 * S, false},
    {TIME, "s", S, true},
    {TIME, "ms", S / 1000, true},
    {TIME, "us", S / 1000000, true},
    {TIME, "ns", 1, true},
    {BYTES, "TB", 1000 * S, true},
    {BYTES, "GB", S, true},
    {BYTES, "MB", 1000000, true},
    {BYTES, "kB", 1000, true},
    {BYTES, "TiB", KI *KI *KI *KI, true},
    {BYTES, "GiB", KI *KI *KI, true},
    {BYTES, "MiB", KI *KI, true},
    {BYTES, "KiB", KI, true},
    {BYTES, "B", 1, false},
    {BYTES, "T", 1000 * S, false},
    {BYTES, "G", S, false},
    {BYTES, "M", 1000000, false},
    {BYTES, "k", 1000, false},
    {BYTES, "Ti", KI *KI *KI *KI, false},
    {BYTES, "Gi", KI *KI *KI, false},
    {BYTES, "Mi", KI *KI, false},
    {BYTES, "Ki", KI, false},
    {RATE, "Tbit", 1000 * S, true},
    {RATE, "Gbit", S, true},
    {RATE, "Mbit", 1000000, true},
    {RATE, "kbit", 1000, true},
    {RATE, "bit", 1, false},
    {RATE, "Tbit/s", 1000 * S, false},
    {RATE, "Gbit/s", S, false},
    {RATE, "Mbit/s", 1000000, false},
    {RATE, "kbit/s", 1000, false},
    {RATE, "bit/s", 1, false},
    {RATE, "GB/s", 8 * S, false},
    {RATE, "MB/s", 8 * 1000000, false},
    {RATE, "kB/s", 8 * 1000, false},
    {RATE, "GiB/s", 8 * KI *KI *KI, false},
    {RATE, "MiB/s", 8 * KI *KI, false},
    {RATE, "KiB/s", 8 * KI, false},
    {RATE, "B/s", 8, true},
    {PIECES, "G", S, false},
    {PIECES, "M", 1000000, false},
    {PIECES, "k", 1000, false},
    {PIECES, "Gi", KI *KI *KI, false},
    {PIECES, "Mi", KI *KI, false},
    {PIECES, "Ki", KI, false},
};

/* Whether |text| is |unit|; the prefix kilo may be written large. */
static bool is_unit(const char *unit, const char *text, size_t n)
{
    if (strlen(unit) != n)
        return false;
    char first = unit[0] == 'k' && text[0] == 'K' ? 'k' : text[0];
    return first == unit[0] && memcmp(unit + 1, text + 1, n - 1) == 0;
}

static uint64_t unit_factor(enum quantity quantity, const char *text, size_t n)
{
    for (size_t i = 0; i < COUNT(units); i++) {
        if (units[i].quantity == quantity && is_unit(units[i].name, text, n))
            return units[i].factor;
    }
    return 0;
}

bool filter_is_unit(const char *text, size_t n)
{
    for (size_t i = 0; n && i < COUNT(units); i++) {
        if (is_unit(units[i].name, text, n))
            return true;
    }
    return false;
}

/* ---- Names of numbers ---- */

#define NAMED_MAX 16 /* numbers below this may have names */

/* Whether the two are the same but for case, '-' and '_'. */
static bool same_name(const char *name, const char *text, size_t n)
{
    const char *end = text + n;
    for (;;) {
        name += strspn(name, "-_");
        while (text < end && (*text == '-' || *text == '_'))
            text++;
        if (!*name || text == end)
            return !*name && text == end;
        if (ascii_lower(*name++) != ascii_lower(*text++))
            return false;
    }
}

static bool by_name(const struct record_field *f, const char *text, size_t n, uint64_t *out)
{
    uint16_t state = f->print == PRINT_STATE ? filter_states(text, n) : 0;
    if (state && (state & (state - 1)) == 0) {
        *out = (uint64_t)__builtin_ctz(state);
        return true;
    }
    for (uint64_t v = 0; v < NAMED_MAX; v++) {
        const char *name = record_people_name(f, v);
        if (name && same_name(name, text, n)) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* Whether values of |f| have names at all; then |list| gets them. */
static bool list_names(const struct record_field *f, struct buf *list)
{
    for (uint64_t v = 0; v < NAMED_MAX; v++) {
        const char *name = record_people_name(f, v);
        if (name)
            buf_printf(list, "%s%s", list->len ? ", " : "", name);
    }
    return list->len > 0;
}

/* ---- Reading ---- */

static int bad_number(const struct filter_table *t, const struct record_field *f, const char *text, size_t n,
                      struct err *e)
{
    char storage[256];
    struct buf names;
    buf_init_fixed(&names, storage, sizeof(storage) - 1);
    if (list_names(f, &names))
        return err_set(e, ERR_UNKNOWN, "%.*s is no value of %s: expected %s or a number", (int)n, text,
                       filter_table_name(t, f), buf_cstr(&names));
    return err_set(e, ERR_TYPE, "%s needs a number, not %.*s", filter_table_name(t, f), (int)n, text);
}

static int hexadecimal(const struct filter_table *t, const struct record_field *f, const char *text, size_t n,
                       uint64_t *out, struct err *e)
{
    uint64_t v = 0;
    for (size_t i = 2; i < n; i++) {
        int digit = ascii_hex_value(text[i]);
        if (digit < 0)
            return bad_number(t, f, text, n, e);
        if (v >> 60)
            return err_set(e, ERR_RANGE, "%.*s does not fit in 64 bits", (int)n, text);
        v = v << 4 | (uint64_t)digit;
    }
    *out = v;
    return 0;
}

/* The digits of a number, with a fraction. */
struct digits {
    uint64_t value;  /* without the point */
    uint64_t divide; /* by this */
    size_t len;
};

static int read_digits(const char *text, size_t n, struct digits *d)
{
    bool point = false;
    *d = (struct digits){.divide = 1};
    for (; d->len < n; d->len++) {
        char c = text[d->len];
        if (c == '.' && !point && d->len > 0) {
            point = true;
            continue;
        }
        if (!ascii_is_digit(c))
            break;
        if (__builtin_mul_overflow(d->value, 10, &d->value) ||
            __builtin_add_overflow(d->value, (uint64_t)(c - '0'), &d->value) ||
            (point && __builtin_mul_overflow(d->divide, 10, &d->divide)))
            return ERR_RANGE;
    }
    return d->len > 0 && text[d->len - 1] != '.' ? 0 : ERR_TYPE;
}

/* Makes the error about a unit that does not exist, with a list of those that do. */
static int bad_unit(const struct filter_table *t, const struct record_field *f, const char *unit, size_t n,
                    struct err *e)
{
    enum quantity quantity = field_units[f->unit].quantity;
    return err_set(e, ERR_UNKNOWN, "%.*s is no unit of %s: expected %s", (int)n, unit,
                   filter_table_name(t, f), unit_help[quantity]);
}

int filter_number(const struct filter_table *t, const struct record_field *f, const char *text, size_t n,
                  uint64_t *out, struct err *e)
{
    struct digits d;
    if (by_name(f, text, n, out))
        return 0;
    if (n > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return hexadecimal(t, f, text, n, out, e);
    int rc = read_digits(text, n, &d);
    if (rc == ERR_RANGE)
        return err_set(e, ERR_RANGE, "%.*s has too many digits", (int)n, text);
    if (rc)
        return bad_number(t, f, text, n, e);

    uint64_t base = field_units[f->unit].base;
    uint64_t factor = d.len == n ? base : unit_factor(field_units[f->unit].quantity, text + d.len, n - d.len);
    if (!factor)
        return bad_unit(t, f, text + d.len, n - d.len, e);
    wide v = (wide)d.value * factor;
    wide divide = (wide)d.divide * base;
    if (v % divide)
        return err_set(e, ERR_RANGE, "%.*s is no whole number of %s, which %s is in", (int)n, text,
                       f->unit == UNIT_NONE ? "pieces" : record_unit_names[f->unit], filter_table_name(t, f));
    v /= divide;
    if (v > UINT64_MAX)
        return err_set(e, ERR_RANGE, "%.*s does not fit in 64 bits", (int)n, text);
    *out = (uint64_t)v;
    return 0;
}

void filter_number_print(struct buf *out, const struct record_field *f, uint64_t v)
{
    const char *name = v < NAMED_MAX ? record_people_name(f, v) : NULL;
    if (name) {
        buf_str(out, name);
        return;
    }
    if (f->print == PRINT_HEX) {
        buf_printf(out, "0x%llx", (unsigned long long)v);
        return;
    }
    wide whole = (wide)v * field_units[f->unit].base;
    for (size_t i = 0; v && i < COUNT(units); i++) {
        if (units[i].print && units[i].quantity == field_units[f->unit].quantity &&
            whole % units[i].factor == 0) {
            buf_u64(out, (uint64_t)(whole / units[i].factor));
            buf_str(out, units[i].name);
            return;
        }
    }
    buf_u64(out, v);
}

/* ---- States ---- */

#define BIT(state) (1u << STATE_##state)
#define ALL        (FILTER_STATES_ALL & ~1u) /* bit 0 is no state */

/* As ss spells them, then other spellings; canonical texts use the first one that fits. */
static const struct {
    const char *name;
    uint16_t states;
} states[] = {
    {"established", BIT(ESTABLISHED)},
    {"syn-sent", BIT(SYN_SENT)},
    {"syn-recv", BIT(SYN_RECV)},
    {"fin-wait-1", BIT(FIN_WAIT1)},
    {"fin-wait-2", BIT(FIN_WAIT2)},
    {"time-wait", BIT(TIME_WAIT)},
    {"closed", BIT(CLOSE)},
    {"close-wait", BIT(CLOSE_WAIT)},
    {"last-ack", BIT(LAST_ACK)},
    {"listening", BIT(LISTEN)},
    {"closing", BIT(CLOSING)},
    {"all", ALL},
    {"connected", ALL & ~(BIT(LISTEN) | BIT(CLOSE))},
    {"synchronized", ALL & ~(BIT(LISTEN) | BIT(CLOSE) | BIT(SYN_SENT))},
    {"bucket", BIT(SYN_RECV) | BIT(TIME_WAIT)},
    {"big", ALL & ~(BIT(SYN_RECV) | BIT(TIME_WAIT))},
    {"estab", BIT(ESTABLISHED)},
    {"syn-rcv", BIT(SYN_RECV)},
    {"close", BIT(CLOSE)},
    {"unconnected", BIT(CLOSE)},
    {"unconn", BIT(CLOSE)},
    {"listen", BIT(LISTEN)},
};

uint16_t filter_states(const char *name, size_t n)
{
    for (size_t i = 0; i < COUNT(states); i++) {
        if (same_name(states[i].name, name, n))
            return states[i].states;
    }
    return 0;
}

const char *filter_states_suggest(const char *name, size_t n)
{
    const char *names[COUNT(states)];
    for (size_t i = 0; i < COUNT(states); i++)
        names[i] = states[i].name;
    return filter_suggest(names, COUNT(states), name, n);
}

/* The first entry for exactly |set|; its name, or NULL. */
static const char *set_name(uint16_t set)
{
    for (size_t i = 0; i < COUNT(states); i++) {
        if (states[i].states == set)
            return states[i].name;
    }
    return NULL;
}

static void print_each(struct buf *out, const char *keyword, uint16_t set)
{
    const char *space = "";
    for (unsigned state = STATE_ESTABLISHED; state <= STATE_CLOSING; state++) {
        if (set >> state & 1) {
            buf_printf(out, "%s%s %s", space, keyword, set_name((uint16_t)(1u << state)));
            space = " ";
        }
    }
}

void filter_states_print(struct buf *out, uint16_t set)
{
    uint16_t rest = (uint16_t)(ALL & ~set);
    if (set_name(set))
        buf_printf(out, "state %s", set_name(set));
    else if (set_name(rest))
        buf_printf(out, "exclude %s", set_name(rest));
    else if (__builtin_popcount(set) <= __builtin_popcount(rest))
        print_each(out, "state", set);
    else
        print_each(out, "exclude", rest);
}
