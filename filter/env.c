/* Facts that are known only in the namespace of the sockets. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "filter/node.h"

/* The mount points of cgroup2: beside the controllers of version 1, or alone. */
static const char *const cgroup_roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

#define PATH_BYTES 4352

bool filter_needs_env(const struct filter *f)
{
    return f->autobound || f->devices.count || f->cgroups.count;
}

/* The id of the cgroup |path|, absolute or below the root of cgroup2: its inode number. 0: there is none. */
static uint64_t cgroup_id(const char *path)
{
    char whole[PATH_BYTES];
    struct stat st;
    for (size_t i = 0; i < sizeof(cgroup_roots) / sizeof(cgroup_roots[0]); i++) {
        /* only a hierarchy of version 2 has this file */
        snprintf(whole, sizeof(whole), "%s/cgroup.controllers", cgroup_roots[i]);
        if (stat(whole, &st))
            continue;
        size_t n = strlen(cgroup_roots[i]);
        bool absolute = strncmp(path, cgroup_roots[i], n) == 0 && (path[n] == '/' || !path[n]);
        snprintf(whole, sizeof(whole), "%s/%s", cgroup_roots[i], absolute ? path + n : path);
        return stat(whole, &st) == 0 && S_ISDIR(st.st_mode) ? st.st_ino : 0;
    }
    return 0;
}

void filter_env_read(const struct filter *f, struct filter_env *env)
{
    unsigned low;
    unsigned high;
    *env = (struct filter_env){.auto_min = FILTER_AUTO_MIN, .auto_max = FILTER_AUTO_MAX};
    FILE *range = f->autobound ? fopen("/proc/sys/net/ipv4/ip_local_port_range", "re") : NULL;
    if (range && fscanf(range, "%u %u", &low, &high) == 2 && low <= UINT16_MAX && high <= UINT16_MAX) {
        env->auto_min = (uint16_t)low;
        env->auto_max = (uint16_t)high;
    }
    if (range)
        fclose(range);
    for (uint8_t i = 0; i < f->devices.count; i++)
        env->devices[i] = if_nametoindex(f->pool.data + f->devices.at[i]);
    for (uint8_t i = 0; i < f->cgroups.count; i++)
        env->cgroups[i] = cgroup_id(f->pool.data + f->cgroups.at[i]);
    if (f->devices.count || f->cgroups.count)
        filter_note_found(f, env);
}
