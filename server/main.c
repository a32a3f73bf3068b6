/* The program xtcp2: reads its command line and runs as the daemon, or once (--once), or over a recording
 * (--replay). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "config/builder.h"
#include "config/output.h"
#include "config/state.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "outputs/module.h"
#include "server/app.h"
#include "server/listen/listeners.h"
#include "server/offline.h"
#include "server/outputs/outputs.h"
#include "server/process/privilege.h"
#include "server/process/sandbox.h"

#define EXIT_USAGE 2

/* The command line as it was read, kept so that SIGHUP can read it again. */
struct command {
    int argc;
    char **argv;
    const char *config_file;
    const char *replay;
    const char *output;
    bool once;
    bool check;
    bool print;
    bool help;
    bool version;
    bool again;  /* read again, after SIGHUP or a change of the file */
    size_t told; /* errors that have been printed */
};

enum { OWN_OPTIONS = 8 };

static void own_options(struct command *c, struct config_program_option out[OWN_OPTIONS])
{
    const struct config_program_option options[OWN_OPTIONS] = {
        {.name = "config",
         .short_name = 'c',
         .metavar = "FILE",
         .help =
             "Reads the configuration FILE (YAML), - for standard input; without it, the one that XTCP2_CONFIG names. The "
             "environment (XTCP2_POLL_FREQUENCY=2s) wins over the file, the command line over both.",
         .value = &c->config_file,
         .is_config_file = true},
        {.name = "check-config",
         .help = "Reads the configuration, says on standard error what is wrong with it, and exits: 0 when "
                 "a start would accept it, else 1. Listeners are not opened.",
         .flag = &c->check},
        {.name = "print-config",
         .help = "Prints the configuration that file, environment and command line make, with where each "
                 "value comes from, and exits.",
         .flag = &c->print},
        {.name = "once",
         .help =
             "Polls all namespaces once, prints the records to standard output and exits: 0 when every namespace was "
             "polled completely, else 1.",
         .flag = &c->once},
        {.name = "replay",
         .metavar = "FILE",
         .help =
             "Prints the records of the recorded netlink answers in FILE (pcap, link type 253) and exits.",
         .value = &c->replay},
        {.name = "output",
         .short_name = 'o',
         .metavar = "FORMAT",
         .help =
             "What --once and --replay print: jsonl (the default), protojson, or protobuf-list (each batch a "
             "serialized Envelope behind its length as a varint; alias proto).",
         .value = &c->output,
         .check = offline_check_format},
        {.name = "help", .short_name = 'h', .help = "Prints this text.", .flag = &c->help, .ends = true},
        {.name = "version",
         .short_name = 'V',
         .help = "Prints the version, and the destinations that outputs can have here.",
         .flag = &c->version,
         .ends = true},
    };
    memcpy(out, options, sizeof(options));
}

/* An error in the state file does not prevent a start, except when the file system does not answer: that
 * would leave a thread in there, with all the rights that this process still has. */
static int read_state(const struct command *c, struct config_builder *b, const char *path, struct err *e)
{
    struct err why = {0};
    int rc = *path && !c->check ? config_read_state(b, path, &why) : 0;
    if (rc == ERR_TIMEOUT)
        return err_set(e, rc, "state_file: %s", why.text);
    if (rc)
        log_warn("config", "state_file: what was kept is not used: %s", why.text);
    return 0;
}

/* Prints an error, in a mode that prints all of them. */
static bool tell_error(void *arg, const struct err *e)
{
    struct command *c = arg;
    if (!c->check)
        return false;
    fprintf(stderr, "xtcp2: %s\n", e->text);
    c->told++;
    return true;
}

/* Makes the configuration; with |effective| (may be NULL), appends it as text with its origins. */
static int read_config(struct command *c, struct live_config_sources *out, struct buf *effective,
                       struct err *e)
{
    struct config_program_option own[OWN_OPTIONS];
    const struct config_sources from = {c->argc, c->argv, environ, c->again};
    own_options(c, own);
    struct config_builder *b = config_builder_new();
    if (!b)
        return err_set(e, ERR_LIMIT, "out of memory");
    config_builder_tell_all(b, tell_error, c);
    int rc = config_parse_args(b, &from, own, OWN_OPTIONS, e);
    if (rc)
        tell_error(c, e);
    if (rc == 0 && !c->help && !c->version)
        rc = config_build(b, &out->base, e);
    if (rc == 0 && out->base) {
        rc = read_state(c, b, out->base->state_file, e);
        if (rc == 0)
            rc = config_build(b, &out->config, e);
    }
    if (rc == 0 && c->print && effective && out->config)
        config_dump_effective(b, out->config, effective);
    config_builder_free(b);
    return rc;
}

