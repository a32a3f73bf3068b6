#include "lib/ip_text.h"

#include <stdbool.h>

#include "lib/digits.h"

#define GROUPS 8 /* 16 bits each */

char *ip4_text(const uint8_t ip[4], char out[IP_TEXT_MAX])
{
    for (int i = 0; i < 4; i++) {
        out = digits_put_short(out, ip[i]);
        *out++ = '.';
    }
    *--out = '\0';
    return out;
}

/* A run of groups that are zero. */
struct run {
    int first, count;
};

/* The longest one, of those the first; groups alone are none. */
static struct run longest_run(const uint16_t groups[GROUPS])
{
    struct run best = {.first = GROUPS, .count = 1}, run = {0};
    for (int i = 0; i < GROUPS; i++) {
        run = groups[i] ? (struct run){.first = i + 1} : (struct run){run.first, run.count + 1};
        if (run.count > best.count)
            best = run;
    }
    return best;
}

static char *put_group(char *out, uint16_t group)
{
    static const char digits[] = "0123456789abcdef";
    for (int shift = group >> 12 ? 12 : group >> 8 ? 8 : group >> 4 ? 4 : 0; shift >= 0; shift -= 4)
        *out++ = digits[group >> shift & 15];
    return out;
}

/* Whether the last 32 bits are an IPv4 address: ::1.2.3.4 or ::ffff:1.2.3.4. */
static bool holds_ip4(const uint16_t groups[GROUPS], struct run zeros)
{
    return zeros.first == 0 && (zeros.count == 6 || (zeros.count == 5 && groups[5] == 0xffff));
}

char *ip6_text(const uint8_t ip[16], char out[IP_TEXT_MAX])
{
    uint16_t groups[GROUPS];
    for (int i = 0; i < GROUPS; i++)
        groups[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
    struct run zeros = longest_run(groups);
    for (int i = 0; i < GROUPS; i++) {
        if (i >= zeros.first && i < zeros.first + zeros.count) {
            if (i == zeros.first)
                *out++ = ':';
            continue;
        }
        if (i > 0)
            *out++ = ':';
        if (i == GROUPS - 2 && holds_ip4(groups, zeros))
            return ip4_text(ip + 12, out);
        out = put_group(out, groups[i]);
    }
    if (zeros.first + zeros.count == GROUPS)
        *out++ = ':';
    *out = '\0';
    return out;
}
