#include "client/command.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "outputs/format/format.h"

#define HELP_WIDTH 98 /* columns of a list of names */

#define AT(field_) offsetof(struct options, field_)
#define END                                                                                                  \
    {                                                                                                        \
        0                                                                                                    \
    }

#define FORMATS_REPORT  (FORMAT_BIT(OUTPUT_TABLE) | FORMAT_BIT(OUTPUT_JSONL) | FORMAT_BIT(OUTPUT_PROTOJSON))
#define FORMATS_RECORDS (FORMAT_BIT(OUTPUT_COUNT) - FORMAT_BIT(OUTPUT_TABLE)) /* all */

/* Options that choose and show records. */
#define RECORD_OPTIONS                                                                                       \
    {"columns", 'c', OPTION_TEXT, AT(columns), "A,B", "show these fields, in this order"},                   \
        {"sort-by",   's',   OPTION_TEXT,                                                                    \
         AT(sort_by), "A,B", "sort each poll by these fields; -A or A:desc: greatest first"},                \
        {"numeric", 'n', OPTION_FLAG, AT(numeric), NULL, "exact numbers instead of ones with units"},        \
        {"no-header", 'H', OPTION_FLAG, AT(no_header), NULL, "no line of titles"},                           \
        {"time", 'T', OPTION_FLAG, AT(time), NULL, "put the time of its poll in front of each record"},      \
    {                                                                                                        \
        "netns", 'N', OPTION_LIST, AT(netns), "GLOB",                                                        \
            "only namespaces with such a name or inode number; may be repeated"                              \
    }

static const struct option_def stream_options[] = {
    RECORD_OPTIONS,
    {"count", 0, OPTION_COUNT, AT(count), "N", "end after N records"},
    {"polls", 'p', OPTION_COUNT, AT(polls), "N", "end after N complete polls"},
    END,
};

static const struct option_def poll_options[] = {
    RECORD_OPTIONS,
    {"count", 0, OPTION_COUNT, AT(count), "N", "make N polls (default: 1; with --every: until interrupted)"},
    {"every", 'e', OPTION_DURATION, AT(every_ns), "D",
     "time from the start of a poll to the start of the next"},
    END,
};

static const struct option_def snapshot_options[] = {
    RECORD_OPTIONS,
    END,
};

static const struct option_def watch_options[] = {
    RECORD_OPTIONS,
    {"every", 'e', OPTION_DURATION, AT(every_ns), "D", "time between ticks, 10ms to 10s (default: 100ms)"},
    {"rate", 'r', OPTION_COUNT, AT(rate), "N", "the same as N ticks a second, 1 to 100"},
    {"count", 0, OPTION_COUNT, AT(count), "TICKS", "end after so many ticks"},
    {"max", 0, OPTION_COUNT, AT(max_sockets), "N", "watch at most N sockets (default: 100)"},
    END,
};

static const struct option_def top_options[] = {
    {"every", 'e', OPTION_DURATION, AT(every_ns), "D",
     "ask for a poll so often, instead of the daemon's schedule"},
    {"sort", 's', OPTION_TEXT, AT(sort), "ORDER",
     "throughput (default), retrans, rtt or queue, or the title of such a column"},
    {"no-color", 0, OPTION_FLAG, AT(no_color), NULL, "no colours; $NO_COLOR does the same"},
    END,
};

static const struct option_def join_options[] = {
    {"all", 'a', OPTION_FLAG, AT(all), NULL, "also connections of which one end only is here"},
    {"count", 0, OPTION_COUNT, AT(count), "N", "make N polls (default: 1; with --every: until interrupted)"},
    {"every", 'e', OPTION_DURATION, AT(every_ns), "D",
     "time from the start of a poll to the start of the next"},
    {"netns", 'N', OPTION_LIST, AT(netns), "GLOB", "only namespaces with such a name or inode number"},
    END,
};

static const struct option_def apply_options[] = {
    {"dry-run", 0, OPTION_FLAG, AT(dry_run), NULL, "have it checked, and tell what would change"},
    END,
};

