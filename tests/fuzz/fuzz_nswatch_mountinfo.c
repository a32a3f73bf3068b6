/* The text of /proc/PID/mountinfo and a path to look up in it: the first line of the input is the path. */
#include "nswatch/mountinfo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    size_t length = newline ? (size_t)(newline - data) : size;
    size_t skip = newline ? length + 1 : size;
    char *path = malloc(length + 1);
    char *text = malloc(size - skip + 1); /* of its own, so that a read beyond the end is seen */
    if (path && text) {
        memcpy(path, data, length);
        path[length] = '\0';
        if (size > skip)
            memcpy(text, data + skip, size - skip);
        struct mountinfo_entry entry;
        if (mountinfo_find(text, size - skip, path, &entry) &&
            (entry.point < text || entry.point + entry.point_len > text + size - skip || !entry.point_len))
            abort();
    }
    free(path);
    free(text);
    return 0;
}
