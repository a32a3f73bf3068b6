/* The running daemon: makes the modules, joins them, and ends them. */
#include "server/app_internal.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/log.h"
#include "rpc/codec/msg_reflection.h"
#include "rpc/server/guard.h"
#include "server/listen/listeners.h"
#include "server/live/bounds.h"
#include "server/live/reload.h"
#include "server/outputs/outputs.h"
#include "server/poll/poll_clock.h"
#include "server/process/watchdog.h"
#include "server/services/health.h"
#include "server/services/output_news.h"
#include "server/services/services.h"

#define RPC_THREADS       2
#define REQUEST_MAX       (64 * 1024) /* bytes of a request */
#define HUB_QUEUE_BYTES   (64 * 1024 * 1024)
#define OTHER_DESCRIPTORS 64 /* that are no connections */
#define POOL_KEEP         32 /* unused batches kept for the next poll */

/* Time that clients have to take the messages queued for them; after half of it the rest is dropped. After
 * STOP_NS they are left behind, and after EXIT_NS the process ends whatever else still holds it. */
#define STOP_GRACE_NS (800 * NS_PER_MS)
#define STOP_NS       (1200 * NS_PER_MS)
#define EXIT_NS       (1600 * NS_PER_MS)

/* A collector that is told to stop does so between two system calls. */
#define COLLECTORS_STOP_NS (300 * NS_PER_MS)

/* Outputs have so long to send what is queued; then they are waited for, for a moment. */
#define OUTPUTS_STOP_NS (700 * NS_PER_MS)
#define OUTPUTS_JOIN_NS (800 * NS_PER_MS)

/* ---- Configuration ---- */

static struct nswatch_options watch_options(const struct config *c)
{
    return (struct nswatch_options){.dirs = (const char *const *)c->netns_dirs.items,
                                    .dir_count = c->netns_dirs.n,
                                    .proc_interval_ns = c->proc_scan_interval};
}

static struct rpc_guard_limits guard_limits(const struct config *c)
{
    struct bounds bounds;
    struct rlimit limit;
    bounds_read(c, &bounds);
    struct quota_bound *connections = &bounds.of[QUOTA_CONNECTIONS];
    /* More of them than there are descriptors for would leave none for root. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 2 * OTHER_DESCRIPTORS &&
        connections->max > limit.rlim_cur - OTHER_DESCRIPTORS)
        connections->max = limit.rlim_cur - OTHER_DESCRIPTORS;
    return (struct rpc_guard_limits){.connections = *connections, .calls_rate = c->calls_rate_max};
}

static int check(void *arg, const struct config *new, struct err *e)
{
    struct app *app = arg;
    int rc = listeners_try(app->listeners, new, e);
    return rc ? rc : outputs_check(app->outputs, new, e);
}

/* The parts of a new configuration that can be refused. */
static int prepare(void *arg, const struct config *new, struct err *e)
{
    struct app *app = arg;
    struct nswatch_options options = watch_options(new);
    int rc = outputs_prepare(app->outputs, new, &app->outputs_change, e);
    if (rc)
        return rc;
    rc = listeners_prepare(app->listeners, new, &app->change, e);
    if (rc) {
        outputs_abort(app->outputs_change);
        return rc;
    }
    rc = nswatch_set_options(app->nswatch, &options, e);
    if (rc) {
        listeners_abort(app->listeners, app->change);
        outputs_abort(app->outputs_change);
    }
    return rc;
}

/* A new configuration is in force. Any thread. */
static void changed(void *arg, const struct config *old, const struct config *new)
{
    struct app *app = arg;
    listeners_commit(app->listeners, app->change);
    outputs_commit(app->outputs, app->outputs_change);
    const struct rpc_guard_limits limits = guard_limits(new);
    rpc_guard_set(&limits);
    log_set(new->log_level, new->log_format);
    collectors_set_threads_max(app->collectors, new->collector_threads_max);
    inventory_select(app->inventory, new);
    if (new->write_files != old->write_files)
        poller_capture(app->poller, new->write_files);
    poll_clock_change(app->poll_clock, old, new);
    app_wake(app);
}

/* ---- Messages between the modules ---- */

/* Called on the thread "nswatch". */
static void on_namespace(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    struct app *app = arg;
    inventory_event(app->inventory, event, ns);
    if (event == NSWATCH_SYNCED) {
        atomic_store(&app->synced, true);
        app_wake(app);
    } else if (event == NSWATCH_RECONCILED) {
        atomic_store(&app->resynced, true);
        app_wake(app);
    } else if (event == NSWATCH_DEAD) {
        log_error("app", "namespaces are no longer watched: restart the daemon");
    }
}

static struct plan *on_plan(void *arg, uint64_t poll_id)
{
    return hub_plan(((struct app *)arg)->hub, poll_id);
}

static void on_begin(void *arg, const struct poll_begin *begin, struct plan *plan)
{
    hub_begin(((struct app *)arg)->hub, begin, plan);
}

static void on_batch(void *arg, struct batch *b)
{
    hub_batch(((struct app *)arg)->hub, b);
}

static void on_end(void *arg, const struct poll_end *end)
{
    hub_end(((struct app *)arg)->hub, end);
}

/* A collector found something else behind a path than nswatch did: nswatch shall look again at once. */
static void on_gone(void *arg)
{
    nswatch_rescan(((struct app *)arg)->nswatch);
}

/* ---- Start and stop ---- */

/* Each connection costs a descriptor: take as many as we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Memory that a large dump needed shall go back to the system after it. Left alone, malloc takes the freeing of a
 * large block as a sign that more will be wanted and keeps the next one. On many CPUs it also makes an arena
 * for each of hundreds of threads, of which only a few work at a time. */
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
                             .wake = app_wake,
                             .gone = on_gone,
                             .arg = app};
    int rc = reflection_new(reflection_services, REFLECTION_SERVICE_COUNT, &app->reflection, e);
    if (rc == 0)
        rc = hub_new(HUB_QUEUE_BYTES, &app->hub, e);
    if (rc == 0 && outputs_new(app->hub, &app->outputs))
        rc = err_set(e, -ENOMEM, "out of memory");
    app->output_news = rc ? NULL : output_news_new(app->outputs, app_wake, app);
    if (rc == 0 && !app->output_news)
        rc = err_set(e, -ENOMEM, "out of memory");
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

