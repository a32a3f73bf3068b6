#include "server/process/watchdog.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/thread.h"

static void *watchdog_run(void *arg)
{
    struct watchdog *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->done && thread_cond_wait(&w->changed, &w->lock, w->deadline_ns))
        continue;
    bool done = w->done;
    pthread_mutex_unlock(&w->lock);
    if (!done) {
        log_info("app", "not everything has come to its end in time: leaving it behind (%s)",
                 atomic_load(&w->at));
        _exit(w->status);
    }
    return NULL;
}

int watchdog_start(struct watchdog *w)
{
    *w = (struct watchdog){.deadline_ns = INT64_MAX};
    atomic_init(&w->at, "start");
    thread_cond_init(&w->changed);
    pthread_mutex_init(&w->lock, NULL);
    return thread_start(&w->thread, "watchdog", 0, watchdog_run, w);
}

void watchdog_arm(struct watchdog *w, int64_t deadline_ns, int status)
{
    pthread_mutex_lock(&w->lock);
    w->deadline_ns = deadline_ns;
    w->status = status;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void watchdog_at(struct watchdog *w, const char *what)
{
    atomic_store(&w->at, what);
}

void watchdog_stop(struct watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    thread_join(&w->thread);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}
