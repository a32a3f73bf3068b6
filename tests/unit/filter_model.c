#include "tests/unit/filter_model.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { TIME_WAIT = 6, SYN_RECV = 3, LISTEN = 10 };

uint64_t model_next(struct model_random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

unsigned model_below(struct model_random *r, unsigned n)
{
    return (unsigned)((model_next(r) >> 11) % n);
}

/* ---- Sockets ---- */

static uint16_t some_port(struct model_random *r)
{
    static const uint16_t ports[] = {0, 22, 80, 443, 1000, 1001, 1002, 1003, 32768, 60999, 65535};
    unsigned i = model_below(r, COUNT(ports) + 1);
    return i < COUNT(ports) ? ports[i] : (uint16_t)model_next(r);
}

static void some_address(struct model_random *r, uint8_t family, __be32 out[4])
{
    memset(out, 0, 16);
    uint32_t four = model_below(r, 4) ? 0x0a000000 | model_below(r, 4) << 8 | model_below(r, 4) : 0x7f000001;
    if (family == AF_INET) {
        out[0] = htonl(four);
    } else if (model_below(r, 2)) {
        out[2] = htonl(0xffff);
        out[3] = htonl(four);
    } else {
        out[0] = model_below(r, 2) ? htonl(0x20010db8) : 0;
        out[3] = htonl(model_below(r, 4));
    }
}

static void add_part(struct record_source *s, enum record_part part, const void *data, size_t n)
{
    s->data[part] = data;
    s->len[part] = (uint16_t)n;
    if (record_part_attributes[part])
        s->attributes |= UINT32_C(1) << record_part_attributes[part];
}

void model_socket(struct model_random *r, struct model_socket *s)
{
    static const char *const names[] = {"bbr", "cubic", "reno", ""};
    memset(s, 0, sizeof(*s));
    s->msg.idiag_family = model_below(r, 2) ? AF_INET : AF_INET6;
    s->msg.idiag_state = (uint8_t)(1 + model_below(r, 11));
    s->msg.id.idiag_sport = htons(some_port(r));
    s->msg.id.idiag_dport = htons(some_port(r));
    some_address(r, s->msg.idiag_family, s->msg.id.idiag_src);
    some_address(r, s->msg.idiag_family, s->msg.id.idiag_dst);
    s->msg.id.idiag_if = model_below(r, 4);
    s->msg.id.idiag_cookie[0] = (uint32_t)model_next(r);
    s->msg.idiag_uid = model_below(r, 3) * 1000;
    s->mark = model_below(r, 5);
    add_part(&s->source, PART_MSG, &s->msg, sizeof(s->msg));
    add_part(&s->source, PART_MARK, &s->mark, sizeof(s->mark));
    if (s->msg.idiag_state == TIME_WAIT || s->msg.idiag_state == SYN_RECV)
        return;
    s->cgroup = 1 + model_below(r, 4);
    s->info.tcpi_state = s->msg.idiag_state;
    s->info.tcpi_rtt = model_below(r, 4) * 25000;
    s->info.tcpi_snd_cwnd = model_below(r, 20);
    s->info.tcpi_total_retrans = model_below(r, 3);
    s->info.tcpi_bytes_acked = (uint64_t)model_below(r, 4) << 20;
    s->info.tcpi_pacing_rate = model_below(r, 4) * UINT64_C(1250000);
    s->skmem[1] = 131072;
    s->tos = (uint8_t)(model_below(r, 2) * 0x10);
    snprintf(s->cong, sizeof(s->cong), "%s", names[model_below(r, COUNT(names))]);
    add_part(&s->source, PART_CGROUP_ID, &s->cgroup, sizeof(s->cgroup));
    add_part(&s->source, PART_INFO, &s->info, MODEL_INFO_LEN);
    add_part(&s->source, PART_SKMEMINFO, s->skmem, sizeof(s->skmem));
    add_part(&s->source, PART_TOS, &s->tos, sizeof(s->tos));
    if (*s->cong)
        add_part(&s->source, PART_CONG, s->cong, strlen(s->cong) + 1);
}

/* ---- Expressions ---- */

/* The end of a text that is being written; what does not fit is cut. */
struct out {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->at, o->left, format, args);
    va_end(args);
    size_t used = n > 0 && (size_t)n < o->left ? (size_t)n : o->left ? o->left - 1 : 0;
    o->at += used;
    o->left -= used;
}

