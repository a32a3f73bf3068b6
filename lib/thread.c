#include "lib/thread.h"

#include <stdio.h>
#include <time.h>

int thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc)
        return -rc;
    if (stack)
        rc = pthread_attr_setstacksize(&attr, stack);
    if (!rc)
        rc = pthread_create(&t->id, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    if (rc)
        return -rc;
    t->running = true;
    char short_name[16];
    snprintf(short_name, sizeof(short_name), "%s", name);
    pthread_setname_np(t->id, short_name);
    return 0;
}

int64_t thread_cpu_ns(const struct thread *t)
{
    clockid_t clock;
    struct timespec ts;
    if (!t->running || pthread_getcpuclockid(t->id, &clock) || clock_gettime(clock, &ts))
        return 0;
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void thread_abandon(struct thread *t)
{
    if (!t->running)
        return;
    pthread_detach(t->id);
    t->running = false;
}

void thread_join(struct thread *t)
{
    if (!t->running)
        return;
    pthread_join(t->id, NULL);
    t->running = false;
}
