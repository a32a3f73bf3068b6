/* Messages to top from any daemon, up to the list: messages, each preceded by its length in two bytes, whose
 * highest bit says that the stream begins anew. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "client/top/top_columns.h"
#include "client/top/top_intake.h"
#include "client/top/top_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a poll in and looks at all of it, as the screen does. */
static int complete(void *context, struct top_poll **poll)
{
    struct top_model *m = context;
    char text[TOP_CELL_MAX];
    if (top_model_apply(m, *poll) != 0)
        abort();
    top_model_sort(m, (enum top_sort)(m->n_polls % TOP_SORTS));
    for (size_t i = 0; i < m->n_order; i++) {
        top_model_show(m, i);
        for (unsigned c = 0; c < TOP_COLUMNS; c++)
            top_column_text(m, top_model_row(m, i), c, text);
        if (top_model_find(m, &top_model_row(m, i)->now.key) != i)
            abort();
    }
    for (size_t i = 0; i < m->n_netns; i++)
        if (top_model_netns(m, i)->netns >= m->n_netns)
            abort();
    top_poll_reset(*poll);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct top_model model;
    struct filter *filter = NULL;
    struct filter_error fe;
    top_model_init(&model);
    if (filter_parse("dport != 443 or rtt > 1ms", &filter, &fe) != 0)
        abort();
    struct top_intake intake = {
        .poll = top_poll_new(), .complete = complete, .context = &model, .filter = filter};
    if (!intake.poll)
        abort();
    while (size >= 2) {
        size_t n = (size_t)(data[0] | (data[1] & 0x7f) << 8);
        struct err e = {0};
        if (data[1] & 0x80)
            top_intake_begin(&intake);
        data += 2;
        size -= 2;
        if (n > size)
            n = size;
        struct rpc_bytes message = {.data = malloc(n ? n : 1), .len = n};
        if (!message.data)
            abort();
        for (size_t i = 0; i < n; i++)
            message.data[i] = data[i];
        top_intake_message(&intake, &message, &e);
        free(message.data);
        data += n;
        size -= n;
    }
    if (top_intake_unmarked(&intake))
        top_intake_end(&intake);
    top_intake_free(&intake);
    top_poll_free(intake.poll);
    top_model_free(&model);
    filter_unref(filter);
    return 0;
}
