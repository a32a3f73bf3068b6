/* The running daemon's insides, which app.c, app_loop.c, app_services.c and stats.c share. Private to them. */
#ifndef XTCP_SERVER_APP_INTERNAL_H
#define XTCP_SERVER_APP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/linux/event_source.h"
#include "nswatch/nswatch.h"
#include "rpc/server/server.h"
#include "server/app.h"
#include "server/poll/poller.h"
#include "server/poll/resync.h"

struct listeners_change;
struct output_news;
struct outputs;
struct outputs_change;
struct poll_clock;
struct reload;

struct app {
    int64_t start_wall_ns;
    int64_t start_mono_ns;

    int epoll;
    int signals; /* signalfd */
    int timer;   /* timerfd: schedule and poll timeout */
    int wake;    /* eventfd: something for the loop to look at */
    struct event_source on_signals, on_timer, on_wake, on_files;
    int64_t timer_ns;
    bool stop;
    bool stuck; /* a thread of gRPC cannot be ended: leave without cleaning up */

    struct listeners *listeners;
    struct listeners_change *change; /* between prepare and changed */
    struct reload *reload;
    const char *config_file; /* NULL when there is none */

    struct quota *quota; /* lives longer than all that has users of it */
    struct batch_pool *pool;
    struct hub *hub;
    struct outputs *outputs;
    struct outputs_change *outputs_change; /* between prepare and changed */
    struct output_news *output_news;
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

    struct live_config *live_config;
    const struct config *config; /* the one of the start; main's */

    struct poll_clock *poll_clock;
    struct resync resync;  /* main's */
    _Atomic bool resynced; /* the resync that it asked for has been done */
};

/* Makes the loop look at everything that is due. |arg| is the struct app. Any thread. */
void app_wake(void *arg);

/* Descriptors and the event loop, in app_loop.c. Return 0 or a code with |e|. Main. */
int app_loop_open(struct app *app, struct err *e);
/* Until app->stop. Main. */
void app_loop(struct app *app);
/* Closes everything that was opened. Main. */
void app_loop_close(struct app *app);

#endif
