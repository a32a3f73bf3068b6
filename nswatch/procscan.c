#include "nswatch/procscan.h"

#include "lib/err.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

pid_t proc_parse_pid(const char *name)
{
    long pid = 0;
    if (*name == '0')
        return 0;
    for (const char *c = name; *c; c++) {
        if (*c < '0' || *c > '9' || pid > (INT_MAX - 9) / 10)
            return 0;
        pid = pid * 10 + (*c - '0');
    }
    return (pid_t)pid;
}

uint64_t proc_parse_link(const char *text, size_t n)
{
    static const char prefix[] = "net:[";
    const size_t skip = sizeof(prefix) - 1;
    uint64_t inode = 0;
    if (n < skip + 2 || memcmp(text, prefix, skip) || text[n - 1] != ']')
        return 0;
    for (size_t i = skip; i < n - 1; i++) {
        if (text[i] < '0' || text[i] > '9' || inode > (UINT64_MAX - 9) / 10)
            return 0;
        inode = inode * 10 + (uint64_t)(text[i] - '0');
    }
    return inode;
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

int proc_scan(const char *root, proc_visit *visit, void *arg, struct proc_counts *counts)
{
    *counts = (struct proc_counts){0};
    DIR *dir = opendir(root);
    if (!dir)
        return -errno;
    struct dirent *entry;
    while ((errno = 0, entry = readdir(dir))) {
        pid_t pid = proc_parse_pid(entry->d_name);
        uint64_t inode;
        if (!pid)
            continue;
        counts->processes++;
        int rc = proc_ns_inode(dirfd(dir), pid, &inode);
        if (rc == -EACCES || rc == -EPERM)
            counts->unreadable++;
        if (rc == 0 && !visit(arg, pid, inode))
            break;
    }
    int rc = entry ? 0 : -errno;
    closedir(dir);
    return rc;
}