static void put_kernel_term(struct model_random *r, struct out *o)
{
    static const char *const ops[] = {
        "", "= ", "== ", "!= ", "< ", "<= ", "> ", ">= ", "ge ", "lt :", "neq "};
    static const char *const hosts[] = {"10.0.0.0/8",
                                        "10.0.0.1",
                                        "10.0.2.0/23",
                                        "127.0.0.1:22",
                                        "*:80",
                                        "[::1]",
                                        "[2001:db8::]/32",
                                        "[::ffff:10.0.0.1]",
                                        "inet:*",
                                        "inet6:*",
                                        "inet:10.0.0.1",
                                        "inet6:[::1]:443",
                                        "0.0.0.0/0",
                                        "[::]/0",
                                        "*",
                                        "10.0.1.2:1000-1002",
                                        "[::/1]",
                                        "128.0.0.0/1"};
    static const char *const states[] = {"established", "listening", "time-wait", "syn-recv",  "connected",
                                         "bucket",      "big",       "all",       "fin-wait-1"};
    switch (model_below(r, 9)) {
    case 0:
    case 1:
        put(o, "sport %s%u", ops[model_below(r, COUNT(ops))], some_port(r));
        break;
    case 2:
        put(o, "dport %s%u", ops[model_below(r, COUNT(ops))], some_port(r));
        break;
    case 3:
        put(o, "dport %s1000-%u", model_below(r, 2) ? "!= " : "", 1000 + model_below(r, 3));
        break;
    case 4:
        put(o, "dst %s%s", model_below(r, 4) ? "" : "!= ", hosts[model_below(r, COUNT(hosts))]);
        break;
    case 5:
        put(o, "src = %s", hosts[model_below(r, COUNT(hosts))]);
        break;
    case 6:
        put(o, "%s %s", model_below(r, 3) ? "state" : "exclude", states[model_below(r, COUNT(states))]);
        break;
    case 7:
        put(o, "dev %s%u", model_below(r, 2) ? "" : "!= ", model_below(r, 4));
        break;
    default:
        if (model_below(r, 2))
            put(o, "fwmark = %u/0x%x", model_below(r, 4), 1 + model_below(r, 3));
        else
            put(o, "cgroup %s %u", model_below(r, 2) ? "=" : "!=", model_below(r, 4));
        break;
    }
}

static void put_term(struct model_random *r, bool ours, struct out *o)
{
    static const char *const terms[] = {
        "rtt > 25ms",
        "cwnd < 10",
        "total_retrans > 0",
        "cong = bbr",
        "cong != c*",
        "uid = 1000",
        "uid != 0",
        "bytes_acked >= 1MiB",
        "pacing_rate > 5Mbit",
        "family = inet",
        "family != inet6",
        "tos = 0x10",
        "autobound",
        "c_group != 2",
        "rcv_buf > 100KiB",
        "netns = web*",
        "inet_diag_msg_state < 5",
        "timer = off",
    };
    if (ours && model_below(r, 3) == 0)
        put(o, "%s", terms[model_below(r, COUNT(terms))]);
    else
        put_kernel_term(r, o);
}

static void put_expression(struct model_random *r, bool ours, unsigned depth, struct out *o)
{
    static const char *const joints[] = {" and ", " or ", " ", " | ", " && "};
    unsigned kind = depth ? model_below(r, 5) : 0;
    if (kind <= 1) {
        put_term(r, ours, o);
    } else if (kind == 2) {
        put(o, "%s(", model_below(r, 2) ? "not " : "! ");
        put_expression(r, ours, depth - 1, o);
        put(o, ")");
    } else {
        const char *joint = joints[model_below(r, COUNT(joints))];
        unsigned n = 2 + model_below(r, 3);
        for (unsigned i = 0; i < n; i++) {
            put(o, "%s(", i ? joint : "");
            put_expression(r, ours, depth - 1, o);
            put(o, ")");
        }
    }
}

void model_expression(struct model_random *r, bool ours, char *out, size_t size)
{
    struct out o = {out, size};
    put_expression(r, ours, 3, &o);
}

/* ---- The kernel ---- */

/* Bytes that an operation must at least have; 0: there is no such operation, or its argument is wrong. */
static size_t least(const uint8_t *at, size_t left)
{
    struct inet_diag_hostcond cond;
    size_t address;
    switch (at[0]) {
    case INET_DIAG_BC_NOP:
    case INET_DIAG_BC_JMP:
    case INET_DIAG_BC_AUTO:
        return 4;
    case INET_DIAG_BC_S_EQ:
    case INET_DIAG_BC_D_EQ:
    case INET_DIAG_BC_S_GE:
    case INET_DIAG_BC_S_LE:
    case INET_DIAG_BC_D_GE:
    case INET_DIAG_BC_D_LE:
    case INET_DIAG_BC_DEV_COND:
        return 8;
    case INET_DIAG_BC_MARK_COND:
    case INET_DIAG_BC_CGROUP_COND:
        return 12;
    case INET_DIAG_BC_S_COND:
    case INET_DIAG_BC_D_COND:
        if (left < 4 + sizeof(cond))
            return 0;
        memcpy(&cond, at + 4, sizeof(cond));
        address = cond.family == AF_INET ? 4 : cond.family == AF_INET6 ? 16 : 0;
        if ((cond.family != AF_UNSPEC && !address) || cond.prefix_len > 8 * address)
            return 0;
        return 4 + sizeof(cond) + address;
    default:
        return 0;
    }
}

