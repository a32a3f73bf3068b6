#include "server/live/state_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "lib/log.h"
#include "lib/thread.h"

struct state {
    char *path;
    struct thread thread;
    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t changed;
    struct buf next; /* to be written */
    bool waiting;    /* |next| is to be written */
    bool writing;
    bool stopping;
};

static void write_state(const char *path, const struct buf *text)
{
    struct err e = {0};
    int rc = text->failed ? err_set(&e, -ENOMEM, "%s: out of memory", path)
                          : config_write_state(path, text->data, text->len, &e);
    if (rc)
        log_limited(LOG_ERROR, "config", "the changed configuration is not kept for the next start: %s",
                    e.text);
}

static void *run(void *arg)
{
    struct state *s = arg;
    pthread_mutex_lock(&s->lock);
    while (s->waiting || !s->stopping) {
        if (!s->waiting) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        struct buf now = s->next;
        buf_init(&s->next);
        s->waiting = false;
        s->writing = true;
        pthread_mutex_unlock(&s->lock);
        write_state(s->path, &now);
        buf_free(&now);
        pthread_mutex_lock(&s->lock);
        s->writing = false;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void state_free(struct state *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    buf_free(&s->next);
    free(s->path);
    free(s);
}

int state_writer_start(const char *path, struct state **out, struct err *e)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->changed);
    buf_init(&s->next);
    s->path = strdup(path);
    int rc = s->path ? thread_start(&s->thread, "state", 0, run, s) : -ENOMEM;
    if (rc) {
        state_free(s);
        return err_set(e, rc, "thread state: %s", thread_error(rc));
    }
    *out = s;
    return 0;
}

void state_writer_keep(struct state *s, const struct config *base, const struct config *c)
{
    if (!s)
        return;
    struct buf text;
    buf_init(&text);
    config_dump_state(base, c, &text);
    pthread_mutex_lock(&s->lock);
    struct buf unused = s->next;
    s->next = text;
    s->waiting = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    buf_free(&unused);
}

bool state_writer_flush(struct state *s, int64_t deadline_ns)
{
    if (!s)
        return true;
    pthread_mutex_lock(&s->lock);
    while ((s->waiting || s->writing) && thread_cond_wait(&s->changed, &s->lock, deadline_ns))
        ;
    bool written = !s->waiting && !s->writing;
    pthread_mutex_unlock(&s->lock);
    return written;
}

void state_writer_stop(struct state *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    thread_join(&s->thread);
    state_free(s);
}
