/* The running daemon for other threads than main, the services above all. */
#include "server/app_internal.h"

#include <sys/eventfd.h>

#include "server/listen/listeners.h"
#include "server/poll/poll_clock.h"

void app_wake(void *arg)
{
    struct app *app = arg;
    eventfd_write(app->wake, 1); /* full: the loop is about to wake anyway */
}

const struct config *app_config(struct app *app)
{
    return live_config_get(app->live_config);
}

struct live_config *app_live_config(struct app *app)
{
    return app->live_config;
}

void app_bounds(struct app *app, struct bounds *out)
{
    const struct config *config = app_config(app);
    bounds_read(config, out);
    config_unref(config);
}

void app_config_extra(struct app *app, struct config_msg_extra *extra)
{
    *extra = (struct config_msg_extra){.daemon_version = XTCP_VERSION,
                                       .grpc_port = listeners_port(app->listeners)};
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

struct health *app_health(struct app *app)
{
    return app->health;
}

struct outputs *app_outputs(struct app *app)
{
    return app->outputs;
}

struct output_news *app_output_news(struct app *app)
{
    return app->output_news;
}

const struct reflection *app_reflection(struct app *app)
{
    return app->reflection;
}

uint64_t app_next_subscriber(struct app *app)
{
    return atomic_fetch_add(&app->subscribers, 1) + 1;
}

void app_request_poll(struct app *app, struct subscriber *s)
{
    poll_clock_request(app->poll_clock, s);
    app_wake(app);
}

int app_burst(struct app *app, uint32_t count, int64_t interval_ns, bool replace, struct err *e)
{
    int rc = poll_clock_burst(app->poll_clock, count, interval_ns, replace, e);
    if (rc == 0)
        app_wake(app);
    return rc;
}

uint32_t app_cancel_burst(struct app *app)
{
    return poll_clock_cancel_burst(app->poll_clock);
}
