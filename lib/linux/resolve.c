#include "lib/linux/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/thread.h"

static _Atomic unsigned running; /* threads, those left behind included */

struct resolve {
    pthread_mutex_t lock; /* guards the two below; a leaf */
    bool done;
    bool abandoned; /* the thread frees it */
    int fd;         /* an eventfd, 1 when it is done */
    struct thread thread;
    char *host;
    uint16_t port;
    int type;
    struct resolve_result result; /* the thread's until it is done, as is |error| */
    struct err error;
};

/* ---- The search ---- */

/* Takes over the addresses of |list| that the program can use. */
static void keep(struct resolve *r, const struct addrinfo *list)
{
    struct resolve_result *result = &r->result;
    for (; list && result->n < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        struct resolve_address *to = &result->list[result->n];
        if (list->ai_addrlen > sizeof(to->address))
            continue;
        memcpy(&to->address, list->ai_addr, list->ai_addrlen);
        to->len = list->ai_addrlen;
        result->n++;
    }
}

/* |code| is a result of getaddrinfo(3), |error| the errno that belongs to it. */
static void set_error(struct err *e, int code, int error)
{
    if (code == EAI_SYSTEM && error > 0)
        err_set(e, -error, "%s", err_name(-error));
    else if (code == EAI_MEMORY)
        err_set(e, -ENOMEM, "out of memory");
    else
        err_set(e, ERR_UNAVAILABLE, "%s", gai_strerror(code));
}

/* Asks the C library. |flags| are those of getaddrinfo(3). Returns whether there are addresses; else |r->error| tells
 * why not. */
static bool look_up(struct resolve *r, int flags)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = r->type};
    snprintf(port, sizeof(port), "%u", (unsigned)r->port);
    int code = getaddrinfo(r->host, port, &hints, &list);
    if (code == 0) {
        keep(r, list);
        freeaddrinfo(list);
        if (r->result.n == 0)
            code = EAI_NODATA;
    }
    if (code)
        set_error(&r->error, code, errno);
    return code == 0;
}

/* ---- Life ---- */

static void resolve_free(struct resolve *r)
{
    if (r->fd >= 0)
        close(r->fd);
    pthread_mutex_destroy(&r->lock);
    free(r->host);
    free(r);
}

static int resolve_new(const char *host, uint16_t port, int type, struct resolve **out)
{
    struct resolve *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    pthread_mutex_init(&r->lock, NULL);
    r->port = port;
    r->type = type;
    r->host = strdup(host);
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!r->host || r->fd < 0) {
        int rc = r->host ? -errno : -ENOMEM;
        resolve_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

/* Says that the result is there. Returns whether nobody wants it. */
static bool finish(struct resolve *r)
{
    pthread_mutex_lock(&r->lock);
    r->done = true;
    bool abandoned = r->abandoned;
    (void)eventfd_write(r->fd, 1);
    pthread_mutex_unlock(&r->lock);
    return abandoned;
}

static void *run(void *arg)
{
    struct resolve *r = arg;
    look_up(r, 0);
    if (finish(r))
        resolve_free(r);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static int start_thread(struct resolve *r, struct err *e)
{
    r->error = (struct err){0};
    if (atomic_fetch_add(&running, 1) >= RESOLVE_THREADS_MAX) {
        atomic_fetch_sub(&running, 1);
        return err_set(e, ERR_LIMIT, "not looked up: %d other names wait for an answer", RESOLVE_THREADS_MAX);
    }
    int rc = thread_start(&r->thread, "resolve", 0, run, r);
    if (rc == 0)
        return 0;
    atomic_fetch_sub(&running, 1);
    return err_set(e, rc, "not looked up: %s", thread_error(rc));
}

int resolve_start(const char *host, uint16_t port, int type, struct resolve **out, struct err *e)
{
    struct resolve *r = NULL;
    int rc = resolve_new(host, port, type, &r);
    if (!r)
        return err_set(e, rc, "not looked up: %s", err_name(rc));
    if (look_up(r, AI_NUMERICHOST))
        finish(r);
    else
        rc = start_thread(r, e);
    if (rc)
        resolve_free(r);
    else
        *out = r;
    return rc;
}

int resolve_fd(const struct resolve *r)
{
    return r->fd;
}

int resolve_take(struct resolve *r, struct resolve_result *out, struct err *e)
{
    thread_join(&r->thread);
    int rc = r->error.code;
    if (rc && e)
        *e = r->error;
    if (rc == 0)
        *out = r->result;
    resolve_free(r);
    return rc;
}

void resolve_cancel(struct resolve *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    struct thread thread = r->thread;
    bool done = r->done;
    r->abandoned = !done;
    pthread_mutex_unlock(&r->lock);
    if (done) {
        thread_join(&thread);
        resolve_free(r);
    } else {
        thread_abandon(&thread);
    }
}
