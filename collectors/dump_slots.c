/* The dump slots: as many collectors dump at a time as there are slots, the others queue. Dumps are CPU work in the
 * kernel, and more of them than CPUs only fight over its tables.
 *
 * A slot goes from collector to collector: each is woken once for a poll, when it is its turn. A collector that stays
 * long in its slot is overdue: others do not wait for it any longer, a spare slot takes the place of its slot until it
 * comes back. So a few namespaces that hang, wherever in the kernel, take nothing from the others. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collectors/collectors_internal.h"
#include "inet_diag/dump.h"
#include "lib/clock.h"

/* Spare ones included. */
#define SLOTS_MAX 64

/* A collector is overdue after this part of its time, within these bounds. */
#define OVERDUE_PART   8
#define OVERDUE_MIN_NS (10 * NS_PER_MS)
#define OVERDUE_MAX_NS (250 * NS_PER_MS)

void dump_slots_expect(struct collectors *set, int64_t at_ns)
{
    if (at_ns >= set->slot_timer_ns)
        return;
    set->slot_timer_ns = at_ns;
    pthread_cond_signal(&set->slot_timer_wake);
}

/* ---- Slots ---- */

static void slot_free(struct slot *slot)
{
    if (slot->wake_fd >= 0)
        close(slot->wake_fd);
    u64set_free(&slot->seen);
    free(slot->buffer);
    free(slot);
}

/* A new slot in the list of free ones. Returns 0, -ENOMEM or -errno. */
static int slot_add(struct collectors *set)
{
    struct slot *slot = calloc(1, sizeof(*slot));
    if (!slot)
        return -ENOMEM;
    u64set_init(&slot->seen);
    slot->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = slot->wake_fd < 0 ? -errno : 0;
    slot->buffer = malloc(DUMP_BUFFER_SIZE);
    if (!rc && !slot->buffer)
        rc = -ENOMEM;
    if (rc) {
        slot_free(slot);
        return rc;
    }
    slot->next = set->free;
    set->free = slot;
    set->slot_count++;
    dump_slots_expect(set, 0); /* another slot, another worker */
    return 0;
}

int dump_slots_init(struct collectors *set)
{
    while (set->slot_count < set->slot_limit) {
        int rc = slot_add(set);
        if (rc) {
            dump_slots_fini(set);
            return rc;
        }
    }
    return 0;
}

void dump_slots_fini(struct collectors *set)
{
    struct slot *slot;
    while ((slot = set->free)) {
        set->free = slot->next;
        slot_free(slot);
    }
}

/* ---- Taking and giving ---- */

static struct collector *next_waiting(struct collectors *set)
{
    for (unsigned i = 0; i < RANKS; i++) {
        if (set->waiting[i].first)
            return set->waiting[i].first;
    }
    return NULL;
}

static bool is_waiting(const struct collector *c)
{
    return c->queue >= &c->set->waiting[0] && c->queue < &c->set->waiting[RANKS];
}

static int64_t overdue_at(const struct collector *c, int64_t now_ns)
{
    int64_t patience = c->set->options.overdue_ns;
    if (!patience) {
        patience = (c->request->deadline_ns - c->accepted_ns) / OVERDUE_PART;
        if (patience > OVERDUE_MAX_NS)
            patience = OVERDUE_MAX_NS;
        if (patience < OVERDUE_MIN_NS)
            patience = OVERDUE_MIN_NS;
    }
    return now_ns + patience;
}

static void take_slot(struct collector *c, struct slot *slot)
{
    struct collectors *set = c->set;
    set->free = slot->next;
    slot->next = set->busy;
    set->busy = slot;
    set->at_work++;
    slot->user = c;
    slot->overdue = false;
    slot->overdue_ns = overdue_at(c, clock_mono_ns());
    c->slot = slot;
    c->users++;
    if (c->own_thread) {
        pthread_cond_signal(&c->wake);
    } else {
        queue_append(&set->ready, c);
        pthread_cond_signal(&set->ready_changed);
    }
}

/* Gives slots to the collectors that wait, as long as there are any. */
static void admit(struct collectors *set)
{
    struct collector *c;
    while (set->at_work < set->slot_limit && (c = next_waiting(set))) {
        /* Without a spare slot they go on waiting until one comes back, or their time is up. */
        if (!set->free && (set->slot_count == SLOTS_MAX || slot_add(set)))
            return;
        queue_remove(c);
        take_slot(c, set->free);
    }
}

