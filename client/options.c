#include "client/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "lib/decimal.h"
#include "lib/duration.h"
#include "lib/nearest.h"
#include "outputs/format/format.h"

#define AT(field_) offsetof(struct options, field_)

const struct option_def options_global[] = {
    {"target", 't', OPTION_LIST, AT(targets), "TARGET",
     "a daemon: HOST[:PORT], unix:/path, a name of client.yaml; repeatable"},
    {"targets-file", 0, OPTION_TEXT, AT(targets_file), "FILE", "more targets, one on each line"},
    {"all-addresses", 0, OPTION_FLAG, AT(all_addresses), NULL, "every address of a host name is a target"},
    {"config", 0, OPTION_TEXT, AT(config), "FILE", "instead of ~/.config/xtcp2/client.yaml"},
    {"output", 'o', OPTION_FORMAT, AT(output), "FORMAT", "the format, one of those listed below"},
    {"timeout", 0, OPTION_DURATION, AT(timeout_ns), "D", "end after this time, for example 500ms or 1m30s"},
    {"deadline", 0, OPTION_DURATION, AT(timeout_ns), "D",
     "the same; its name where a command has a --timeout of its own"},
    {"plaintext", 0, OPTION_FLAG, AT(plaintext), NULL, "no TLS (the default without options for TLS)"},
    {"tls", 0, OPTION_FLAG, AT(tls), NULL, "TLS, with the CAs that this system trusts"},
    {"cacert", 0, OPTION_TEXT, AT(ca), "FILE",
     "TLS, with a daemon whose certificate one of those in FILE has signed"},
    {"cert", 0, OPTION_TEXT, AT(cert), "FILE", "the certificate to show to the daemon, with --key"},
    {"key", 0, OPTION_TEXT, AT(key), "FILE", "its private key"},
    {"servername", 0, OPTION_TEXT, AT(server_name), "NAME",
     "the name in the daemon's certificate, if it is not that of the target"},
    {"authority", 0, OPTION_TEXT, AT(authority), "NAME", "the host that calls are for (:authority)"},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL,
     "TLS with whatever certificate the daemon shows: anybody may be in between"},
    {"token-file", 0, OPTION_TEXT, AT(token_file), "FILE",
     "send the token in the first line of FILE with each call"},
    {"header", 'H', OPTION_LIST, AT(headers), "HEADER", "send \"NAME: VALUE\" with each call; repeatable"},
    {"connect-timeout", 0, OPTION_DURATION, AT(connect_timeout_ns), "D",
     "time that an attempt to connect may take (default 10s)"},
    {"max-msg-sz", 0, OPTION_COUNT, AT(message_max), "N", "bytes of an answer (default 67108864)"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), NULL,
     "no line about each poll; losses and errors are told all the same"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), NULL, "tell more of what is done, on standard error"},
    {"help", 'h', OPTION_FLAG, AT(help), NULL, "this help; behind a command, the help of the command"},
    {"version", 'V', OPTION_FLAG, AT(version), NULL, "the version of this program"},
    {0},
};

#define FIRST_RECORDS (OUTPUT_WIDE + 1) /* the first format that is a form of outputs/ */

const struct format *output_format_records(enum output_format f)
{
    return f < FIRST_RECORDS ? NULL : formats[f - FIRST_RECORDS];
}

const char *output_format_name(enum output_format f)
{
    static const char *const tables[] = {"", "table", "wide"};
    return f < FIRST_RECORDS ? tables[f] : output_format_records(f)->name;
}

/* The state of reading. */
struct scan {
    int argc;
    char *const *argv;
    int at;
    const struct command *commands;
    size_t n_commands;
    const struct command *command;
    bool only_arguments; /* "--" was seen */
    /* Before the command: the first option whose value is the name of one, and that value. */
    const struct option_def *taker;
    const char *taker_arg, *taken;
    bool taker_letter; /* it was written as its letter */
    struct options *out;
    struct err *e;
};

static const struct option_def *find_name(const struct option_def *defs, const char *name, size_t len)
{
    for (; defs && defs->name; defs++)
        if (strlen(defs->name) == len && memcmp(defs->name, name, len) == 0)
            return defs;
    return NULL;
}

