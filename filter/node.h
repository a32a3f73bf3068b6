/* The parts of a filter. Private to this folder.
 *
 *     lex.c      text to tokens
 *     parse.c    tokens to nodes: the grammar
 *     term.c     one comparison
 *     host.c     addresses and ports
 *     number.c   numbers with units, names of numbers
 *     fields.c   names of fields, by a table (table.h); record_table.c is that of records
 *     print.c    nodes back to text
 *     match.c    the evaluation, over any values
 *     source.c   values of the kernel's answer
 *     message.c  values of records
 *     env.c      facts that only the namespace knows
 *     names.c    names in filters that do not exist
 *     kernel.c   the part that the kernel evaluates
 */
#ifndef XTCP_FILTER_NODE_H
#define XTCP_FILTER_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/filter.h"
#include "filter/table.h"
#include "lib/buf.h"
#include "record/fields.h"

#define NODES_MAX 4096
#define NODE_NONE UINT16_MAX

/* TCP states as the kernel's include/net/tcp_states.h numbers them. <netinet/tcp.h>, which has them too, and
 * <linux/tcp.h>, which has the structs, exclude each other. */
enum {
    STATE_ESTABLISHED = 1,
    STATE_SYN_SENT,
    STATE_SYN_RECV,
    STATE_FIN_WAIT1,
    STATE_FIN_WAIT2,
    STATE_TIME_WAIT,
    STATE_CLOSE,
    STATE_CLOSE_WAIT,
    STATE_LAST_ACK,
    STATE_LISTEN,
    STATE_CLOSING,
};

/* The kernel's default range of the ports that it chooses itself: net.ipv4.ip_local_port_range. */
#define FILTER_AUTO_MIN 32768
#define FILTER_AUTO_MAX 60999

enum node_kind {
    NODE_AND, /* children: |first| and from there |next| */
    NODE_OR,
    NODE_NOT,       /* one child */
    NODE_STATES,    /* the state is one of |states| */
    NODE_NUMBER,    /* |field|, |op|, |number| */
    NODE_TEXT,      /* |field|, |op| (EQ or NE), |text| */
    NODE_HOST,      /* |field|: an address, |host| */
    NODE_MARK,      /* |mark| */
    NODE_DEVICE,    /* |lookup|: of the filter's devices */
    NODE_CGROUP,    /* |lookup|: of its cgroups */
    NODE_AUTOBOUND, /* the local port is one of those that the kernel chooses itself */
};

enum compare { EQ, NE, LT, LE, GT, GE, RANGE };

/* The numbers that pass, both ends included; none when low > high. */
struct number {
    uint64_t low;
    uint64_t high;
    uint64_t value; /* as written, for people; the lower one of a range */
};

struct host {
    uint8_t family; /* AF_INET: also matches addresses mapped to IPv6; AF_INET6; AF_UNSPEC: any address */
    uint8_t prefix; /* bits that count */
    uint8_t address[16];
};

/* A text in the filter's pool. */
struct text {
    uint32_t at;
    uint16_t len;
    bool glob; /* with *, ? or [ */
};

struct node {
    uint8_t kind; /* enum node_kind */
    uint8_t op;   /* enum compare. A value that is absent compares false, with NE too */
    uint16_t first;
    uint16_t next;
    const struct record_field *field;
    union {
        uint16_t states; /* bits 1 << TCP_X */
        struct number number;
        struct text text;
        struct host host;
        struct {
            uint32_t value;
            uint32_t mask;
        } mark;
        uint8_t lookup;
    };
};

struct part {
    uint16_t node;
    char *text;
};

/* Names that are looked up where the sockets are. */
struct lookups {
    uint8_t count;
    uint32_t at[FILTER_LOOKUPS_MAX]; /* in the pool, NUL-terminated */
};

struct filter {
    const struct filter_table *table; /* whose fields it is about */
    _Atomic uint32_t refs;
    uint16_t root; /* NODE_NONE: everything passes */
    uint16_t count;
    bool autobound; /* used somewhere */
    groups_t groups;
    struct node *nodes;
    struct buf pool; /* texts */
    char *text;
    struct part *parts;
    size_t part_count;
    struct lookups devices;
    struct lookups cgroups;
    _Atomic uint32_t *found; /* the names found, see names.c: the only part of a filter that changes */
};

/* ---- fields.c ---- */

/* Words with a meaning of their own in front of a comparison ("state", "dport", …). */
extern const char *const filter_keywords[];

/* The field of |t| that a word of the language means, or NULL. */
static inline const struct record_field *filter_role(const struct filter_table *t, enum filter_role role)
{
    return t->roles[role] == FILTER_NO_FIELD ? NULL : &t->fields[t->roles[role]];
}

/* The name in |t| or of the language that is most like |typed|, or NULL when none is. */
const char *filter_field_suggest(const struct filter_table *t, const char *typed, size_t n);

/* The same among |count| |names|. */
const char *filter_suggest(const char *const *names, size_t count, const char *name, size_t n);

/* ---- number.c ---- */

/* Reads |text| as a value of |f|, a field of |t|: a name, or a number with a unit. Returns 0, or a code with the
 * reason in |e|. */
int filter_number(const struct filter_table *t, const struct record_field *f, const char *text, size_t n,
                  uint64_t *out, struct err *e);

/* Whether the |n| bytes at |text| are a unit, of whatever field. */
bool filter_is_unit(const char *text, size_t n);

/* Appends |v| so that filter_number reads it back. */
void filter_number_print(struct buf *out, const struct record_field *f, uint64_t v);

/* The set of states that is called |name|: a state or a group. 0: there is none. */
uint16_t filter_states(const char *name, size_t n);
/* Appends terms that together are exactly |set|. */
void filter_states_print(struct buf *out, uint16_t set);
const char *filter_states_suggest(const char *name, size_t n);

/* ---- host.c ---- */

struct endpoint {
    uint8_t family; /* of the socket, when "inet:" or "inet6:" was said; else AF_UNSPEC */
    bool has_host;
    bool has_port;
    struct host host;
    uint16_t port;
    uint16_t port_high; /* of a range; else |port| */
};

/* Reads [FAMILY:][ADDRESS[/PREFIX]][:PORT]. Returns 0, or a code with the reason in |e|. */
int filter_endpoint(const char *text, size_t n, struct endpoint *out, struct err *e);
/* Reads [FAMILY:][:]PORT or LOW-HIGH. */
int filter_port(const char *text, size_t n, struct endpoint *out, struct err *e);
void filter_host_print(struct buf *out, const struct host *h);
bool filter_host_match(const struct host *h, const uint8_t *address, size_t n);

/* ---- names.c ---- */

/* Notes what |env|, read for |f|, has. Any thread. */
void filter_note_found(const struct filter *f, const struct filter_env *env);

/* ---- match.c, print.c, kernel.c, source.c ---- */

bool filter_glob(const char *pattern, size_t n, const char *text, size_t len);
void filter_print(struct buf *out, const struct filter *f, uint16_t node);
bool filter_source_get(const void *arg, const struct record_field *field, struct filter_value *v);

#endif
