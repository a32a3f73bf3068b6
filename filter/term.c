/* One comparison: a word, in most cases an operator, and a value. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "filter/parse.h"
#include "lib/ascii.h"
#include "lib/utf8.h"

#define SHOWN(t) ((t)->len < 60 ? (int)(t)->len : (int)utf8_cut((t)->at, 60)), (t)->at

/* ---- Operators and values ---- */

/* Takes the operator that stands next. Returns whether there is one. */
static bool take_compare(struct parser *p, enum compare *op)
{
    int word = lex_compare(&p->token);
    if (p->token.kind != TOKEN_COMPARE && word < 0)
        return false;
    *op = word < 0 ? p->token.compare : (enum compare)word;
    parser_advance(p);
    return true;
}

/* The token that stands next as a value; false after an error. */
static bool take_value(struct parser *p, const char *what, struct token *value)
{
    if (p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_QUOTED) {
        parser_expected(p, what);
        return false;
    }
    *value = p->token;
    parser_advance(p);
    return true;
}

/* The operator of a predicate of ss that knows `=` (which may be left out) and `!=` only. False after an
 * error. */
static bool take_equality(struct parser *p, const char *name, bool *negated)
{
    enum compare op = EQ;
    const char *at = p->token.at;
    take_compare(p, &op);
    *negated = op == NE;
    if (op == EQ || op == NE)
        return true;
    parser_fail(p, at, ERR_TYPE, "%s has no order: expected = or !=", name);
    return false;
}

/* ---- Nodes ---- */

static const struct record_field *field_of(const struct parser *p, enum filter_role role)
{
    return filter_role(p->f->table, role);
}

static uint16_t number_node(struct parser *p, const struct record_field *f, enum compare op, uint64_t v)
{
    static const struct number nothing = {.low = 1, .high = 0};
    struct number n = {.low = 0, .high = UINT64_MAX};
    switch (op) {
    case EQ:
    case NE:
        n.low = n.high = v;
        break;
    case LT:
        n = v == 0 ? nothing : (struct number){.high = v - 1};
        break;
    case LE:
        n.high = v;
        break;
    case GT:
        n = v == UINT64_MAX ? nothing : (struct number){.low = v + 1, .high = UINT64_MAX};
        break;
    case GE:
    case RANGE:
        n.low = v;
        break;
    }
    n.value = v;
    return parser_node(p, &(struct node){.kind = NODE_NUMBER, .op = (uint8_t)op, .field = f, .number = n});
}

/* The states whose number passes |number|. */
static uint16_t states_of(const struct node *number)
{
    uint16_t states = 0;
    for (unsigned i = 1; (1u << i) & FILTER_STATES_ALL; i++) {
        bool in = i >= number->number.low && i <= number->number.high;
        if (in != (number->op == NE))
            states |= (uint16_t)(1u << i);
    }
    return states;
}

static uint16_t family_node(struct parser *p, uint8_t family)
{
    return number_node(p, field_of(p, FILTER_FAMILY), EQ, family);
}

/* A text in the pool: the token without its escapes. */
static struct text pool_text(struct parser *p, const struct token *t)
{
    struct buf *pool = &p->f->pool;
    struct text text = {.at = (uint32_t)pool->len};
    for (size_t i = 0; i < t->len; i++) {
        if (t->kind == TOKEN_QUOTED && t->at[i] == '\\' && i + 1 < t->len &&
            (t->at[i + 1] == '"' || t->at[i + 1] == '\\'))
            i++;
        text.glob |= strchr("*?[", t->at[i]) != NULL;
        buf_char(pool, t->at[i]);
        text.len++;
    }
    buf_char(pool, '\0');
    return text;
}

/* ---- Predicates of ss ---- */

