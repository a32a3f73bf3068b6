/* The part of filters that the kernel evaluates: the states and the ports of a request, and its bytecode.
 *
 * The code is made from its end to its begin: then the places that an operation jumps to are known when it is
 * put in front of them. Places are counted from the end, in bytes: 0 accepts the socket, -4 (one operation
 * behind the end) rejects it, as inet_diag_bc_run of the kernel's net/ipv4/inet_diag.c has it. An operation
 * goes on with the one behind it when it is true (`yes` must be its length), and jumps `no` bytes when it is
 * false.
 *
 * A port that all wanted sockets have goes into the request, where comparing it costs the kernel least; the
 * code need not look at that port again.
 *
 * A comparison that the kernel cannot evaluate counts as the value that lets more sockets pass: as true, but as false
 * below an odd number of negations. So no wanted socket is left out. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "filter/node.h"

#define ACCEPT 0
#define REJECT (-4)

/* All states; bit 0 of FILTER_STATES_ALL is no state. */
#define STATES_REAL (FILTER_STATES_ALL & ~1u)

/* The value of a node as far as it is known without a socket, rounded towards letting sockets pass. */
enum outlook { NEVER, SOMETIMES, ALWAYS };

struct code {
    const struct filter *f;
    uint16_t sport; /* of every socket that gets to the code; 0: any */
    uint16_t dport;
    uint8_t *bytes; /* FILTER_CODE_MAX of them, used from the end on */
    int head;       /* how many are used: the place of the operation made last */
    bool full;
    bool privileged;
};

/* ---- Operations ---- */

/* Puts an operation of |code| with |size| bytes of |argument| in front: true goes on, false jumps to |no|. */
static void put(struct code *c, uint8_t code, int no, const void *argument, size_t size)
{
    struct inet_diag_bc_op op = {.code = code};
    int len = (int)(sizeof(op) + size);
    if (c->head + len > FILTER_CODE_MAX) {
        c->full = true;
        return;
    }
    c->head += len;
    op.yes = (unsigned char)len;
    op.no = (unsigned short)(c->head - no);
    uint8_t *at = c->bytes + FILTER_CODE_MAX - c->head;
    memcpy(at, &op, sizeof(op));
    if (size)
        memcpy(at + sizeof(op), argument, size);
}

/* An unconditional jump, when it is needed: the kernel's JMP is an operation that is always false. */
static void jump(struct code *c, int to)
{
    struct inet_diag_bc_op op = {.code = INET_DIAG_BC_JMP, .yes = sizeof(op)};
    if (to == c->head)
        return;
    if (c->head + (int)sizeof(op) > FILTER_CODE_MAX) {
        c->full = true;
        return;
    }
    c->head += (int)sizeof(op);
    op.no = (unsigned short)(c->head - to);
    memcpy(c->bytes + FILTER_CODE_MAX - c->head, &op, sizeof(op));
}

/* An operation that goes to |yes| when it is true, to |no| when it is false. */
static void test(struct code *c, uint8_t code, const void *argument, size_t size, int yes, int no)
{
    jump(c, yes);
    put(c, code, no, argument, size);
}

/* The port of an operation is in the `no` of a second one. */
static void test_port(struct code *c, uint8_t code, uint64_t port, int yes, int no)
{
    const struct inet_diag_bc_op argument = {.no = (unsigned short)port};
    test(c, code, &argument, sizeof(argument), yes, no);
}

static bool is_remote_port(const struct node *n)
{
    return n->field == &record_fields[FIELD_inet_diag_msg_socket_destination_port];
}

static void test_ports(struct code *c, const struct node *n, int yes, int no)
{
    bool remote = is_remote_port(n);
    bool low = n->number.low > 0;
    bool high = n->number.high < UINT16_MAX;
    if (n->number.low == n->number.high) {
        test_port(c, remote ? INET_DIAG_BC_D_EQ : INET_DIAG_BC_S_EQ, n->number.low, yes, no);
        return;
    }
    if (high)
        test_port(c, remote ? INET_DIAG_BC_D_LE : INET_DIAG_BC_S_LE, n->number.high, yes, no);
    if (low)
        test_port(c, remote ? INET_DIAG_BC_D_GE : INET_DIAG_BC_S_GE, n->number.low, high ? c->head : yes, no);
}

