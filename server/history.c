#include "server/history.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf8.h"

#define TEXT_MAX 112 /* of a peer */

struct value {
    const struct config_option *option;
    char before[HISTORY_VALUE + 1];
    char after[HISTORY_VALUE + 1];
};

struct change {
    uint64_t generation;
    int64_t timestamp_ns;
    char origin[32];
    char peer[TEXT_MAX];
    struct value *values; /* NULL when there are none */
    size_t n_values;
};

struct history {
    pthread_mutex_t lock;                   /* guards all of it; a leaf */
    struct change changes[HISTORY_CHANGES]; /* a ring */
    size_t next;                            /* where the next one goes */
    size_t n;
};

struct history *history_new(void)
{
    struct history *h = calloc(1, sizeof(*h));
    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < HISTORY_CHANGES; i++)
        free(h->changes[i].values);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* The value of |option| in |c|, cut between characters. */
static void print_value(const struct config_option *option, const struct config *c,
                        char out[HISTORY_VALUE + 1])
{
    static const char cut_mark[] = "...";
    struct buf text;
    buf_init(&text);
    config_option_print(option, c, &text);
    const char *from = buf_cstr(&text);
    size_t len = strlen(from);
    size_t n = len;
    for (size_t at = 0; len > HISTORY_VALUE && at + sizeof(cut_mark) <= HISTORY_VALUE;) {
        n = at;
        size_t character = utf8_length(from + at, len - at);
        at += character ? character : 1;
    }
    memcpy(out, from, n);
    memcpy(out + n, n < len ? cut_mark : "", n < len ? sizeof(cut_mark) : 1);
    buf_free(&text);
}

static void fill(struct change *change, const struct config *from, const struct config *to)
{
    const struct config_option *options[CONFIG_OPTION_COUNT];
    size_t n = config_diff(from, to, options, CONFIG_OPTION_COUNT);
    change->values = calloc(n ? n : 1, sizeof(*change->values));
    change->n_values = change->values ? n : 0;
    for (size_t i = 0; i < change->n_values; i++) {
        change->values[i].option = options[i];
        print_value(options[i], from, change->values[i].before);
        print_value(options[i], to, change->values[i].after);
    }
}

void history_add(struct history *h, const struct config *from, const struct config *to, int64_t timestamp_ns,
                 const char *origin, const char *peer)
{
    struct change change = {.generation = to->generation, .timestamp_ns = timestamp_ns};
    strncpy(change.origin, origin, sizeof(change.origin) - 1);
    strncpy(change.peer, peer, sizeof(change.peer) - 1);
    fill(&change, from, to);
    pthread_mutex_lock(&h->lock);
    struct change *place = &h->changes[h->next];
    struct value *old = place->values;
    *place = change;
    h->next = (h->next + 1) % HISTORY_CHANGES;
    h->n += h->n < HISTORY_CHANGES;
    pthread_mutex_unlock(&h->lock);
    free(old);
}

/* A copy of |text| in the piece of memory that |*at| walks through. */
static const char *put_text(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *place = memcpy(*at, text, n);
    *at += n;
    return place;
}

/* The lock is held. */
static size_t bytes_of(const struct history *h)
{
    size_t size = 1;
    for (size_t i = 0; i < h->n; i++) {
        const struct change *c = &h->changes[i];
        size += sizeof(struct status_change) + sizeof(c->origin) + sizeof(c->peer) +
                c->n_values * (sizeof(struct status_option_change) + 2 * (HISTORY_VALUE + 1));
    }
    return size;
}

/* Copies |from|: its options are at |options|, its texts go to |at|. */
static void copy_change(const struct change *from, struct status_change *to,
                        struct status_option_change *options, char **at)
{
    *to = (struct status_change){.generation = from->generation,
                                 .timestamp_ns = from->timestamp_ns,
                                 .origin = put_text(at, from->origin),
                                 .peer = put_text(at, from->peer),
                                 .options = options,
                                 .n_options = from->n_values};
    for (size_t i = 0; i < from->n_values; i++) {
        const struct value *v = &from->values[i];
        options[i] = (struct status_option_change){
            .name = v->option->name, .before = put_text(at, v->before), .after = put_text(at, v->after)};
    }
}

struct status_change *history_list(struct history *h, size_t *n)
{
    *n = 0;
    pthread_mutex_lock(&h->lock);
    struct status_change *list = malloc(bytes_of(h));
    if (list) {
        /* the changes, then the options of all, then the texts */
        struct status_option_change *options = (struct status_option_change *)(list + h->n);
        size_t n_options = 0;
        for (size_t i = 0; i < h->n; i++)
            n_options += h->changes[i].n_values;
        char *texts = (char *)(options + n_options);
        for (; *n < h->n; ++*n) {
            const struct change *c = &h->changes[(h->next + HISTORY_CHANGES - h->n + *n) % HISTORY_CHANGES];
            copy_change(c, &list[*n], options, &texts);
            options += c->n_values;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return list;
}
