/* Numbers as people read them: "1.2ms", "34us", "1.5MB", "12.3Mbit/s". Any thread. */
#ifndef XTCP_CLIENT_SHOW_UNITS_H
#define XTCP_CLIENT_SHOW_UNITS_H

#include <stdint.h>

#define UNITS_TEXT_MAX 16 /* bytes of the longest text with its NUL */

/* |ns| nanoseconds in the largest unit of ns, us, ms, s, m, h, d that fits, one decimal below ten: at most 7
 * characters. */
void units_time(uint64_t ns, char out[UNITS_TEXT_MAX]);

/* The same for |us| microseconds, as struct tcp_info has them; values beyond 64 bits of nanoseconds count as
 * the maximum. */
void units_time_us(uint64_t us, char out[UNITS_TEXT_MAX]);

/* |bytes| in powers of 1000, one decimal below a hundred: "0B" to "18.4EB", at most 6 characters. */
void units_bytes(uint64_t bytes, char out[UNITS_TEXT_MAX]);

/* |bytes_per_s| in bits per second: at most 10 characters. */
void units_rate(uint64_t bytes_per_s, char out[UNITS_TEXT_MAX]);

/* A count: exact below ten thousand, then "12.3k", "4.1M": at most 5 characters. */
void units_count(uint64_t n, char out[UNITS_TEXT_MAX]);

#endif
