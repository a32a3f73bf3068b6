/* Sparklines: numbers as a row of bars. Pure; any thread. */
#ifndef XTCP_CLIENT_TOP_TOP_SPARK_H
#define XTCP_CLIENT_TOP_TOP_SPARK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

/* Appends line |line| (0: the lowest) of bars that are |lines| high: one bar for each of the |n| |values|,
 * full at |max|. Bars that are not zero are seen, however small. */
void top_spark(struct buf *out, const float *values, size_t n, float max, size_t line, size_t lines,
               bool utf8);

#endif
