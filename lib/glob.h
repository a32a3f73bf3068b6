/* Patterns of names: * stands for any characters, ? for one, [a-z] for one of those, [!a-z] for one that is
 * none of them; a backslash takes the next character as it is. */
#ifndef XTCP_LIB_GLOB_H
#define XTCP_LIB_GLOB_H

#include <stdbool.h>

/* Whether |pattern| describes the whole of |text|. A bracket that is not closed stands for itself. Both may
 * come from strangers: takes time in proportion to the product of their lengths at most, and no memory. Pure;
 * any thread. */
bool glob_match(const char *pattern, const char *text);

#endif