static void drop_sources(struct live_config_sources *sources)
{
    config_unref(sources->config);
    config_unref(sources->base);
}

static int reload(void *arg, struct live_config_sources *out, struct err *e)
{
    const struct command *first = arg;
    struct command again = {.argc = first->argc, .argv = first->argv, .again = true};
    *out = (struct live_config_sources){0};
    int rc = read_config(&again, out, NULL, e);
    if (rc)
        drop_sources(out);
    return rc;
}

/* Writes |text| to standard output and frees it. Returns the exit status. */
static int print(struct buf *text)
{
    bool ok = !text->failed && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
    buf_free(text);
    return ok ? 0 : 1;
}

static int print_help(void)
{
    struct command c = {0};
    struct config_program_option own[OWN_OPTIONS];
    struct winsize window;
    struct buf text;
    own_options(&c, own);
    unsigned width =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= 60 ? window.ws_col : 100;
    buf_init(&text);
    config_print_help(
        &text, width < 120 ? width : 120, "xtcp2 [OPTION]...",
        "Collects every TCP socket of every network namespace of this host and streams the records to gRPC "
        "clients. Without options it runs with its embedded default configuration.",
        own, OWN_OPTIONS);
    return print(&text);
}

/* Rules between options. */
static int check_command(const struct command *c, struct err *e)
{
    const struct {
        bool given;
        const char *name;
    } modes[] = {{c->check, "--check-config"},
                 {c->print, "--print-config"},
                 {c->once, "--once"},
                 {c->replay != NULL, "--replay"}};
    const char *mode = NULL;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (mode && modes[i].given)
            return err_set(e, ERR_USAGE, "%s and %s exclude each other", mode, modes[i].name);
        if (modes[i].given)
            mode = modes[i].name;
    }
    if (c->output && !c->once && !c->replay)
        return err_set(e, ERR_USAGE, "--output goes with --once or --replay");
    return 0;
}

/* The configuration file that is read; NULL when there is none. */
static const char *config_file(const struct command *c)
{
    const char *file = c->config_file ? c->config_file : getenv("XTCP2_CONFIG");
    return file && *file ? file : NULL;
}

/* Says that the sources are good. */
static int report_good(const struct command *c)
{
    const char *file = config_file(c);
    fprintf(stderr, "%s: ok\n", file ? file : "configuration");
    return 0;
}

/* Gives the three standard descriptors a file where one is closed: what is opened first would get its number, and what is
 * written to standard output would go there. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR); /* the lowest number that is free */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int print_version(void)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "xtcp2 %s\ndestinations:", XTCP_VERSION);
    for (size_t i = 0; i < output_kind_count; i++)
        if (module_is_there(&output_kinds[i]))
            buf_printf(&text, " %s", output_kinds[i].name);
    buf_char(&text, '\n');
    return print(&text);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* every thread inherits this; signals are read from a descriptor */

    struct command c = {.argc = argc, .argv = argv};
    struct live_config_sources sources = {0};
    struct err e = {0};
    struct buf effective;
    buf_init(&effective);
    if (thread_check_stack(&e)) {
        fprintf(stderr, "xtcp2: %s\n", e.text);
        return 1;
    }
    int rc = read_config(&c, &sources, &effective, &e);
    if (rc == 0 && !c.help && !c.version)
        rc = check_command(&c, &e);
    if (rc) {
        if (!c.told)
            fprintf(stderr, "xtcp2: %s\n", e.text);
        drop_sources(&sources);
        buf_free(&effective);
        return rc == ERR_USAGE ? EXIT_USAGE : 1;
    }
    if (c.help)
        return print_help();
    if (c.version)
        return print_version();
    if (c.check && (listeners_check(sources.config, tell_error, &c) ||
                    outputs_check_modules(sources.config, tell_error, &c))) {
        drop_sources(&sources);
        return 1;
    }
    if (c.check || c.print) {
        drop_sources(&sources);
        return c.check ? report_good(&c) : print(&effective);
    }
    const struct config *config = sources.config;
    log_set(config->log_level, config->log_format);
    /* Before any lasting thread is started: threads inherit the rights that are left. The threads that have
     * read files have ended; one that hung would have prevented the start. */
    if (privilege_drop(&e) || sandbox_apply(config->sandbox, &e)) {
        fprintf(stderr, "xtcp2: %s\n", e.text);
        drop_sources(&sources);
        return 1;
    }
    sources.file = config_file(&c);
    if (!c.once && !c.replay)
        return app_run(&sources, reload, &c);

    sigprocmask(SIG_UNBLOCK, &all, NULL); /* short-lived: ends like any other command */
    rc = c.once ? offline_once(config, c.output) : offline_replay(config, c.replay, c.output);
    drop_sources(&sources);
    return rc;
}
