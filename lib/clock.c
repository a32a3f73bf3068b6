#include "lib/clock.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_thread_kernel_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_stime.tv_sec * NS_PER_S + usage.ru_stime.tv_usec * NS_PER_US;
}

void clock_format(int64_t wall_ns, unsigned digits, char out[CLOCK_TEXT_MAX])
{
    int64_t seconds = wall_ns / NS_PER_S;
    int64_t rest = wall_ns % NS_PER_S;
    if (rest < 0) { /* before 1970: the remainder of C division is negative */
        rest += NS_PER_S;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        snprintf(out, CLOCK_TEXT_MAX, "0000-00-00T00:00:00Z");
        return;
    }
    size_t n = strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    if (digits > 9)
        digits = 9;
    for (unsigned i = digits; i < 9; i++)
        rest /= 10;
    if (digits)
        n += (size_t)snprintf(out + n, CLOCK_TEXT_MAX - n, ".%0*lld", (int)digits, (long long)rest);
    snprintf(out + n, CLOCK_TEXT_MAX - n, "Z");
}
