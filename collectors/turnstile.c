/* The turnstile: as many collectors dump at a time as it has slots, the others queue. Dumps are CPU work in
 * the kernel, and more of them than CPUs only fight over its tables. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collectors/dump.h"
#include "collectors/set.h"
#include "lib/clock.h"

/* Slots of a cookie set that stay allocated between dumps: enough for 128 Ki sockets, touched only when there
 * are. */
#define KEEP_SLOTS (256 * 1024)

static int slot_init(struct slot *slot)
{
    u64set_init(&slot->seen);
    slot->buffer = malloc(DUMP_BUFFER_SIZE);
    if (!slot->buffer)
        return -ENOMEM;
    slot->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return slot->wake_fd < 0 ? -errno : 0;
}

int turnstile_init(struct collectors *set, struct err *e)
{
    for (unsigned i = 0; i < set->slot_count; i++)
        set->slots[i].wake_fd = -1;
    for (unsigned i = 0; i < set->slot_count; i++) {
        int rc = slot_init(&set->slots[i]);
        if (rc) {
            turnstile_fini(set);
            return err_set(e, rc, "cannot make the buffers of the collectors: %s", err_name(rc));
        }
    }
    return 0;
}

void turnstile_fini(struct collectors *set)
{
    for (unsigned i = 0; i < set->slot_count; i++) {
        struct slot *slot = &set->slots[i];
        if (slot->wake_fd >= 0)
            close(slot->wake_fd);
        u64set_free(&slot->seen);
        free(slot->buffer);
    }
}

static void enqueue(struct collector *c)
{
    struct collectors *set = c->set;
    c->waiting_next = NULL;
    c->waiting_before = set->waiting_last;
    *(set->waiting_last ? &set->waiting_last->waiting_next : &set->waiting) = c;
    set->waiting_last = c;
}

static void dequeue(struct collector *c)
{
    struct collectors *set = c->set;
    *(c->waiting_before ? &c->waiting_before->waiting_next : &set->waiting) = c->waiting_next;
    *(c->waiting_next ? &c->waiting_next->waiting_before : &set->waiting_last) = c->waiting_before;
}

static bool given_up(const struct collector *c, const struct collector_order *order)
{
    return atomic_load(&c->stopping) || atomic_load(&order->cancelled);
}

/* In the queue, with the lock: waits for turnstile_leave to hand a slot over. */
static int wait_for_slot(struct collector *c, const struct collector_order *order, struct err *e)
{
    struct timespec deadline = {.tv_sec = order->deadline_ns / NS_PER_S,
                                .tv_nsec = order->deadline_ns % NS_PER_S};
    int rc = 0;
    enqueue(c);
    while (!c->slot && !given_up(c, order) && rc == 0)
        rc = pthread_cond_timedwait(&c->wake, &c->set->lock, &deadline);
    if (c->slot)
        return 0;
    dequeue(c);
    if (given_up(c, order))
        return err_set(e, ERR_CANCELLED, "cancelled while waiting for its turn");
    return err_set(e, ERR_TIMEOUT, "its turn did not come in time: %u namespaces dump at once",
                   c->set->slot_count);
}

int turnstile_enter(struct collector *c, const struct collector_order *order, struct err *e)
{
    struct collectors *set = c->set;
    int rc = 0;
    pthread_mutex_lock(&set->lock);
    for (unsigned i = 0; i < set->slot_count && !set->waiting; i++) {
        if (!set->slots[i].user) {
            c->slot = &set->slots[i];
            c->slot->user = c;
            break;
        }
    }
    if (!c->slot)
        rc = wait_for_slot(c, order, e);
    pthread_mutex_unlock(&set->lock);
    return rc;
}

void turnstile_leave(struct collector *c)
{
    struct collectors *set = c->set;
    struct slot *slot = c->slot;
    u64set_clear(&slot->seen, KEEP_SLOTS);
    pthread_mutex_lock(&set->lock);
    uint64_t wakes;
    if (read(slot->wake_fd, &wakes, sizeof(wakes)) < 0)
        wakes = 0; /* nobody woke it: the usual case */
    c->slot = NULL;
    struct collector *next = set->waiting;
    slot->user = next;
    if (next) {
        dequeue(next);
        next->slot = slot;
        pthread_cond_signal(&next->wake);
    }
    pthread_mutex_unlock(&set->lock);
}

void turnstile_wake_one(struct collector *c)
{
    pthread_cond_signal(&c->wake);
    if (c->slot)
        eventfd_write(c->slot->wake_fd, 1);
}

void turnstile_wake(struct collectors *set, const struct collector_order *order)
{
    pthread_mutex_lock(&set->lock);
    for (struct collector *c = set->waiting; c; c = c->waiting_next) {
        if (c->order == order)
            turnstile_wake_one(c);
    }
    for (unsigned i = 0; i < set->slot_count; i++) {
        struct collector *c = set->slots[i].user;
        if (c && c->order == order)
            turnstile_wake_one(c);
    }
    pthread_mutex_unlock(&set->lock);
}