static const struct option_def *find_letter(const struct option_def *defs, char letter)
{
    for (; defs && defs->name; defs++)
        if (defs->letter == letter)
            return defs;
    return NULL;
}

/* Takes |name| as |*best| if it is a better guess for |given|. */
static void consider(const char *given, const char *name, const char **best, size_t *distance)
{
    size_t n = strlen(given);
    if (*distance == 0)
        return;
    size_t d = nearest_distance(given, n, name, strlen(name), *distance - 1);
    /* The beginning of a word is a good guess as well. */
    if (n >= 3 && strncmp(given, name, n) == 0)
        d = 1;
    if (d < *distance) {
        *best = name;
        *distance = d;
    }
}

/* A guess must not be further away than half of the written name. */
static size_t guess_limit(const char *given)
{
    size_t n = strlen(given);
    return n < 3 ? 2 : n / 2 + 1;
}

static int unknown_option(struct scan *s, const char *given, const char *name)
{
    const char *best = NULL;
    size_t distance = guess_limit(name);
    const struct option_def *tables[] = {s->command ? s->command->options : NULL, options_global};
    for (size_t i = 0; i < 2; i++)
        for (const struct option_def *d = tables[i]; d && d->name; d++)
            consider(name, d->name, &best, &distance);
    const char *where = s->command ? s->command->name : "";
    const char *gap = s->command ? " " : "";
    if (best)
        return err_set(s->e, ERR_USAGE, "unknown option %s; did you mean --%s?", given, best);
    const struct command *of = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n_commands; i++) {
        const struct option_def *defs = s->commands[i].options;
        if (find_name(defs, name, strlen(name)) || (strlen(name) == 1 && find_letter(defs, *name))) {
            of = of ? of : &s->commands[i];
            n++;
        }
    }
    if (n > 1 && !s->command)
        return err_set(s->e, ERR_USAGE, "%s is an option of %zu commands: put it behind one", given, n);
    if (n)
        return err_set(s->e, ERR_USAGE, "%s is an option of %s: put it behind that command", given, of->name);
    return err_set(s->e, ERR_USAGE, "unknown option %s; see xtcp2client %s%s--help", given, where, gap);
}

static const struct command *find_command(const struct scan *s, const char *name)
{
    for (size_t i = 0; i < s->n_commands; i++)
        if (strcmp(name, s->commands[i].name) == 0)
            return &s->commands[i];
    return NULL;
}

/* Explains that there is no command because an option has taken its name as a value. */
static int taken_command(struct scan *s)
{
    const struct command *c = find_command(s, s->taken);
    const struct option_def *own = s->taker_letter ? find_letter(c->options, s->taker->letter) : NULL;
    const char *arg = s->taker_arg;
    if (own)
        return err_set(
            s->e, ERR_USAGE,
            "%s in front of a command is --%s and has taken \"%s\" for its %s: write %s %s, where it is --%s",
            arg, s->taker->name, s->taken, s->taker->value, s->taken, arg, own->name);
    return err_set(s->e, ERR_USAGE, "no command: %s has taken \"%s\" for its %s", arg, s->taken,
                   s->taker->value);
}

/* Notes that |d|, written as |arg|, takes its value from the word behind it; |letter|: |arg| ends with its
 * letter. */
static void note_taken(struct scan *s, const struct option_def *d, const char *arg, bool letter,
                       const char *value)
{
    if (s->command || s->taker || !find_command(s, value))
        return;
    s->taker = d;
    s->taker_arg = arg;
    s->taker_letter = letter;
    s->taken = value;
}

static int unknown_command(struct scan *s, const char *given)
{
    if (s->taker)
        return taken_command(s);
    const char *best = NULL;
    size_t distance = guess_limit(given);
    for (size_t i = 0; i < s->n_commands; i++)
        consider(given, s->commands[i].name, &best, &distance);
    if (best)
        return err_set(s->e, ERR_USAGE, "unknown command %s; did you mean %s?", given, best);
    return err_set(s->e, ERR_USAGE, "unknown command %s; see xtcp2client --help", given);
}

