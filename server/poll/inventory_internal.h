/* The inventory from inside: inventory.c, which keeps it, and inventory_list.c, which tells others. */
#ifndef XTCP_SERVER_POLL_INVENTORY_INTERNAL_H
#define XTCP_SERVER_POLL_INVENTORY_INTERNAL_H

#include <pthread.h>
#include <string.h>

#include "server/poll/inventory.h"

#define INVENTORY_NAMES_MAX 64 /* names of one namespace that are told and looked at */

struct entry {
    uint64_t id;
    struct nswatch_ns *info;     /* as nswatch told it last */
    bool excluded;               /* it is not to be collected */
    struct collector *collector; /* NULL while it cannot be collected, or is not to be */
    struct leaver *farewell;     /* made with the collector, for the time when it has to go */
    uint64_t busy_poll;          /* poll whose request it has not reported yet, 0: none */
    uint64_t sockets;            /* of poll |full_poll_id|, the last that counted all; 0: none yet */
    uint64_t full_poll_id;
    uint64_t last_poll_id;
    int64_t last_poll_ns;
    uint64_t last_duration_ns;
    uint64_t errors;
    char error[ERR_TEXT_MAX];
};

struct listener {
    inventory_listener *fn;
    void *arg;
    struct listener *next;
};

/* A collector that has been told to stop. */
struct leaver {
    struct collector *collector;
    struct entry *entry; /* its forgotten namespace, for results yet to come; or NULL */
    struct leaver *next;
};

/* A collector that did not take its request. */
struct refusal {
    uint64_t id;
    int code;
    uint64_t earlier; /* for -EBUSY, the poll that it is still at */
};

struct inventory {
    struct collectors *collectors;
    pthread_mutex_t lock;     /* taken before a listener's own locks */
    struct entry **entries;   /* ascending by id: ids only grow, so a new one goes to the end */
    struct refusal *refusals; /* room for one of each entry, so that a poll needs no memory */
    size_t n;
    size_t size;
    size_t n_excluded;
    struct listener *listeners;
    struct leaver *leavers;      /* to be joined once they have ended */
    const struct config *wanted; /* whose selection is in force; NULL: all */
    const struct config *next;   /* waits while a poll is being started; or NULL */
    bool starting;               /* the collectors have been counted, their requests are to follow */
    bool stopping;
};

/* The part of a path behind its last slash. */
static inline const char *inventory_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The name of |ns| at |i| without its directory, unless it is shown with it. */
static inline const char *inventory_name(const struct nswatch_ns *ns, size_t i)
{
    const char *text = ns->names[i].text;
    return strcmp(text, ns->netns) == 0 ? text : inventory_base_name(text);
}

/* Tells every listener that |type| (enum namespace_event_type) has happened to |en|. The lock is held. */
void inventory_tell(struct inventory *r, const struct entry *en, uint32_t type);

/* The event that tells the present state of |en|. The lock is held. */
uint32_t inventory_present_event(const struct entry *en);

#endif