/* A reader that has not read everything queued for it loses the rest, rather than its status. */
static void drop_queues(void *arg)
{
    struct app *app = arg;
    size_t n;
    struct subscriber **list = hub_subscribers(app->hub, &n);
    for (size_t i = 0; i < n; i++) {
        subscriber_close(list[i]);
        const struct subscriber_sink *sink = subscriber_sink(list[i]);
        sink->kick(sink->arg);
        subscriber_unref(list[i]);
    }
    free(list);
}

/* The role of a call whose connection does not settle it. Any thread. */
static int call_role(void *arg, const struct rpc_caller *caller, struct rpc_grant *out, struct err *e)
{
    struct app *app = arg;
    const struct config *config = app_config(app);
    int rc = listeners_call_role(app->listeners, config, caller, out, e);
    config_unref(config);
    return rc;
}

/* Whether a call that changes something may be made now. Any thread. */
static int admit(void *arg, const char *peer, struct err *e)
{
    struct app *app = arg;
    const struct config *config = app_config(app);
    int rc = listeners_admit(app->listeners, config, peer, e);
    config_unref(config);
    return rc;
}

/* How many calls may be under way. Any thread. */
static void calls_bound(void *arg, struct quota_bound *out)
{
    struct bounds bounds;
    app_bounds(arg, &bounds);
    *out = bounds.of[QUOTA_CALLS];
}

/* The guard stands before the first server; whether it works is found out before anybody is let in. */
static int start_guard(struct app *app, struct err *e)
{
    const struct rpc_guard_limits limits = guard_limits(app->config);
    return rpc_guard_start(app->quota, &limits, e);
}

static void prove_guard(struct app *app)
{
    struct err why;
    if (rpc_guard_prove(app->server, &why))
        log_error(
            "app",
            "the guard against floods does not work here: %s; there are listeners for users of this machine alone",
            why.text);
}

static int start_threads(struct app *app, struct err *e)
{
    struct rpc_server_options options = {.app = app,
                                         .threads = RPC_THREADS,
                                         .request_max = REQUEST_MAX,
                                         .streams_max = app->config->connection_calls_max,
                                         .quota = app->quota,
                                         .calls_bound = calls_bound,
                                         .role = call_role,
                                         .admit = admit,
                                         .hurry = drop_queues};
    options.methods = services_methods(&options.n_methods);
    int rc = start_guard(app, e);
    if (rc == 0)
        rc = rpc_server_new(&options, &app->server, e);
    if (rc)
        return rc;
    prove_guard(app);
    rc = live_config_start(app->live_config, e);
    if (rc)
        return rc;
    rc = hub_start(app->hub);
    if (rc)
        return err_set(e, rc, "thread hub: %s", thread_error(rc));
    rc = outputs_start(app->outputs, app->config, e);
    if (rc)
        return rc;
    rc = focus_start(app->focus);
    if (rc)
        return err_set(e, rc, "thread focus: %s", thread_error(rc));
    rc = nswatch_start(app->nswatch);
    return rc ? err_set(e, rc, "thread nswatch: %s", thread_error(rc)) : 0;
}