static int read_count(const struct option_def *d, const char *value, void *at, struct err *e)
{
    uint64_t v;
    if (decimal_parse(value, UINT64_MAX, &v) || v == 0)
        return err_set(e, ERR_USAGE, "--%s %s: expected a whole number from 1 up", d->name, value);
    *(uint64_t *)at = v;
    return 0;
}

static int read_duration(const struct option_def *d, const char *value, void *at, struct err *e)
{
    int64_t v;
    int rc = duration_parse(value, &v);
    if (rc == ERR_RANGE)
        return err_set(e, ERR_USAGE, "--%s %s: too long", d->name, value);
    if (rc != 0)
        return err_set(e, ERR_USAGE, "--%s %s: expected a duration like 500ms, 2s or 1m30s", d->name, value);
    if (v == 0)
        return err_set(e, ERR_USAGE, "--%s %s: must be above 0", d->name, value);
    *(int64_t *)at = v;
    return 0;
}

static int read_format(const struct option_def *d, const char *value, void *at, struct err *e)
{
    const struct format *records = format_by_name(value);
    char list[ERR_TEXT_MAX] = "";
    size_t n = 0;
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
        const char *name = output_format_name(f);
        if (strcmp(value, name) == 0 || (records && output_format_records(f) == records)) {
            *(enum output_format *)at = f;
            return 0;
        }
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", name);
    }
    return err_set(e, ERR_USAGE, "--%s %s: expected one of %s", d->name, value, list);
}

static int list_add(struct option_list *list, const char *name, const char *value, struct err *e)
{
    if (list->n == OPTION_LIST_MAX)
        return err_set(e, ERR_USAGE, "%s: given more than %d times", name, OPTION_LIST_MAX);
    list->items[list->n++] = value;
    return 0;
}

int options_store(const struct option_def *d, const char *value, struct options *out, struct err *e)
{
    void *at = (char *)out + d->offset;
    switch (d->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return 0;
    case OPTION_COUNT:
        return read_count(d, value, at, e);
    case OPTION_DURATION:
        return read_duration(d, value, at, e);
    case OPTION_FORMAT:
        return read_format(d, value, at, e);
    case OPTION_TEXT:
        if (!*value)
            return err_set(e, ERR_USAGE, "--%s: must not be empty", d->name);
        *(const char **)at = value;
        return 0;
    case OPTION_LIST:
        if (!*value)
            return err_set(e, ERR_USAGE, "--%s: must not be empty", d->name);
        return list_add(at, d->name, value, e);
    }
    return 0;
}

bool options_given(const struct option_def *d, const struct options *o)
{
    const void *at = (const char *)o + d->offset;
    switch (d->kind) {
    case OPTION_FLAG:
        return *(const bool *)at;
    case OPTION_COUNT:
        return *(const uint64_t *)at != 0;
    case OPTION_DURATION:
        return *(const int64_t *)at != 0;
    case OPTION_FORMAT:
        return *(const enum output_format *)at != OUTPUT_DEFAULT;
    case OPTION_TEXT:
        return *(const char *const *)at != NULL;
    case OPTION_LIST:
        return ((const struct option_list *)at)->n != 0;
    }
    return false;
}

/* |attached| is the text in the same argument behind the option: NULL when there is none; |letter|: the
 * option was written as its letter. */
static int take_option(struct scan *s, const struct option_def *d, bool letter, const char *attached)
{
    if (d->kind == OPTION_FLAG) {
        if (attached)
            return err_set(s->e, ERR_USAGE, "--%s takes no value", d->name);
        return options_store(d, NULL, s->out, s->e);
    }
    if (!attached) {
        if (s->at + 1 >= s->argc)
            return err_set(s->e, ERR_USAGE, "--%s needs a value (%s)", d->name, d->value);
        const char *arg = s->argv[s->at];
        attached = s->argv[++s->at];
        note_taken(s, d, arg, letter, attached);
    }
    return options_store(d, attached, s->out, s->e);
}

/* The option whose long name begins at |name|, as far as "=" or the end. */
static const struct option_def *find_long(const struct scan *s, const char *name, size_t *len)
{
    *len = strcspn(name, "=");
    const struct option_def *d = s->command ? find_name(s->command->options, name, *len) : NULL;
    return d ? d : find_name(options_global, name, *len);
}