static void test_host(struct code *c, bool remote, const struct host *h, int yes, int no)
{
    uint8_t argument[sizeof(struct inet_diag_hostcond) + 16] = {0};
    struct inet_diag_hostcond cond = {.family = h->family, .prefix_len = h->prefix, .port = -1};
    size_t address = h->family == AF_INET ? 4 : 16;
    memcpy(argument, &cond, sizeof(cond));
    memcpy(argument + sizeof(cond), h->address, address);
    test(c, remote ? INET_DIAG_BC_D_COND : INET_DIAG_BC_S_COND, argument, sizeof(cond) + address, yes, no);
}

/* Only an IPv6 socket passes a prefix of no bits of IPv6; one of IPv4 lets mapped addresses pass too. */
static void test_family(struct code *c, const struct node *n, int yes, int no)
{
    const struct host any = {.family = AF_INET6};
    bool inet6 = (n->number.low <= AF_INET6 && AF_INET6 <= n->number.high) != (n->op == NE);
    test_host(c, false, &any, inet6 ? yes : no, inet6 ? no : yes);
}

/* ---- Leaves that the kernel can evaluate ---- */

static bool is_port(const struct node *n)
{
    return n->kind == NODE_NUMBER &&
           (n->field == &record_fields[FIELD_inet_diag_msg_socket_source_port] || is_remote_port(n));
}

static bool is_family(const struct node *n)
{
    return n->kind == NODE_NUMBER && n->field == &record_fields[FIELD_inet_diag_msg_family];
}

static bool is_device(const struct node *n)
{
    return n->kind == NODE_NUMBER && n->field == &record_fields[FIELD_inet_diag_msg_socket_interface];
}

/* A socket without a cgroup has no value for us and 0 for the kernel; so only leaves on which both agree
 * count. */
static bool is_cgroup(const struct node *n)
{
    return n->kind == NODE_NUMBER && n->field == &record_fields[FIELD_c_group] && n->op == EQ &&
           n->number.low > 0;
}

/* The outlook of a leaf for numbers from 0 to |max|: whether its interval contains none, some or all of
 * them. */
static enum outlook interval(const struct node *n, uint64_t max)
{
    enum outlook in = n->number.low > n->number.high || n->number.low > max ? NEVER
                      : n->number.low == 0 && n->number.high >= max         ? ALWAYS
                                                                            : SOMETIMES;
    return n->op == NE && in != SOMETIMES ? (in == ALWAYS ? NEVER : ALWAYS) : in;
}

static enum outlook port_outlook(const struct code *c, const struct node *n)
{
    uint16_t port = is_remote_port(n) ? c->dport : c->sport;
    if (!port)
        return interval(n, UINT16_MAX);
    return (n->number.low <= port && port <= n->number.high) != (n->op == NE) ? ALWAYS : NEVER;
}

static enum outlook family_outlook(const struct node *n)
{
    bool in4 = (n->number.low <= AF_INET && AF_INET <= n->number.high) != (n->op == NE);
    bool in6 = (n->number.low <= AF_INET6 && AF_INET6 <= n->number.high) != (n->op == NE);
    return in4 && in6 ? ALWAYS : in4 || in6 ? SOMETIMES : NEVER;
}

/* Whether the kernel evaluates the leaf |n| as we do. */
static bool known(const struct node *n)
{
    bool single = n->number.low == n->number.high;
    switch ((enum node_kind)n->kind) {
    case NODE_HOST:
    case NODE_MARK:
        return true;
    case NODE_NUMBER:
        return is_port(n) || is_family(n) || (is_device(n) && single && n->number.low <= UINT32_MAX) ||
               is_cgroup(n);
    default:
        return false;
    }
}

