/* Finds the network namespaces of processes by the links in /proc: reading a link pins nothing. */
#ifndef XTCP_NSWATCH_PROCSCAN_H
#define XTCP_NSWATCH_PROCSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The process that the entry |name| of /proc stands for; 0 when it is none. Pure. */
pid_t proc_parse_pid(const char *name);

/* The inode in the text of a namespace link, "net:[4026531840]", |n| bytes; 0 when it is no such text. Pure. */
uint64_t proc_parse_link(const char *text, size_t n);

/* Whether |text|, the contents of /proc/PID/stat, is that of a thread of the kernel; false when it is no such
 * text. Pure. */
bool proc_parse_kernel(const char *text);

/* Reads |file| of process |pid| ("comm") below the open directory |proc_fd| into |text|, without the newline
 * at its end: "" when it cannot be read. */
void proc_read(int proc_fd, pid_t pid, const char *file, char *text, size_t size);

/* The name of the command that process |pid| runs, quoted (utf8_quote): it may hold any bytes. "?" when it
 * cannot be read. */
#define PROC_COMMAND_MAX 24
void proc_command(int proc_fd, pid_t pid, char out[PROC_COMMAND_MAX]);

/* The network namespace of process |pid| below the open directory |proc_fd|. Returns 0 with |inode|, or
 * -errno: -ENOENT and -ESRCH when the process is gone, -EACCES when we may not look (CAP_SYS_PTRACE),
 * ERR_MALFORMED. */
int proc_ns_inode(int proc_fd, pid_t pid, uint64_t *inode);

/* Called for each process whose namespace can be read; false ends the walk. */
typedef bool proc_visit(void *arg, pid_t pid, uint64_t inode);

struct proc_counts {
    uint64_t processes;  /* looked at */
    uint64_t unreadable; /* of these, not allowed to look */
    pid_t first;         /* of these the lowest, 0: none */
    pid_t ordinary;      /* the first of these that is neither init nor of the kernel; when |tell_apart| */
};

/* A walk through the processes (their main threads), in steps. */
struct proc_walk {
    void *dir;       /* DIR of <dirent.h>; NULL: none is open */
    bool tell_apart; /* the unreadable ones, by a look at some of them: to be set after
                        proc_walk_open */
    struct proc_counts counts;
};

/* Begins a walk below |root|. Returns 0 or -errno. */
int proc_walk_open(struct proc_walk *walk, const char *root);
/* Goes on with at most |max| processes. Returns 1 when there are more, 0 at the end or when |visit| ended it,
 * -errno when the directory cannot be read on; in the last two cases the walk is closed. */
int proc_walk_step(struct proc_walk *walk, size_t max, proc_visit *visit, void *arg);
/* Ends a walk half-way; nothing when none is open. */
void proc_walk_close(struct proc_walk *walk);

#endif
