/* Decimal numbers in text from outside: digits and nothing else. The C library's functions also accept signs, spaces
 * and trailing text. Pure; any thread. */
#ifndef XTCP_LIB_DECIMAL_H
#define XTCP_LIB_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Reads the |n| bytes at |text|. Returns 0 and the number in |out|; ERR_MALFORMED when they are not all digits, or none;
 * ERR_RANGE for more than |max|. |out| is unchanged after an error. */
int decimal_read(const char *text, size_t n, uint64_t max, uint64_t *out);

/* The same for a whole string. */
int decimal_parse(const char *text, uint64_t max, uint64_t *out);

/* Whether |text| is digits alone, at least one, however many. */
bool decimal_is_number(const char *text);

/* Whether |text| is the number |value|. */
bool decimal_is(const char *text, uint64_t value);

#endif