static enum outlook outlook(const struct code *c, uint16_t node, bool negated)
{
    const struct node *n = &c->f->nodes[node];
    if (n->kind == NODE_NOT)
        return (enum outlook)(ALWAYS - outlook(c, n->first, !negated));
    if (n->kind == NODE_AND || n->kind == NODE_OR) {
        enum outlook decides = n->kind == NODE_OR ? ALWAYS : NEVER;
        enum outlook all = (enum outlook)(ALWAYS - decides);
        for (uint16_t i = n->first; i != NODE_NONE; i = c->f->nodes[i].next) {
            enum outlook child = outlook(c, i, negated);
            if (child == decides)
                return decides;
            all = child == SOMETIMES ? SOMETIMES : all;
        }
        return all;
    }
    if (!known(n))
        return negated ? NEVER : ALWAYS;
    if (is_port(n))
        return port_outlook(c, n);
    if (is_family(n))
        return family_outlook(n);
    return n->kind == NODE_HOST && n->host.family == AF_UNSPEC ? ALWAYS : SOMETIMES;
}

/* ---- Nodes to code ---- */

static void test_leaf(struct code *c, const struct node *n, int yes, int no)
{
    if (n->op == NE && !is_family(n)) {
        int swap = yes;
        yes = no;
        no = swap;
    }
    if (n->kind == NODE_HOST) {
        test_host(c, n->field == &record_fields[FIELD_inet_diag_msg_socket_destination], &n->host, yes, no);
    } else if (n->kind == NODE_MARK) {
        const struct inet_diag_markcond cond = {.mark = n->mark.value, .mask = n->mark.mask};
        test(c, INET_DIAG_BC_MARK_COND, &cond, sizeof(cond), yes, no);
        c->privileged = true;
    } else if (is_port(n)) {
        test_ports(c, n, yes, no);
    } else if (is_family(n)) {
        test_family(c, n, yes, no);
    } else if (is_device(n)) {
        const uint32_t index = (uint32_t)n->number.low;
        test(c, INET_DIAG_BC_DEV_COND, &index, sizeof(index), yes, no);
    } else {
        test(c, INET_DIAG_BC_CGROUP_COND, &n->number.low, sizeof(n->number.low), yes, no);
    }
}

/* The last child of |n| in front of |end| that is not certain; NODE_NONE when there is none. */
static uint16_t uncertain_before(const struct code *c, const struct node *n, bool negated, uint16_t end)
{
    uint16_t found = NODE_NONE;
    for (uint16_t i = n->first; i != end; i = c->f->nodes[i].next) {
        if (outlook(c, i, negated) == SOMETIMES)
            found = i;
    }
    return found;
}

static void emit(struct code *c, uint16_t node, bool negated, int yes, int no);

/* The children from the last to the first. In an `and`, a socket that passes one goes on to the next, and one
 * that does not goes to |no|; in an `or` it is the other way round. Children whose value is certain are left
 * out: they do not decide. */
static void emit_children(struct code *c, const struct node *n, bool negated, int yes, int no)
{
    bool all = n->kind == NODE_AND;
    uint16_t child = uncertain_before(c, n, negated, NODE_NONE);
    for (bool last = true; child != NODE_NONE && !c->full; last = false) {
        int next = c->head;
        emit(c, child, negated, last || !all ? yes : next, last || all ? no : next);
        child = uncertain_before(c, n, negated, child);
    }
}

static void emit(struct code *c, uint16_t node, bool negated, int yes, int no)
{
    const struct node *n = &c->f->nodes[node];
    enum outlook certain = outlook(c, node, negated);
    if (certain != SOMETIMES)
        jump(c, certain == ALWAYS ? yes : no);
    else if (n->kind == NODE_NOT)
        emit(c, n->first, !negated, no, yes);
    else if (n->kind == NODE_AND || n->kind == NODE_OR)
        emit_children(c, n, negated, yes, no);
    else
        test_leaf(c, n, yes, no);
}

/* ---- States ---- */

/* The possible states of a socket that passes |node|. */
static uint32_t states(const struct filter *f, uint16_t node, bool negated)
{
    const struct node *n = &f->nodes[node];
    if (n->kind == NODE_NOT)
        return states(f, n->first, !negated);
    if (n->kind == NODE_STATES)
        return negated ? STATES_REAL & ~(uint32_t)n->states : n->states;
    if (n->kind != NODE_AND && n->kind != NODE_OR)
        return STATES_REAL;
    bool all = (n->kind == NODE_AND) != negated;
    uint32_t set = all ? STATES_REAL : 0;
    for (uint16_t i = n->first; i != NODE_NONE; i = f->nodes[i].next) {
        uint32_t child = states(f, i, negated);
        set = all ? set & child : set | child;
    }
    return set;
}

