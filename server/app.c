#include "server/app.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/log.h"
#include "nswatch/nswatch.h"
#include "rpc/reflection.h"
#include "rpc/server.h"
#include "server/gate.h"
#include "server/health.h"
#include "server/pace.h"
#include "server/reconcile.h"
#include "server/refresh.h"
#include "server/services.h"
#include "server/watchdog.h"

#define RPC_THREADS     2
#define REQUEST_MAX     (64 * 1024) /* bytes of a request */
#define HUB_QUEUE_BYTES (64 * 1024 * 1024)
#define POOL_KEEP       32 /* unused batches kept for the next poll */

/* The first poll waits for the first full look at the namespaces, but not for ever. */
#define SYNC_WAIT_NS (2 * NS_PER_S)

/* Clients are given so long to take what is queued for them, half of it before the rest is dropped; after
 * STOP_NS they are left behind, and after EXIT_NS the process ends whatever else still holds it. */
#define STOP_GRACE_NS (800 * NS_PER_MS)
#define STOP_NS       (1200 * NS_PER_MS)
#define EXIT_NS       (1600 * NS_PER_MS)

/* A collector that is told to stop does so between two system calls. */
#define COLLECTORS_STOP_NS (300 * NS_PER_MS)

struct app {
    int64_t start_wall_ns;
    int64_t start_mono_ns;

    int epoll;
    int signals; /* signalfd */
    int timer;   /* timerfd: schedule and poll timeout */
    int wake;    /* eventfd: something for the loop to look at */
    int64_t timer_ns;
    bool stop;
    bool stuck; /* a thread of gRPC cannot be ended: leave without cleaning up */

    struct gate *gate;
    struct gate_change *change; /* between prepare and changed */
    struct refresh *refresh;
    const char *config_file; /* NULL when there is none */

    struct batch_pool *pool;
    struct hub *hub;
    struct poller *poller;
    struct collectors *collectors;
    struct inventory *inventory;
    struct focus *focus;
    struct nswatch *nswatch;
    struct health *health;
    struct reflection *reflection;
    struct rpc_server *server;
    _Atomic uint64_t subscribers;
    _Atomic bool synced;

    struct setup *setup;
    const struct config *config; /* the one of the start; main's */

    struct pace *pace;
    struct reconcile reconcile; /* main's */
    _Atomic bool reconciled;    /* what it asked for has been done */
};

/* ---- Small things for the services ---- */

const struct config *app_config(struct app *app)
{
    return setup_get(app->setup);
}

struct setup *app_setup(struct app *app)
{
    return app->setup;
}

void app_config_extra(struct app *app, struct config_msg_extra *extra)
{
    *extra = (struct config_msg_extra){.daemon_version = XTCP_VERSION, .grpc_port = gate_port(app->gate)};
}

struct focus *app_focus(struct app *app)
{
    return app->focus;
}

struct hub *app_hub(struct app *app)
{
    return app->hub;
}

struct inventory *app_inventory(struct app *app)
{
    return app->inventory;
}

struct poller *app_poller(struct app *app)
{
    return app->poller;
}

struct health *app_health(struct app *app)
{
    return app->health;
}

const struct reflection *app_reflection(struct app *app)
{
    return app->reflection;
}

void app_cost(struct app *app, struct status_cost *cost)
{
    pace_cost(app->pace, cost);
}

void app_schedule(struct app *app, struct status_schedule *schedule)
{
    pace_schedule(app->pace, schedule);
}

struct gate *app_gate(struct app *app)
{
    return app->gate;
}

struct rpc_server *app_server(struct app *app)
{
    return app->server;
}

void app_batches(struct app *app, struct batch_pool_stats *stats)
{
    batch_pool_stats(app->pool, stats);
}

void app_started(struct app *app, int64_t *wall_ns, int64_t *mono_ns)
{
    *wall_ns = app->start_wall_ns;
    *mono_ns = app->start_mono_ns;
}

uint64_t app_next_subscriber(struct app *app)
{
    return atomic_fetch_add(&app->subscribers, 1) + 1;
}

