#include "server/stream/selection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/netns_pattern.h"
#include "lib/utf8.h"

/* ---- From a request ---- */

static int read_filter(struct selection *s, const struct subscription *r, struct err *e)
{
    struct filter_error error;
    int rc = r->filter ? filter_parse(r->filter, &s->filter, &error) : 0;
    if (rc < 0) {
        if (rc == ERR_LIMIT) /* the expression is too large: the request is wrong */
            rc = ERR_RANGE;
        return err_set(e, rc, "filter: %s", error.err.text);
    }
    if (s->filter && filter_is_empty(s->filter)) {
        filter_unref(s->filter);
        s->filter = NULL;
    }
    return 0;
}

static int read_columns(struct selection *s, const struct subscription *r, struct err *e)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        int rc = record_mask_add(&s->columns, r->columns[i], e);
        if (rc < 0) {
            err_prefix(e, "columns");
            return rc;
        }
    }
    s->has_columns = r->n_columns > 0;
    return 0;
}

static int read_netns(struct selection *s, const struct subscription *r, struct err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_netns; i++)
        bytes += strlen(r->netns[i]);
    if (bytes > SELECTION_NETNS_MAX)
        return err_set(e, ERR_RANGE, "netns: %zu bytes of patterns, allowed are %d", bytes,
                       SELECTION_NETNS_MAX);
    if (r->n_netns == 0)
        return 0;
    s->netns_len = bytes;
    s->netns = calloc(r->n_netns, sizeof(char *));
    for (size_t i = 0; s->netns && i < r->n_netns; i++) {
        s->netns[i] = strdup(r->netns[i]);
        if (!s->netns[i])
            break;
        s->n_netns++;
    }
    return s->n_netns == r->n_netns ? 0 : err_set(e, -ENOMEM, "netns: out of memory");
}

int selection_new(const struct subscription *r, struct selection **out, struct err *e)
{
    struct selection *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->refs = 1;
    s->filter_place = s->mask_place = SELECTION_NO_PLACE;
    s->told = r->filter || r->n_columns || r->n_netns;
    int rc = read_filter(s, r, e);
    if (rc == 0)
        rc = read_columns(s, r, e);
    if (rc == 0)
        rc = read_netns(s, r, e);
    if (rc == 0)
        *out = s;
    else
        selection_unref(s);
    return rc;
}

struct selection *selection_ref(struct selection *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void selection_unref(struct selection *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->n_netns; i++)
        free(s->netns[i]);
    free(s->netns);
    filter_unref(s->filter);
    free(s);
}

static const char *text_of(const struct filter *f)
{
    return f ? filter_text(f) : "";
}

bool selection_equal(const struct selection *a, const struct selection *b)
{
    if (strcmp(text_of(a->filter), text_of(b->filter)) != 0)
        return false;
    if (a->has_columns != b->has_columns || !record_mask_equal(&a->columns, &b->columns) ||
        a->n_netns != b->n_netns)
        return false;
    for (size_t i = 0; i < a->n_netns; i++) {
        if (strcmp(a->netns[i], b->netns[i]) != 0)
            return false;
    }
    return true;
}

/* ---- The description ---- */

bool selection_wants_netns(const struct selection *s, const char *name, uint64_t inode)
{
    return netns_wanted((const char *const *)s->netns, s->n_netns, name, inode);
}

size_t selection_unfound(const struct selection *s, char out[SELECTION_WARNINGS_MAX][ERR_TEXT_MAX])
{
    const char *name;
    char shown[104];
    bool device;
    size_t n = 0;
    while (s && s->filter && n < SELECTION_WARNINGS_MAX && (name = filter_unfound(s->filter, n, &device))) {
        snprintf(out[n++], ERR_TEXT_MAX,
                 device ? "no namespace that was polled has a device called %s"
                        : "there is no control group %s",
                 utf8_quote(name, shown, sizeof(shown)));
    }
    return n;
}