static const struct option_def reset_options[] = {
    {"all", 'a', OPTION_FLAG, AT(all), NULL, "all fields, but for listeners and access"},
    {"dry-run", 0, OPTION_FLAG, AT(dry_run), NULL, "have it checked, and tell what would change"},
    END,
};

static const struct option_def frequency_options[] = {
    {"frequency", 'f', OPTION_DURATION, AT(frequency_ns), "D", "time between polls"},
    {"timeout", 0, OPTION_DURATION, AT(poll_timeout_ns), "D",
     "time that one poll may take, below the frequency"},
    END,
};

static const struct option_def burst_options[] = {
    {"count", 'n', OPTION_COUNT, AT(count), "N", "polls to make, 1 to 1000"},
    {"interval", 'i', OPTION_DURATION, AT(interval_ns), "D",
     "time between their starts, above the poll timeout"},
    {"replace", 0, OPTION_FLAG, AT(replace), NULL, "take the place of a burst that is running"},
    {"cancel", 0, OPTION_FLAG, AT(cancel), NULL, "make no further polls of the burst that is running"},
    END,
};

static const struct option_def namespaces_options[] = {
    {"watch", 'w', OPTION_FLAG, AT(watch), NULL, "list them, then tell what changes until interrupted"},
    END,
};

static const struct option_def outputs_options[] = {
    {"watch", 'w', OPTION_FLAG, AT(watch), NULL, "list them, then tell what changes until interrupted"},
    {"to", 0, OPTION_TEXT, AT(to), "URL", "add: the destination, such as file:/var/log/xtcp2/a.jsonl"},
    {"format", 0, OPTION_TEXT, AT(format), "FORM",
     "add: the form of its records (default: the destination's)"},
    {"filter", 0, OPTION_TEXT, AT(filter), "EXPR", "add: only sockets that pass (default: all)"},
    {"set", 0, OPTION_LIST, AT(settings), "KEY=VALUE",
     "add: a further key of the output or option of its destination; repeatable"},
    {"dry-run", 0, OPTION_FLAG, AT(dry_run), NULL,
     "add, remove: have it checked, and tell what would change"},
    END,
};

static const struct option_def health_options[] = {
    {"wait", 'w', OPTION_FLAG, AT(wait), NULL, "wait until the daemon serves, also for its start"},
    END,
};

