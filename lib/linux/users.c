#include "lib/linux/users.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/decimal.h"

#define EXPECTED "expected a user (a number or a name), @ and a group, or * for every user"

/* The most room for one entry of the system's databases. */
#define ENTRY_MAX (1024 * 1024)

/* Reads a number below 2^32 - 1, which stands for nobody. Returns 0, or a code with |e|. */
static int parse_number(const char *text, uint32_t *out, struct err *e)
{
    uint64_t number;
    if (decimal_parse(text, UINT32_MAX - 1, &number))
        return err_set(e, ERR_RANGE, "is out of range; " EXPECTED);
    *out = (uint32_t)number;
    return 0;
}

static int add(struct users *list, uid_t uid)
{
    uid_t *items = reallocarray(list->items, list->n + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->n++] = uid;
    return 0;
}

/* A question to one of the databases; its functions need memory from the caller, and more if that is too
 * little. */
struct entry {
    char *memory;
    size_t size;
};

/* Makes the memory larger. Returns 0, or -ENOMEM. */
static int grow(struct entry *y)
{
    size_t size = y->size ? 2 * y->size : 1024;
    char *memory = size <= ENTRY_MAX ? realloc(y->memory, size) : NULL;
    if (!memory)
        return -ENOMEM;
    y->memory = memory;
    y->size = size;
    return 0;
}

/* ---- Users ---- */

static int find_user(const char *name, uid_t *out, struct err *e)
{
    struct entry y = {0};
    struct passwd user;
    struct passwd *found = NULL;
    int rc = grow(&y) ? ENOMEM : ERANGE;
    while (rc == ERANGE) {
        rc = getpwnam_r(name, &user, y.memory, y.size, &found);
        if (rc == ERANGE && grow(&y))
            rc = ENOMEM;
    }
    free(y.memory);
    if (rc == ENOMEM)
        return err_set(e, -ENOMEM, "out of memory");
    if (!found) /* also when the database cannot be read: the user is not known */
        return err_set(e, ERR_UNKNOWN, "is no user of this machine; " EXPECTED);
    *out = user.pw_uid;
    return 0;
}

static int resolve_user(const char *item, struct users *out, struct err *e)
{
    uid_t uid;
    int rc = decimal_is_number(item) ? parse_number(item, &uid, e) : find_user(item, &uid, e);
    return rc == 0 && out ? add(out, uid) : rc;
}

/* ---- Groups ---- */

/* Adds the users whose primary group is |gid|: the group itself does not list them. */
static int add_primary(gid_t gid, struct users *out)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* the database has one position */
    struct entry y = {0};
    struct passwd user;
    struct passwd *found;
    int rc = grow(&y);
    pthread_mutex_lock(&one_at_a_time);
    setpwent();
    while (rc == 0) {
        int got = getpwent_r(&user, y.memory, y.size, &found);
        if (got == ERANGE)
            rc = grow(&y);
        else if (got)
            break;
        else if (user.pw_gid == gid)
            rc = add(out, user.pw_uid);
    }
    endpwent();
    pthread_mutex_unlock(&one_at_a_time);
    free(y.memory);
    return rc;
}

/* Adds the members that the group |g| lists; names that are no users are left out. */
static int add_members(const struct group *g, struct users *out)
{
    int rc = 0;
    for (char **name = g->gr_mem; *name && rc == 0; name++) {
        uid_t uid;
        if (find_user(*name, &uid, NULL) == 0)
            rc = add(out, uid);
    }
    return rc;
}

/* Finds a group by its name or number; |out| points into |y|. */
static int find_group(const char *name, struct entry *y, struct group *out, struct err *e)
{
    struct group *found = NULL;
    uint32_t number = 0;
    bool numeric = decimal_is_number(name);
    if (numeric && parse_number(name, &number, e))
        return ERR_RANGE;
    int rc = grow(y) ? ENOMEM : ERANGE;
    while (rc == ERANGE) {
        rc = numeric ? getgrgid_r(number, out, y->memory, y->size, &found)
                     : getgrnam_r(name, out, y->memory, y->size, &found);
        if (rc == ERANGE && grow(y))
            rc = ENOMEM;
    }
    if (rc == ENOMEM)
        return err_set(e, -ENOMEM, "out of memory");
    return found ? 0 : err_set(e, ERR_UNKNOWN, "is no group of this machine; " EXPECTED);
}

int users_group(const char *name, gid_t *out, struct err *e)
{
    if (decimal_is_number(name))
        return parse_number(name, out, e);
    struct entry y = {0};
    struct group group;
    int rc = find_group(name, &y, &group, e);
    if (rc == 0)
        *out = group.gr_gid;
    free(y.memory);
    return rc;
}

static int resolve_group(const char *name, struct users *out, struct err *e)
{
    struct entry y = {0};
    struct group group;
    int rc = find_group(name, &y, &group, e);
    if (rc == 0 && out)
        rc = add_members(&group, out);
    if (rc == 0 && out)
        rc = add_primary(group.gr_gid, out);
    free(y.memory);
    return rc;
}

/* ---- Sets ---- */

int users_add(struct users *u, const char *text, struct err *e)
{
    if (strcmp(text, "*") == 0) {
        if (u)
            u->everybody = true;
        return 0;
    }
    if (!*text || strcmp(text, "@") == 0)
        return err_set(e, ERR_MALFORMED, "is empty; " EXPECTED);
    return *text == '@' ? resolve_group(text + 1, u, e) : resolve_user(text, u, e);
}

bool users_same(const char *a, const char *b)
{
    uint64_t x;
    return decimal_parse(a, UINT64_MAX, &x) == 0 ? decimal_is(b, x) : strcmp(a, b) == 0;
}

bool users_have(const struct users *u, uid_t uid)
{
    bool have = u->everybody;
    for (size_t i = 0; i < u->n && !have; i++)
        have = u->items[i] == uid;
    return have;
}

void users_clear(struct users *u)
{
    free(u->items);
    *u = (struct users){0};
}