static int start(struct app *app, struct err *e)
{
    app->start_wall_ns = clock_wall_ns();
    app->start_mono_ns = clock_mono_ns();
    log_set(app->config->log_level, app->config->log_format);
    raise_descriptor_limit();
    limit_malloc();
    rpc_server_init();
    app->quota = quota_new();
    app->poll_clock = poll_clock_new(app->config, app->start_mono_ns);
    int rc = app->quota && app->poll_clock ? app_loop_open(app, e) : err_set(e, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = reload_new(app->config_file, app->epoll, &app->on_files, &app->reload, e);
    if (rc == 0)
        reload_follow(app->reload, app->config); /* as soon as possible after they were read */
    if (rc == 0)
        rc = listeners_new(app->config, app->epoll, &app->listeners, e);
    if (rc == 0)
        rc = make_modules(app, e);
    if (rc == 0)
        rc = start_threads(app, e);
    if (rc == 0)
        rc = listeners_start(app->listeners, app->config, app->server, e);
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

static void stop_nswatch(struct app *app)
{
    if (!app->nswatch)
        return;
    nswatch_stop(app->nswatch);
    nswatch_join(app->nswatch);
}

/* The mirror of start(); each part copes with not having been made. */
static void stop(struct app *app, struct watchdog *w)
{
    watchdog_at(w, "listeners");
    listeners_close(app->listeners);
    watchdog_at(w, "nswatch");
    stop_nswatch(app);
    watchdog_at(w, "focus");
    if (app->focus)
        focus_stop(app->focus);
    if (app->poller)
        poller_cancel(app->poller);
    watchdog_at(w, "collectors");
    bool hangs = app->inventory && !inventory_stop(app->inventory, clock_mono_ns() + COLLECTORS_STOP_NS);
    watchdog_at(w, "hub");
    if (app->hub)
        hub_stop(app->hub);
    outputs_stop(app->outputs, clock_mono_ns() + OUTPUTS_STOP_NS); /* they end while clients do */
    if (app->hub)
        hub_close(app->hub);
    watchdog_at(w, "gRPC's connections");
    if (app->server)
        app->stuck = rpc_server_stop(app->server, STOP_GRACE_NS, STOP_NS) != 0;
    watchdog_at(w, "outputs");
    bool outputs_hang = !outputs_join(app->outputs, clock_mono_ns() + OUTPUTS_JOIN_NS);
    watchdog_at(w, "state file");
    live_config_stop(app->live_config);
    if (hangs) {
        log_info("app", "a collector hangs in the kernel: leaving it behind");
        app->stuck = true;
        return;
    }
    if (outputs_hang) {
        app->stuck = true;
        return;
    }
    if (app->stuck) {
        log_info("app", "a client holds its connection open without reading: leaving it behind");
        return;
    }
    output_news_free(app->output_news);
    outputs_free(app->outputs);
    hub_free(app->hub);
    watchdog_at(w, "gRPC");
    rpc_server_fini();
    watchdog_at(w, "memory");
    rpc_guard_stop();
    listeners_free(app->listeners);
    reload_free(app->reload);
    nswatch_free(app->nswatch);
    focus_free(app->focus);
    inventory_free(app->inventory);
    collectors_free(app->collectors);
    poller_free(app->poller);
    reflection_free(app->reflection);
    health_free(app->health);
    batch_pool_free(app->pool);
    poll_clock_free(app->poll_clock);
    app_loop_close(app);
    config_unref(app->config);
    live_config_free(app->live_config);
    quota_free(app->quota);
}

int app_run(const struct live_config_sources *sources, app_reload *reload, void *reload_arg)
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
    struct live_config_ops ops = {.read = reload,
                                  .read_arg = reload_arg,
                                  .check = check,
                                  .prepare = prepare,
                                  .changed = changed,
                                  .arg = app};
    if (live_config_new(sources, &ops, &app->live_config)) {
        log_error("app", "out of memory");
        free(app);
        return 1;
    }
    app->config = live_config_get(app->live_config);
    struct watchdog watchdog;
    int rc = watchdog_start(&watchdog);
    if (rc) {
        log_error("app", "cannot start: thread watchdog: %s", thread_error(rc));
        watchdog_stop(&watchdog);
        config_unref(app->config);
        live_config_free(app->live_config);
        free(app);
        return 1;
    }
    rc = start(app, &e);
    if (rc == 0) {
        log_start(app);
        app_loop(app);
    } else {
        stop_nswatch(app); /* the reason for not starting is the last line of the log */
        log_error("app", "cannot start: %s", e.text);
    }
    watchdog_arm(&watchdog, clock_mono_ns() + EXIT_NS, rc ? 1 : 0);
    stop(app, &watchdog);
    if (app->stuck)
        _exit(rc ? 1 : 0);
    watchdog_stop(&watchdog);
    free(app);
    if (rc == 0)
        log_info("app", "stopped");
    return rc ? 1 : 0;
}
