#include "model/subscription.h"

#include <stdlib.h>

static void free_list(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void subscription_free(struct subscription *r)
{
    free(r->filter);
    free_list(r->columns, r->n_columns);
    free_list(r->netns, r->n_netns);
    *r = (struct subscription){0};
}