static struct inet_diag_bc_op op_at(const uint8_t *at)
{
    struct inet_diag_bc_op op;
    memcpy(&op, at, sizeof(op));
    return op;
}

/* Whether an operation begins |rest| bytes in front of the end. */
static bool begins_at(const uint8_t *code, size_t len, size_t rest)
{
    while (len > rest) {
        size_t step = op_at(code).yes;
        if (step < 4 || step % 4 || step > len)
            return false;
        len -= step;
        code += step;
    }
    return len == rest;
}

bool model_audit(const uint8_t *code, size_t len)
{
    const uint8_t *at = code;
    size_t left = len;
    if (len < 4)
        return false;
    while (left > 0) {
        if (left < 4)
            return false;
        struct inet_diag_bc_op op = op_at(at);
        size_t min = least(at, left);
        if (!min || min > left)
            return false;
        if (op.code != INET_DIAG_BC_NOP) {
            if (op.no < min || op.no > left + 4 || op.no % 4)
                return false;
            if (op.no < left && !begins_at(code, len, left - op.no))
                return false;
        }
        if (op.yes < min || op.yes > left + 4 || op.yes % 4)
            return false;
        if (op.yes > left)
            return false;
        at += op.yes;
        left -= op.yes;
    }
    return true;
}

static bool same_bits(const __be32 *a, const uint8_t *b, unsigned bits)
{
    const uint8_t *bytes = (const uint8_t *)a;
    for (unsigned i = 0; i < bits; i++) {
        if ((bytes[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
            return false;
    }
    return true;
}

static bool host_passes(const uint8_t *argument, uint8_t family, const __be32 address[4], uint16_t port)
{
    struct inet_diag_hostcond cond;
    memcpy(&cond, argument, sizeof(cond));
    const uint8_t *want = argument + sizeof(cond);
    if (cond.port != -1 && cond.port != port)
        return false;
    if (cond.family != AF_UNSPEC && cond.family != family)
        return family == AF_INET6 && cond.family == AF_INET && address[0] == 0 && address[1] == 0 &&
               address[2] == htonl(0xffff) && same_bits(address + 3, want, cond.prefix_len);
    return same_bits(address, want, cond.prefix_len);
}

static bool op_is_true(const uint8_t *at, const struct model_socket *s)
{
    uint16_t sport = ntohs(s->msg.id.idiag_sport);
    uint16_t dport = ntohs(s->msg.id.idiag_dport);
    uint32_t words[2] = {0};
    uint64_t cgroup = 0;
    switch (at[0]) {
    case INET_DIAG_BC_NOP:
        return true;
    case INET_DIAG_BC_S_EQ:
        return sport == op_at(at + 4).no;
    case INET_DIAG_BC_D_EQ:
        return dport == op_at(at + 4).no;
    case INET_DIAG_BC_S_GE:
        return sport >= op_at(at + 4).no;
    case INET_DIAG_BC_S_LE:
        return sport <= op_at(at + 4).no;
    case INET_DIAG_BC_D_GE:
        return dport >= op_at(at + 4).no;
    case INET_DIAG_BC_D_LE:
        return dport <= op_at(at + 4).no;
    case INET_DIAG_BC_S_COND:
        return host_passes(at + 4, s->msg.idiag_family, s->msg.id.idiag_src, sport);
    case INET_DIAG_BC_D_COND:
        return host_passes(at + 4, s->msg.idiag_family, s->msg.id.idiag_dst, dport);
    case INET_DIAG_BC_DEV_COND:
        memcpy(words, at + 4, 4);
        return words[0] == s->msg.id.idiag_if;
    case INET_DIAG_BC_MARK_COND:
        memcpy(words, at + 4, 8);
        return (s->mark & words[1]) == words[0];
    case INET_DIAG_BC_CGROUP_COND:
        memcpy(&cgroup, at + 4, 8);
        return cgroup == s->cgroup;
    default: /* JMP */
        return false;
    }
}

bool model_request(uint32_t states, uint16_t sport, uint16_t dport, const struct model_socket *s)
{
    return (states >> s->msg.idiag_state & 1) && (!sport || s->msg.id.idiag_sport == htons(sport)) &&
           (!dport || s->msg.id.idiag_dport == htons(dport));
}

bool model_run(const uint8_t *code, size_t len, const struct model_socket *s)
{
    long left = (long)len;
    while (left > 0) {
        struct inet_diag_bc_op op = op_at(code);
        long step = op_is_true(code, s) ? op.yes : op.no;
        code += step;
        left -= step;
    }
    return left == 0;
}
