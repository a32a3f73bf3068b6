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

/* What a code of thread_start says: err_name's text, or which limits there are when one of them is reached.
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

#endif
