/* The commands set and reset: fields of the configuration by name. */
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/configure/config_call.h"

static int usage(struct session *s, const char *text)
{
    output_note(s->out, "%s", text);
    return EXIT_USAGE;
}

/* KEY=VALUE */
static int assign(struct session *s, struct config_draft *d, const char *word)
{
    struct err e = {0};
    const char *equals = strchr(word, '=');
    if (!equals || equals == word) {
        output_note(s->out, "%s: expected KEY=VALUE", word);
        return EXIT_USAGE;
    }
    char *key = strndup(word, (size_t)(equals - word));
    if (!key)
        return config_call_failed(s, "out of memory");
    int rc = config_draft_assign(d, key, equals + 1, &e);
    free(key);
    return rc == 0 ? EXIT_DONE : usage(s, e.text);
}

/* Makes a dry run to see whether the daemon takes the zeros in |d| as such. */
static int try_zeros(struct session *s, const struct config_draft *d)
{
    struct config_reply *after;
    struct err e = {0};
    int rc = config_call_send(s, d, true, &after);
    if (rc == EXIT_DONE && config_draft_check(d, after, &e) != 0)
        rc = config_call_failed(s, e.text);
    config_reply_free(after);
    return rc;
}

/* Sends the draft, and tells the changes. */
static int send_draft(struct session *s, const struct config_draft *d)
{
    bool dry_run = s->options->dry_run;
    struct config_reply *before, *after = NULL;
    int rc = config_call_get(s, &before);
    if (rc == EXIT_DONE && config_draft_has_zeros(d))
        rc = try_zeros(s, d);
    if (rc == EXIT_DONE)
        rc = config_call_send(s, d, dry_run, &after);
    if (rc == EXIT_DONE)
        rc = config_call_tell(s, before, after, dry_run ? CONFIG_CALL_COULD : CONFIG_CALL_DONE);
    config_reply_free(before);
    config_reply_free(after);
    return rc;
}

int command_set(struct session *s)
{
    const struct option_list *words = &s->options->arguments;
    struct config_draft *d = config_draft_new();
    int rc = d ? EXIT_DONE : config_call_failed(s, "out of memory");
    for (size_t i = 0; rc == EXIT_DONE && i < words->n; i++)
        rc = assign(s, d, words->items[i]);
    if (rc == EXIT_DONE)
        rc = send_draft(s, d);
    config_draft_free(d);
    return rc;
}

int command_reset(struct session *s)
{
    const struct option_list *words = &s->options->arguments;
    struct err e = {0};
    if (s->options->all == (words->n > 0))
        return usage(s, "reset needs the names of fields, or --all");
    struct config_draft *d = config_draft_new();
    int rc = d ? 0 : err_set(&e, -1, "out of memory");
    if (rc == 0 && s->options->all)
        rc = config_draft_reset_all(d, &e);
    for (size_t i = 0; rc == 0 && i < words->n; i++)
        rc = config_draft_reset(d, words->items[i], &e);
    rc = rc == 0 ? send_draft(s, d) : usage(s, e.text);
    config_draft_free(d);
    return rc;
}
