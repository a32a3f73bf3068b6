#include "client/configure/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_all(int fd, const char *at, size_t n)
{
    while (n) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

int editor_file(const struct buf *text, const char *suffix, char path[PATH_MAX], struct err *e)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    if (snprintf(path, PATH_MAX, "%s/xtcp2-XXXXXX%s", folder, suffix) >= PATH_MAX)
        return err_set(e, -ENAMETOOLONG, "$TMPDIR is too long");
    int fd = mkostemps(path, (int)strlen(suffix), O_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", folder, err_name(-errno));
    int rc = write_all(fd, text->data, text->len);
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0)
        return 0;
    unlink(path);
    return err_set(e, rc, "%s: %s", path, err_name(rc));
}

static const char *editor_name(void)
{
    static const char *const variables[] = {"VISUAL", "EDITOR"};
    for (size_t i = 0; i < 2; i++) {
        const char *name = getenv(variables[i]);
        if (name && *name)
            return name;
    }
    return "vi";
}

/* Makes |group| the foreground group of the terminal. The caller may be in the background itself. */
static void give_terminal(pid_t group)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    tcsetpgrp(STDIN_FILENO, group);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Starts |argv| with the usual signals neither blocked nor ignored; with a |terminal|, as its foreground
 * group. */
static int start(char *const argv[], bool terminal, pid_t *pid)
{
    extern char **environ;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, ours;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (terminal ? POSIX_SPAWN_SETPGROUP : 0);

    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attributes, flags);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setpgroup(&attributes, 0);
    if (terminal)
        posix_spawn_file_actions_addtcsetpgrp_np(&actions, STDIN_FILENO);
    int rc = -posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* Waits for the end of |pid|. When it is suspended, so are we; both go on together. */
static int wait_for(pid_t pid, bool terminal, int *status)
{
    for (;;) {
        if (waitpid(pid, status, terminal ? WUNTRACED : 0) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (terminal)
            give_terminal(getpgrp());
        if (!WIFSTOPPED(*status))
            return 0;
        kill(getpid(), SIGSTOP);
        give_terminal(pid);
        kill(-pid, SIGCONT);
    }
}

int editor_run(const char *path, struct err *e)
{
    const char *editor = editor_name();
    bool terminal = isatty(STDIN_FILENO) == 1;
    struct buf line;
    pid_t pid;
    int status = 0;

    /* The variable may hold options: the shell splits it, but not the path. */
    buf_init(&line);
    buf_printf(&line, "%s \"$@\"", editor);
    char *argv[] = {
        "sh", "-c", (char *)(uintptr_t)buf_cstr(&line), (char *)(uintptr_t)editor, (char *)(uintptr_t)path,
        NULL};
    int rc = line.failed ? -ENOMEM : start(argv, terminal, &pid);
    if (rc == 0)
        rc = wait_for(pid, terminal, &status);
    buf_free(&line);
    if (rc < 0)
        return err_set(e, rc, "%s: %s", editor, err_name(rc));
    if (WIFSIGNALED(status))
        return err_set(e, ERR_CANCELLED, "%s was ended by signal %d", editor, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(e, ERR_CANCELLED, "%s ended with %d", editor, WEXITSTATUS(status));
    return 0;
}