size_t selection_parts(const struct filter *f, struct filter_part out[FILTER_TERMS_MAX])
{
    size_t n = f ? filter_part_count(f) : 0;
    n = n < FILTER_TERMS_MAX ? n : FILTER_TERMS_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = (struct filter_part){.expression = filter_part_text(f, i),
                                      .place = filter_part_in_kernel(f, i) ? FILTER_PLACE_KERNEL
                                                                           : FILTER_PLACE_COLLECTOR};
    return n;
}

void selection_describe(const struct selection *s, struct selection_description *out)
{
    *out = (struct selection_description){
        .info = {.filter = text_of(s->filter), .parts = out->parts, .columns = out->columns}};
    struct subscription_info *info = &out->info;
    for (size_t i = 0; s->has_columns && i < FIELD_COUNT; i++) {
        if (record_mask_has(&s->columns, record_fields[i].number))
            out->columns[info->n_columns++] = record_fields[i].name;
    }
    info->n_parts = selection_parts(s->filter, out->parts);
}

/* ---- The table of selections in force ---- */

/* The place of |filter|, or a free one for it. */
static int find_filter(const struct selection_table *t, const struct filter *filter)
{
    int found = SELECTION_NO_PLACE;
    for (int i = 0; i < SELECTION_FILTERS_MAX; i++) {
        if (!t->filters[i].holders)
            found = found < 0 ? i : found;
        else if (strcmp(filter_text(t->filters[i].filter), filter_text(filter)) == 0)
            return i;
    }
    return found;
}

/* The place of |mask|, or a free one for it. */
static int find_mask(const struct selection_table *t, const struct record_mask *mask)
{
    int found = SELECTION_NO_PLACE;
    for (int i = 0; i < SELECTION_MASKS_MAX; i++) {
        if (!t->masks[i].holders)
            found = found < 0 ? i : found;
        else if (record_mask_equal(&t->masks[i].mask, mask))
            return i;
    }
    return found;
}

/* Where |user| stands among |holders|, or their end. */
static struct selection_holder **find_holder(struct selection_holder **holders, const struct quota_user *user)
{
    while (*holders && (*holders)->user != user)
        holders = &(*holders)->next;
    return holders;
}

/* Counts one stream more of |user|. Returns false without memory. */
static bool hold(struct selection_holder **holders, struct quota_user *user)
{
    struct selection_holder **at = find_holder(holders, user);
    if (!*at) {
        struct selection_holder *holder = calloc(1, sizeof(*holder));
        if (!holder)
            return false;
        holder->user = quota_user_ref(user);
        *at = holder;
    }
    (*at)->streams++;
    return true;
}

/* Counts one stream less of |user|. Returns whether that was the user's last one; the caller has a reference
 * to the user. */
static bool let_go(struct selection_holder **holders, const struct quota_user *user)
{
    struct selection_holder **at = find_holder(holders, user);
    struct selection_holder *holder = *at;
    if (!holder || --holder->streams > 0)
        return false;
    *at = holder->next;
    quota_user_unref(holder->user);
    free(holder);
    return true;
}

/* Accounts the filter of |s|, which is new to |owner|, to it; |fresh|: no other user has that filter
 * either. */
static int take_filter(const struct selection *s, const struct selection_owner *owner, bool fresh,
                       struct err *e)
{
    const struct quota_bound *of = owner->bounds->of;
    uint64_t bytes = strlen(filter_text(s->filter));
    int rc = quota_take(owner->user, owner->rank, QUOTA_FILTERS, 1, fresh, &of[QUOTA_FILTERS], e);
    if (rc)
        return rc;
    rc = quota_take(owner->user, owner->rank, QUOTA_FILTER_BYTES, bytes, fresh ? bytes : 0,
                    &of[QUOTA_FILTER_BYTES], e);
    if (rc) {
        quota_give(owner->user, QUOTA_FILTERS, 1, fresh);
        err_prefix(e, "the filter has %llu bytes", (unsigned long long)bytes);
    }
    return rc;
}

