#include "client/top/top_spark.h"

/* The look of a line of a bar, by the number of its steps that are filled. */
static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const letters[] = {" ", ".", ":", "|", "#"};

void top_spark(struct buf *out, const float *values, size_t n, float max, size_t line, size_t lines,
               bool utf8)
{
    const char *const *looks = utf8 ? blocks : letters;
    size_t steps = (utf8 ? sizeof(blocks) / sizeof(blocks[0]) : sizeof(letters) / sizeof(letters[0])) - 1;
    for (size_t i = 0; i < n; i++) {
        size_t filled = 0, below = line * steps;
        if (values[i] > 0 && max > 0) {
            double share = (double)values[i] / (double)max;
            filled = share >= 1 ? lines * steps : (size_t)(share * (double)(lines * steps) + 0.5);
            if (!filled)
                filled = 1;
        }
        size_t here = filled <= below ? 0 : filled - below < steps ? filled - below : steps;
        buf_str(out, looks[here]);
    }
}
