#include "lib/thread.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/clock.h"

/* Some buffers of file names and lines are on the stack, and gRPC's own threads take the default. */
#define STACK_LEAST (512 * 1024)

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

const char *thread_error(int rc)
{
    if (rc == -EAGAIN) /* pthread_create(3) */
        return "no further thread may be started: look at the limits RLIMIT_NPROC (ulimit -u) of its user, "
               "pids.max of its cgroup, and kernel.threads-max";
    return err_name(rc);
}

int thread_check_stack(struct err *e)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= STACK_LEAST)
        return 0;
    return err_set(e, ERR_RANGE, "RLIMIT_STACK (ulimit -s) is %llu KiB; allowed %d KiB or more",
                   (unsigned long long)limit.rlim_cur / 1024, STACK_LEAST / 1024);
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

void thread_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(c, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX)
        return pthread_cond_wait(c, lock) == 0;
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    return pthread_cond_timedwait(c, lock, &until) != ETIMEDOUT;
}
