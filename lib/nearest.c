#include "lib/nearest.h"

#include <stdbool.h>
#include <string.h>

#include "lib/ascii.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(const char *a, size_t n, const char *b, size_t m, size_t most)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    size_t before = 0; /* the least of the row before */
    if (n > NEAREST_NAME_MAX || m > NEAREST_NAME_MAX || n > m + most || m > n + most)
        return most + 1;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        char x = ascii_fold_name(a[i - 1]);
        char x_before = i > 1 ? ascii_fold_name(a[i - 2]) : '\0';
        char y_before = '\0';
        size_t here = i;
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            char y = ascii_fold_name(b[j - 1]);
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == y_before && x_before == y)
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
            here = least(here, row[j]);
            y_before = y;
        }
        if (here > most && before >= most) /* all later rows follow from these two */
            return most + 1;
        before = here;
    }
    return least(rows[n % 3][m], most + 1);
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t typed_len = strlen(n->typed);
    size_t len = strlen(candidate);
    if (typed_len > NEAREST_NAME_MAX || len > NEAREST_NAME_MAX)
        return;
    bool begins_so = typed_len >= 3 && strncmp(n->typed, candidate, typed_len) == 0;
    size_t allowed = len / 3 ? len / 3 : 1; /* beyond a third of the name it is another word */
    size_t d = begins_so ? 1 : nearest_distance(n->typed, typed_len, candidate, len, allowed);
    if (d <= allowed && (!n->name || d < n->distance)) {
        n->name = candidate;
        n->distance = d;
    }
}
