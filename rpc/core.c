#include "rpc/core.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

static pthread_mutex_t accept_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below; a leaf */
static void (*accept_failed)(void *arg);
static void *accept_failed_arg;

void rpc_core_on_accept_failure(void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&accept_lock);
    accept_failed = fn;
    accept_failed_arg = arg;
    pthread_mutex_unlock(&accept_lock);
}

/* The log line is the only sign that gRPC gives of it. */
static void look_for_accept_failure(const char *message)
{
    if (!strstr(message, "Failed accept4"))
        return;
    pthread_mutex_lock(&accept_lock);
    if (accept_failed)
        accept_failed(accept_failed_arg);
    pthread_mutex_unlock(&accept_lock);
}

/* Any stranger can make gRPC complain (a failed handshake, garbage), so its errors are rate-limited and its
 * other lines are logged on the level debug alone. */
static void log_line(gpr_log_func_args *args)
{
    if (args->severity == GPR_LOG_SEVERITY_ERROR) {
        look_for_accept_failure(args->message);
        log_limited(LOG_DEBUG, "grpc", "%s", args->message);
    } else {
        log_trace("grpc", "%s", args->message);
    }
}

void rpc_core_init(void)
{
    /* libc's resolver: c-ares leaks at exit, and /etc/hosts and nsswitch.conf should mean what they mean
     * elsewhere. */
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    /* Overrides the environment: gRPC aborts for an engine that it does not have, and with the other engine
     * that it has, nothing happens on the connections of a queue unless that queue is polled. */
    setenv("GRPC_POLL_STRATEGY", "epoll1", 1);
    gpr_set_log_function(log_line);
    grpc_init();
}

void rpc_core_fini(void)
{
    grpc_shutdown_blocking();
}

gpr_timespec rpc_core_deadline(int64_t monotonic_ns)
{
    if (monotonic_ns == 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    int64_t left = monotonic_ns - clock_mono_ns();
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left > 0 ? left : 0, GPR_TIMESPAN));
}

void rpc_core_slice_text(grpc_slice slice, char *out, size_t size)
{
    size_t n = GRPC_SLICE_LENGTH(slice);
    if (n > size - 1)
        n = size - 1;
    memcpy(out, GRPC_SLICE_START_PTR(slice), n);
    out[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = ' ';
    }
}
