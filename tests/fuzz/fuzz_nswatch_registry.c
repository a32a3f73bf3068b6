/* Any sequence of operations on the registry: its figures stay right, its lists stay sorted, and what it
 * tells keeps to the life of a namespace as nswatch.h states it. Two bytes of input are one operation. */
#include "nswatch/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX 4096

enum attempt { UNTOLD, TOLD_ADDED, TOLD_READY, TOLD_FAILED, ENDED };

static unsigned char lives[IDS_MAX];

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void sink(void *arg, enum nswatch_event event, const struct nswatch_ns *ns)
{
    (void)arg;
    expect(ns->id && ns->netns && ns->path && ns->found_at && *ns->netns);
    if (ns->id >= IDS_MAX)
        return;
    unsigned char *life = &lives[ns->id];
    switch (event) {
    case NSWATCH_ADDED:
        expect(*life == UNTOLD && ns->state == NSWATCH_PENDING);
        *life = TOLD_ADDED;
        break;
    case NSWATCH_READY:
        expect((*life == UNTOLD || *life == TOLD_ADDED || *life == TOLD_FAILED) &&
               ns->state == NSWATCH_LIVE && ns->inode);
        *life = TOLD_READY;
        break;
    case NSWATCH_FAILED:
        expect((*life == UNTOLD || *life == TOLD_ADDED || *life == TOLD_FAILED) &&
               ns->state == NSWATCH_BROKEN);
        expect(ns->error.code && ns->error.text[0]);
        *life = TOLD_FAILED;
        break;
    case NSWATCH_CHANGED:
        expect(*life == TOLD_READY || *life == TOLD_FAILED);
        break;
    case NSWATCH_REMOVED:
        expect(*life != UNTOLD && *life != ENDED && ns->name_count == 0);
        *life = ENDED;
        break;
    default:
        abort();
    }
    struct nswatch_ns *copy = nswatch_ns_copy(ns);
    expect(copy && !strcmp(copy->netns, ns->netns) && copy->name_count == ns->name_count);
    free(copy);
}

/* Counts everything anew and compares. */
static void check(struct registry *r)
{
    uint64_t live = 0, anonymous = 0, failed = 0, pending = 0;
    list_each(at, &r->objects)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_all);
        size_t names = 0;
        for (struct ns_name *n = o->names; n; n = n->sibling, names++) {
            expect(n->object == o && registry_name_find(r, n->dir, n->name) == n);
            expect(!n->sibling || n->dir->order < n->sibling->dir->order ||
                   (n->dir == n->sibling->dir && strcmp(n->name, n->sibling->name) < 0));
        }
        expect(names == o->name_count);
        live += o->state == NSWATCH_LIVE;
        anonymous += o->state == NSWATCH_LIVE && !o->own && !o->names;
        failed += o->state == NSWATCH_BROKEN;
        pending += o->state == NSWATCH_PENDING && o->told;
        /* Nothing is without a reason to be there. */
        expect(o->own || o->names || o->pid || !list_empty(&o->in_orphans));
    }
    expect(r->counts.namespaces == live && r->counts.anonymous == anonymous && r->counts.failed == failed &&
           r->counts.pending == pending);
}

/* The identity that |value| stands for: few, so that they meet; with errors and, for some, without cookie. */
static struct identity identity_of(unsigned value)
{
    struct identity id = {.inode = 1 + value % 5, .cookie = 1 + value % 7};
    if (value % 11 == 0)
        id = (struct identity){.inode = id.inode, .error = -EPERM};
    return id;
}

static struct ns_object *orphan(struct registry *r)
{
    return list_empty(&r->orphans) ? NULL : container_of(r->orphans.next, struct ns_object, in_orphans);
}

static void step(struct registry *r, struct ns_dir *dirs[2], unsigned op, unsigned value)
{
    char text[8];
    snprintf(text, sizeof(text), "n%u", value % 6);
    struct ns_dir *dir = dirs[value / 6 % 2];
    struct ns_name *n = registry_name_find(r, dir, text);
    struct ns_object *o = orphan(r);
    struct identity id = identity_of(value / 12);
    switch (op % 9) {
    case 0:
        if (!n)
            registry_name_add(r, dir, text);
        break;
    case 1:
        if (n)
            registry_name_remove(r, n);
        break;
    case 2:
        if (n)
            registry_announce(r, n);
        break;
    case 3:
        if (n && !registry_name_known(n))
            registry_give_up(r, n, ERR_TIMEOUT);
        break;
    case 4:
        if (n && (!registry_name_known(n) || registry_find(r, &id) == n->object))
            registry_resolve(r, n, &id, value % 2);
        break;
    case 5:
        if (n)
            registry_name_reset(r, n);
        break;
    case 6:
        if (!registry_find(r, &id))
            registry_add_anonymous(r, (pid_t)(1 + value), &id);
        break;
    case 7:
        if (o && value % 2)
            registry_live_in(r, o, (pid_t)(1 + value));
        else if (o)
            registry_remove(r, o);
        break;
    case 8:
        registry_flush(r);
        registry_dir_set_order(r, dirs[0], 1 + value % 2 * 2);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct registry r;
    memset(lives, UNTOLD, sizeof(lives));
    if (registry_init(&r, "/proc", sink, NULL))
        return 0;
    struct ns_dir *dirs[2] = {registry_dir_add(&r, "/a", 1), registry_dir_add(&r, "/b", 2)};
    const struct identity own = {.cookie = 1, .inode = 1};
    registry_add_own(&r, &own);
    for (size_t i = 0; i + 1 < size; i += 2) {
        step(&r, dirs, data[i], data[i + 1]);
        check(&r);
    }
    registry_dir_remove(&r, dirs[1]);
    check(&r);
    registry_fini(&r);
    return 0;
}
