#include "inet_diag/sockstat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lib/decimal.h"
#include "lib/err.h"

/* Both files have a few lines of short numbers; a longer text is another file. */
#define TEXT_MAX 1024

/* ---- The text: "TCP: inuse 3 orphan 0 tw 1 alloc 5 mem 2" (net/ipv4/proc.c, net/ipv6/proc.c) ---- */

struct text {
    const char *at;
    const char *end;
};

static bool is_word(const char *word, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(word, want, n) == 0;
}

/* The next word of the line that |t| is in; 0 at the end of the line. */
static size_t next_word(struct text *t, const char **word)
{
    while (t->at < t->end && *t->at == ' ')
        t->at++;
    *word = t->at;
    while (t->at < t->end && *t->at != ' ' && *t->at != '\n')
        t->at++;
    return (size_t)(t->at - *word);
}

static void next_line(struct text *t)
{
    const char *newline = memchr(t->at, '\n', (size_t)(t->end - t->at));
    t->at = newline ? newline + 1 : t->end;
}

/* Behind the first word of its line: pairs of a name and a number. */
static int add_up(struct text *t, uint64_t *sockets)
{
    const char *word;
    const char *digits;
    size_t n;
    bool found = false;
    *sockets = 0;
    while ((n = next_word(t, &word))) {
        uint64_t value;
        size_t length = next_word(t, &digits);
        if (decimal_read(digits, length, UINT64_MAX, &value))
            return ERR_MALFORMED;
        bool inuse = is_word(word, n, "inuse");
        found |= inuse;
        if (inuse || is_word(word, n, "tw"))
            *sockets += value;
    }
    return found ? 0 : ERR_MALFORMED;
}

int sockstat_parse(const char *text, size_t n, uint64_t *sockets)
{
    struct text t = {.at = text, .end = n ? text + n : text};
    *sockets = 0;
    while (t.at < t.end) {
        const char *word;
        size_t length = next_word(&t, &word);
        if (is_word(word, length, "TCP:") || is_word(word, length, "TCP6:"))
            return add_up(&t, sockets);
        next_line(&t);
    }
    return ERR_MALFORMED;
}

/* ---- The files ---- */

static int read_count(const char *path, uint64_t *sockets)
{
    char text[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof(text));
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc)
        return rc;
    if (n == (ssize_t)sizeof(text))
        return ERR_MALFORMED;
    return sockstat_parse(text, (size_t)n, sockets);
}

int sockstat_count(uint64_t *sockets)
{
    /* The link "net" of a thread's directory leads to the namespace that the thread is in now. */
    uint64_t v6 = 0;
    int rc = read_count("/proc/thread-self/net/sockstat", sockets);
    if (rc)
        return rc;
    if (*sockets == 0)
        rc = read_count("/proc/thread-self/net/sockstat6", &v6);
    *sockets += v6;
    return rc == -ENOENT ? 0 : rc; /* a kernel without IPv6 */
}
