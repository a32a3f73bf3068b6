#include "nswatch/settings.h"

#include "lib/duration.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Room that is left for "/" and the longest file name. */
#define DIR_LENGTH_MAX (PATH_MAX - NAME_MAX - 2)

static int check(const struct nswatch_options *o, struct err *e)
{
    if (o->dir_count > NSWATCH_DIRS_MAX)
        return err_set(e, ERR_LIMIT, "%zu namespace directories: at most %d are possible", o->dir_count,
                       NSWATCH_DIRS_MAX);
    if (o->proc_interval_ns && (o->proc_interval_ns < NSWATCH_PROC_INTERVAL_MIN_NS)) {
        char text[DURATION_TEXT_MAX], least[DURATION_TEXT_MAX];
        duration_format(o->proc_interval_ns, text);
        duration_format(NSWATCH_PROC_INTERVAL_MIN_NS, least);
        return err_set(e, ERR_RANGE, "interval %s between scans of /proc: 0 or at least %s", text, least);
    }
    for (size_t i = 0; i < o->dir_count; i++) {
        if (!o->dirs[i] || o->dirs[i][0] != '/')
            return err_set(e, ERR_MALFORMED, "namespace directory \"%s\": must be an absolute path",
                           o->dirs[i] ? o->dirs[i] : "");
        if (strlen(o->dirs[i]) > DIR_LENGTH_MAX)
            return err_set(e, ERR_RANGE, "namespace directory \"%.64s…\": longer than %d bytes", o->dirs[i],
                           DIR_LENGTH_MAX);
    }
    return 0;
}

/* Copies |path| to |to| without doubled and trailing slashes; returns its length. */
static size_t copy_path(char *to, const char *path)
{
    size_t n = 0;
    for (; *path; path++)
        if (*path != '/' || n == 0 || to[n - 1] != '/')
            to[n++] = *path;
    if (n > 1 && to[n - 1] == '/')
        n--;
    to[n] = '\0';
    return n;
}

int settings_new(const struct nswatch_options *options, struct nswatch_settings **out, struct err *e)
{
    int rc = check(options, e);
    if (rc)
        return rc;
    size_t size = sizeof(struct nswatch_settings) + options->dir_count * sizeof(char *);
    size_t text = 0;
    for (size_t i = 0; i < options->dir_count; i++)
        text += strlen(options->dirs[i]) + 1;
    struct nswatch_settings *s = calloc(1, size + text);
    if (!s)
        return err_set(e, -ENOMEM, "no memory for the namespace directories");
    s->proc_interval_ns = options->proc_interval_ns;
    char *at = (char *)s + size;
    for (size_t i = 0; i < options->dir_count; i++) {
        size_t length = copy_path(at, options->dirs[i]);
        bool twice = false;
        for (size_t k = 0; k < s->dir_count; k++)
            twice |= !strcmp(s->dirs[k], at);
        if (twice)
            continue;
        s->dirs[s->dir_count++] = at;
        at += length + 1;
    }
    *out = s;
    return 0;
}
