#include "nswatch/procscan.h"

#include "lib/decimal.h"
#include "lib/err.h"
#include "lib/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_THREAD 0x00200000UL /* PF_KTHREAD of the kernel */

pid_t proc_parse_pid(const char *name)
{
    uint64_t pid;
    return *name != '0' && decimal_parse(name, INT_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

uint64_t proc_parse_link(const char *text, size_t n)
{
    static const char prefix[] = "net:[";
    const size_t skip = sizeof(prefix) - 1;
    uint64_t inode = 0;
    if (n < skip + 2 || memcmp(text, prefix, skip) || text[n - 1] != ']')
        return 0;
    decimal_read(text + skip, n - skip - 1, UINT64_MAX, &inode);
    return inode;
}

bool proc_parse_kernel(const char *text)
{
    /* PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS …; the name may hold anything. */
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < 7; i++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at && (strtoul(at, NULL, 10) & KERNEL_THREAD);
}

void proc_read(int proc_fd, pid_t pid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
}

void proc_command(int proc_fd, pid_t pid, char out[PROC_COMMAND_MAX])
{
    char name[PROC_COMMAND_MAX];
    proc_read(proc_fd, pid, "comm", name, sizeof(name));
    utf8_quote(*name ? name : "?", out, PROC_COMMAND_MAX);
}

int proc_ns_inode(int proc_fd, pid_t pid, uint64_t *inode)
{
    char path[32], text[64];
    snprintf(path, sizeof(path), "%d/ns/net", (int)pid);
    ssize_t n = readlinkat(proc_fd, path, text, sizeof(text));
    if (n < 0)
        return -errno;
    *inode = proc_parse_link(text, (size_t)n);
    return *inode ? 0 : ERR_MALFORMED;
}

int proc_walk_open(struct proc_walk *walk, const char *root)
{
    *walk = (struct proc_walk){.dir = opendir(root)};
    return walk->dir ? 0 : -errno;
}

void proc_walk_close(struct proc_walk *walk)
{
    if (walk->dir)
        closedir(walk->dir);
    walk->dir = NULL;
}

static void note_unreadable(struct proc_walk *walk, pid_t pid)
{
    char stat[1024];
    struct proc_counts *c = &walk->counts;
    c->unreadable++;
    c->first = c->first && c->first < pid ? c->first : pid;
    if (!walk->tell_apart || c->ordinary || pid == 1)
        return;
    proc_read(dirfd(walk->dir), pid, "stat", stat, sizeof(stat));
    if (!proc_parse_kernel(stat))
        c->ordinary = pid;
}

int proc_walk_step(struct proc_walk *walk, size_t max, proc_visit *visit, void *arg)
{
    struct dirent *entry;
    while ((errno = 0, entry = readdir(walk->dir))) {
        pid_t pid = proc_parse_pid(entry->d_name);
        uint64_t inode = 0;
        if (!pid)
            continue;
        walk->counts.processes++;
        int rc = proc_ns_inode(dirfd(walk->dir), pid, &inode);
        if (rc == -EACCES || rc == -EPERM)
            note_unreadable(walk, pid);
        if (rc == 0 && !visit(arg, pid, inode))
            break;
        if (--max == 0)
            return 1;
    }
    int rc = entry ? 0 : -errno;
    proc_walk_close(walk);
    return rc;
}
