#include "server/listen/address_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inet_diag/dump.h"
#include "lib/clock.h"
#include "nswatch/procscan.h"

/* A dump that takes longer is not waited for. */
#define DUMP_NS (500 * NS_PER_MS)

/* ---- Naming a process ---- */

static void name_process(pid_t pid, char out[ADDRESS_OWNER_TEXT_MAX])
{
    char command[PROC_COMMAND_MAX];
    if (pid == getpid()) {
        snprintf(out, ADDRESS_OWNER_TEXT_MAX, "this process");
        return;
    }
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    proc_command(proc, pid, command);
    if (proc >= 0)
        close(proc);
    snprintf(out, ADDRESS_OWNER_TEXT_MAX, "%s (pid %d)", command, (int)pid);
}

/* ---- A unix socket ---- */

static bool find_unix(const struct config_listen *where, char out[ADDRESS_OWNER_TEXT_MAX])
{
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool found = connect(fd, &where->addr.any, where->len) == 0 &&
                 getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid > 0;
    close(fd);
    if (found)
        name_process(cred.pid, out);
    return found;
}

/* ---- A TCP port ---- */

struct port_search {
    const struct config_listen *where;
    uint64_t inode; /* of a socket in the way; 0: none yet */
    uint32_t uid;
    int likely; /* how likely it is the one */
};

/* Whether the |n| bytes at |address| are all zero: every address. */
static bool is_any(const void *address, size_t n)
{
    static const uint8_t zero[16];
    return memcmp(address, zero, n) == 0;
}

/* Whether a socket that is bound to |address| of |family| keeps |where| from being bound. */
static bool is_in_the_way(const struct config_listen *where, int family, const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool v6 = where->addr.any.sa_family == AF_INET6;
    const void *wanted =
        v6 ? (const void *)&where->addr.in6.sin6_addr : (const void *)&where->addr.in4.sin_addr;
    size_t n = v6 ? 16 : 4;
    if (family == AF_INET6 && !v6) {
        if (is_any(address, 16))
            return true; /* of both families */
        if (memcmp(address, mapped, sizeof(mapped)) != 0)
            return false;
        address += sizeof(mapped);
    } else if (family != where->addr.any.sa_family) {
        return false;
    }
    return is_any(address, n) || is_any(wanted, n) || memcmp(address, wanted, n) == 0;
}

static int look_at(void *arg, const struct record_source *s)
{
    struct port_search *p = arg;
    struct inet_diag_msg m;
    if (s->len[PART_MSG] < sizeof(m))
        return 0;
    memcpy(&m, s->data[PART_MSG], sizeof(m));
    /* A listener is more likely in the way than a connection, and a socket of the same family more likely
     * than one of IPv6, which may serve IPv6 alone. */
    int likely = 1 + 2 * (m.idiag_state == TCP_LISTEN) + (m.idiag_family == p->where->addr.any.sa_family);
    if (m.idiag_inode == 0 || likely <= p->likely)
        return 0;
    if (ntohs(m.id.idiag_sport) != p->where->port ||
        !is_in_the_way(p->where, m.idiag_family, (const uint8_t *)m.id.idiag_src))
        return 0;
    p->inode = m.idiag_inode;
    p->uid = m.idiag_uid;
    p->likely = likely;
    return 0;
}

/* Asks the kernel for the sockets with that port. */
static void find_socket(struct port_search *p)
{
    struct u64set seen;
    struct dump d = {0};
    struct dump_counts counts = {0};
    struct err e;
    const struct diag_request request = {.states = DIAG_STATES_ALL, .sport = p->where->port};
    const struct dump_options options = {.buffer = malloc(DUMP_BUFFER_SIZE),
                                         .buffer_size = DUMP_BUFFER_SIZE,
                                         .seen = &seen,
                                         .wake_fd = -1,
                                         .deadline_ns = clock_mono_ns() + DUMP_NS};
    u64set_init(&seen);
    if (options.buffer && dump_open(&d, 0, &e) == 0) {
        if (dump_request_new(&d, &request, &e) == 0)
            dump_receive(&d, &options, look_at, p, &counts, &e);
        dump_close(&d);
    }
    u64set_free(&seen);
    free(options.buffer);
}

/* Whether the process |pid| has a descriptor of the socket that |link| names. */
static bool has_socket(const char *pid, const char *link)
{
    char path[sizeof("/proc//fd") + 16];
    char target[64];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
    DIR *list = opendir(path);
    if (!list)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(list));) {
        ssize_t n = readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        found = strcmp(target, link) == 0;
    }
    closedir(list);
    return found;
}

/* A process that has the socket |inode| open; 0 when none can be seen. */
static pid_t find_process(uint64_t inode)
{
    char link[32];
    pid_t pid = 0;
    snprintf(link, sizeof(link), "socket:[%" PRIu64 "]", inode);
    DIR *list = opendir("/proc");
    if (!list)
        return 0;
    for (const struct dirent *entry; !pid && (entry = readdir(list));) {
        pid_t candidate = proc_parse_pid(entry->d_name);
        if (candidate && has_socket(entry->d_name, link))
            pid = candidate;
    }
    closedir(list);
    return pid;
}

static bool find_tcp(const struct config_listen *where, char out[ADDRESS_OWNER_TEXT_MAX])
{
    struct port_search p = {.where = where};
    if (where->port == 0)
        return false;
    find_socket(&p);
    if (!p.inode)
        return false;
    pid_t pid = find_process(p.inode);
    if (pid)
        name_process(pid, out);
    else
        snprintf(out, ADDRESS_OWNER_TEXT_MAX, "a process of uid %" PRIu32, p.uid);
    return true;
}

bool address_owner_find(const struct config_listen *where, char out[ADDRESS_OWNER_TEXT_MAX])
{
    out[0] = '\0';
    return where->kind == CONFIG_LISTEN_TCP ? find_tcp(where, out) : find_unix(where, out);
}
