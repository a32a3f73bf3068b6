#include "lib/clock.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/digits.h"

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

/* Days from the first day of the year 1 to the first day of |year|, by the Gregorian calendar. */
static int64_t days_before(int64_t year)
{
    int64_t years = year - 1;
    return years * 365 + years / 4 - years / 100 + years / 400;
}

/* Writes the date |days| after 1970-01-01, in the years 1 to 9999; returns the place behind it. */
static char *put_date(char *at, int64_t days)
{
    static const uint16_t starts[2][12] = {{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334},
                                           {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335}};
    days += days_before(1970);
    int64_t year =
        days * 400 / days_before(401) + 1; /* 400 years are as long as any other 400; one too low at most */
    if (days_before(year + 1) <= days)
        year++;
    bool leap = days_before(year + 1) - days_before(year) == 366;
    int64_t day = days - days_before(year);
    unsigned month = 11;
    while (starts[leap][month] > day)
        month--;
    at = digits_put_two(at, (unsigned)(year / 100));
    at = digits_put_two(at, (unsigned)(year % 100));
    *at++ = '-';
    at = digits_put_two(at, month + 1);
    *at++ = '-';
    return digits_put_two(at, (unsigned)(day - starts[leap][month]) + 1);
}

static char *put_time_of_day(char *at, unsigned second)
{
    at = digits_put_two(at, second / 3600);
    *at++ = ':';
    at = digits_put_two(at, second / 60 % 60);
    *at++ = ':';
    return digits_put_two(at, second % 60);
}

/* gmtime_r, strftime and snprintf take ten times as long, which is too long for a text in each record. 64 bits of nanoseconds
 * are the years 1677 to 2262. */
char *clock_put(char *at, int64_t wall_ns, unsigned digits)
{
    const int64_t day = 86400;
    int64_t seconds = wall_ns / NS_PER_S, rest = wall_ns % NS_PER_S;
    if (rest < 0) { /* before 1970: the remainder of C division is negative */
        rest += NS_PER_S;
        seconds--;
    }
    int64_t days = seconds / day, second = seconds % day;
    if (second < 0) {
        second += day;
        days--;
    }
    at = put_date(at, days);
    *at++ = 'T';
    at = put_time_of_day(at, (unsigned)second);
    if (digits > 0) {
        char fraction[9];
        size_t n = digits < sizeof(fraction) ? digits : sizeof(fraction);
        fraction[0] = (char)('0' + rest / 100000000);
        digits_put_eight(fraction + 1, (uint32_t)(rest % 100000000));
        *at++ = '.';
        memcpy(at, fraction, n);
        at += n;
    }
    *at++ = 'Z';
    return at;
}

void clock_format(int64_t wall_ns, unsigned digits, char out[CLOCK_TEXT_MAX])
{
    *clock_put(out, wall_ns, digits) = '\0';
}
