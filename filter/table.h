/* Tables of the fields that filters can be about. There is one language; a table tells the fields, their other names,
 * and the ones that the language's own words (src, dport, state, idle) mean. Constant data; any thread. */
#ifndef XTCP_FILTER_TABLE_H
#define XTCP_FILTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct record_field;

#define FILTER_NO_FIELD UINT16_MAX

/* A further name of a field. */
struct filter_name {
    const char *name;
    uint16_t field; /* index in the table */
};

/* A name that begins with |alias| means the field whose name begins with |proto| instead. */
struct filter_prefix {
    const char *alias;
    const char *proto;
};

/* The fields that words of the language mean. */
enum filter_role {
    FILTER_STATE, /* `state`, `exclude`; a TCP state as the kernel numbers them */
    FILTER_FAMILY, /* this and the next four: `src`, `dst`, `sport`, `dport`, `autobound`. All of them, or none */
    FILTER_SOURCE,
    FILTER_DESTINATION,
    FILTER_SOURCE_PORT,
    FILTER_DESTINATION_PORT,
    FILTER_DEVICE,    /* `dev` */
    FILTER_MARK,      /* `fwmark` */
    FILTER_CGROUP,    /* `cgroup` */
    FILTER_LAST_SENT, /* `idle`, with the next one; both or none. It needs FILTER_STATE */
    FILTER_LAST_RECEIVED,
    FILTER_ROLES
};

struct filter_table {
    const struct record_field *fields; /* one of TYPE_BYTES is FILTER_SOURCE or FILTER_DESTINATION */
    size_t n_fields;
    const struct filter_name *short_names; /* the first one of a field is the one in canonical texts */
    size_t n_short_names;
    const struct filter_name *titles; /* the same, but never in canonical texts; they go before prefixes */
    size_t n_titles;
    const struct filter_prefix *prefixes; /* the first one that leads to a field counts */
    size_t n_prefixes;
    uint16_t bare; /* a field whose name begins with a prefix by chance; FILTER_NO_FIELD: none */
    uint16_t roles[FILTER_ROLES]; /* indexes in the table; FILTER_NO_FIELD: the word is not known */
};

/* The fields of a record of this program, record_fields[]: used by filter_parse and filter_field. */
extern const struct filter_table filter_record_table;

/* The field of |t| that is called |typed| (|n| bytes), by its own name, a short one or a title, in any case, with
 * dashes for underscores; NULL. */
const struct record_field *filter_table_field(const struct filter_table *t, const char *typed, size_t n);

/* The name of |f|, which is one of |t|, in canonical texts: its first short one, or without one its own. */
const char *filter_table_name(const struct filter_table *t, const struct record_field *f);

/* The short names of |f|, titles last: |i| from 0 on; NULL after the last. */
const char *filter_table_alias(const struct filter_table *t, const struct record_field *f, size_t i);

#endif