/* ---- Ports ---- */

/* The port that a socket must have to pass |node|; 0: there may be several. */
static uint16_t only_port(const struct filter *f, uint16_t node, bool remote)
{
    const struct node *n = &f->nodes[node];
    uint16_t port = 0;
    if (n->kind == NODE_AND) {
        for (uint16_t i = n->first; i != NODE_NONE && !port; i = f->nodes[i].next)
            port = only_port(f, i, remote);
    } else if (is_port(n) && is_remote_port(n) == remote && n->op != NE && n->number.low == n->number.high &&
               n->number.low <= UINT16_MAX) {
        port = (uint16_t)n->number.low;
    }
    return port;
}

/* The same for a socket that passes any of the filters. */
static uint16_t common_port(const struct filter *const *filters, size_t n, bool remote)
{
    uint16_t port = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t mine = filter_is_empty(filters[i]) ? 0 : only_port(filters[i], filters[i]->root, remote);
        if (!mine || (i && mine != port))
            return 0;
        port = mine;
    }
    return port;
}

/* The parts of |node|. */
enum makeup { ONLY_STATES = 1, ONLY_KNOWN = 2 };

static unsigned makeup(const struct filter *f, uint16_t node)
{
    const struct node *n = &f->nodes[node];
    if (n->kind == NODE_STATES)
        return ONLY_STATES;
    if (n->kind != NODE_AND && n->kind != NODE_OR && n->kind != NODE_NOT)
        return known(n) ? ONLY_KNOWN : 0;
    unsigned all = ONLY_STATES | ONLY_KNOWN;
    for (uint16_t i = n->first; i != NODE_NONE; i = f->nodes[i].next)
        all &= makeup(f, i);
    return all;
}

bool filter_part_in_kernel(const struct filter *f, size_t i)
{
    return makeup(f, f->parts[i].node) != 0;
}

/* ---- All of it ---- */

static bool is_exact(const struct filter *f)
{
    for (size_t i = 0; i < f->part_count; i++) {
        if (!filter_part_in_kernel(f, i))
            return false;
    }
    return true;
}

/* Makes the code for "one of them": a filter that rejects a socket goes on to the next one. No filter is left
 * out. */
static void emit_all(struct code *c, const struct filter *const *filters, size_t n)
{
    for (size_t i = n; i-- > 0 && !c->full;) {
        int next = i + 1 == n ? REJECT : c->head;
        c->f = filters[i];
        emit(c, filters[i]->root, false, ACCEPT, next);
    }
}

/* Whether the kernel passes on exactly the sockets that one of the filters wants. */
static bool all_exact(const struct filter *const *filters, size_t n, uint32_t all_states)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t mine =
            filter_is_empty(filters[i]) ? STATES_REAL : states(filters[i], filters[i]->root, false);
        if (!is_exact(filters[i]) || mine != all_states)
            return false;
    }
    return true;
}

void filter_kernel(const struct filter *const *filters, size_t n, struct filter_kernel *out)
{
    struct code c = {
        .bytes = out->code, .sport = common_port(filters, n, false), .dport = common_port(filters, n, true)};
    bool wanted = n > 0; /* a code */
    out->states = 0;
    for (size_t i = 0; i < n; i++) {
        bool empty = filter_is_empty(filters[i]);
        out->states |= empty ? FILTER_STATES_ALL : states(filters[i], filters[i]->root, false);
        c.f = filters[i];
        wanted &= !empty && outlook(&c, filters[i]->root, false) != ALWAYS;
    }
    out->states = out->states == STATES_REAL ? FILTER_STATES_ALL : out->states;
    out->sport = c.sport;
    out->dport = c.dport;
    out->exact = all_exact(filters, n, out->states & STATES_REAL);
    if (wanted)
        emit_all(&c, filters, n);
    if (c.full) {
        out->exact = false;
        c.head = 0;
        c.privileged = false;
    }
    out->len = (size_t)c.head;
    out->privileged = c.privileged;
    memmove(out->code, out->code + FILTER_CODE_MAX - c.head, out->len);
}
