/* Processes whose namespace may not be read, and the reasons. /proc tells only EACCES. */
#include "nswatch/watcher.h"

#include "lib/log.h"
#include "lib/utf8.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INITIAL_USER_NS 0xEFFFFFFDU /* its inode, fixed in the kernel */

#define MAP_MAX    4096
#define REASON_MAX 256

/* Whether this thread has CAP_SYS_PTRACE in its user namespace. */
static bool may_trace(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & 1U << CAP_SYS_PTRACE);
}

static bool in_initial_user_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == INITIAL_USER_NS;
}

/* Whether process |pid| has the user namespace of this one, as far as can be told: its own link must not be
 * read, but the map of its users may. */
static bool in_our_user_namespace(int proc_fd, pid_t pid)
{
    char ours[MAP_MAX], theirs[MAP_MAX];
    proc_read(proc_fd, getpid(), "uid_map", ours, sizeof(ours));
    proc_read(proc_fd, pid, "uid_map", theirs, sizeof(theirs));
    return strcmp(ours, theirs) == 0;
}

/* Finds the reason why we may not look into process |pid|. With the capability, which reaches into all user
 * namespaces below ours, only two reasons are left. */
static void why(int proc_fd, pid_t pid, char reason[REASON_MAX])
{
    char label[128], shown[sizeof(label)];
    if (!may_trace()) {
        snprintf(reason, REASON_MAX, "CAP_SYS_PTRACE is missing");
        return;
    }
    if (!in_initial_user_namespace() && !in_our_user_namespace(proc_fd, pid)) {
        snprintf(reason, REASON_MAX, "it lives in another user namespace, outside of the daemon's");
        return;
    }
    proc_read(proc_fd, pid, "attr/current", label, sizeof(label));
    utf8_quote(label, shown, sizeof(shown));
    snprintf(reason, REASON_MAX, "a security module of the kernel forbids it%s%s",
             *label ? ": its label is " : "", shown);
}

void unreadable_tell(struct watcher *w)
{
    const struct proc_counts *c = &w->proc_counts;
    enum told_unreadable what = !c->unreadable ? TOLD_NOTHING : c->ordinary ? TOLD_ORDINARY : TOLD_ESSENTIAL;
    if (what <= w->told_unreadable)
        return;
    w->told_unreadable = what;
    char name[PROC_COMMAND_MAX], reason[REASON_MAX];
    pid_t pid = c->ordinary ? c->ordinary : c->first;
    int fd = open(w->proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    proc_command(fd, pid, name);
    why(fd, pid, reason);
    if (fd >= 0)
        close(fd);
    log_at(c->ordinary ? LOG_WARN : LOG_INFO, "nswatch",
           "the namespaces of %llu of %llu processes may not be seen%s, such as that of process %d (%s): %s",
           (unsigned long long)c->unreadable, (unsigned long long)c->processes,
           c->ordinary ? "" : ", of init and the kernel only", (int)pid, name, reason);
}
