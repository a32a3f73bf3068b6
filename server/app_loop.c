/* Main's loop: keeps time for the polls, takes signals and connections, reads files again. */
#include "server/app_internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "server/listen/listeners.h"
#include "server/live/reload.h"
#include "server/outputs/outputs.h"
#include "server/poll/poll_clock.h"
#include "server/services/health.h"
#include "server/services/output_news.h"

/* The first poll waits for the first full look at the namespaces, but not for ever. */
#define SYNC_WAIT_NS (2 * NS_PER_S)

/* ---- Polls ---- */

static void end_poll(struct app *app)
{
    int64_t fan_out = hub_cpu_ns(app->hub) + rpc_server_cpu_ns(app->server);
    poll_clock_end(app->poll_clock, clock_mono_ns(), clock_process_cpu_ns(), fan_out);
    health_set(app->health, HEALTH_SERVING);
    listeners_look(app->listeners); /* whether files are watched or not */
}

/* Asks for another look at the namespaces when it is time. Returns whether a poll has to wait for that. */
static bool resync(struct app *app, const struct config *config, int64_t now)
{
    bool ask;
    bool due = now >= poll_clock_next(app->poll_clock);
    bool wait = resync_step(&app->resync, config->reconcile_frequency, config->reconcile_before_poll, due,
                            atomic_load(&app->resynced), now, &ask);
    if (ask) {
        atomic_store(&app->resynced, false);
        nswatch_reconcile(app->nswatch);
    }
    return wait;
}

/* Begins a poll if one is due, by the configuration that is in force then: a client that has changed it and
 * asks for a poll gets one with the change. */
static void begin_poll(struct app *app, int64_t now)
{
    struct poll_begin begin;
    if (!poll_clock_begin(app->poll_clock, now, &begin))
        return;
    const struct config *config = app_config(app);
    int rc = poller_start(app->poller, app->inventory, &begin, config);
    if (rc) {
        log_error("app", "poll %llu: %s", (unsigned long long)begin.poll_id, err_name(rc));
        poll_clock_abandon(app->poll_clock, now);
    }
    config_unref(config);
}

/* Begins and ends polls as they are due, and sets the timer for the next time. Main thread. */
static void run_schedule(struct app *app)
{
    const struct config *config = app_config(app);
    reload_follow(app->reload, config);
    if (poller_check(app->poller, app->inventory))
        end_poll(app);
    int64_t now = clock_mono_ns();
    bool open = atomic_load(&app->synced) || now >= app->start_mono_ns + SYNC_WAIT_NS;
    if (open)
        poll_clock_open(app->poll_clock, now);
    bool wait = resync(app, config, now);
    if (!wait)
        begin_poll(app, now);
    int64_t next = open ? poll_clock_next(app->poll_clock) : app->start_mono_ns + SYNC_WAIT_NS;
    if (wait)
        next = INT64_MAX; /* it has come, and waits */
    next = clock_earlier(next, poller_deadline(app->poller));
    next = clock_earlier(next, resync_next(&app->resync, config->reconcile_frequency));
    next = clock_earlier(next, output_news_step(app->output_news, now));
    config_unref(config);
    if (next == app->timer_ns)
        return;
    app->timer_ns = next;
    struct itimerspec when = {0}; /* zero disarms it */
    if (next != INT64_MAX) {
        int64_t at = next > 0 ? next : 1;
        when.it_value = (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
    }
    timerfd_settime(app->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- Events ---- */

/* Reads the files again, the secrets only if they look changed, or |anyway|. */
static void read_again(struct app *app, bool config_file, bool secrets, bool anyway)
{
    if (config_file)
        live_config_reload(app->live_config);
    const struct config *config = app_config(app);
    if (secrets)
        listeners_refresh(app->listeners, config, anyway);
    config_unref(config);
}

/* Files may have changed. */
static void on_files(void *arg, uint32_t events)
{
    (void)events;
    struct app *app = arg;
    struct reload_due due = reload_read(app->reload);
    read_again(app, due.config, due.secrets, false);
    if (due.sockets)
        listeners_look(app->listeners);
}

static void on_signals(void *arg, uint32_t events)
{
    (void)events;
    struct app *app = arg;
    struct signalfd_siginfo info;
    while (read(app->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload_known(app->reload); /* first: a change made while they are read is noticed */
            read_again(app, true, true, true);
            listeners_restore(app->listeners);
            outputs_reopen(app->outputs);
            nswatch_rescan(app->nswatch);
        } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            log_info("app", "stopping: %s", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
            app->stop = true;
        }
    }
}

static void drain(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));
    (void)n;
}

static void on_timer(void *arg, uint32_t events)
{
    (void)events;
    struct app *app = arg;
    drain(app->timer);
    app->timer_ns = 0; /* it has fired: to be set again */
}

static void on_wake(void *arg, uint32_t events)
{
    (void)events;
    drain(((struct app *)arg)->wake);
}

void app_loop(struct app *app)
{
    while (!app->stop) {
        run_schedule(app);
        event_source_wait(app->epoll);
    }
}

int app_loop_open(struct app *app, struct err *e)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    app->epoll = epoll_create1(EPOLL_CLOEXEC);
    app->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    app->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    app->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (app->epoll < 0 || app->signals < 0 || app->timer < 0 || app->wake < 0)
        return err_set(e, -errno, "event loop: %s", err_name(-errno));
    app->on_signals = (struct event_source){on_signals, app};
    app->on_timer = (struct event_source){on_timer, app};
    app->on_wake = (struct event_source){on_wake, app};
    app->on_files = (struct event_source){on_files, app}; /* added by reload_new */
    int rc = event_source_add(app->epoll, app->signals, EPOLLIN, &app->on_signals);
    if (rc == 0)
        rc = event_source_add(app->epoll, app->timer, EPOLLIN, &app->on_timer);
    if (rc == 0)
        rc = event_source_add(app->epoll, app->wake, EPOLLIN, &app->on_wake);
    return rc ? err_set(e, rc, "event loop: %s", err_name(rc)) : 0;
}

void app_loop_close(struct app *app)
{
    int fds[] = {app->wake, app->timer, app->signals, app->epoll};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}
