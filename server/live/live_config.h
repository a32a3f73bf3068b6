/* The configuration in force: readers get a snapshot, changes are made one at a time, and every change is
 * logged and noted in the change log. Any thread. */
#ifndef XTCP_SERVER_LIVE_LIVE_CONFIG_H
#define XTCP_SERVER_LIVE_LIVE_CONFIG_H

#include <stddef.h>

#include "config/config.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config.h"
#include "server/live/change_log.h"

struct live_config;

/* The sources of the configuration: file, environment and command line make |base|; the state file on top of it
 * makes |config|. Both are the same object when there is no state. */
struct live_config_sources {
    struct config *config;
    struct config *base;
    const char *file; /* the configuration file, NULL when there is none; lives as long as the program */
};

/* Callbacks of the owner. Called with the lock of changes held, one at a time. */
struct live_config_ops {
    /* Reads the sources as at the start. Returns 0 and two references in |out|, or a code with |e|. */
    int (*read)(void *arg, struct live_config_sources *out, struct err *e);
    void *read_arg;
    /* Whether |new| could be put in force, as far as can be told without doing it. Returns 0, or a code with
     * |e|. */
    int (*check)(void *arg, const struct config *new, struct err *e);
    /* |new| is about to take the place of |old|: does everything that can fail. Returns 0, or a code with |e|
     * and nothing changed. */
    int (*prepare)(void *arg, const struct config *new, struct err *e);
    /* |new| has taken the place of |old|: does the rest. */
    void (*changed)(void *arg, const struct config *old, const struct config *new);
    void *arg;
};

/* Begins with |sources|, whose references are taken over, as generation 1. Returns 0 and it in |out|, or
 * -ENOMEM. */
int live_config_new(const struct live_config_sources *sources, const struct live_config_ops *ops,
                    struct live_config **out);
void live_config_free(struct live_config *s);

/* From now on changes are kept in the state file, if there is to be one. Returns 0, or a code with |e|. */
int live_config_start(struct live_config *s, struct err *e);

/* Writes all changes to the state file; later ones are not kept. */
void live_config_stop(struct live_config *s);

/* A reference to the configuration in force. */
const struct config *live_config_get(struct live_config *s);

/* A change that somebody asks for. */
struct live_config_change {
    /* Makes a candidate of the configuration in force. */
    int (*edit)(void *arg, const void *request, size_t len, const struct config *in_force,
                struct config_msg_set *out, struct err *e);
    void *arg;
    const void *request;
    size_t len;
    const char *origin; /* for the change log: "Set" */
    const char *peer;   /* who asks */
};

/* Makes the change, all of it or nothing, with no other change in between. |set| tells what it was;
 * |*in_force| is a reference to the configuration that is in force after it, for a dry run to the one that
 * would be. */
int live_config_change(struct live_config *s, const struct live_config_change *change,
                       struct config_msg_set *set, const struct config **in_force, struct err *e);

/* Reads the sources again. Changes made by live_config_change since are gone; an error changes nothing. Options
 * that need a restart keep their value. Everything is logged. */
void live_config_reload(struct live_config *s);

/* The change log; lives as long as |s|. */
struct change_log *live_config_history(struct live_config *s);

#endif
