/* Names of the devices that sockets are bound to. The kernel tells their indexes alone, and the meaning of an
 * index is known in the namespace only: any socket of that namespace can be asked, from any thread. One owner
 * at a time. */
#ifndef XTCP_INET_DIAG_DEVICE_H
#define XTCP_INET_DIAG_DEVICE_H

#include <net/if.h>
#include <stdint.h>

#include "record/source.h"

#define DEVICES_KEPT 16 /* a power of two */

/* Names of devices that one dump has asked for; set |fd|, and the rest to zero. */
struct devices {
    int fd; /* a socket of the namespace; -1: there is none to ask */
    struct {
        uint32_t index; /* 0: free */
        char name[IFNAMSIZ];
    } kept[DEVICES_KEPT];
};

/* Sets PART_DEVICE of |s| when the socket is bound to a device that exists: valid until the next call. Costs
 * a system call of a microsecond for an index that is not kept. */
void devices_name(struct devices *d, struct record_source *s);

#endif
