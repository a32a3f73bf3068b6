#include "server/privilege.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    unsigned capability;
    struct status_gap gap;
} wanted[PRIVILEGE_GAPS_MAX] = {
    {CAP_SYS_ADMIN, {"CAP_SYS_ADMIN", "sockets of all network namespaces but the daemon's own"}},
    {CAP_SYS_PTRACE, {"CAP_SYS_PTRACE", "namespaces without a name whose processes belong to other users"}},
    {CAP_NET_ADMIN, {"CAP_NET_ADMIN", "the mark of sockets (field mark)"}},
};

size_t privilege_gaps(struct status_gap *out)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    size_t n = 0;
    if (syscall(SYS_capget, &header, data) != 0)
        return 0;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        unsigned c = wanted[i].capability;
        if (!(data[CAP_TO_INDEX(c)].effective & CAP_TO_MASK(c)))
            out[n++] = wanted[i].gap;
    }
    return n;
}
