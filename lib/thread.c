#include "lib/thread.h"

#include <stdio.h>

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

void thread_join(struct thread *t)
{
    if (!t->running)
        return;
    pthread_join(t->id, NULL);
    t->running = false;
}