/* |dashes| stand before the name. */
static int take_long(struct scan *s, const char *arg, size_t dashes)
{
    size_t len;
    const char *name = arg + dashes;
    const struct option_def *d = find_long(s, name, &len);
    if (!d) {
        char only[64];
        size_t n = len < sizeof(only) - 1 ? len : sizeof(only) - 1;
        memcpy(only, name, n);
        only[n] = 0;
        return unknown_option(s, arg, only);
    }
    return take_option(s, d, false, name[len] ? name + len + 1 : NULL);
}

/* Whether |text| could be the rest of ss flags that begin with -t: -tan, -tlnp, -tunap, -t4. All letters of
 * ss are among them but those of options with a value (A, D, f, F, K, N) and h and V. */
static bool is_ss_flags(const char *text)
{
    return text[strspn(text, "abdeilmnoprstuwxzBEHMOQSTZ046")] == 0;
}

int options_no_flags(const char *text, struct err *e)
{
    return err_set(
        e, ERR_USAGE,
        "-t%s: -t is --target here and takes \"%s\"; if flags of ss are meant: xtcp2client snapshot shows "
        "TCP sockets of all states, with -n for exact numbers",
        text, text);
}

/* -x value, -xvalue, and flags together: -qh. */
static int take_short(struct scan *s, const char *arg)
{
    for (const char *p = arg + 1; *p; p++) {
        const struct option_def *d = s->command ? find_letter(s->command->options, *p) : NULL;
        if (!d)
            d = find_letter(options_global, *p);
        if (!d)
            return unknown_option(s, arg, arg + 1);
        if (d->offset == AT(targets) && p == arg + 1 && p[1] && is_ss_flags(p + 1))
            s->out->flags_target = p + 1;
        if (d->kind != OPTION_FLAG)
            return take_option(s, d, true, p[1] ? p + 1 : NULL);
        options_store(d, NULL, s->out, s->e);
    }
    return 0;
}

static int take_word(struct scan *s, const char *arg)
{
    if (!s->command) {
        if (strcmp(arg, "help") == 0) {
            s->out->help = true;
            return 0;
        }
        s->command = find_command(s, arg);
        return s->command ? 0 : unknown_command(s, arg);
    }
    if (!s->command->argument)
        return err_set(s->e, ERR_USAGE, "%s takes no argument, but %s was given", s->command->name, arg);
    if (s->out->argument && !(s->command->arguments & ARGUMENTS_MANY))
        return err_set(s->e, ERR_USAGE, "%s takes one %s, but %s was given as well", s->command->name,
                       s->command->argument, arg);
    if (!s->out->argument)
        s->out->argument = arg;
    return list_add(&s->out->arguments, s->command->argument, arg, s->e);
}

int options_parse(int argc, char *const argv[], const struct command *list, size_t n, struct options *out,
                  const struct command **command, struct err *e)
{
    struct scan s = {
        .argc = argc, .argv = argv, .at = 1, .commands = list, .n_commands = n, .out = out, .e = e};
    *out = (struct options){0};
    *command = NULL;
    for (; s.at < argc; s.at++) {
        const char *arg = argv[s.at];
        int rc;
        if (s.only_arguments || arg[0] != '-' || !arg[1]) {
            rc = take_word(&s, arg);
        } else if (strcmp(arg, "--") == 0) {
            s.only_arguments = true;
            rc = 0;
        } else {
            size_t len;
            if (arg[1] == '-')
                rc = take_long(&s, arg, 2);
            else if (arg[2] && find_long(&s, arg + 1, &len))
                rc = take_long(&s, arg, 1);
            else
                rc = take_short(&s, arg);
        }
        *command = s.command;
        if (rc != 0)
            return rc;
    }
    if (out->help || out->version)
        return 0;
    if (!s.command && s.taker)
        return taken_command(&s);
    if (!s.command && out->flags_target)
        return options_no_flags(out->flags_target, e);
    if (s.command && s.command->argument && !out->argument && !(s.command->arguments & ARGUMENTS_OPTIONAL))
        return err_set(e, ERR_USAGE, "%s needs a %s", s.command->name, s.command->argument);
    return 0;
}
