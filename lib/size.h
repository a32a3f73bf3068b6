/* Numbers of bytes as people write them: "64KiB", "1MiB". Any thread. */
#ifndef XTCP_LIB_SIZE_H
#define XTCP_LIB_SIZE_H

#include <stdint.h>

/* Reads |text|: a whole number, with a unit of KiB, MiB, GiB or TiB or none for bytes, without spaces. Returns 0 and the
 * number of bytes in |bytes|, ERR_MALFORMED for anything else (a sign, decimals, another unit such as kB or kib),
 * ERR_RANGE when it does not fit in 64 bits. |bytes| is unchanged after an error. */
int size_parse(const char *text, uint64_t *bytes);

#define SIZE_TEXT_MAX 24

/* Writes |bytes| with the largest unit of which it is a multiple ("64KiB", "1536", "0"); size_parse reads it back to the
 * same number. */
void size_format(uint64_t bytes, char out[SIZE_TEXT_MAX]);

#endif
