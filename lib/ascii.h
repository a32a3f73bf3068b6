/* Characters of protocol text: names, numbers, key words. ASCII and nothing else, whatever the locale says; a
 * byte above 0x7f is no letter and has no case. All of them are pure; any thread. In their place the
 * functions of <ctype.h> and <strings.h> must not be used: in a Turkish locale the lower case of I is not i. */
#ifndef XTCP_LIB_ASCII_H
#define XTCP_LIB_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static inline bool ascii_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool ascii_is_letter(char c)
{
    return ascii_is_lower(c) || ascii_is_upper(c);
}

static inline char ascii_lower(char c)
{
    return ascii_is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static inline char ascii_upper(char c)
{
    return ascii_is_lower(c) ? (char)(c - 'a' + 'A') : c;
}

/* The form in which a letter of a typed name is compared: in lower case, a dash as an underscore. */
static inline char ascii_fold_name(char c)
{
    return c == '-' ? '_' : ascii_lower(c);
}

/* The value of a hexadecimal digit of either case; -1 for anything else. */
static inline int ascii_hex_value(char c)
{
    char lower = ascii_lower(c);
    if (ascii_is_digit(c))
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Whether |text| begins with |prefix|, case ignored; |n| is the length of |text|, which need not end with a
 * NUL. */
static inline bool ascii_begins(const char *text, size_t n, const char *prefix)
{
    for (; *prefix; prefix++, text++, n--) {
        if (n == 0 || ascii_lower(*text) != ascii_lower(*prefix))
            return false;
    }
    return true;
}

#endif
