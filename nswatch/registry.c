#include "nswatch/registry.h"

#include "lib/clock.h"
#include "nswatch/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int registry_init(struct registry *r, const char *proc_root, registry_sink *sink, void *arg)
{
    *r = (struct registry){.proc_root = proc_root, .sink = sink, .arg = arg};
    list_init(&r->dirs);
    list_init(&r->objects);
    list_init(&r->orphans);
    list_init(&r->changed);
    list_init(&r->waiting);
    list_init(&r->touched);
    if (table_init(&r->by_inode) || table_init(&r->by_name)) {
        registry_fini(r);
        return -ENOMEM;
    }
    return 0;
}

/* --- objects ----------------------------------------------------------------------------------- */

static bool has_error_of_permission(const struct ns_object *o)
{
    return o->error == -EPERM || o->error == -EACCES;
}

/* Adds |o| to the figures (|sign| 1) or takes it out (-1): called around every change of a counted
 * property. */
static void count(struct registry *r, const struct ns_object *o, int sign)
{
    uint64_t one = (uint64_t)(int64_t)sign;
    if (o->state == NSWATCH_LIVE) {
        r->counts.namespaces += one;
        if (!o->own && !o->names)
            r->counts.anonymous += one;
    } else if (o->state == NSWATCH_BROKEN) {
        r->counts.failed += one;
        if (has_error_of_permission(o))
            r->counts.not_permitted += one;
    } else if (o->told) {
        r->counts.pending += one;
    }
}

static void mark_changed(struct registry *r, struct ns_object *o)
{
    if (list_empty(&o->in_changed))
        list_append(&r->changed, &o->in_changed);
}

static void tell(struct registry *r, struct ns_object *o, enum nswatch_event event)
{
    struct view view;
    if (event == NSWATCH_READY)
        r->counts.added++;
    if (event == NSWATCH_REMOVED && o->state == NSWATCH_LIVE)
        r->counts.removed++;
    view_of(&view, r, o);
    r->sink(r->arg, event, &view.ns);
}

static struct ns_object *object_new(struct registry *r)
{
    struct ns_object *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    list_init(&o->in_orphans);
    list_init(&o->in_changed);
    list_append(&r->objects, &o->in_all);
    o->id = ++r->next_id;
    o->since_ns = clock_wall_ns();
    return o; /* pending and not told: not counted */
}

/* |o| is counted no more. */
static void object_free(struct registry *r, struct ns_object *o)
{
    if (o->inode)
        table_remove(&r->by_inode, &o->by_inode);
    list_remove(&o->in_all);
    list_remove(&o->in_orphans);
    list_remove(&o->in_changed);
    free(o->last_text);
    free(o->last_path);
    free(o);
}

/* Gives |o| its identity, and its state with it, and tells so. */
static void object_identify(struct registry *r, struct ns_object *o, const struct identity *id)
{
    count(r, o, -1);
    if (o->inode)
        table_remove(&r->by_inode, &o->by_inode);
    o->cookie = id->cookie;
    o->inode = id->inode;
    o->error = id->error;
    o->state = id->error ? NSWATCH_BROKEN : NSWATCH_LIVE;
    list_remove(&o->in_changed);
    o->told = true;
    if (o->inode)
        table_insert(&r->by_inode, &o->by_inode, table_hash(o->inode));
    count(r, o, 1);
    tell(r, o, id->error ? NSWATCH_FAILED : NSWATCH_READY);
}

struct ns_object *registry_find_inode(struct registry *r, uint64_t inode)
{
    uint64_t hash = table_hash(inode);
    for (struct table_link *l = table_chain(&r->by_inode, hash); l; l = l->next) {
        struct ns_object *o = container_of(l, struct ns_object, by_inode);
        if (o->inode == inode)
            return o;
    }
    return NULL;
}

struct ns_object *registry_find(struct registry *r, const struct identity *id)
{
    if (!id->inode)
        return NULL;
    for (struct table_link *l = table_chain(&r->by_inode, table_hash(id->inode)); l; l = l->next) {
        struct ns_object *o = container_of(l, struct ns_object, by_inode);
        if (o->inode != id->inode)
            continue;
        /* If one side has no cookie, only the inode can be compared. */
        if (o->cookie == id->cookie || !o->cookie || !id->cookie)
            return o;
    }
    return NULL;
}

