#include "lib/utf8.h"

#include <string.h>

const char *utf8_quote(const char *text, char *out, size_t size)
{
    static const char cut_mark[] = "...";
    size_t n = 0;
    for (size_t left = strlen(text), used; left > 0; text += used, left -= used) {
        size_t len = utf8_length(text, left);
        bool shown = len && !utf8_is_control(text, len);
        size_t put = shown ? len : 1;
        used = len ? len : 1;
        if (n + put > size - sizeof(cut_mark)) {
            memcpy(out + n, cut_mark, sizeof(cut_mark));
            return out;
        }
        memcpy(out + n, shown ? text : "?", put);
        n += put;
    }
    out[n] = '\0';
    return out;
}
