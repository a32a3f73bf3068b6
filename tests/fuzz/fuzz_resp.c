/* Answers of Valkey and Redis: what is taken of any bytes lies within them, and no answer changes when more bytes
 * come. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "outputs/sink/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Parses a copy of exactly |n| bytes: a sanitizer sees a read past their end. Texts of |out| are offsets then. */
static int parse(const uint8_t *data, size_t n, struct resp_answer *out, size_t *offset)
{
    uint8_t *exact = malloc(n ? n : 1);
    require(exact);
    if (n)
        memcpy(exact, data, n);
    int rc = resp_parse(exact, n, out);
    require(rc == 1 || rc == 0 || rc == ERR_MALFORMED);
    if (rc == 1) {
        *offset = (size_t)(out->text - (const char *)exact);
        require(out->size >= 3 && out->size <= n && out->len <= RESP_TEXT_MAX &&
                *offset + out->len + 2 <= out->size);
        require(resp_is_error(out, "ERR") <= (out->type == RESP_ERROR));
    }
    free(exact);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        struct resp_answer whole, part;
        size_t offset, part_offset;
        int rc = parse(data, size, &whole, &offset);
        if (rc == ERR_MALFORMED)
            break;
        size_t complete = rc == 1 ? whole.size : size + 1;
        for (size_t n = 0; n < complete && n <= size && n < 64; n++)
            require(parse(data, n, &part, &part_offset) == 0);
        if (rc == 0)
            break;
        require(parse(data, whole.size, &part, &part_offset) == 1);
        require(part.type == whole.type && part.len == whole.len && part.number == whole.number &&
                part_offset == offset);
        data += whole.size;
        size -= whole.size;
    }
    return 0;
}
