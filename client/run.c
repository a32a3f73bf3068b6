#include "client/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fleet/client_yaml.h"
#include "client/fleet/fleet.h"
#include "client/fleet/nodes.h"
#include "client/show/terminal_text.h"
#include "lib/ascii.h"
#include "lib/thread.h"

/* Writes the output of the command. Returns its exit code, or a failure when that could not be written. */
static int finish(struct output *out, struct stop *stop, int code)
{
    output_flush(out);
    /* The reader of a pipe may leave when it has seen enough. */
    if (out->error == -EPIPE || stop_reason(stop) == STOP_READER)
        return EXIT_DONE;
    if (out->error == -ECANCELED)
        return code;
    if (out->error) {
        output_note(NULL, "standard output: %s", err_name(out->error));
        return EXIT_FAILED;
    }
    return code;
}

/* Tells a failure before any daemon was asked: of the command line or of a file that it names. */
static int failed(const struct err *e, int rc)
{
    output_note(NULL, "%s", e->text);
    return rc == -ENOMEM || rc == ERR_UNAVAILABLE ? EXIT_FAILED : EXIT_USAGE;
}

/* ---- One node ---- */

static int run_one(const struct command *command, struct fleet *fleet)
{
    struct session session;
    struct err e = {0};
    fleet->options = &fleet->nodes->items[0]->options;
    int rc = session_open(&session, fleet->options, fleet->out, fleet->stop, &e);
    if (rc != 0)
        return failed(&e, rc);
    fleet->channel = session.channel;
    rc = command->run ? command->run(&session) : command->run_fleet(fleet);
    rc = finish(fleet->out, fleet->stop, rc);
    session_close(&session);
    return rc;
}

/* ---- One after the other ---- */

/* Appends |text|, the output of a command for the node |name|, to |out|: in each JSON object "node" becomes
 * the first member; a single line stands behind the name, several below it. */
static void put_named(struct buf *out, const char *name, const char *text, size_t len, bool json)
{
    if (!len)
        return;
    const char *end = text + len;
    const char *first = memchr(text, '\n', len);
    if (!json) {
        bool one_line = !first || first + 1 == end;
        text_clean_str(out, name);
        buf_str(out, one_line ? ": " : ":\n");
        buf_bytes(out, text, len);
        if (!one_line)
            buf_char(out, '\n');
        return;
    }
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline ? newline + 1 : end;
        if (*text == '{') {
            buf_str(out, "{\"node\":");
            buf_json_string(out, name, strlen(name));
            text++;
            if (*text != '}')
                buf_char(out, ',');
        }
        buf_bytes(out, text, (size_t)(next - text));
        text = next;
    }
}

/* Runs |command| with the session |s|, its output kept in a file in memory, and passes that on with the
 * node's name. */
static int run_named(const struct command *command, struct session *s, const struct node *node,
                     struct output *out)
{
    struct output own;
    struct buf text;
    int fd = memfd_create("output", MFD_CLOEXEC);
    if (fd < 0) {
        output_note(out, "%s: %s", node->told, err_name(-errno));
        return EXIT_FAILED;
    }
    output_init(&own, fd);
    own.size_fd = out->fd;
    own.terminal = out->terminal;
    s->out = &own;
    stop_attach(s->stop, s->channel);
    int rc = command->run(s);
    stop_attach(s->stop, NULL);
    output_flush(&own);
    buf_init(&text);
    off_t n = lseek(fd, 0, SEEK_END);
    char *at = n > 0 ? buf_reserve(&text, (size_t)n) : NULL;
    if (at && pread(fd, at, (size_t)n, 0) == n) {
        bool json =
            node->options.output == OUTPUT_JSONL || node->options.output == OUTPUT_PROTOJSON || *at == '{';
        put_named(&out->data, node->name, at, (size_t)n, json);
    }
    buf_free(&text);
    output_fini(&own);
    close(fd);
    output_flush(out);
    return rc;
}

