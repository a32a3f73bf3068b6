/* The buffer of an inotify descriptor. An accepted event has a file name that ends inside the buffer. */
#include "lib/linux/inotify_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_over(data, size);
    struct inotify_item item;
    size_t left = size + 1;
    while (inotify_next(&c, &item) == 1) {
        if (cursor_left(&c) >= left)
            abort(); /* no progress */
        left = cursor_left(&c);
        if (item.name && (strchr(item.name, '/') || !*item.name ||
                          (const uint8_t *)item.name + strlen(item.name) >= data + size))
            abort();
    }
    return 0;
}
