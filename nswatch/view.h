/* The form in which the callback sees an object of the registry. */
#ifndef XTCP_NSWATCH_VIEW_H
#define XTCP_NSWATCH_VIEW_H

#include "nswatch/registry.h"

#include <limits.h>
#include <stdbool.h>

/* One object as the callback sees it, with the memory for the parts that are not stored in the object. */
struct view {
    struct nswatch_ns ns;
    char netns[32];
    char path[PATH_MAX];
};

/* Fills |v| with |o| as it is now; valid until the registry changes or another view is made. */
void view_of(struct view *v, struct registry *r, const struct ns_object *o);

/* Gives |n| the path dir/name and the text of it. False without memory, and then |n| has neither. */
bool view_name_texts(struct ns_name *n, const char *dir, const char *name);

#endif