static int run_each(const struct command *command, const struct nodes *nodes, struct output *out,
                    struct stop *stop)
{
    struct session *sessions = calloc(nodes->n, sizeof(*sessions));
    size_t opened = 0, bad = 0, done = 0;
    int rc = EXIT_DONE, last = EXIT_DONE;
    struct err e = {0};
    if (!sessions) {
        output_note(out, "out of memory");
        return EXIT_FAILED;
    }
    for (; opened < nodes->n && rc == EXIT_DONE; opened++) {
        int code = session_open(&sessions[opened], &nodes->items[opened]->options, out, stop, &e);
        if (code != 0)
            rc = failed(&e, code);
        else
            rpc_channel_connect(sessions[opened].channel);
    }
    stop_attach(stop, NULL);
    for (; done < nodes->n && rc == EXIT_DONE; done++) {
        if (stop_reason(stop) != STOP_NOT || out->error)
            break;
        int code = run_named(command, &sessions[done], nodes->items[done], out);
        bad += code != EXIT_DONE;
        last = code != EXIT_DONE ? code : last;
    }
    if (rc == EXIT_DONE && done < nodes->n)
        rc = EXIT_FAILED;
    else if (rc == EXIT_DONE)
        rc = bad == 0 ? EXIT_DONE : bad == nodes->n ? last : EXIT_SOME_FAILED;
    for (size_t i = 0; i < opened; i++)
        session_close(&sessions[i]);
    free(sessions);
    return finish(out, stop, rc);
}

/* ---- One, several or all at once ---- */

/* Each connection takes a descriptor, and others beside it. */
static void allow_descriptors(size_t nodes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 4 * nodes + 256) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run_for(const struct command *command, const struct options *options, const struct nodes *nodes,
                   struct output *out)
{
    struct stop *stop = NULL;
    struct fleet fleet = {.options = options, .nodes = nodes, .out = out};
    bool several = nodes->n > 1;
    if (several && !command->run_fleet && (command->single || options->watch)) {
        output_note(NULL, "%s%s is for one target, but there are %zu", command->name,
                    options->watch ? " --watch" : "", nodes->n);
        return EXIT_USAGE;
    }
    if (several && options->argument && command->reads_file && strcmp(options->argument, "-") == 0) {
        output_note(NULL, "%s - is for one target: give a file for several", command->name);
        return EXIT_USAGE;
    }
    int rc = stop_new(out->fd, &stop);
    if (rc != 0) {
        output_note(NULL, "cannot start: %s", thread_error(rc));
        return EXIT_FAILED;
    }
    allow_descriptors(nodes->n);
    out->stop_fd = stop_fd(stop);
    fleet.stop = stop;
    fleet.deadline_ns = session_deadline(options);
    if (!several)
        rc = run_one(command, &fleet);
    else if (command->run_fleet)
        rc = finish(out, stop, command->run_fleet(&fleet));
    else
        rc = run_each(command, nodes, out, stop);
    out->stop_fd = -1;
    stop_free(stop);
    return rc;
}

/* Warns of a token that others can read: they can use it as well. */
static void warn_of_readers(const char *path)
{
    struct stat st;
    if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)))
        output_note(NULL, "%s can be read by others: chmod 600 %s", path, path);
}

static bool has_secret(const struct client_yaml_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].option->name, "header") == 0 &&
            ascii_begins(list->items[i].value, strlen(list->items[i].value), "authorization"))
            return true;
    return false;
}

static void warn_of_files(const struct client_yaml *s, const struct nodes *nodes)
{
    bool secret = has_secret(&s->options);
    const char *told = NULL;
    for (size_t i = 0; i < s->n_nodes; i++)
        secret = secret || has_secret(&s->nodes[i].options);
    if (secret)
        warn_of_readers(s->path);
    for (size_t i = 0; i < nodes->n; i++) {
        const char *file = nodes->items[i]->options.token_file;
        if (file && (!told || strcmp(file, told) != 0))
            warn_of_readers(file);
        told = file ? file : told;
    }
}

int run_command(const struct command *command, struct options *options, struct output *out)
{
    struct client_yaml client_yaml = {0};
    struct nodes nodes = {0};
    struct err e = {0};
    bool required;
    stop_unblock_signals(); /* standard input, a name server or a file system may take its time */
    char *path = client_yaml_find(options->config, &required);
    int rc = path ? client_yaml_load(path, required, &client_yaml, &e) : 0;
    free(path);
    if (rc == 0) {
        client_yaml_apply_defaults(&client_yaml, options);
        rc = command_format(command, out->terminal, options, &e);
    }
    if (rc == 0)
        rc = nodes_resolve(options, &client_yaml, &nodes, &e);
    stop_block_signals();
    if (rc == 0) {
        warn_of_files(&client_yaml, &nodes);
        rc = run_for(command, options, &nodes, out);
    } else {
        rc = failed(&e, rc);
    }
    nodes_free(&nodes);
    client_yaml_free(&client_yaml);
    return rc;
}