/* `state A state B exclude C`: one set, as ss makes it. */
static uint16_t parse_states(struct parser *p)
{
    unsigned set = 0;
    bool first = true;
    for (;;) {
        bool remove = lex_is(&p->token, "exclude") || lex_is(&p->token, "excl");
        bool negated = false;
        struct token name;
        if (!remove && !lex_is(&p->token, "state"))
            break;
        parser_advance(p);
        if (!take_equality(p, "state", &negated) || !take_value(p, "a state", &name))
            return NODE_NONE;
        uint16_t states = filter_states(name.at, name.len);
        const char *like = states ? NULL : filter_states_suggest(name.at, name.len);
        if (like)
            return parser_fail(p, name.at, ERR_UNKNOWN, "unknown state %.*s: did you mean %s?", SHOWN(&name),
                               like);
        if (!states)
            return parser_fail(
                p, name.at, ERR_UNKNOWN,
                "unknown state %.*s: expected established, syn-sent, syn-recv, fin-wait-1, "
                "fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, all, "
                "connected, synchronized, bucket or big",
                SHOWN(&name));
        remove ^= negated;
        if (remove)
            set = (first ? FILTER_STATES_ALL : set) & ~states;
        else
            set |= states;
        first = false;
    }
    return parser_node(
        p, &(struct node){.kind = NODE_STATES, .states = (uint16_t)(set & FILTER_STATES_ALL & ~1u)});
}

/* A node for the port of |side|: part of |ep|. */
static uint16_t port_node(struct parser *p, bool remote, enum compare op, const struct endpoint *ep)
{
    const struct record_field *f = field_of(p, remote ? FILTER_DESTINATION_PORT : FILTER_SOURCE_PORT);
    bool range = ep->port != ep->port_high;
    uint16_t node = number_node(p, f, range ? RANGE : op, ep->port);
    if (node != NODE_NONE && range)
        p->f->nodes[node].number.high = ep->port_high;
    return range && op == NE ? parser_not(p, node) : node;
}

static uint16_t parse_ports(struct parser *p, bool remote)
{
    enum compare op = EQ;
    struct token value;
    struct endpoint ep;
    struct err e = {0};
    take_compare(p, &op);
    if (!take_value(p, "a port", &value))
        return NODE_NONE;
    if (filter_port(value.at, value.len, &ep, &e))
        return parser_fail_err(p, value.at, &e);
    if (ep.port != ep.port_high && op != EQ && op != NE)
        return parser_fail(p, value.at, ERR_TYPE,
                           "a range of ports has no order: expected = or != in front of it");
    uint16_t node = port_node(p, remote, op, &ep);
    return ep.family == AF_UNSPEC ? node : parser_join(p, NODE_AND, family_node(p, ep.family), node);
}

static uint16_t parse_host(struct parser *p, bool remote)
{
    bool negated;
    struct token value;
    struct endpoint ep;
    struct err e = {0};
    uint16_t node = NODE_NONE;
    if (!take_equality(p, remote ? "dst" : "src", &negated) || !take_value(p, "an address", &value))
        return NODE_NONE;
    if (filter_endpoint(value.at, value.len, &ep, &e))
        return parser_fail_err(p, value.at, &e);
    const struct node host = {.kind = NODE_HOST,
                              .field = field_of(p, remote ? FILTER_DESTINATION : FILTER_SOURCE),
                              .host = ep.host};
    if (ep.family != AF_UNSPEC)
        node = family_node(p, ep.family);
    if (ep.has_host || (!ep.has_port && node == NODE_NONE)) {
        uint16_t one = parser_node(p, &host);
        node = node == NODE_NONE ? one : parser_join(p, NODE_AND, node, one);
    }
    if (ep.has_port) {
        uint16_t one = port_node(p, remote, EQ, &ep);
        node = node == NODE_NONE ? one : parser_join(p, NODE_AND, node, one);
    }
    return negated ? parser_not(p, node) : node;
}

static bool is_number(const struct token *t)
{
    return strspn(t->at, "0123456789xabcdefABCDEFX") >= t->len && ascii_is_digit(t->at[0]);
}

