#include "tests/unit/collectors_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sink_batch(void *arg, struct batch *b)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    s->rows += b->rows;
    s->wrong += b->poll_id != s->want_poll || b->rows == 0;
    s->cookie = b->netns_cookie;
    s->held += s->hold_id != 0 && s->hold_id == b->netns_id;
    pthread_cond_broadcast(&s->changed);
    while (s->hold_id && s->hold_id == b->netns_id)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    batch_unref(b);
}

static void sink_done(void *arg, const struct collector_result *result)
{
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    s->done++;
    s->failed += result->err.code != 0;
    s->last = *result;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Waits until |counter| has come to |want|. */
static void wait_until(struct sink *s, const unsigned *counter, unsigned want)
{
    struct timespec limit;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 30;
    pthread_mutex_lock(&s->lock);
    while (*counter < want && rc == 0)
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &limit);
    unsigned value = *counter;
    pthread_mutex_unlock(&s->lock);
    if (value < want)
        fail_msg("%u instead of %u after 30 s", value, want);
}

struct collector_result wait_done(struct sink *s, unsigned want)
{
    wait_until(s, &s->done, want);
    pthread_mutex_lock(&s->lock);
    struct collector_result last = s->last;
    pthread_mutex_unlock(&s->lock);
    return last;
}

unsigned done_count(struct sink *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned done = s->done;
    pthread_mutex_unlock(&s->lock);
    return done;
}

void fixture_open_with(struct fixture *f, struct collectors_options options)
{
    *f = (struct fixture){.sink.lock = PTHREAD_MUTEX_INITIALIZER, .sink.changed = PTHREAD_COND_INITIALIZER};
    f->sink.want_poll = 1;
    f->pool = batch_pool_new(4);
    options.pool = f->pool;
    options.sink = (struct collector_sink){.batch = sink_batch, .done = sink_done, .arg = &f->sink};
    assert_int_equal(collectors_new(&options, &f->set, &f->e), 0);
}

void fixture_open(struct fixture *f, unsigned dump_slots)
{
    fixture_open_with(f, (struct collectors_options){.dump_slots = dump_slots});
}

void fixture_close(struct fixture *f)
{
    struct batch_pool_stats stats;
    collectors_free(f->set);
    batch_pool_stats(f->pool, &stats);
    assert_int_equal(stats.out, 0);
    batch_pool_free(f->pool);
    assert_int_equal(f->sink.wrong, 0);
}

struct poll_request *request_new(uint64_t poll_id, int64_t patience)
{
    struct poll_request *o = poll_request_new();
    assert_non_null(o);
    o->poll_id = poll_id;
    o->timestamp_ns = clock_wall_ns();
    o->deadline_ns = clock_mono_ns() + patience;
    o->groups = GROUPS_DEFAULT;
    o->hostname = strdup("here");
    return o;
}

static struct collector *start_ns(struct fixture *f, const struct netns_ref *ns)
{
    struct collector *c;
    assert_int_equal(collector_start(f->set, ns, &c, &f->e), 0);
    return c;
}

struct collector *start(struct fixture *f, const char *name, const char *path, uint64_t cookie, bool is_own)
{
    struct netns_ref ns = {.id = FIXTURE_ID, .cookie = cookie, .own = is_own, .name = name, .path = path};
    return start_ns(f, &ns);
}

struct collector *start_id(struct fixture *f, uint64_t id, const char *path)
{
    struct netns_ref ns = {.id = id, .own = path == NULL, .name = "test", .path = path};
    return start_ns(f, &ns);
}

void end(struct collector *c)
{
    collector_stop(c);
    collector_join(c);
}

struct collector_result poll_once(struct fixture *f, struct collector *c, int64_t patience)
{
    struct poll_request *o = request_new(f->sink.want_poll, patience);
    unsigned before = done_count(&f->sink);
    assert_int_equal(collector_poll(c, o), 0);
    struct collector_result r = wait_done(&f->sink, before + 1);
    poll_request_unref(o);
    assert_int_equal(r.poll_id, f->sink.want_poll);
    return r;
}

void hold(struct sink *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    s->hold_id = id;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void wait_held(struct sink *s, unsigned want)
{
    wait_until(s, &s->held, want);
}

size_t count_entries(const char *what)
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof(path), "/proc/self/%s", what);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}
