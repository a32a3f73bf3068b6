#include "server/live/change_log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/excerpt.h"

#define TEXT_MAX 112 /* of a peer */

struct value {
    const struct config_option *option;
    char before[CHANGE_LOG_VALUE + 1];
    char after[CHANGE_LOG_VALUE + 1];
};

struct change {
    uint64_t generation;
    int64_t timestamp_ns;
    char origin[32];
    char peer[TEXT_MAX];
    struct value *values; /* NULL when there are none */
    size_t n_values;
};

struct change_log {
    pthread_mutex_t lock;                      /* guards all of it; a leaf */
    struct change changes[CHANGE_LOG_CHANGES]; /* a ring */
    size_t next;                               /* where the next one goes */
    size_t n;
};

struct change_log *change_log_new(void)
{
    struct change_log *h = calloc(1, sizeof(*h));
    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

void change_log_free(struct change_log *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < CHANGE_LOG_CHANGES; i++)
        free(h->changes[i].values);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* Copies |part| of |text|, with marks where something is left out. */
static void put_part(const char *text, struct excerpt part, char out[CHANGE_LOG_VALUE + 1])
{
    struct buf b;
    buf_init_fixed(&b, out, CHANGE_LOG_VALUE + 1);
    buf_str(&b, part.from ? "..." : "");
    buf_bytes(&b, text + part.from, part.to - part.from);
    buf_str(&b, text[part.to] ? "..." : "");
    buf_cstr(&b);
}

/* Prints the values of |v->option| in both; of long values, the parts that differ. */
static void print_values(struct value *v, const struct config *from, const struct config *to)
{
    struct buf before, after;
    struct excerpt of_before, of_after;
    buf_init(&before);
    buf_init(&after);
    config_option_print(v->option, from, &before);
    config_option_print(v->option, to, &after);
    const char *a = buf_cstr(&before);
    const char *b = buf_cstr(&after);
    excerpt_differing(a, b, CHANGE_LOG_VALUE, CHANGE_LOG_VALUE, &of_before, &of_after);
    put_part(a, of_before, v->before);
    put_part(b, of_after, v->after);
    buf_free(&before);
    buf_free(&after);
}

static void fill(struct change *change, const struct config *from, const struct config *to)
{
    const struct config_option *options[CONFIG_OPTION_COUNT];
    size_t n = config_diff(from, to, options, CONFIG_OPTION_COUNT);
    change->values = calloc(n ? n : 1, sizeof(*change->values));
    change->n_values = change->values ? n : 0;
    for (size_t i = 0; i < change->n_values; i++) {
        change->values[i].option = options[i];
        print_values(&change->values[i], from, to);
    }
}

void change_log_add(struct change_log *h, const struct config *from, const struct config *to,
                    int64_t timestamp_ns, const char *origin, const char *peer)
{
    struct change change = {.generation = to->generation, .timestamp_ns = timestamp_ns};
    strncpy(change.origin, origin, sizeof(change.origin) - 1);
    strncpy(change.peer, peer, sizeof(change.peer) - 1);
    fill(&change, from, to);
    pthread_mutex_lock(&h->lock);
    struct change *place = &h->changes[h->next];
    struct value *old = place->values;
    *place = change;
    h->next = (h->next + 1) % CHANGE_LOG_CHANGES;
    h->n += h->n < CHANGE_LOG_CHANGES;
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
static size_t bytes_of(const struct change_log *h)
{
    size_t size = 1;
    for (size_t i = 0; i < h->n; i++) {
        const struct change *c = &h->changes[i];
        size += sizeof(struct status_change) + sizeof(c->origin) + sizeof(c->peer) +
                c->n_values * (sizeof(struct status_option_change) + 2 * (CHANGE_LOG_VALUE + 1));
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

struct status_change *change_log_list(struct change_log *h, size_t *n)
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
            const struct change *c =
                &h->changes[(h->next + CHANGE_LOG_CHANGES - h->n + *n) % CHANGE_LOG_CHANGES];
            copy_change(c, &list[*n], options, &texts);
            options += c->n_values;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return list;
}