static void wake(void *arg)
{
    struct app *app = arg;
    uint64_t one = 1;
    ssize_t n = write(app->wake, &one, sizeof(one));
    (void)n; /* full: the loop is about to wake anyway */
}

/* ---- Schedule ---- */

void app_request_poll(struct app *app, struct subscriber *s)
{
    pace_request(app->pace, s);
    wake(app);
}

int app_burst(struct app *app, uint32_t count, int64_t interval_ns, bool replace, struct err *e)
{
    int rc = pace_burst(app->pace, count, interval_ns, replace, e);
    if (rc == 0)
        wake(app);
    return rc;
}

uint32_t app_cancel_burst(struct app *app)
{
    return pace_cancel_burst(app->pace);
}

static void end_poll(struct app *app, const struct config *config)
{
    int64_t fan_out = hub_cpu_ns(app->hub) + rpc_server_cpu_ns(app->server);
    pace_end(app->pace, clock_mono_ns(), clock_process_cpu_ns(), fan_out, config->max_cpu_percent);
    health_set(app->health, HEALTH_SERVING);
}

/* Has the namespaces looked at again when it is time. Returns whether a poll has to wait for that. */
static bool reconcile(struct app *app, const struct config *config, int64_t now)
{
    bool ask;
    bool due = now >= pace_next(app->pace);
    bool wait = reconcile_step(&app->reconcile, config->reconcile_frequency, config->reconcile_before_poll,
                               due, atomic_load(&app->reconciled), now, &ask);
    if (ask) {
        atomic_store(&app->reconciled, false);
        nswatch_reconcile(app->nswatch);
    }
    return wait;
}

/* Begins a poll if one is due. */
static void begin_poll(struct app *app, const struct config *config, int64_t now)
{
    struct pace_poll poll;
    if (!pace_begin(app->pace, now, &poll))
        return;
    int rc = poller_start(app->poller, app->inventory, poll.id, poll.trigger, poll.interval_ns, config);
    if (rc) {
        log_error("app", "poll %llu: %s", (unsigned long long)poll.id, err_name(rc));
        pace_abandon(app->pace);
    }
}

