/* Tells the names that a filter asks for, so that names without any match can be reported. */
#include "filter/node.h"

/* Calls |fn| for |node| and those below it, but not below a negation. */
static void visit(const struct filter *f, uint16_t node, const struct record_field *field, filter_text_fn *fn,
                  void *arg)
{
    const struct node *n = &f->nodes[node];
    if (n->kind == NODE_TEXT && n->field == field && n->op == EQ)
        fn(arg, f->pool.data + n->text.at);
    if (n->kind != NODE_AND && n->kind != NODE_OR)
        return;
    for (uint16_t i = n->first; i != NODE_NONE; i = f->nodes[i].next)
        visit(f, i, field, fn, arg);
}

void filter_visit_texts(const struct filter *f, const struct record_field *field, filter_text_fn *fn,
                        void *arg)
{
    if (f->root != NODE_NONE)
        visit(f, f->root, field, fn, arg);
}

/* Bits of |found|: the names of devices, those of cgroups above them, and that any have been looked up. */
#define CGROUP_BIT(i) (UINT32_C(1) << (FILTER_LOOKUPS_MAX + (i)))
#define DEVICE_BIT(i) (UINT32_C(1) << (i))
#define LOOKED_UP     (UINT32_C(1) << (2 * FILTER_LOOKUPS_MAX))

void filter_note_found(const struct filter *f, const struct filter_env *env)
{
    uint32_t found = LOOKED_UP;
    for (uint8_t i = 0; i < f->devices.count; i++)
        found |= env->devices[i] ? DEVICE_BIT(i) : 0;
    for (uint8_t i = 0; i < f->cgroups.count; i++)
        found |= env->cgroups[i] ? CGROUP_BIT(i) : 0;
    if ((atomic_load_explicit(f->found, memory_order_relaxed) & found) != found)
        atomic_fetch_or_explicit(f->found, found, memory_order_relaxed);
}

const char *filter_unfound(const struct filter *f, size_t i, bool *device)
{
    uint32_t found = atomic_load_explicit(f->found, memory_order_relaxed);
    if (!(found & LOOKED_UP))
        return NULL;
    for (uint8_t k = 0; k < f->devices.count; k++) {
        *device = true;
        if (!(found & DEVICE_BIT(k)) && i-- == 0)
            return f->pool.data + f->devices.at[k];
    }
    for (uint8_t k = 0; k < f->cgroups.count; k++) {
        *device = false;
        if (!(found & CGROUP_BIT(k)) && i-- == 0)
            return f->pool.data + f->cgroups.at[k];
    }
    return NULL;
}
