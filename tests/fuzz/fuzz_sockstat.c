/* The text of /proc/net/sockstat and sockstat6. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inet_diag/sockstat.h"
#include "lib/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sockets = 1;
    char *text = malloc(size ? size : 1); /* of its own, so that a read beyond the end is seen */
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    int rc = sockstat_parse(text, size, &sockets);
    if (rc != 0 && rc != ERR_MALFORMED)
        abort();
    if (rc == 0 && !memmem(text, size, "inuse", 5))
        abort();
    free(text);
    return 0;
}