/* Begins and ends polls as they are due, and sets the timer for the next time. Main thread. */
static void run_schedule(struct app *app)
{
    const struct config *config = app_config(app);
    refresh_follow(app->refresh, config);
    if (poller_check(app->poller, app->inventory))
        end_poll(app, config);
    int64_t now = clock_mono_ns();
    bool open = atomic_load(&app->synced) || now >= app->start_mono_ns + SYNC_WAIT_NS;
    if (open)
        pace_open(app->pace, now);
    bool wait = reconcile(app, config, now);
    if (!wait)
        begin_poll(app, config, now);
    int64_t next = open ? pace_next(app->pace) : app->start_mono_ns + SYNC_WAIT_NS;
    int64_t others[] = {poller_deadline(app->poller),
                        reconcile_next(&app->reconcile, config->reconcile_frequency)};
    config_unref(config);
    if (wait)
        next = INT64_MAX; /* it has come, and waits */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        next = others[i] < next ? others[i] : next;
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

/* ---- Configuration ---- */

static struct nswatch_options watch_options(const struct config *c)
{
    return (struct nswatch_options){.dirs = (const char *const *)c->netns_dirs.items,
                                    .dir_count = c->netns_dirs.n,
                                    .proc_interval_ns = c->proc_scan_interval};
}

static int check(void *arg, const struct config *new, struct err *e)
{
    return gate_try(((struct app *)arg)->gate, new, e);
}

/* What of a new configuration can be refused. */
static int prepare(void *arg, const struct config *new, struct err *e)
{
    struct app *app = arg;
    struct nswatch_options options = watch_options(new);
    int rc = gate_prepare(app->gate, new, &app->change, e);
    if (rc)
        return rc;
    rc = nswatch_set_options(app->nswatch, &options, e);
    if (rc)
        gate_abort(app->gate, app->change);
    return rc;
}

/* A new configuration is in force. Any thread. */
static void changed(void *arg, const struct config *old, const struct config *new)
{
    struct app *app = arg;
    gate_commit(app->gate, app->change);
    log_set(new->log_level, new->log_format);
    collectors_set_threads_max(app->collectors, new->collector_threads_max);
    inventory_select(app->inventory, new);
    if (new->write_files != old->write_files)
        poller_capture(app->poller, new->write_files);
    pace_change(app->pace, old, new);
    wake(app);
}

/* ---- The loop ---- */

/* Called on the thread "nswatch". */
static void on_namespace(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct app *app = arg;
    inventory_event(app->inventory, event, ns);
    if (event == NSWATCH_SYNCED) {
        atomic_store(&app->synced, true);
        wake(app);
    } else if (event == NSWATCH_RECONCILED) {
        atomic_store(&app->reconciled, true);
        wake(app);
    } else if (event == NSWATCH_DEAD) {
        log_error("app", "namespaces are no longer watched: restart the daemon");
    }
}

static struct plan *on_plan(void *arg, uint64_t poll_id)
{
    return hub_plan(((struct app *)arg)->hub, poll_id);
}

static void on_begin(void *arg, const struct stream_begin *begin, struct plan *plan)
{
    hub_begin(((struct app *)arg)->hub, begin, plan);
}

static void on_batch(void *arg, struct batch *b)
{
    hub_batch(((struct app *)arg)->hub, b);
}

static void on_end(void *arg, const struct stream_end *end)
{
    hub_end(((struct app *)arg)->hub, end);
}

/* A collector found something else behind a path than nswatch did: it shall look again at once. */
static void on_gone(void *arg)
{
    nswatch_rescan(((struct app *)arg)->nswatch);
}

/* Reads again what can be read again. */
static void read_again(struct app *app, bool config_file, bool secrets)
{
    if (config_file)
        setup_reload(app->setup);
    const struct config *config = app_config(app);
    if (secrets)
        gate_refresh(app->gate, config);
    config_unref(config);
}

/* Files may have changed. */
static void on_files(struct app *app)
{
    struct refresh_due due = refresh_read(app->refresh);
    read_again(app, due.config, due.secrets);
}

static void on_signal(struct app *app)
{
    struct signalfd_siginfo info;
    while (read(app->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            read_again(app, true, true);
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

/* Somebody waits at |source|. */
static void on_visitors(struct app *app, void *source)
{
    const struct config *config = app_config(app);
    gate_serve(app->gate, source, config);
    config_unref(config);
}

static void loop(struct app *app)
{
    while (!app->stop) {
        run_schedule(app);
        struct epoll_event events[16];
        int n = epoll_wait(app->epoll, events, 16, -1);
        for (int i = 0; i < n; i++) {
            const void *what = events[i].data.ptr;
            if (what == &app->signals) {
                on_signal(app);
            } else if (what == &app->timer) {
                drain(app->timer);
                app->timer_ns = 0; /* it has fired: to be set again */
            } else if (what == &app->wake) {
                drain(app->wake);
            } else if (what == app->refresh) {
                on_files(app);
            } else {
                on_visitors(app, events[i].data.ptr);
            }
        }
    }
}

/* ---- Start and stop ---- */

static int watch_fd(struct app *app, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    return epoll_ctl(app->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_loop(struct app *app, struct err *e)
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
    int rc = watch_fd(app, app->signals, &app->signals);
    if (rc == 0)
        rc = watch_fd(app, app->timer, &app->timer);
    if (rc == 0)
        rc = watch_fd(app, app->wake, &app->wake);
    return rc ? err_set(e, rc, "event loop: %s", err_name(rc)) : 0;
}

/* Descriptors are what connections cost: take all that we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What a large dump needed shall go back to the system after it. Left alone, malloc takes the freeing of a
 * large block as a sign that more will be wanted and keeps the next one. And it makes an arena for each of
 * hundreds of threads, on many CPUs, of which a few are at work at a time. */
static void limit_malloc(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    mallopt(M_ARENA_MAX, 8);
}

static const struct config *config_of(void *arg)
{
    return app_config(arg);
}

static int make_focus(struct app *app, struct err *e)
{
    const struct focus_options options = {
        .inventory = app->inventory, .hub = app->hub, .config = config_of, .arg = app};
    return focus_new(&options, &app->focus, e);
}

static int make_modules(struct app *app, struct err *e)
{
    app->pool = batch_pool_new(POOL_KEEP);
    app->health = health_new(reflection_services, REFLECTION_SERVICE_COUNT);
    if (!app->pool || !app->health)
        return err_set(e, -ENOMEM, "out of memory");
    struct poller_ops ops = {.plan = on_plan,
                             .begin = on_begin,
                             .batch = on_batch,
                             .end = on_end,
                             .wake = wake,
                             .gone = on_gone,
                             .arg = app};
    int rc = reflection_new(reflection_services, REFLECTION_SERVICE_COUNT, &app->reflection, e);
    if (rc == 0)
        rc = hub_new(HUB_QUEUE_BYTES, &app->hub, e);
    if (rc == 0)
        rc = poller_new(&ops, &app->poller, e);
    if (rc)
        return rc;
    poller_capture(app->poller, app->config->write_files);
    struct collectors_options collectors = {.threads_max = app->config->collector_threads_max,
                                            .sink = poller_sink(app->poller),
                                            .pool = app->pool};
    rc = collectors_new(&collectors, &app->collectors, e);
    if (rc == 0)
        rc = inventory_new(app->collectors, &app->inventory, e);
    if (rc == 0)
        rc = make_focus(app, e);
    if (rc)
        return rc;
    inventory_select(app->inventory, app->config);
    struct nswatch_options watch = watch_options(app->config);
    app->nswatch = nswatch_new(&watch, on_namespace, app, e);
    return app->nswatch ? 0 : e->code;
}

/* Those who have not read all that waits for them go without the rest, rather than without their status. */
static void drop_queues(void *arg)
{
    struct app *app = arg;
    size_t n;
    struct subscriber **list = hub_subscribers(app->hub, &n);
    for (size_t i = 0; i < n; i++) {
        subscriber_close(list[i]);
        rpc_call_kick(subscriber_call(list[i]));
        subscriber_unref(list[i]);
    }
    free(list);
}

/* The role of a call that is not settled by its connection. Any thread. */
static int call_role(void *arg, const struct rpc_caller *caller, enum rpc_role *out, struct err *e)
{
    struct app *app = arg;
    const struct config *config = app_config(app);
    int rc = gate_call_role(app->gate, config, caller, out, e);
    config_unref(config);
    return rc;
}

/* Whether a call that changes something may be made now. Any thread. */
static int admit(void *arg, const char *peer, struct err *e)
{
    struct app *app = arg;
    const struct config *config = app_config(app);
    int rc = gate_admit(app->gate, config, peer, e);
    config_unref(config);
    return rc;
}

static int start_threads(struct app *app, struct err *e)
{
    struct rpc_server_options options = {.app = app,
                                         .threads = RPC_THREADS,
                                         .request_max = REQUEST_MAX,
                                         .streams_max = app->config->connection_calls_max,
                                         .role = call_role,
                                         .admit = admit,
                                         .hurry = drop_queues};
    options.methods = services_methods(&options.n_methods);
    int rc = rpc_server_new(&options, &app->server, e);
    if (rc)
        return rc;
    rc = setup_start(app->setup, e);
    if (rc)
        return rc;
    rc = hub_start(app->hub);
    if (rc)
        return err_set(e, rc, "thread hub: %s", err_name(rc));
    rc = focus_start(app->focus);
    if (rc)
        return err_set(e, rc, "thread focus: %s", err_name(rc));
    rc = nswatch_start(app->nswatch);
    return rc ? err_set(e, rc, "thread nswatch: %s", err_name(rc)) : 0;
}

static int start(struct app *app, struct err *e)
{
    app->start_wall_ns = clock_wall_ns();
    app->start_mono_ns = clock_mono_ns();
    log_set(app->config->log_level, app->config->log_format);
    raise_descriptor_limit();
    limit_malloc();
    rpc_server_init();
    app->pace = pace_new(app->config, app->start_mono_ns);
    int rc = app->pace ? open_loop(app, e) : err_set(e, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = refresh_new(app->config_file, app->epoll, &app->refresh, e);
    if (rc == 0)
        refresh_follow(app->refresh, app->config); /* as soon as may be after they were read */
    if (rc == 0)
        rc = gate_new(app->config, app->epoll, &app->gate, e);
    if (rc == 0)
        rc = make_modules(app, e);
    if (rc == 0)
        rc = start_threads(app, e);
    if (rc == 0)
        rc = gate_start(app->gate, app->config, app->server, e);
    return rc;
}

static void log_start(const struct app *app)
{
    char frequency[DURATION_TEXT_MAX];
    char timeout[DURATION_TEXT_MAX];
    duration_format(app->config->poll_frequency, frequency);
    duration_format(app->config->poll_timeout, timeout);
    log_info("app", "xtcp2 %s: polls every %s, timeout %s", XTCP_VERSION, frequency, timeout);
}

/* The mirror of start(); each part copes with not having been made. */
static void stop(struct app *app)
{
    gate_close(app->gate);
    if (app->nswatch) {
        nswatch_stop(app->nswatch);
        nswatch_join(app->nswatch);
    }
    if (app->focus)
        focus_stop(app->focus);
    if (app->poller)
        poller_cancel(app->poller);
    bool hangs = app->inventory && !inventory_stop(app->inventory, clock_mono_ns() + COLLECTORS_STOP_NS);
    if (app->hub) {
        hub_stop(app->hub);
        hub_close(app->hub);
    }
    if (app->server) {
        app->stuck = rpc_server_stop(app->server, STOP_GRACE_NS, STOP_NS) != 0;
    }
    setup_stop(app->setup);
    if (hangs) {
        log_info("app", "a collector hangs in the kernel: leaving it behind");
        app->stuck = true;
        return;
    }
    if (app->stuck) {
        log_info("app", "a client holds its connection open without reading: leaving it behind");
        return;
    }
    hub_free(app->hub);
    rpc_server_fini();
    gate_free(app->gate);
    refresh_free(app->refresh);
    nswatch_free(app->nswatch);
    focus_free(app->focus);
    inventory_free(app->inventory);
    collectors_free(app->collectors);
    poller_free(app->poller);
    reflection_free(app->reflection);
    health_free(app->health);
    batch_pool_free(app->pool);
    pace_free(app->pace);
    int fds[] = {app->wake, app->timer, app->signals, app->epoll};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    config_unref(app->config);
    setup_free(app->setup);
}

int app_run(const struct setup_sources *sources, app_reload *reload, void *reload_arg)
{
    struct err e = {0};
    struct app *app = calloc(1, sizeof(*app));
    if (!app) {
        log_error("app", "out of memory");
        config_unref(sources->config);
        config_unref(sources->base);
        return 1;
    }
    *app = (struct app){.epoll = -1, .signals = -1, .timer = -1, .wake = -1, .config_file = sources->file};
    struct setup_ops ops = {.read = reload,
                            .read_arg = reload_arg,
                            .check = check,
                            .prepare = prepare,
                            .changed = changed,
                            .arg = app};
    if (setup_new(sources, &ops, &app->setup)) {
        log_error("app", "out of memory");
        free(app);
        return 1;
    }
    app->config = setup_get(app->setup);
    int rc = start(app, &e);
    if (rc == 0) {
        log_start(app);
        loop(app);
    } else {
        log_error("app", "cannot start: %s", e.text);
    }
    struct watchdog watchdog;
    watchdog_start(&watchdog, clock_mono_ns() + EXIT_NS, rc ? 1 : 0);
    stop(app);
    if (app->stuck)
        _exit(rc ? 1 : 0);
    watchdog_stop(&watchdog);
    free(app);
    if (rc == 0)
        log_info("app", "stopped");
    return rc ? 1 : 0;
}
