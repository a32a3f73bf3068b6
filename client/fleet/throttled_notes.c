#include "client/fleet/throttled_notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

void throttled_notes_init(struct throttled_notes *n, struct output *out)
{
    *n = (struct throttled_notes){.out = out};
}

void throttled_notes_add(struct throttled_notes *n, const char *format, ...)
{
    int64_t now = clock_mono_ns();
    char *text = NULL;
    va_list ap;
    throttled_notes_look(n, now);
    if (!n->since_ns || now - n->since_ns >= NS_PER_S) {
        n->since_ns = now;
        n->told = 0;
    }
    if (n->told == THROTTLED_NOTES_AT_ONCE) {
        n->left_out++;
        return;
    }
    n->told++;
    va_start(ap, format);
    int rc = vasprintf(&text, format, ap);
    va_end(ap);
    if (rc < 0)
        return;
    output_note(n->out, "%s", text);
    free(text);
}

int64_t throttled_notes_due(const struct throttled_notes *n)
{
    return n->left_out ? n->since_ns + NS_PER_S : 0;
}

void throttled_notes_end(struct throttled_notes *n)
{
    if (n->left_out)
        output_note(n->out, "%zu more line%s like these", n->left_out, n->left_out == 1 ? "" : "s");
    n->left_out = 0;
}

void throttled_notes_look(struct throttled_notes *n, int64_t now)
{
    if (n->left_out && now - n->since_ns >= NS_PER_S)
        throttled_notes_end(n);
}
