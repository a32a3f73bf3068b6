/* Users of the machine, as people name them: by numbers, names, groups. Any thread; the system's databases of
 * users and groups are asked, which may take its time. */
#ifndef XTCP_LIB_LINUX_USERS_H
#define XTCP_LIB_LINUX_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/* A set of users; all zero is the empty one. */
struct users {
    uid_t *items;
    size_t n;
    bool everybody;
};

/* Adds the users that |text| means: the number or name of a user, @ and the number or name of a group for its
 * members, or
 * * for everybody. |u| may be NULL: then it is only checked. Returns 0, ERR_UNKNOWN, ERR_RANGE, ERR_MALFORMED
 * or -ENOMEM with |e| saying what is wrong, without naming |text|. */
int users_add(struct users *u, const char *text, struct err *e);

/* The group called |name|, or with that number, which nobody needs to have. Returns 0 and it in |out|,
 * ERR_UNKNOWN, ERR_RANGE or -ENOMEM with |e| saying what is wrong, without naming |name|. */
int users_group(const char *name, gid_t *out, struct err *e);

/* Whether two texts that users_add accepts are the same, but for the spelling of a number. */
bool users_same(const char *a, const char *b);

bool users_have(const struct users *u, uid_t uid);
void users_clear(struct users *u);

#endif