/* Whether a path leads upwards somewhere: the sender of a filter must not explore the daemon's files. */
static bool goes_up(const struct token *t)
{
    const char *end = t->at + t->len;
    for (const char *at = t->at; at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t n = (size_t)((slash ? slash : end) - at);
        if (n == 2 && at[0] == '.' && at[1] == '.')
            return true;
        at += n + 1;
    }
    return false;
}

/* `dev` and `cgroup`: a number, or a name that is looked up where the sockets are. */
static uint16_t parse_lookup(struct parser *p, enum node_kind kind, const char *name, struct lookups *names,
                             const struct record_field *f)
{
    bool negated;
    struct token value;
    struct err e = {0};
    uint64_t v;
    uint16_t node;
    if (!take_equality(p, name, &negated) ||
        !take_value(p, kind == NODE_DEVICE ? "a device" : "the path of a cgroup", &value))
        return NODE_NONE;
    if (value.kind == TOKEN_WORD && is_number(&value)) {
        if (filter_number(p->f->table, f, value.at, value.len, &v, &e))
            return parser_fail_err(p, value.at, &e);
        node = number_node(p, f, EQ, v);
    } else {
        if (value.len > 4000)
            return parser_fail(p, value.at, ERR_LIMIT, "a name of more than 4000 bytes");
        if (kind == NODE_CGROUP && goes_up(&value))
            return parser_fail(p, value.at, ERR_RANGE, "the path of a cgroup must not have .. in it");
        uint8_t i = 0;
        struct text text = pool_text(p, &value);
        while (!p->f->pool.failed && i < names->count &&
               strcmp(p->f->pool.data + names->at[i], p->f->pool.data + text.at) != 0)
            i++;
        if (i == FILTER_LOOKUPS_MAX)
            return parser_fail(p, value.at, ERR_LIMIT, "at most %d different names behind %s",
                               FILTER_LOOKUPS_MAX, name);
        if (i == names->count)
            names->at[names->count++] = text.at;
        node = parser_node(p, &(struct node){.kind = (uint8_t)kind, .field = f, .lookup = i});
    }
    return negated ? parser_not(p, node) : node;
}

static uint16_t parse_dev(struct parser *p)
{
    return parse_lookup(p, NODE_DEVICE, "dev", &p->f->devices, field_of(p, FILTER_DEVICE));
}

static uint16_t parse_cgroup(struct parser *p)
{
    return parse_lookup(p, NODE_CGROUP, "cgroup", &p->f->cgroups, field_of(p, FILTER_CGROUP));
}

/* VALUE[/MASK] */
static uint16_t parse_fwmark(struct parser *p)
{
    bool negated;
    struct token value;
    struct err e = {0};
    uint64_t numbers[2] = {0, UINT32_MAX};
    const struct record_field *f = field_of(p, FILTER_MARK);
    if (!take_equality(p, "fwmark", &negated) || !take_value(p, "a mark", &value))
        return NODE_NONE;
    const char *slash = memchr(value.at, '/', value.len);
    size_t first = slash ? (size_t)(slash - value.at) : value.len;
    if (filter_number(p->f->table, f, value.at, first, &numbers[0], &e) ||
        (slash && filter_number(p->f->table, f, slash + 1, value.len - first - 1, &numbers[1], &e)))
        return parser_fail_err(p, value.at, &e);
    if (numbers[0] > UINT32_MAX || numbers[1] > UINT32_MAX)
        return parser_fail(p, value.at, ERR_RANGE, "a mark has 32 bits");
    uint16_t node =
        parser_node(p, &(struct node){.kind = NODE_MARK,
                                      .field = f,
                                      .mark = {.value = (uint32_t)numbers[0], .mask = (uint32_t)numbers[1]}});
    return negated ? parser_not(p, node) : node;
}

static uint16_t parse_autobound(struct parser *p)
{
    p->f->autobound = true;
    return parser_node(p, &(struct node){.kind = NODE_AUTOBOUND, .field = field_of(p, FILTER_SOURCE_PORT)});
}

static uint16_t parse_src(struct parser *p)
{
    return parse_host(p, false);
}

static uint16_t parse_dst(struct parser *p)
{
    return parse_host(p, true);
}

