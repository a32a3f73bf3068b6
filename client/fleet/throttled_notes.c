#include "client/fleet/throttled_notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"

void notes_init(struct notes *n, struct output *out)
{
    *n = (struct notes){.out = out};
}

void notes_add(struct notes *n, const char *format, ...)
{
    int64_t now = clock_mono_ns();
    char *text = NULL;
    va_list ap;
    notes_look(n, now);
    if (!n->since_ns || now - n->since_ns >= NS_PER_S) {
        n->since_ns = now;
        n->told = 0;
    }
    if (n->told == NOTES_AT_ONCE) {
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

int64_t notes_due(const struct notes *n)
{
    return n->left_out ? n->since_ns + NS_PER_S : 0;
}

void notes_end(struct notes *n)
{
    if (n->left_out)
        output_note(n->out, "%zu more line%s like these", n->left_out, n->left_out == 1 ? "" : "s");
    n->left_out = 0;
}

void notes_look(struct notes *n, int64_t now)
{
    if (n->left_out && now - n->since_ns >= NS_PER_S)
        notes_end(n);
}