const struct command commands[] = {
    {.name = "stream",
     .argument = "FILTER",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--count N] [--polls N] [FILTER]",
     .summary = "show the sockets that each poll of the daemon finds, as they come",
     .help =
         "The daemon polls on its own schedule; this command only listens. It ends after --count records,\n"
         "--polls complete polls or --timeout, whichever comes first, else at Ctrl-C (exit code 0). When\n"
         "--timeout ends it before --count or --polls, the exit code is 1. A connection that is lost is made\n"
         "again, with waits from 1 s to 30 s.\n",
     .example = "xtcp2client stream --polls 3",
     .options = stream_options,
     .formats = FORMATS_RECORDS,
     .run_fleet = command_stream},
    {.name = "poll",
     .argument = "FILTER",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--count N] [--every D] [FILTER]",
     .summary = "have the daemon poll now and show what it finds",
     .help =
         "Each poll is shown completely before the next one is asked for. Namespaces that could not be polled\n"
         "are told on standard error. With a daemon that does not mark the end of a poll, a poll ends after\n"
         "1 s without records.\n",
     .example = "xtcp2client -o jsonl poll | jq .netns",
     .options = poll_options,
     .formats = FORMATS_RECORDS,
     .run_fleet = command_poll},
    {.name = "snapshot",
     .argument = "FILTER",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[FILTER]",
     .summary = "show the sockets that there are now, as ss does",
     .help =
         "One poll, as a table unless --output says otherwise. FILTER is as of ss, see xtcp2-filter(7).\n",
     .example = "xtcp2client snapshot --sort-by -rtt state established",
     .options = snapshot_options,
     .formats = FORMATS_RECORDS,
     .table = true,
     .run_fleet = command_snapshot},
    {.name = "watch",
     .argument = "FILTER",
     .arguments = ARGUMENTS_MANY,
     .usage = "[--every D | --rate N] [--count TICKS] [--max N] FILTER",
     .summary = "follow chosen sockets at a high rate, up to 100 times a second",
     .help =
         "The sockets that pass FILTER, as of ss, see xtcp2-filter(7), are followed until they end; new ones\n"
         "are looked for every 5 s. The daemon asks the kernel for each of them by itself, so it makes no\n"
         "difference how many others there are. On a terminal the table stays in its place. A socket that has\n"
         "ended, and ticks that were lost, are told on standard error.\n",
     .example = "xtcp2client watch --rate 20 dport = 443 and rtt \\> 50ms",
     .options = watch_options,
     .formats = FORMATS_RECORDS,
     .table = true,
     .single = true,
     .run = command_watch},
    {.name = "top",
     .argument = "FILTER",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--every D] [--sort ORDER] [--no-color] [FILTER]",
     .summary = "watch sockets on the whole screen: rates, retransmissions, what limits them",
     .help =
         "Shows the polls that the daemon makes on its schedule, or asks for them with --every. The key h\n"
         "tells what the keys do, q ends it. FILTER is as of ss, see xtcp2-filter(7).\n",
     .example = "xtcp2client top --every 1s --sort retrans state established",
     .options = top_options,
     .single = true,
     .prepare = command_top_prepare,
     .run = command_top},
    {.name = "join",
     .argument = "FILTER",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--all] [--count N] [--every D] [FILTER]",
     .summary = "show both ends of connections side by side, of several targets or namespaces",
     .help =
         "All targets are polled at the same time; the ends are found by their addresses. Where addresses\n"
         "are used more than once, what both ends agreed upon and their counters decide, or the connection\n"
         "is shown as ambiguous. FILTER is as of ss; it is for each end.\n",
     .example = "xtcp2client join --target node1 --target node2",
     .options = join_options,
     .formats = FORMAT_BIT(OUTPUT_TABLE) | FORMAT_BIT(OUTPUT_JSONL),
     .table = true,
     .run_fleet = command_join},
    {.name = "get",
     .usage = "",
     .summary = "print the configuration in force as JSON",
     .help = "The output is what `apply` reads.\n",
     .example = "xtcp2client get > xtcp2.json",
     .formats = FORMAT_BIT(OUTPUT_PROTOJSON),
     .run = command_get},
    {.name = "apply",
     .argument = "FILE",
     .usage = "[--dry-run] FILE",
     .summary = "change the configuration to what is in a JSON file (-: standard input)",
     .help =
         "All of it is applied or nothing. Fields that the file does not have stay as they are. A \"generation\"\n"
         "in the file must be the one in force: remove it to apply the rest regardless of what others changed.\n",
     .example = "echo '{\"label\": \"rack 7\"}' | xtcp2client apply -",
     .options = apply_options,
     .reads_file = true,
     .run = command_apply},
    {.name = "set",
     .argument = "KEY=VALUE",
     .arguments = ARGUMENTS_MANY,
     .usage = "[--dry-run] KEY=VALUE...",
     .summary = "change fields of the configuration by name",
     .help =
         "KEY is a field as `get` names it in the contract (poll_frequency, options.log.level, log.level)\n"
         "or an option of xtcp2.yaml (log_level); VALUE is written as there: 250ms, 10000, true, a text, a\n"
         "list with commas. All of it is applied or nothing. Prints what was changed.\n",
     .example = "xtcp2client set label='rack 7' log.level=debug",
     .options = apply_options,
     .run = command_set},
    {.name = "reset",
     .argument = "KEY",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--dry-run] KEY... | --all",
     .summary = "put fields of the configuration back to their defaults",
     .example = "xtcp2client reset --dry-run --all",
     .options = reset_options,
     .run = command_reset},
    {.name = "edit",
     .usage = "[--dry-run]",
     .summary = "change the configuration in an editor",
     .help =
         "Opens $VISUAL, else $EDITOR, else vi on the configuration as JSON; then shows the difference, asks\n"
         "on a terminal, and applies it unless somebody else has changed the configuration meanwhile. A field\n"
         "that is taken out goes back to its default. When it fails, the text is kept.\n",
     .example = "EDITOR=nano xtcp2client edit",
     .options = apply_options,
     .single = true,
     .run = command_edit},
    {.name = "changes",
     .usage = "",
     .summary = "tell who changed the configuration when, and what",
     .example = "xtcp2client changes",
     .formats = FORMATS_REPORT,
     .run = command_changes},
    {.name = "frequency",
     .usage = "--frequency D --timeout D",
     .summary = "set the time between polls and the time that one may take",
     .help = "Behind this command --timeout is the poll's; that of the command itself is --deadline here.\n",
     .example = "xtcp2client frequency --frequency 2s --timeout 500ms",
     .options = frequency_options,
     .run = command_frequency},
    {.name = "trigger",
     .usage = "",
     .summary = "have the daemon poll now, for those who listen",
     .example = "xtcp2client trigger",
     .run = command_trigger},
    {.name = "burst",
     .usage = "--count N --interval D [--replace] | --cancel",
     .summary = "have the daemon make a number of polls in quick succession",
     .example = "xtcp2client burst --count 30 --interval 3s",
     .options = burst_options,
     .run = command_burst},
    {.name = "namespaces",
     .usage = "[--watch]",
     .summary = "list the network namespaces that the daemon knows",
     .example = "xtcp2client namespaces --watch",
     .options = namespaces_options,
     .formats = FORMATS_REPORT,
     .run = command_namespaces},
    {.name = "outputs",
     .argument = "ACTION",
     .arguments = ARGUMENTS_FILTER,
     .usage = "[--watch] | ACTION NAME | add NAME --to URL",
     .summary = "tell where the daemon delivers records to by itself; pause, test, change that",
     .help =
         "ACTION is pause, resume, flush (send what is queued now), test (send one record that is made up and\n"
         "tell how that went), add or remove. The last two change the configuration, as `set` does, unless\n"
         "somebody else has changed it meanwhile. The KEY of --set is a key of outputs in xtcp2.yaml (queue,\n"
         "on_full, batch.rows, columns, netns), or else an option of the destination (rotate_size).\n",
     .example = "xtcp2client outputs add archive --to file:/var/log/xtcp2/sockets.jsonl --format jsonl",
     .options = outputs_options,
     .formats = FORMATS_REPORT,
     .run = command_outputs},
    {.name = "status",
     .usage = "",
     .summary = "tell how the daemon is: polls, subscribers, errors, what it cannot see",
     .example = "xtcp2client status",
     .formats = FORMATS_REPORT,
     .run = command_status},
    {.name = "health",
     .usage = "[--wait]",
     .summary = "ask whether the daemon serves: exit code 0 if so, else 1",
     .help =
         "Prints the answer. With --wait it waits for the daemon to start and to serve, at most --timeout.\n",
     .example = "xtcp2client health --wait --timeout 10s",
     .options = health_options,
     .run = command_health},
    {.name = "completion",
     .argument = "SHELL",
     .usage = "bash|zsh|fish",
     .summary = "print what makes a shell complete the words of this program",
     .example = "xtcp2client completion bash > ~/.local/share/bash-completion/completions/xtcp2client",
     .run_here = command_completion},
};
const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

