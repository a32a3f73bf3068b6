#include "server/process/privilege.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* The capabilities that are kept, if they are there. tests/integration/test_privileges.py takes each of them away and shows what
 * is lost. Not among them, although root has it:
 * - CAP_DAC_OVERRIDE: files are written as their owner, which the daemon is (state file, captures, sockets);
 * - CAP_KILL, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_FOWNER and the rest: nothing here needs them.
 * Counting sockets, statistics of a namespace once it is entered and watching directories need none. */
static const struct {
    cap_value_t capability;
    const char *name;
    const char *gap; /* hidden without it; NULL: the lack shows as an error where it is needed */
} kept[] = {
    /* setns(2) into another network namespace, at every poll and when one is found. */
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "sockets of all network namespaces but the daemon's own"},
    /* /proc/PID/ns/net of any process that is not ours, or has a capability that we gave up: proc(5) asks for
     * ptrace access. */
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "namespaces without a name whose processes belong to other users"},
    /* The kernel sends INET_DIAG_MARK only to processes that could set it. */
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "the mark of sockets (field mark)"},
    /* Directories of namespaces (/run/user/UID/netns of rootless containers), certificates, keys and tokens
     * that belong to other users; both can change while the daemon runs. */
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH",
     "namespaces in directories that the daemon's user may not enter"},
    /* Listeners may be moved to a port below 1024 while the daemon runs. */
    {CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", NULL},
    /* A unix socket made while it runs gets the group unix_socket_group, of which it may be no member. */
    {CAP_CHOWN, "CAP_CHOWN", NULL},
};

#define KEPT (sizeof(kept) / sizeof(kept[0]))

static bool has(cap_t caps, cap_value_t capability, cap_flag_t flag)
{
    cap_flag_value_t value = CAP_CLEAR;
    return cap_get_flag(caps, capability, flag, &value) == 0 && value == CAP_SET;
}

static bool is_kept(cap_value_t capability)
{
    for (size_t i = 0; i < KEPT; i++) {
        if (kept[i].capability == capability)
            return true;
    }
    return false;
}

/* The bounding set limits the capabilities of programs that this process starts. It starts none, and
 * no_new_privs holds as well; so a refusal by the system (without CAP_SETPCAP) does not matter. */
static void drop_bounding(void)
{
    for (cap_value_t c = 0; c < cap_max_bits(); c++) {
        if (!is_kept(c))
            (void)cap_drop_bound(c);
    }
}

/* Makes those of |now|'s permitted capabilities that are kept permitted and effective, and none
 * inheritable. */
static int set_kept(cap_t now)
{
    cap_t then = cap_init();
    if (!then)
        return -ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < KEPT && rc == 0; i++) {
        cap_value_t c = kept[i].capability;
        if (has(now, c, CAP_PERMITTED))
            rc = cap_set_flag(then, CAP_PERMITTED, 1, &c, CAP_SET) |
                 cap_set_flag(then, CAP_EFFECTIVE, 1, &c, CAP_SET);
    }
    if (rc == 0)
        rc = cap_set_proc(then);
    rc = rc ? -errno : 0;
    cap_free(then);
    return rc;
}

int privilege_drop(struct err *e)
{
    cap_t now = cap_get_proc();
    if (!now)
        return err_set(e, -errno, "cannot read the capabilities of this process: %s", err_name(-errno));
    drop_bounding();
    (void)cap_reset_ambient(); /* refused by kernels that have no ambient set */
    int rc = set_kept(now);
    cap_free(now);
    if (rc)
        return err_set(e, rc, "cannot give up capabilities: %s", err_name(rc));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set(e, -errno, "cannot set no_new_privs: %s", err_name(-errno));
    return 0;
}

size_t privilege_gaps(struct status_gap *out)
{
    cap_t now = cap_get_proc();
    size_t n = 0;
    for (size_t i = 0; i < KEPT && now; i++) {
        if (kept[i].gap && !has(now, kept[i].capability, CAP_EFFECTIVE))
            out[n++] = (struct status_gap){.capability = kept[i].name, .effect = kept[i].gap};
    }
    cap_free(now);
    return n;
}
