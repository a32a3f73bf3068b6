#include "lib/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 16

int array_room(void *array, size_t n, size_t *room, size_t size)
{
    void *old;
    if (n <= *room)
        return 0;
    size_t more = *room * 2 > n ? *room * 2 : n;
    if (more < ROOM_FIRST)
        more = ROOM_FIRST;
    memcpy(&old, array, sizeof(old)); /* a pointer of any type */
    void *bigger = reallocarray(old, more, size);
    if (!bigger)
        return -ENOMEM;
    memcpy(array, &bigger, sizeof(bigger));
    *room = more;
    return 0;
}
