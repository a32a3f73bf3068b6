#include "lib/nearest.h"

#include <stdbool.h>
#include <string.h>

#include "lib/ascii.h"

#define NEAREST_NAME_MAX 48

static bool same_letter(char a, char b)
{
    return ascii_lower(a) == ascii_lower(b) || (a == '-' && b == '_') || (a == '_' && b == '-');
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, in one row of his table; anything above |most| when it is above. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t most)
{
    if (a_len > b_len + most || b_len > a_len + most)
        return most + 1;
    size_t row[NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        size_t least = i;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + !same_letter(a[i - 1], b[j - 1]));
            diagonal = above;
            least = row[j] < least ? row[j] : least;
        }
        if (least > most) /* no row has a smaller one than the row before */
            return least;
    }
    return row[b_len];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t typed_len = strlen(n->typed);
    size_t len = strlen(candidate);
    if (typed_len > NEAREST_NAME_MAX || len > NEAREST_NAME_MAX)
        return;
    bool begins_so = typed_len >= 3 && strncmp(n->typed, candidate, typed_len) == 0;
    size_t allowed = len / 3 ? len / 3 : 1; /* beyond a third of the name it is another word */
    size_t d = begins_so ? 1 : distance(n->typed, typed_len, candidate, len, allowed);
    if (d <= allowed && (!n->name || d < n->distance)) {
        n->name = candidate;
        n->distance = d;
    }
}
