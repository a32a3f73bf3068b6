/* Arrays that grow. Pure; one owner at a time. */
#ifndef XTCP_LIB_ARRAY_H
#define XTCP_LIB_ARRAY_H

#include <stddef.h>

/* Makes room for |n| elements of |size| bytes in the heap array whose pointer is at |array| (NULL: none yet); |*room| is
 * the number of elements that it has room for. It at least doubles, so that adding one element at a time is cheap. Returns 0
 * or -ENOMEM (nothing has changed then). */
int array_room(void *array, size_t n, size_t *room, size_t size);

#endif
