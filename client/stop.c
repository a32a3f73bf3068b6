#include "client/stop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/thread.h"
#include "rpc/client/client.h"

#define EXIT_BY_SIGNAL 1

struct stop {
    struct thread thread;
    int signals;   /* signalfd */
    int output_fd; /* -1: not watched */
    int told;      /* eventfd: readable for good once there is a reason */
    int end;       /* eventfd: the thread is to end */
    _Atomic int reason;
    pthread_mutex_t lock;
    struct rpc_channel *channel; /* under |lock|, as these two */
    void (*interrupt)(void *context);
    void *context;
    void (*_Atomic last)(void); /* called before the process ends at once; NULL: none */
};

/* Whether SIGHUP counts. A blocked signal waits even if it is ignored, so a program started by nohup(1) must
 * not take it. */
static bool hangup_counts(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) != 0 || action.sa_handler != SIG_IGN;
}

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    if (hangup_counts())
        sigaddset(set, SIGHUP);
}

void stop_block_signals(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void stop_unblock_signals(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void tell(struct stop *s, enum stop_reason why)
{
    int not_yet = STOP_NOT;
    if (!atomic_compare_exchange_strong(&s->reason, &not_yet, (int)why))
        return;
    eventfd_write(s->told, 1);
    pthread_mutex_lock(&s->lock);
    if (s->channel)
        rpc_channel_interrupt(s->channel);
    if (s->interrupt)
        s->interrupt(s->context);
    pthread_mutex_unlock(&s->lock);
}

static void take_signal(struct stop *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (atomic_load(&s->reason) == STOP_SIGNAL) {
        void (*last)(void) = atomic_load(&s->last);
        if (last)
            last();
        _exit(EXIT_BY_SIGNAL);
    }
    tell(s, STOP_SIGNAL);
}

static void *run(void *arg)
{
    struct stop *s = arg;
    struct pollfd fds[] = {
        {.fd = s->end, .events = POLLIN},
        {.fd = s->signals, .events = POLLIN},
        {.fd = s->output_fd}, /* POLLERR and POLLHUP come without asking */
    };
    for (;;) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents)
            take_signal(s);
        if (fds[2].revents) {
            fds[2].fd = -1;
            tell(s, STOP_READER);
        }
    }
}

int stop_new(int output_fd, struct stop **out)
{
    struct stop *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    sigset_t set;
    stop_signals(&set);
    s->output_fd = output_fd;
    pthread_mutex_init(&s->lock, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC);
    s->told = eventfd(0, EFD_CLOEXEC);
    s->end = eventfd(0, EFD_CLOEXEC);
    int rc = s->signals < 0 || s->told < 0 || s->end < 0 ? -errno : 0;
    if (rc == 0)
        rc = thread_start(&s->thread, "stop", 0, run, s);
    if (rc != 0) {
        stop_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void stop_free(struct stop *s)
{
    if (!s)
        return;
    if (s->end >= 0)
        eventfd_write(s->end, 1);
    thread_join(&s->thread);
    if (s->signals >= 0)
        close(s->signals);
    if (s->told >= 0)
        close(s->told);
    if (s->end >= 0)
        close(s->end);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void stop_attach(struct stop *s, struct rpc_channel *c)
{
    pthread_mutex_lock(&s->lock);
    s->channel = c;
    if (c && atomic_load(&s->reason) != STOP_NOT)
        rpc_channel_interrupt(c);
    pthread_mutex_unlock(&s->lock);
}

void stop_call(struct stop *s, void (*interrupt)(void *context), void *context)
{
    pthread_mutex_lock(&s->lock);
    s->interrupt = interrupt;
    s->context = context;
    if (interrupt && atomic_load(&s->reason) != STOP_NOT)
        interrupt(context);
    pthread_mutex_unlock(&s->lock);
}

void stop_last(struct stop *s, void (*last)(void))
{
    atomic_store(&s->last, last);
}

enum stop_reason stop_reason(const struct stop *s)
{
    return (enum stop_reason)atomic_load(&s->reason);
}

int stop_fd(const struct stop *s)
{
    return s->told;
}

bool stop_sleep(struct stop *s, int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    struct pollfd fd = {.fd = s->told, .events = POLLIN};
    if (ns <= 0)
        return stop_reason(s) == STOP_NOT;
    return ppoll(&fd, 1, &t, NULL) == 0;
}
