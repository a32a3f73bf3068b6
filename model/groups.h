/* The attribute groups: the parts of a socket's record that can be asked of the kernel and encoded. Their
 * names are those of XtcpConfig.enabled_deserializers. The head of every answer (struct inet_diag_msg)
 * belongs to no group. */
#ifndef XTCP_MODEL_GROUPS_H
#define XTCP_MODEL_GROUPS_H

#include <stdint.h>

enum group {
    GROUP_MEMINFO,
    GROUP_INFO,
    GROUP_VEGAS,
    GROUP_CONG,
    GROUP_TOS,
    GROUP_TC,
    GROUP_SKMEM,
    GROUP_SHUT,
    GROUP_DCTCP,
    GROUP_BBR,
    GROUP_CLASSID,
    GROUP_CGROUP,
    GROUP_SOCKOPT,
    GROUP_COUNT,
};

/* A set of groups: bit 1 << GROUP_X. */
typedef uint32_t groups_t;

#define GROUP_BIT(group) ((groups_t)1 << (group))
#define GROUPS_ALL       (GROUP_BIT(GROUP_COUNT) - 1)
#define GROUPS_DEFAULT   (GROUPS_ALL & ~GROUP_BIT(GROUP_MEMINFO)) /* skmem includes all of meminfo */

/* "meminfo", "info", …: indexed by enum group. */
extern const char *const group_names[GROUP_COUNT];

/* The group called |name|, or -1. */
int group_by_name(const char *name);

#endif
