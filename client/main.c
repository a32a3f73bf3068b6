/* xtcp2client: the command line, and what every command needs around it. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "rpc/client.h"

/* Prints |text| to |fd| and frees it. */
static int print(int fd, struct buf *text)
{
    struct output out;
    output_init(&out, fd);
    buf_bytes(&out.data, text->data, text->len);
    int rc = output_flush(&out);
    output_fini(&out);
    buf_free(text);
    return rc == 0 || rc == -EPIPE ? EXIT_DONE : EXIT_FAILED;
}

static int print_version(void)
{
    struct buf text;
    buf_init(&text);
    buf_str(&text, "xtcp2client " XTCP_VERSION "\n");
    return print(STDOUT_FILENO, &text);
}

static int print_help(const struct command *c, int fd)
{
    struct buf text;
    buf_init(&text);
    if (c)
        command_help(c, &text);
    else
        command_help_all(&text);
    return print(fd, &text);
}

/* What the command wrote goes out; its exit code, or a failure when that could not be written. */
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

static int run(const struct command *command, const struct options *options, struct output *out)
{
    struct stop *stop = NULL;
    struct session session;
    struct err e = {0};

    int rc = stop_new(out->fd, &stop);
    if (rc != 0) {
        output_note(NULL, "cannot start: %s", err_name(rc));
        return EXIT_FAILED;
    }
    out->stop_fd = stop_fd(stop);
    rc = session_open(&session, options, out, stop, &e);
    if (rc != 0) {
        output_note(NULL, "%s", e.text);
        rc = rc == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
    } else {
        rc = command->run(&session);
        rc = finish(out, stop, rc);
        session_close(&session);
    }
    out->stop_fd = -1;
    stop_free(stop);
    return rc;
}

/* A socket that takes the number of a closed standard output would get the data. What is missing becomes a
 * descriptor that cannot be written to, so that writing fails as it should. */
static void hold_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

int main(int argc, char **argv)
{
    struct options options;
    const struct command *command;
    struct err e = {0};
    struct output out;

    stop_block_signals();
    hold_standard_fds();
    setlocale(LC_CTYPE, "");
    if (options_parse(argc, argv, commands, n_commands, &options, &command, &e) != 0) {
        output_note(NULL, "%s", e.text);
        return EXIT_USAGE;
    }
    if (options.version)
        return print_version();
    if (options.help)
        return print_help(command, STDOUT_FILENO);
    if (!command) {
        print_help(NULL, STDERR_FILENO);
        return EXIT_USAGE;
    }
    output_init(&out, STDOUT_FILENO);
    if (command_format(command, out.terminal, &options, &e) != 0) {
        output_note(NULL, "%s", e.text);
        return EXIT_USAGE;
    }
    if (options.targets.n)
        options.target = options.targets.items[0];
    else
        options.target = getenv(OPTIONS_TARGET_ENV);
    if (!options.target || !*options.target)
        options.target = OPTIONS_TARGET_DEFAULT;
    rpc_client_init();
    int code = run(command, &options, &out);
    rpc_client_fini();
    output_fini(&out);
    return code;
}
