#include "client/cmd/outputs_change.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/configure/config_call.h"

/* The values of an output, "KEY=VALUE". */
struct values {
    const char *items[OPTION_LIST_MAX + 4];
    size_t n;
    char *made[4]; /* those that were made here, for free */
    size_t n_made;
};

/* Adds KEY=VALUE unless |value| is NULL. Returns false without memory. */
static bool add(struct values *v, const char *key, const char *value)
{
    char *pair;
    if (!value)
        return true;
    if (asprintf(&pair, "%s=%s", key, value) < 0)
        return false;
    v->made[v->n_made++] = pair;
    v->items[v->n++] = pair;
    return true;
}

static bool gather(struct values *v, const struct options *o, const char *name)
{
    bool ok = add(v, "name", name) && add(v, "to", o->to) && add(v, "format", o->format) &&
              add(v, "filter", o->filter);
    for (size_t i = 0; ok && i < o->settings.n; i++)
        v->items[v->n++] = o->settings.items[i];
    return ok;
}

/* Makes |d| of the configuration |before|. Returns an exit code. */
static int draft_add(struct session *s, struct config_draft *d, const struct config_reply *before,
                     const char *name)
{
    struct values v = {0};
    struct err e = {0};
    int rc = EXIT_DONE;
    if (!gather(&v, s->options, name)) {
        rc = config_call_failed(s, "out of memory");
    } else if (config_draft_add_output(d, before, v.items, v.n, &e) != 0) {
        output_note(s->out, "%s", e.text);
        rc = EXIT_USAGE;
    }
    while (v.n_made)
        free(v.made[--v.n_made]);
    return rc;
}

static int draft_remove(struct session *s, struct config_draft *d, const struct config_reply *before,
                        const char *name)
{
    struct err e = {0};
    return config_draft_remove_output(d, before, name, &e) == 0 ? EXIT_DONE : config_call_failed(s, e.text);
}

/* Reads the configuration, has |make| change it, and sends that: the daemon refuses it if somebody else has changed
 * anything in between. */
static int change(struct session *s, const char *name,
                  int (*make)(struct session *s, struct config_draft *d, const struct config_reply *before,
                              const char *name))
{
    bool dry_run = s->options->dry_run;
    struct config_reply *before, *after = NULL;
    struct config_draft *d = config_draft_new();
    if (!d)
        return config_call_failed(s, "out of memory");
    int rc = config_call_get(s, &before);
    if (rc == EXIT_DONE)
        rc = make(s, d, before, name);
    if (rc == EXIT_DONE)
        rc = config_call_send(s, d, dry_run, &after);
    if (rc == EXIT_DONE)
        rc = config_call_tell(s, before, after, dry_run ? CONFIG_CALL_COULD : CONFIG_CALL_DONE);
    config_reply_free(before);
    config_reply_free(after);
    config_draft_free(d);
    return rc;
}

int outputs_change_add(struct session *s, const char *name)
{
    if (!s->options->to) {
        output_note(s->out, "outputs add %s needs --to URL: where its records go", name);
        return EXIT_USAGE;
    }
    return change(s, name, draft_add);
}

int outputs_change_remove(struct session *s, const char *name)
{
    return change(s, name, draft_remove);
}