int registry_add_own(struct registry *r, const struct identity *id)
{
    struct ns_object *o = object_new(r);
    if (!o)
        return -ENOMEM;
    o->own = true;
    object_identify(r, o, id);
    return 0;
}

struct ns_object *registry_add_anonymous(struct registry *r, pid_t pid, const struct identity *id)
{
    struct ns_object *o = object_new(r);
    if (!o)
        return NULL;
    o->pid = pid;
    object_identify(r, o, id);
    return o;
}

void registry_live_in(struct registry *r, struct ns_object *o, pid_t pid)
{
    list_remove(&o->in_orphans);
    if (o->pid == pid)
        return;
    o->pid = pid;
    mark_changed(r, o);
}

void registry_remove(struct registry *r, struct ns_object *o)
{
    count(r, o, -1);
    if (o->told)
        tell(r, o, NSWATCH_REMOVED);
    object_free(r, o);
}

void registry_flush(struct registry *r)
{
    list_each(at, &r->changed)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_changed);
        list_remove(&o->in_changed);
        if (o->told && o->state != NSWATCH_PENDING)
            tell(r, o, NSWATCH_CHANGED);
    }
}

/* --- directories ------------------------------------------------------------------------------- */

struct ns_dir *registry_dir_add(struct registry *r, const char *path, unsigned order)
{
    struct ns_dir *dir = calloc(1, sizeof(*dir));
    if (!dir)
        return NULL;
    list_init(&dir->names);
    dir->order = order;
    dir->path = strdup(path);
    if (!dir->path) {
        free(dir);
        return NULL;
    }
    list_append(&r->dirs, &dir->in_dirs);
    return dir;
}

void registry_dir_remove(struct registry *r, struct ns_dir *dir)
{
    list_each(at, &dir->names) registry_name_remove(r, container_of(at, struct ns_name, in_dir));
    list_remove(&dir->in_dirs);
    free(dir->path);
    free(dir);
}

/* --- names ------------------------------------------------------------------------------------- */

static int name_compare(const struct ns_name *a, const struct ns_name *b)
{
    if (a->dir->order != b->dir->order)
        return a->dir->order < b->dir->order ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Puts |n| in its place among the names of |o|. */
static void link_name(struct ns_object *o, struct ns_name *n)
{
    struct ns_name **at = &o->names;
    while (*at && name_compare(*at, n) < 0)
        at = &(*at)->sibling;
    n->sibling = *at;
    *at = n;
    o->name_count++;
}

static void unlink_name(struct ns_object *o, struct ns_name *n)
{
    for (struct ns_name **at = &o->names; *at; at = &(*at)->sibling) {
        if (*at == n) {
            *at = n->sibling;
            o->name_count--;
            return;
        }
    }
}

/* Adds |n| to the names of |o|. */
static void attach(struct registry *r, struct ns_name *n, struct ns_object *o)
{
    count(r, o, -1);
    link_name(o, n);
    n->object = o;
    o->pid = 0;
    mark_changed(r, o);
    list_remove(&o->in_orphans);
    count(r, o, 1);
}

/* Remembers the last name of |o| for the event that tells its end. Without memory the event shows the inode
 * instead. */
static void keep_last_name(struct ns_object *o, const struct ns_name *n)
{
    free(o->last_text);
    free(o->last_path);
    o->last_text = strdup(n->text);
    o->last_path = strdup(n->path);
    o->last_label = o->last_text ? o->last_text + (n->label - n->text) : NULL;
}

/* Takes |n| from its object, which becomes an orphan with its last name; a placeholder ends at once. */
static void detach(struct registry *r, struct ns_name *n)
{
    struct ns_object *o = n->object;
    count(r, o, -1);
    unlink_name(o, n);
    n->object = NULL;
    mark_changed(r, o);
    count(r, o, 1);
    if (o->names || o->own)
        return;
    keep_last_name(o, n);
    if (o->inode)
        list_append(&r->orphans, &o->in_orphans);
    else
        registry_remove(r, o);
}

void registry_dir_set_order(struct registry *r, struct ns_dir *dir, unsigned order)
{
    if (dir->order == order)
        return;
    dir->order = order;
    /* All names are taken out, then put in again: a list still partly in the old order has no right place for
     * a name. */
    list_each(at, &dir->names)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_dir);
        unlink_name(n->object, n);
    }
    list_each(at, &dir->names)
    {
        struct ns_name *n = container_of(at, struct ns_name, in_dir);
        link_name(n->object, n);
        if (n->object->name_count > 1)
            mark_changed(r, n->object);
    }
}

