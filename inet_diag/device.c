#include "inet_diag/device.h"

#include <linux/inet_diag.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

/* Fills |name|; it is empty when there is no such device (any more). */
static void ask(int fd, uint32_t index, char name[IFNAMSIZ])
{
    struct ifreq request = {.ifr_ifindex = (int)index};
    memset(name, 0, IFNAMSIZ);
    if (fd >= 0 && ioctl(fd, SIOCGIFNAME, &request) == 0)
        memcpy(name, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ - 1));
}

void devices_name(struct devices *d, struct record_source *s)
{
    uint32_t index;
    memcpy(&index, s->data[PART_MSG] + offsetof(struct inet_diag_msg, id.idiag_if), sizeof(index));
    if (index == 0)
        return;
    size_t at = index % DEVICES_KEPT;
    if (d->kept[at].index != index) {
        ask(d->fd, index, d->kept[at].name);
        d->kept[at].index = index;
    }
    if (*d->kept[at].name) {
        s->data[PART_DEVICE] = (const uint8_t *)d->kept[at].name;
        s->len[PART_DEVICE] = (uint16_t)strlen(d->kept[at].name);
    }
}
