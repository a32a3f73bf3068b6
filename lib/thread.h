/* Named threads with a chosen stack. All signals must be blocked before the first one starts: they inherit
 * the mask. */
#ifndef XTCP_LIB_THREAD_H
#define XTCP_LIB_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct thread {
    pthread_t id;
    bool running; /* started and not yet joined; the owner's */
};

/* Starts |fn|(|arg|) on a thread called |name| (cut to the kernel's 15 characters) with |stack| bytes of
 * stack (0: the default). |t| is the caller's and must live until thread_join. Returns 0 or -errno. */
int thread_start(struct thread *t, const char *name, size_t stack, void *(*fn)(void *), void *arg);

/* The text of a code of thread_start: err_name's text, or, when a limit is reached, the limits in question.
 * Any thread. */
const char *thread_error(int rc);

/* Whether the limit on stacks (RLIMIT_STACK), which main has and threads have by default, leaves enough for
 * what the programs do. Returns 0, or ERR_RANGE with |e|. First of all in main. */
int thread_check_stack(struct err *e);

/* CPU time that |t| has used, in ns; 0 when it is not running. The owner. */
int64_t thread_cpu_ns(const struct thread *t);

/* |t| is on its own from now on: it frees what it uses, and nobody waits for it. */
void thread_abandon(struct thread *t);

/* Waits for the end of |t|; nothing when it is not running. */
void thread_join(struct thread *t);

/* A condition for thread_cond_wait; end it with pthread_cond_destroy. */
void thread_cond_init(pthread_cond_t *c);

/* Waits for |c|, with |lock| held, until |deadline_ns| (clock_mono_ns; INT64_MAX: no end). Returns false when that time has
 * passed; a wait can end early, as those of pthread_cond_wait can. */
bool thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t deadline_ns);

#endif