static uint64_t name_hash(const struct ns_dir *dir, const char *name)
{
    uint64_t hash = (uint64_t)(uintptr_t)dir;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL; /* FNV-1a */
    return table_hash(hash);
}

struct ns_name *registry_name_find(struct registry *r, const struct ns_dir *dir, const char *name)
{
    uint64_t hash = name_hash(dir, name);
    for (struct table_link *l = table_chain(&r->by_name, hash); l; l = l->next) {
        struct ns_name *n = container_of(l, struct ns_name, by_name);
        if (l->hash == hash && n->dir == dir && !strcmp(n->name, name))
            return n;
    }
    return NULL;
}

static void name_free(struct ns_name *n)
{
    if (n->text != n->path)
        free(n->text);
    free(n->path);
    free(n);
}

struct ns_name *registry_name_add(struct registry *r, struct ns_dir *dir, const char *name)
{
    struct ns_name *n = calloc(1, sizeof(*n));
    struct ns_object *o = object_new(r);
    if (!n || !o || !view_name_texts(n, dir->path, name)) {
        if (o)
            object_free(r, o);
        free(n);
        return NULL;
    }
    n->dir = dir;
    list_init(&n->in_waiting);
    list_init(&n->in_touched);
    list_append(&dir->names, &n->in_dir);
    table_insert(&r->by_name, &n->by_name, name_hash(dir, name));
    attach(r, n, o);
    return n;
}

void registry_name_remove(struct registry *r, struct ns_name *n)
{
    if (n->object)
        detach(r, n);
    list_remove(&n->in_dir);
    list_remove(&n->in_waiting);
    list_remove(&n->in_touched);
    table_remove(&r->by_name, &n->by_name);
    name_free(n);
}

bool registry_name_reset(struct registry *r, struct ns_name *n)
{
    struct ns_object *o = object_new(r);
    if (!o) {
        registry_name_remove(r, n);
        return false;
    }
    detach(r, n);
    attach(r, n, o);
    n->waited = n->waiting = false;
    list_remove(&n->in_waiting);
    return true;
}

bool registry_name_known(const struct ns_name *n)
{
    return n->object->inode != 0;
}

void registry_announce(struct registry *r, struct ns_name *n)
{
    struct ns_object *o = n->object;
    if (o->told)
        return;
    count(r, o, -1);
    o->told = true;
    count(r, o, 1);
    tell(r, o, NSWATCH_ADDED);
}

void registry_give_up(struct registry *r, struct ns_name *n, int error)
{
    struct ns_object *o = n->object;
    if (o->state == NSWATCH_BROKEN)
        return;
    struct identity id = {.error = error};
    object_identify(r, o, &id);
}

bool registry_resolve(struct registry *r, struct ns_name *n, const struct identity *id, bool may_create)
{
    struct ns_object *mine = n->object;
    struct ns_object *there = registry_find(r, id);
    if (!there && !may_create)
        return false;
    if (!there) {
        /* An error that has been told once stays as it is. */
        if (mine->state != NSWATCH_BROKEN || mine->error != id->error || mine->inode != id->inode)
            object_identify(r, mine, id);
        return true;
    }
    if (there != mine) {
        detach(r, n);
        attach(r, n, there);
    }
    if (there->state == NSWATCH_BROKEN && !id->error)
        object_identify(r, there, id); /* healed */
    return true;
}

void registry_fini(struct registry *r)
{
    list_each(at, &r->objects)
    {
        struct ns_object *o = container_of(at, struct ns_object, in_all);
        for (struct ns_name *n = o->names, *next; n; n = next) {
            next = n->sibling;
            name_free(n);
        }
        free(o->last_text);
        free(o->last_path);
        free(o);
    }
    list_each(at, &r->dirs)
    {
        struct ns_dir *dir = container_of(at, struct ns_dir, in_dirs);
        free(dir->path);
        free(dir);
    }
    free(r->scratch);
    r->scratch = NULL;
    table_fini(&r->by_inode);
    table_fini(&r->by_name);
}
