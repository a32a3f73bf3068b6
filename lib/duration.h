/* Durations as people write them: "250ms", "2s", "1m30s", "1.5h". Any thread. */
#ifndef XTCP_LIB_DURATION_H
#define XTCP_LIB_DURATION_H

#include <stdint.h>

/* Reads |text|: one or more numbers, each with a unit of ns, us, ms, s, m, h or d and optional decimals,
 * without spaces; a lone "0" needs no unit. Returns 0 and the nanoseconds in |out|, ERR_MALFORMED for
 * anything else (a sign, no unit, text behind it), ERR_RANGE when it does not fit in 63 bits. */
int duration_parse(const char *text, int64_t *out);

#define DURATION_TEXT_MAX 48

/* Writes |ns| in the shortest form that duration_parse reads back to the same value ("1m30s", "0s"). A
 * negative duration gets a leading minus. */
void duration_format(int64_t ns, char out[DURATION_TEXT_MAX]);

#endif
