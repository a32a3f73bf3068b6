/* Names in /proc, the text of namespace links, and file names as people see them. */
#include "nswatch/procscan.h"
#include "nswatch/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (proc_parse_pid(text) < 0)
        abort();
    proc_parse_link((const char *)data, size);
    proc_parse_kernel(text);
    char *shown = text_escape(text, size);
    if (!shown)
        abort();
    for (const unsigned char *s = (const unsigned char *)shown; *s; s++)
        if (*s < 0x20 || *s == 0x7f || *s >= 0xf5)
            abort();
    if (strlen(shown) < size)
        abort();
    /* The shown text has backslashes only in escapes, so escaping it again changes nothing but those. */
    if (!strchr(shown, '\\')) {
        char *again = text_escape(shown, strlen(shown));
        if (!again || strcmp(again, shown))
            abort();
        free(again);
    }
    free(shown);
    free(text);
    return 0;
}
