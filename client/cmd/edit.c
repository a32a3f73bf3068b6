/* The command edit: the configuration in an editor. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/configure/config_call.h"
#include "client/configure/editor.h"
#include "lib/ascii.h"
#include "lib/file.h"

/* An edit from the first text to the daemon. */
struct edit {
    struct session *session;
    struct config_reply *before; /* the configuration being edited */
    struct buf original;
    struct buf text; /* as the editor left it */
    char path[PATH_MAX];
    bool asks; /* a person can be asked */
};

/* The next step. */
enum step { STEP_AGAIN, STEP_APPLY, STEP_DONE, STEP_FAILED };

/* One line from standard input; its first character that is not blank, in lower case. 0: there is none. */
static char read_answer(const struct session *s)
{
    char line[64];
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = stop_fd(s->stop), .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return 0;
    if (fds[1].revents)
        return 0;
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    if (n <= 0)
        return 0;
    line[n] = '\0';
    char c = line[strspn(line, " \t")];
    return ascii_lower(c);
}

static char ask(struct edit *d, const char *question)
{
    output_flush(d->session->out);
    dprintf(d->session->out->notes_fd, "%s", question);
    return read_answer(d->session);
}

/* Decides how to go on after an error in the text, which has been told. */
static enum step on_wrong(struct edit *d)
{
    if (!d->asks)
        return STEP_FAILED;
    return ask(d, "edit again? [Y/n] ") == 'n' ? STEP_FAILED : STEP_AGAIN;
}

/* Lets the daemon check |draft|, shows what it would change, and asks for consent. */
static enum step preview(struct edit *d, const struct config_draft *draft)
{
    struct config_reply *after;
    if (config_call_send(d->session, draft, true, &after) != EXIT_DONE) {
        config_reply_free(after);
        return stop_reason(d->session->stop) == STOP_NOT ? on_wrong(d) : STEP_FAILED;
    }
    bool same = !config_reply_differs(d->before, after);
    int rc = config_call_tell(d->session, d->before, after,
                              d->session->options->dry_run ? CONFIG_CALL_COULD : CONFIG_CALL_ASKS);
    config_reply_free(after);
    if (rc != EXIT_DONE)
        return STEP_FAILED;
    if (same || d->session->options->dry_run)
        return STEP_DONE;
    if (!d->asks)
        return STEP_APPLY;
    switch (ask(d, "apply? [y/N/e: edit again] ")) {
    case 'y':
        return STEP_APPLY;
    case 'e':
        return STEP_AGAIN;
    default:
        output_note(d->session->out, "nothing was changed");
        return STEP_FAILED;
    }
}

static enum step apply(struct edit *d, const struct config_draft *draft)
{
    struct config_reply *after;
    int rc = config_call_send(d->session, draft, false, &after);
    if (rc == EXIT_DONE)
        output_note(d->session->out, "applied");
    config_reply_free(after);
    return rc == EXIT_DONE ? STEP_DONE : STEP_FAILED;
}

/* Makes a change of the text as it is now, and sends it to the daemon. */
static enum step take_text(struct edit *d)
{
    struct err e = {0};
    struct config_draft *draft = config_draft_new();
    enum step step;
    if (!draft) {
        config_call_failed(d->session, "out of memory");
        return STEP_FAILED;
    }
    if (config_draft_edit(draft, d->before, buf_cstr(&d->text), d->text.len, d->path, &e) != 0) {
        config_call_failed(d->session, e.text);
        step = on_wrong(d);
    } else {
        step = preview(d, draft);
        if (step == STEP_APPLY)
            step = apply(d, draft);
    }
    config_draft_free(draft);
    return step;
}

/* Reads what the editor has written. */
static int read_back(struct edit *d, struct err *e)
{
    char *text;
    size_t len;
    int rc = file_read(d->path, CONFIG_JSON_MAX, &text, &len, NULL, e);
    if (rc)
        return rc;
    buf_bytes(&d->text, text, len);
    free(text);
    return d->text.failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* One round in the editor. */
static enum step round_of(struct edit *d)
{
    struct err e = {0};
    int rc = editor_run(d->path, &e);
    buf_reset(&d->text);
    if (rc == 0)
        rc = read_back(d, &e);
    if (rc < 0) {
        config_call_failed(d->session, e.text);
        return STEP_FAILED;
    }
    if (stop_reason(d->session->stop) != STOP_NOT)
        return STEP_FAILED;
    if (d->text.len == d->original.len &&
        (d->text.len == 0 || memcmp(d->text.data, d->original.data, d->text.len) == 0)) {
        buf_str(&d->session->out->data, "nothing changed\n");
        return STEP_DONE;
    }
    return take_text(d);
}

/* Whether the file holds changes that exist nowhere else. */
static bool is_worth_keeping(const struct edit *d)
{
    return d->text.len &&
           (d->text.len != d->original.len || memcmp(d->text.data, d->original.data, d->text.len) != 0);
}

static int edit(struct edit *d)
{
    struct session *s = d->session;
    struct err e = {0};
    if (config_reply_json(d->before, &d->original) != 0)
        return config_call_failed(s, "out of memory");
    if (editor_file(&d->original, ".json", d->path, &e) != 0)
        return config_call_failed(s, e.text);
    enum step step;
    do
        step = round_of(d);
    while (step == STEP_AGAIN);
    if (step == STEP_FAILED && is_worth_keeping(d))
        output_note(s->out, "the edited text is in %s: xtcp2client apply reads it", d->path);
    else
        unlink(d->path);
    return step == STEP_DONE ? EXIT_DONE : EXIT_FAILED;
}

int command_edit(struct session *s)
{
    struct edit d = {.session = s, .asks = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1};
    buf_init(&d.original);
    buf_init(&d.text);
    int rc = config_call_get(s, &d.before);
    if (rc == EXIT_DONE)
        rc = edit(&d);
    config_reply_free(d.before);
    buf_free(&d.original);
    buf_free(&d.text);
    return rc;
}
