/* xtcp2client: the command line, and the setup that every command needs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/run.h"
#include "client/show/terminal_text.h"
#include "client/stop.h"
#include "lib/thread.h"
#include "rpc/client/client.h"

/* Prints |text| to |fd| and frees it. */
static int print(int fd, struct buf *text)
{
    struct output out;
    output_init(&out, fd);
    buf_bytes(&out.data, text->data, text->len);
    int rc = output_flush(&out);
    output_fini(&out);
    buf_free(text);
    if (rc == 0 || rc == -EPIPE)
        return EXIT_DONE;
    if (fd != STDERR_FILENO)
        output_note(NULL, "standard output: %s", err_name(rc));
    return EXIT_FAILED;
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

/* A socket that gets the number of a closed standard output would receive the data. A missing one becomes a
 * descriptor that cannot be written to, so that writing fails as it should. */
static void hold_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

/* gRPC waits for its threads when it ends, for ever if one could not be started. */
#define END_SECONDS 2

static volatile sig_atomic_t exit_code;

static void on_alarm(int number)
{
    (void)number;
    _exit(exit_code);
}

/* All output is written: from now on nothing may keep the process for long, and signals end it at once. */
static void bound_end(int code)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    exit_code = code;
    sigaction(SIGALRM, &action, NULL);
    alarm(END_SECONDS);
    stop_unblock_signals();
}

/* A command that needs no daemon. */
static int run_here(const struct command *command, const struct options *options, struct output *out)
{
    int code = command->run_here(options, out);
    int rc = output_flush(out);
    if (rc == 0 || rc == -EPIPE)
        return code;
    output_note(NULL, "standard output: %s", err_name(rc));
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct options options;
    const struct command *command;
    struct err e = {0};
    struct output out;

    stop_block_signals();
    hold_standard_fds();
    text_use_locale();
    if (thread_check_stack(&e)) {
        output_note(NULL, "%s", e.text);
        return EXIT_FAILED;
    }
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
    int code;
    if (command->run_here) {
        code = run_here(command, &options, &out);
    } else {
        if (command->prepare)
            command->prepare();
        rpc_client_init();
        code = run_command(command, &options, &out);
        bound_end(code);
        rpc_client_fini();
        alarm(0);
    }
    output_fini(&out);
    return code;
}