static uint16_t parse_sport(struct parser *p)
{
    return parse_ports(p, false);
}

static uint16_t parse_dport(struct parser *p)
{
    return parse_ports(p, true);
}

/* ---- Fields of a record ---- */

static uint16_t unknown_field(struct parser *p, const struct token *name)
{
    /* The rest of an address that was written with a space in it. */
    if (name->at[0] == '/' || name->at[0] == ':')
        return parser_fail(p, name->at, ERR_UNKNOWN,
                           "%.*s stands alone: write an address and what belongs to it without a space "
                           "(10.0.0.0/8, 10.0.0.1:443)",
                           SHOWN(name));
    const char *like = filter_field_suggest(p->f->table, name->at, name->len);
    if (like)
        return parser_fail(p, name->at, ERR_UNKNOWN, "unknown field %.*s: did you mean %s?", SHOWN(name),
                           like);
    return parser_fail(
        p, name->at, ERR_UNKNOWN,
        "unknown field %.*s: expected state, src, dst, sport, dport, dev, fwmark, cgroup, autobound, "
        "idle or a field of a record, see xtcp2-filter(7)",
        SHOWN(name));
}

static uint16_t parse_text(struct parser *p, const struct record_field *f, enum compare op,
                           const struct token *value)
{
    if (op != EQ && op != NE)
        return parser_fail(p, value->at, ERR_TYPE, "%s is a text, which has no order: expected = or !=",
                           filter_table_name(p->f->table, f));
    return parser_node(
        p, &(struct node){.kind = NODE_TEXT, .op = (uint8_t)op, .field = f, .text = pool_text(p, value)});
}

static uint16_t parse_number(struct parser *p, const struct record_field *f, enum compare op,
                             const struct token *value)
{
    struct err e = {0};
    uint64_t v;
    if (filter_number(p->f->table, f, value->at, value->len, &v, &e))
        return parser_fail_err(p, value->at, &e);
    uint16_t node = number_node(p, f, op, v);
    if (node != NODE_NONE && f == field_of(p, FILTER_STATE))
        p->f->nodes[node] =
            (struct node){.kind = NODE_STATES, .next = NODE_NONE, .states = states_of(&p->f->nodes[node])};
    return node;
}

/* Whether the next token is the unit of |value|, with a space between: no field is called like a unit. */
static bool is_loose_unit(const struct parser *p, const struct token *value)
{
    return p->token.kind == TOKEN_WORD && value->kind == TOKEN_WORD &&
           strspn(value->at, "0123456789.") >= value->len && filter_is_unit(p->token.at, p->token.len) &&
           !filter_table_field(p->f->table, p->token.at, p->token.len);
}

/* Fails, and tells how to write |value| with the unit that stands next. */
static uint16_t loose_unit(struct parser *p, const struct record_field *f, const struct token *value)
{
    struct err e = {0};
    char text[80];
    uint64_t v;
    int n = snprintf(text, sizeof(text), "%.*s%.*s", SHOWN(value), SHOWN(&p->token));
    if (filter_number(p->f->table, f, text, (size_t)n, &v, &e))
        return parser_fail_err(p, value->at, &e);
    return parser_fail(p, p->token.at, ERR_UNKNOWN, "%.*s stands alone: write %s, without a space",
                       SHOWN(&p->token), text);
}

/* The lesser of the times since data was sent and since it was received, as in the column IDLE. */
static uint16_t idle_node(struct parser *p, enum compare op, uint64_t v)
{
    static const enum filter_role times[] = {FILTER_LAST_SENT, FILTER_LAST_RECEIVED};
    uint16_t nodes[2];
    bool either = op == LT || op == LE;
    for (size_t i = 0; i < 2; i++)
        nodes[i] = number_node(p, field_of(p, times[i]), op, v);
    return parser_join(p, either ? NODE_OR : NODE_AND, nodes[0], nodes[1]);
}