int command_format(const struct command *c, bool terminal, struct options *o, struct err *e)
{
    if (o->output == OUTPUT_DEFAULT) {
        if (c->formats & FORMAT_BIT(OUTPUT_TABLE))
            o->output = terminal || c->table ? OUTPUT_TABLE : OUTPUT_JSONL;
        return 0;
    }
    if (c->formats & FORMAT_BIT(o->output)) {
        const struct format *records = output_format_records(o->output);
        if (terminal && records && records->flags & FORMAT_BINARY)
            return err_set(e, ERR_USAGE, "--output %s is not for a terminal: send it to a file or a pipe",
                           records->name);
        return 0;
    }
    if (!c->formats)
        return err_set(e, ERR_USAGE, "%s has no output formats: leave out --output", c->name);
    char list[128] = "";
    size_t n = 0;
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++)
        if (c->formats & FORMAT_BIT(f))
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", output_format_name(f));
    return err_set(e, ERR_USAGE, "--output %s: %s has %s", output_format_name(o->output), c->name, list);
}

/* "  -n, --count N        text", without the letter where it means something else. */
static void option_help(struct buf *out, const struct option_def *d, bool letter)
{
    size_t start = out->len;
    if (d->letter && letter)
        buf_printf(out, "  -%c, --%s", d->letter, d->name);
    else
        buf_printf(out, "      --%s", d->name);
    if (d->value)
        buf_printf(out, " %s", d->value);
    size_t used = out->len - start;
    buf_printf(out, "%*s  %s\n", used < 22 ? (int)(22 - used) : 0, "", d->help);
}

