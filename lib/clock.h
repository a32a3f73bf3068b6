/* Clocks, all in nanoseconds, and the text of a moment. Any thread. */
#ifndef XTCP_LIB_CLOCK_H
#define XTCP_LIB_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

/* CLOCK_MONOTONIC: for intervals and deadlines. */
int64_t clock_mono_ns(void);

/* CLOCK_REALTIME: for times that a person or a database reads. */
int64_t clock_wall_ns(void);

/* CPU time of the calling thread. */
int64_t clock_thread_cpu_ns(void);

/* CPU time of all threads of the process. */
int64_t clock_process_cpu_ns(void);

/* CPU time of the calling thread in the kernel. The kernel splits a thread's time by sampling: right on
 * average only. */
int64_t clock_thread_kernel_ns(void);

/* The earlier of two moments or deadlines of the same clock. */
static inline int64_t clock_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#define CLOCK_TEXT_MAX 40

/* Writes |wall_ns| in RFC 3339, UTC, with |digits| (0 to 9) decimals of the second into |out|. */
void clock_format(int64_t wall_ns, unsigned digits, char out[CLOCK_TEXT_MAX]);

/* The same at |at|, which has as much room, without a NUL. Returns the place behind it. */
char *clock_put(char *at, int64_t wall_ns, unsigned digits);

#endif
