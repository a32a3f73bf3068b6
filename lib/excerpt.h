/* Excerpts of two long texts that show their difference. Any thread. */
#ifndef XTCP_LIB_EXCERPT_H
#define XTCP_LIB_EXCERPT_H

#include <stddef.h>

/* A part of a text, in bytes: from |from| to before |to|. */
struct excerpt {
    size_t from, to;
};

#define EXCERPT_MARK 3 /* bytes that are counted for a mark of omission */

/* The parts of |a| and |b| (UTF-8) to show: all of both where neither has more than |whole| bytes; else from
 * a little before the first difference to a little behind the last, at commas where such are near, and not
 * more than |most| (at least 24) bytes of each, marks at its ends included. Never within a character. */
void excerpt_differing(const char *a, const char *b, size_t whole, size_t most, struct excerpt *of_a,
                       struct excerpt *of_b);

#endif
