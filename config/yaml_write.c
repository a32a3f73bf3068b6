/* Scalars of YAML, written. */
#include "config/config_internal.h"
#include "lib/utf8.h"

/* Whether YAML refuses the sequence at |text| as it is, or a reader of the file would not see it. */
static bool yaml_escapes(const char *text, size_t len)
{
    uint32_t code = utf8_code(text, len);
    return code == 0xfffe || code == 0xffff || utf8_is_hidden(text, len);
}

void yaml_string(struct buf *out, const char *text, size_t n)
{
    const char *end = text + n;
    buf_char(out, '"');
    for (size_t len; text < end; text += len) {
        len = utf8_length(text, (size_t)(end - text));
        if (len == 0)
            len = 1;
        if (*text == '"' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else if (yaml_escapes(text, len))
            buf_printf(out, len < 4 ? "\\u%04x" : "\\U%08x", utf8_code(text, len));
        else
            buf_bytes(out, text, len);
    }
    buf_char(out, '"');
}
