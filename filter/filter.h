/* Filters choose sockets. One language for daemon and client, described in xtcp2-filter(7): the expressions
 * of ss(8), and every field of a record by name.
 *
 *     struct filter *f;
 *     struct filter_error e;
 *     if (filter_parse("dport = 443 and rtt > 50ms", &f, &e))
 *         ... e.err.text, e.column
 *     filter_match(f, &source, &context, NULL)
 *     filter_unref(f)
 *
 * A filter is immutable: any number of threads may use it at the same time. */
#ifndef XTCP_FILTER_FILTER_H
#define XTCP_FILTER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "model/groups.h"
#include "record/source.h"

struct record_context;
struct record_field;
struct filter;
struct filter_table;

/* ---- From text ---- */

#define FILTER_TEXT_MAX    16384 /* bytes of an expression */
#define FILTER_DEPTH_MAX   64    /* parentheses and negations inside of each other */
#define FILTER_TERMS_MAX   512   /* comparisons */
#define FILTER_LOOKUPS_MAX 8     /* different names of devices and cgroups */

struct filter_error {
    struct err err; /* "column 9: …": a sentence with the column and what was expected there */
    size_t column; /* where, in characters from 1 on; one behind the end when the expression ends too early */
};

/* Parses |text|, a NUL-terminated expression about the fields of a record; an empty one lets everything pass. Returns
 * 0 and the filter in |out|, one reference, the caller's; ERR_MALFORMED, ERR_UNKNOWN (a name that does not exist),
 * ERR_RANGE, ERR_TYPE (a value of another kind than the field has), ERR_LIMIT (longer or deeper than the bounds above)
 * or -ENOMEM, and |e| (not NULL) filled in. Only names of services are looked up, in services(5). */
int filter_parse(const char *text, struct filter **out, struct filter_error *e);

/* The same for the fields of |t| (filter/table.h), which lives longer. The filter is evaluated by filter_match_values
 * alone: filter_match and filter_kernel are about the kernel's data of a record's fields. */
int filter_parse_by(const struct filter_table *t, const char *text, struct filter **out,
                    struct filter_error *e);

struct filter *filter_ref(struct filter *f);
/* NULL is allowed. */
void filter_unref(struct filter *f);

/* ---- Names ---- */

/* The field that is called |typed| (|n| bytes), by its proto name, a short one or the title that it has in
 * tables, in any case, with dashes for underscores; NULL. */
const struct record_field *filter_field(const char *typed, size_t n);

/* The name of |f| in canonical texts: the first short one that older daemons know for |f| as well, never a
 * title; if there is none, its proto name. */
const char *filter_field_name(const struct record_field *f);

/* The short names of |f|, titles last: |i| from 0 on; NULL after the last. */
const char *filter_field_alias(const struct record_field *f, size_t i);

/* ---- Text and parts ---- */

/* The expression in canonical form: parsed again it is the same filter, with the same text. "" when
 * everything passes. Lives as long as |f|. */
const char *filter_text(const struct filter *f);

/* The attribute groups that the kernel must be asked for, so that the filter finds its fields. */
groups_t filter_groups(const struct filter *f);

/* Whether everything passes. */
bool filter_is_empty(const struct filter *f);

/* The number of parts of a filter, which the `and`s at its top separate; all of them must pass. 0 when it is
 * empty. */
size_t filter_part_count(const struct filter *f);
/* Part |i| in canonical form. Lives as long as |f|. */
const char *filter_part_text(const struct filter *f, size_t i);
/* Whether the kernel can evaluate part |i| exactly, alone: nothing is left to do for it when the dump is
 * asked for this filter only (filter_kernel). The collector evaluates the others. */
bool filter_part_in_kernel(const struct filter *f, size_t i);

/* ---- Evaluation ---- */

/* Facts that a filter knows only in the network namespace of the sockets. */
struct filter_env {
    uint16_t auto_min; /* ip_local_port_range: `autobound` compares with it */
    uint16_t auto_max;
    uint32_t
        devices[FILTER_LOOKUPS_MAX]; /* the indexes of the devices that the filter names; 0: there is none */
    uint64_t cgroups[FILTER_LOOKUPS_MAX]; /* and the ids of cgroups */
};

/* Whether |f| needs an environment at all. */
bool filter_needs_env(const struct filter *f);

/* The environment that |f| needs, of the calling thread's namespace. A fact that cannot be found out has the
 * value that filter_match assumes without an environment. Makes some system calls. */
void filter_env_read(const struct filter *f, struct filter_env *env);

/* Whether the socket |s|, as the kernel described it, passes |f|. |c| has the other values of its record
 * (netns, labels …). |env| may be NULL: then the range of automatic ports is the kernel's default and nothing
 * is a device or cgroup given by name. A comparison with a field that the socket does not have is false. No
 * allocation. Any thread. */
bool filter_match(const struct filter *f, const struct record_source *s, const struct record_context *c,
                  const struct filter_env *env);

/* The same over values from any source. */
struct filter_value {
    uint64_t number;     /* every type but STRING and BYTES */
    const uint8_t *data; /* STRING, BYTES */
    size_t len;
};
/* Fills |v| with the value of |field|; false: there is none. */
typedef bool filter_get_fn(const void *arg, const struct record_field *field, struct filter_value *v);
bool filter_match_values(const struct filter *f, filter_get_fn *get, const void *arg,
                         const struct filter_env *env);

/* ---- Names that it asks for ---- */

/* Calls |fn| with each text that |f| compares |field| with by `=`, but for those below a negation. */
typedef void filter_text_fn(void *arg, const char *pattern);
void filter_visit_texts(const struct filter *f, const struct record_field *field, filter_text_fn *fn,
                        void *arg);

/* Whether |text| is, or fits, |pattern|, as it would for a filter. */
bool filter_text_fits(const char *pattern, const char *text);

/* Name |i|, from 0 on, of the devices (|device|) and cgroups of |f| that filter_env_read has looked up and
 * has found nowhere so far; NULL: there are no more. Any thread. */
const char *filter_unfound(const struct filter *f, size_t i, bool *device);

/* ---- In the kernel ---- */

/* The states that a dump of all sockets asks for, as bits 1 << TCP_X: see inet_diag/diag_request.c. */
#define FILTER_STATES_ALL 0xfffu

#define FILTER_CODE_MAX 8192

/* The part of filters that an inet_diag request can carry. */
struct filter_kernel {
    uint32_t states; /* idiag_states */
    uint16_t sport;  /* id.idiag_sport and idiag_dport, in host order: every socket that is wanted has this */
    uint16_t dport;  /* port. 0: any. The kernel compares them before it gathers what the code looks at */
    bool exact;      /* the kernel passes on what the filters want and nothing else */
    bool privileged; /* the code needs CAP_NET_ADMIN: the kernel refuses it with EPERM without */
    size_t len;      /* bytes of |code|; 0: none */
    uint8_t code[FILTER_CODE_MAX]; /* INET_DIAG_REQ_BYTECODE */
};

/* Makes a request to the kernel whose answers include all sockets that pass one of the |n| |filters|. If the
 * code would be longer than FILTER_CODE_MAX, there is none. Without filters no socket passes. Any thread. */
void filter_kernel(const struct filter *const *filters, size_t n, struct filter_kernel *out);

#endif
