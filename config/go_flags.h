/* The flags of the Go daemon of the same name, and what they are called here: for those who bring a command line from
 * there. Its flags have one dash and names such as pollJitterPct; all are known by name, none is obeyed.
 *
 * docs/migrating.md has a table made of this one. */
#ifndef XTCP_CONFIG_GO_FLAGS_H
#define XTCP_CONFIG_GO_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

struct go_flag {
    const char *name;     /* without its dash */
    const char *variable; /* of the environment, which it has beside it; NULL: none */
    const char
        *option; /* the option of this program that does the same: "poll_frequency"; NULL: there is none */
    const char *text; /* how the values differ, NULL: not at all; without |option|: why there is none */
};

extern const struct go_flag go_flags[];
extern const size_t go_flag_count;

/* The flag that the |n| bytes |name| are, or NULL. Any thread. */
const struct go_flag *go_flag_find(const char *name, size_t n);

/* Appends what is to be written in the place of |f|, as a sentence behind its name and a colon: "options have two dashes
 * here: --dest". |two_dashes|: it was given with two dashes. Any thread. */
void go_flag_explain(const struct go_flag *f, bool two_dashes, struct buf *out);

#endif