/* Collectors that are overdue do not count any more. */
static void pass_overdue(struct collectors *set, int64_t now_ns)
{
    for (struct slot *slot = set->busy; slot; slot = slot->next) {
        if (!slot->overdue && now_ns >= slot->overdue_ns) {
            slot->overdue = true;
            set->at_work--;
            set->overdue++;
        }
    }
    admit(set);
}

/* When the first one becomes overdue; INT64_MAX: all are, or none is busy. */
static int64_t first_overdue(const struct collectors *set)
{
    int64_t first = INT64_MAX;
    for (const struct slot *slot = set->busy; slot; slot = slot->next) {
        if (!slot->overdue && slot->overdue_ns < first)
            first = slot->overdue_ns;
    }
    return first;
}

/* Takes |c|, which is in no queue and has no slot, to the slot timer, to be reported with |code|. */
static void drop(struct collector *c, int code)
{
    c->drop_code = code;
    c->users++;
    queue_append(&c->set->dropped, c);
    dump_slots_expect(c->set, 0);
}

void dump_slots_ask(struct collector *c)
{
    struct collectors *set = c->set;
    if (atomic_load(&c->request->cancelled)) {
        drop(c, ERR_CANCELLED);
        return;
    }
    queue_append(&set->waiting[c->rank], c);
    admit(set);
    if (!is_waiting(c))
        return;
    dump_slots_expect(set, clock_earlier(first_overdue(set), c->request->deadline_ns));
}

void dump_slots_leave(struct collector *c)
{
    struct collectors *set = c->set;
    struct slot *slot = c->slot;
    struct slot **at = &set->busy;
    uint64_t wakes;
    if (slot->woken && read(slot->wake_fd, &wakes, sizeof(wakes)) > 0)
        slot->woken = false;
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
    set->at_work -= !slot->overdue;
    set->overdue -= slot->overdue;
    slot->user = NULL;
    c->slot = NULL;
    if (set->slot_count - set->overdue > set->slot_limit) { /* there is one to spare */
        set->slot_count--;
        slot_free(slot);
        pthread_cond_signal(&set->ready_changed); /* a worker too many */
    } else {
        slot->next = set->free;
        set->free = slot;
    }
    admit(set);
}

/* ---- Giving up ---- */

void dump_slots_wake(struct collector *c)
{
    if (is_waiting(c)) {
        queue_remove(c);
        drop(c, ERR_CANCELLED);
    } else if (c->slot) {
        c->slot->woken = true;
        eventfd_write(c->slot->wake_fd, 1);
    }
}

/* Makes all collectors that are at |request| give up. */
static void give_up(struct collectors *set, const struct poll_request *request)
{
    pthread_mutex_lock(&set->lock);
    for (unsigned i = 0; i < RANKS; i++) {
        for (struct collector *c = set->waiting[i].first, *next; c; c = next) {
            next = c->next;
            if (c->request == request)
                dump_slots_wake(c);
        }
    }
    for (struct slot *slot = set->busy; slot; slot = slot->next) {
        if (slot->user->request == request)
            dump_slots_wake(slot->user);
    }
    pthread_mutex_unlock(&set->lock);
}

void poll_request_cancel(struct poll_request *request)
{
    /* Either collector_poll has noted the set before, or its collectors find the flag before they wait. */
    atomic_store(&request->cancelled, true);
    struct collectors *set = atomic_load(&request->set);
    if (set)
        give_up(set, request);
}

int64_t dump_slots_keep(struct collectors *set, int64_t now_ns)
{
    pass_overdue(set, now_ns);
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < RANKS; i++) {
        for (struct collector *c = set->waiting[i].first, *next; c; c = next) {
            next = c->next;
            if (now_ns >= c->request->deadline_ns) {
                queue_remove(c);
                drop(c, ERR_TIMEOUT);
            } else {
                first = clock_earlier(first, c->request->deadline_ns);
            }
        }
    }
    if (!next_waiting(set))
        return INT64_MAX;
    return clock_earlier(first_overdue(set), first);
}
