/* Patterns that select network namespaces, as the options netns_include and netns_exclude have them:
 *
 *     web-*            a name; as in a shell, * stands for any characters, ? for one, [ab] for one of those
 *     name:a:b         the same, for a name that holds a colon
 *     /run/netns/web*  a name with its directory; path:/run/netns/web* is the same
 *     kind:anonymous   how it was found: own, named or anonymous
 *     cookie:4711      its identity
 *     inode:4026532001 its number on nsfs; netns:[4026532001], as records call one without a name, is the
 * same
 *
 * Pure, any thread. */
#ifndef XTCP_LIB_NETNS_PATTERN_H
#define XTCP_LIB_NETNS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* A namespace, as far as it is known. */
struct netns_facts {
    const char *const *names; /* without directory; the one that records show is among them */
    size_t n_names;
    const char *const *paths; /* with it */
    size_t n_paths;
    const char *kind; /* "own", "named", "anonymous" */
    uint64_t cookie;  /* 0: not known */
    uint64_t inode;   /* 0: not known */
};

#define NETNS_PATTERN_MAX 255 /* bytes */

/* Whether |text| is a pattern. Returns 0, ERR_MALFORMED, ERR_RANGE or ERR_UNKNOWN with |e| (may be NULL)
 * saying what is wrong, without naming |text|. */
int netns_pattern_check(const char *text, struct err *e);

/* Whether two patterns mean the same. */
bool netns_pattern_same(const char *a, const char *b);

/* Whether |text|, a pattern, selects the namespace |f|. */
bool netns_pattern_match(const char *text, const struct netns_facts *f);

/* Whether the two lists leave |f| in: one of |include| selects it, or there are none, and none of |exclude|
 * does. */
bool netns_selected(const struct netns_facts *f, char *const *include, size_t n_include, char *const *exclude,
                    size_t n_exclude);

/* Whether a stream, a watch or a client that asks for the |n| namespaces of |list| wants the one that records call |name| and that
 * has the number |inode|. Each entry is a name as it is (netns:[4026532001] is one), a name with *, ? and [ab] as in a shell, or a
 * number; none at all means every namespace. */
bool netns_wanted(const char *const *list, size_t n, const char *name, uint64_t inode);

#endif