static void give_filter(const struct selection *s, struct quota_user *user, bool last)
{
    uint64_t bytes = strlen(filter_text(s->filter)); /* the same as that of the first one with it */
    quota_give(user, QUOTA_FILTERS, 1, last);
    quota_give(user, QUOTA_FILTER_BYTES, bytes, last ? bytes : 0);
}

static int enter_filter(struct selection_table *t, struct selection *s, const struct selection_owner *owner,
                        struct err *e)
{
    int place = find_filter(t, s->filter);
    bool fresh = place < 0 || !t->filters[place].holders;
    bool has = !fresh && *find_holder(&t->filters[place].holders, owner->user);
    int rc = has ? 0 : take_filter(s, owner, fresh, e);
    if (rc)
        return rc;
    /* A place is free when the quota has one. */
    if (place < 0 || !hold(&t->filters[place].holders, owner->user)) {
        give_filter(s, owner->user, fresh);
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (fresh) {
        t->filters[place].filter = filter_ref(s->filter);
    } else if (s->filter != t->filters[place].filter) { /* an equal one: polls note in it what they found */
        filter_unref(s->filter);
        s->filter = filter_ref(t->filters[place].filter);
    }
    s->filter_place = place;
    return 0;
}

static int enter_mask(struct selection_table *t, struct selection *s, const struct selection_owner *owner,
                      struct err *e)
{
    int place = find_mask(t, &s->columns);
    bool fresh = place < 0 || !t->masks[place].holders;
    bool has = !fresh && *find_holder(&t->masks[place].holders, owner->user);
    int rc = has ? 0
                 : quota_take(owner->user, owner->rank, QUOTA_COLUMNS, 1, fresh,
                              &owner->bounds->of[QUOTA_COLUMNS], e);
    if (rc)
        return rc;
    if (place < 0 || !hold(&t->masks[place].holders, owner->user)) {
        quota_give(owner->user, QUOTA_COLUMNS, 1, fresh);
        return err_set(e, -ENOMEM, "out of memory");
    }
    if (fresh)
        t->masks[place].mask = s->columns;
    s->mask_place = place;
    return 0;
}

static int pay_netns(struct selection *s, const struct selection_owner *owner, struct err *e)
{
    int rc = quota_take(owner->user, owner->rank, QUOTA_NETNS_BYTES, s->netns_len, s->netns_len,
                        &owner->bounds->of[QUOTA_NETNS_BYTES], e);
    s->netns_paid = rc == 0;
    return rc;
}

int selection_enter(struct selection_table *t, struct selection *s, const struct selection_owner *owner,
                    struct err *e)
{
    int rc = s->filter ? enter_filter(t, s, owner, e) : 0;
    if (rc == 0 && s->has_columns)
        rc = enter_mask(t, s, owner, e);
    if (rc == 0)
        rc = pay_netns(s, owner, e);
    if (rc)
        selection_leave(t, s, owner->user);
    return rc;
}

static void leave_filter(struct selection_table *t, struct selection *s, struct quota_user *user)
{
    struct selection_holder **holders = &t->filters[s->filter_place].holders;
    if (!let_go(holders, user))
        return;
    give_filter(s, user, !*holders);
    if (!*holders)
        filter_unref(t->filters[s->filter_place].filter);
}

static void leave_mask(struct selection_table *t, struct selection *s, struct quota_user *user)
{
    struct selection_holder **holders = &t->masks[s->mask_place].holders;
    if (let_go(holders, user))
        quota_give(user, QUOTA_COLUMNS, 1, !*holders);
}

void selection_leave(struct selection_table *t, struct selection *s, struct quota_user *user)
{
    if (s->filter_place >= 0)
        leave_filter(t, s, user);
    if (s->mask_place >= 0)
        leave_mask(t, s, user);
    if (s->netns_paid)
        quota_give(user, QUOTA_NETNS_BYTES, s->netns_len, s->netns_len);
    s->netns_paid = false;
    s->filter_place = s->mask_place = SELECTION_NO_PLACE;
}