static uint16_t parse_idle(struct parser *p)
{
    const struct record_field *f = field_of(p, FILTER_LAST_SENT); /* one of the two */
    enum compare op;
    struct token value;
    struct err e = {0};
    uint64_t v;
    if (!take_compare(p, &op))
        return parser_expected(p, "=, !=, <, <=, > or >=");
    if (!take_value(p, "a time", &value))
        return NODE_NONE;
    if (is_loose_unit(p, &value))
        return loose_unit(p, f, &value);
    if (filter_number(p->f->table, f, value.at, value.len, &v, &e))
        return parser_fail_err(p, value.at, &e);
    uint16_t node = op == EQ   ? parser_join(p, NODE_AND, idle_node(p, GE, v), idle_node(p, LE, v))
                    : op == NE ? parser_join(p, NODE_OR, idle_node(p, LT, v), idle_node(p, GT, v))
                               : idle_node(p, op, v);
    /* Listeners have such times, which mean nothing. */
    uint16_t states = FILTER_STATES_ALL & ~1u & ~(1u << STATE_LISTEN);
    return parser_join(p, NODE_AND, parser_node(p, &(struct node){.kind = NODE_STATES, .states = states}),
                       node);
}

/* Fails at a title of a table that is about several fields at once. */
static uint16_t parse_limit(struct parser *p)
{
    return parser_fail(p, p->token.at, ERR_TYPE,
                       "limit is made of rwnd_limited, sndbuf_limited and busy_time: compare these");
}

static uint16_t parse_field(struct parser *p)
{
    struct token name = p->token;
    struct token value;
    enum compare op;
    const struct record_field *f = filter_table_field(p->f->table, name.at, name.len);
    if (!f)
        return unknown_field(p, &name);
    parser_advance(p);
    if (f->type == TYPE_BYTES) /* an address: one of the two */
        return parse_host(p, f == field_of(p, FILTER_DESTINATION));
    if (!take_compare(p, &op))
        return parser_expected(p, f->type == TYPE_STRING ? "= or !=" : "=, !=, <, <=, > or >=");
    if (!take_value(p, f->type == TYPE_STRING ? "a text" : "a number", &value))
        return NODE_NONE;
    if (f->type != TYPE_STRING && is_loose_unit(p, &value))
        return loose_unit(p, f, &value);
    return f->type == TYPE_STRING ? parse_text(p, f, op, &value) : parse_number(p, f, op, &value);
}

static const struct {
    const char *name;
    uint16_t (*parse)(struct parser *p);
    bool whole;            /* the function wants to see the name itself */
    enum filter_role role; /* of a field that the table must have */
} predicates[] = {
    {"state", parse_states, true, FILTER_STATE},
    {"exclude", parse_states, true, FILTER_STATE},
    {"excl", parse_states, true, FILTER_STATE},
    {"src", parse_src, false, FILTER_SOURCE},
    {"dst", parse_dst, false, FILTER_DESTINATION},
    {"sport", parse_sport, false, FILTER_SOURCE_PORT},
    {"dport", parse_dport, false, FILTER_DESTINATION_PORT},
    {"dev", parse_dev, false, FILTER_DEVICE},
    {"fwmark", parse_fwmark, false, FILTER_MARK},
    {"cgroup", parse_cgroup, false, FILTER_CGROUP},
    {"autobound", parse_autobound, false, FILTER_SOURCE_PORT},
    {"idle", parse_idle, false, FILTER_LAST_SENT},
    {"limit", parse_limit, true, FILTER_LAST_SENT},
};

uint16_t parse_term(struct parser *p)
{
    if (++p->terms > FILTER_TERMS_MAX)
        return parser_fail(p, p->token.at, ERR_LIMIT, "at most %d comparisons", FILTER_TERMS_MAX);
    for (size_t i = 0; i < sizeof(predicates) / sizeof(predicates[0]); i++) {
        if (lex_is(&p->token, predicates[i].name) && field_of(p, predicates[i].role)) {
            if (!predicates[i].whole)
                parser_advance(p);
            return predicates[i].parse(p);
        }
    }
    return parse_field(p);
}