/* A paragraph with the names of |which|, FORMAT_BIT of each. */
static void formats_help(struct buf *out, unsigned which)
{
    size_t line = out->len + 1;
    buf_str(out, "\nformats:");
    for (enum output_format f = OUTPUT_TABLE; f < OUTPUT_COUNT; f++) {
        const char *name = output_format_name(f);
        if (!(which & FORMAT_BIT(f)))
            continue;
        if (out->len - line + strlen(name) > HELP_WIDTH) {
            line = out->len + 1;
            buf_str(out, "\n        ");
        }
        buf_printf(out, " %s", name);
    }
    buf_char(out, '\n');
}

void command_help_all(struct buf *out)
{
    buf_str(
        out,
        "usage: xtcp2client [options] COMMAND [options]\n\n"
        "Shows the TCP sockets of a host, in all its network namespaces, as its xtcp2 daemon sees them, and\n"
        "controls that daemon.\n\n"
        "commands:\n");
    for (size_t i = 0; i < n_commands; i++)
        buf_printf(out, "  %-12s%s\n", commands[i].name, commands[i].summary);
    buf_str(out, "\noptions, before or behind the command:\n");
    for (const struct option_def *d = options_global; d->name; d++)
        option_help(out, d, true);
    formats_help(out, FORMATS_RECORDS);
    buf_str(out,
            "\nBehind stream, poll, snapshot and watch -H is --no-header, as with ss: write --header there.\n"
            "The target is " OPTIONS_TARGET_DEFAULT " unless --target or $" OPTIONS_TARGET_ENV
            " says otherwise.\n"
            "The format is table on a terminal, else jsonl, unless --output says otherwise.\n"
            "Data goes to standard output, all else to standard error.\n"
            "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 some of several targets failed.\n"
            "See also: xtcp2client COMMAND --help\n\n"
            "example: xtcp2client poll\n");
}

/* Whether |c| has an option of its own called |name|. */
static bool has_own(const struct command *c, const char *name)
{
    for (const struct option_def *d = c->options; d && d->name; d++)
        if (strcmp(d->name, name) == 0)
            return true;
    return false;
}

/* Whether |letter| is an option of |c|'s own. */
static bool has_own_letter(const struct command *c, char letter)
{
    for (const struct option_def *d = c->options; d && d->name; d++)
        if (d->letter == letter)
            return true;
    return false;
}

void command_help(const struct command *c, struct buf *out)
{
    buf_printf(out, "usage: xtcp2client [options] %s%s%s\n\n", c->name, *c->usage ? " " : "", c->usage);
    buf_printf(out, "%c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
    if (c->help)
        buf_printf(out, "\n%s", c->help);
    if (c->options) {
        buf_str(out, "\noptions:\n");
        for (const struct option_def *d = c->options; d->name; d++)
            option_help(out, d, true);
    }
    buf_str(out, "\noptions of all commands:\n");
    for (const struct option_def *d = options_global; d->name; d++)
        if (!has_own(c, d->name))
            option_help(out, d, !has_own_letter(c, d->letter));
    if (c->formats)
        formats_help(out, c->formats);
    buf_printf(out, "\nexample: %s\n", c->example);
}
