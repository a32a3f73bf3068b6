#include "model/groups.h"

#include <string.h>

const char *const group_names[GROUP_COUNT] = {
    [GROUP_MEMINFO] = "meminfo", [GROUP_INFO] = "info",       [GROUP_VEGAS] = "vegas",
    [GROUP_CONG] = "cong",       [GROUP_TOS] = "tos",         [GROUP_TC] = "tc",
    [GROUP_SKMEM] = "skmem",     [GROUP_SHUT] = "shut",       [GROUP_DCTCP] = "dctcp",
    [GROUP_BBR] = "bbr",         [GROUP_CLASSID] = "classid", [GROUP_CGROUP] = "cgroup",
    [GROUP_SOCKOPT] = "sockopt",
};

int group_by_name(const char *name)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        if (strcmp(group_names[i], name) == 0)
            return i;
    }
    return -1;
}
