#include "server/live/live_config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "server/live/state_writer.h"

/* A reload waits so long for the state file to be written, as for each file to be read. */
#define STATE_WAIT_NS (2 * NS_PER_S)

struct live_config {
    struct live_config_ops ops;
    struct change_log *change_log;
    struct state *state;         /* NULL: nothing is kept */
    pthread_mutex_t change_lock; /* one change at a time; taken before all other locks of the daemon */
    pthread_mutex_t lock;        /* guards the pointer; a leaf */
    const struct config *config;
    const struct config *base; /* made of the sources without the state; under change_lock */
};

int live_config_new(const struct live_config_sources *sources, const struct live_config_ops *ops,
                    struct live_config **out)
{
    struct live_config *s = calloc(1, sizeof(*s));
    struct change_log *change_log = change_log_new();
    if (!s || !change_log) {
        change_log_free(change_log);
        free(s);
        config_unref(sources->config);
        config_unref(sources->base);
        return -ENOMEM;
    }
    sources->config->generation = 1;
    *s = (struct live_config){
        .ops = *ops, .change_log = change_log, .config = sources->config, .base = sources->base};
    pthread_mutex_init(&s->change_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return 0;
}

void live_config_free(struct live_config *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->change_lock);
    state_writer_stop(s->state);
    change_log_free(s->change_log);
    config_unref(s->config);
    config_unref(s->base);
    free(s);
}

int live_config_start(struct live_config *s, struct err *e)
{
    return *s->config->state_file ? state_writer_start(s->config->state_file, &s->state, e) : 0;
}

void live_config_stop(struct live_config *s)
{
    pthread_mutex_lock(&s->change_lock);
    state_writer_stop(s->state);
    s->state = NULL;
    pthread_mutex_unlock(&s->change_lock);
}

const struct config *live_config_get(struct live_config *s)
{
    pthread_mutex_lock(&s->lock);
    const struct config *c = config_ref(s->config);
    pthread_mutex_unlock(&s->lock);
    return c;
}

struct change_log *live_config_history(struct live_config *s)
{
    return s->change_log;
}

static void log_changes(const struct config *from, const struct config *to, const char *origin,
                        const char *peer)
{
    const struct config_option *options[CONFIG_OPTION_COUNT];
    size_t n = config_diff(from, to, options, CONFIG_OPTION_COUNT);
    for (size_t i = 0; i < n; i++) {
        struct buf was;
        struct buf is;
        buf_init(&was);
        buf_init(&is);
        config_option_print(options[i], from, &was);
        config_option_print(options[i], to, &is);
        log_info("config", "%s%s%s: %s: \"%s\" is now \"%s\"", origin, *peer ? " by " : "", peer,
                 options[i]->name, buf_cstr(&was), buf_cstr(&is));
        buf_free(&was);
        buf_free(&is);
    }
}

/* Puts |c| in force (its reference is taken over). The change lock is held. Returns 0, or a code with nothing
 * changed and |c| freed. */
static int put_in_force(struct live_config *s, struct config *c, const char *origin, const char *peer,
                        struct err *e)
{
    const struct config *old = s->config;
    int rc = s->ops.prepare(s->ops.arg, c, e);
    if (rc) {
        config_unref(c);
        return rc;
    }
    c->generation = old->generation + 1;
    log_changes(old, c, origin, peer);
    pthread_mutex_lock(&s->lock);
    s->config = c;
    pthread_mutex_unlock(&s->lock);
    change_log_add(s->change_log, old, c, clock_wall_ns(), origin, peer);
    s->ops.changed(s->ops.arg, old, c);
    config_unref(old);
    return 0;
}

int live_config_change(struct live_config *s, const struct live_config_change *change,
                       struct config_msg_set *set, const struct config **in_force, struct err *e)
{
    pthread_mutex_lock(&s->change_lock);
    int rc = change->edit(change->arg, change->request, change->len, s->config, set, e);
    if (rc == 0 && set->dry_run) {
        rc = s->ops.check(s->ops.arg, set->candidate, e);
        if (rc)
            config_unref(set->candidate);
        else
            *in_force = set->candidate;
    } else if (rc == 0 && set->n_changed == 0) {
        config_unref(set->candidate);
        *in_force = config_ref(s->config);
    } else if (rc == 0) {
        rc = put_in_force(s, set->candidate, change->origin, change->peer, e);
        if (rc == 0) {
            state_writer_keep(s->state, s->base, s->config);
            *in_force = config_ref(s->config);
        }
    }
    pthread_mutex_unlock(&s->change_lock);
    return rc;
}

/* An option that a running daemon cannot follow keeps its value. */
static void keep_restart_options(const struct config *old, struct config *new)
{
    const struct config_option *options[CONFIG_OPTION_COUNT];
    size_t n = config_diff(old, new, options, CONFIG_OPTION_COUNT);
    for (size_t i = 0; i < n; i++) {
        if (options[i]->reload != CONFIG_RESTART)
            continue;
        struct buf text;
        buf_init(&text);
        config_option_print(options[i], old, &text);
        if (config_set_text(new, options[i], buf_cstr(&text), NULL) == 0)
            log_warn("config", "%s has changed: this takes effect with the next start", options[i]->name);
        buf_free(&text);
    }
}

void live_config_reload(struct live_config *s)
{
    struct live_config_sources fresh;
    struct err e = {0};
    pthread_mutex_lock(&s->change_lock);
    int rc = state_writer_flush(s->state, clock_mono_ns() + STATE_WAIT_NS) /* it is one of the sources */
                 ? s->ops.read(s->ops.read_arg, &fresh, &e)
                 : err_set(&e, ERR_TIMEOUT, "%s: it is still being written: its file system does not answer",
                           s->config->state_file);
    if (rc == ERR_PRECONDITION) { /* no error: there is nothing to read */
        log_info("config", "%s", e.text);
        pthread_mutex_unlock(&s->change_lock);
        return;
    }
    if (rc == 0) {
        keep_restart_options(s->config, fresh.config);
        if (config_diff(s->config, fresh.config, NULL, 0) == 0) {
            log_info("config", "reloaded: nothing has changed");
            config_unref(fresh.config);
        } else {
            rc = put_in_force(s, fresh.config, "reload", "", &e);
        }
        /* Refused sources must not become the base: the configuration in force would then be saved as if it
         * had been changed by hand. */
        config_unref(rc ? fresh.base : s->base);
        s->base = rc ? s->base : fresh.base;
    }
    if (rc)
        log_error("config", "not reloaded, everything stays as it is: %s", e.text);
    pthread_mutex_unlock(&s->change_lock);
}
