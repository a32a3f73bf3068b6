/* The evaluation: nodes over values from any source. */
#include <string.h>

#include "filter/node.h"
#include "lib/utf8.h"

/* The subject of an evaluation. */
struct subject {
    const struct filter *f;
    filter_get_fn *get;
    const void *arg;
    const struct filter_env *env;
};

/* ---- Texts ---- */

/* Whether the set behind the '[' at |pattern| has |c|; |end| gets the place behind its ']'. A '[' without ']'
 * stands for itself. */
static bool in_set(const char *pattern, const char *last, char c, const char **end)
{
    const char *p = pattern + 1;
    bool negated = p < last && (*p == '!' || *p == '^');
    bool found = false;
    p += negated;
    for (const char *first = p; p < last && (*p != ']' || p == first); p++) {
        if (last - p > 2 && p[1] == '-' && p[2] != ']') {
            found |= (unsigned char)p[0] <= (unsigned char)c && (unsigned char)c <= (unsigned char)p[2];
            p += 2;
        } else {
            found |= *p == c;
        }
    }
    if (p >= last) {
        *end = pattern + 1;
        return c == '[';
    }
    *end = p + 1;
    return found != negated;
}

/* Bytes of the character at |text|. */
static size_t character(const char *text, const char *end)
{
    size_t n = 1;
    while (text + n < end && utf8_goes_on(text[n]))
        n++;
    return n;
}

bool filter_glob(const char *pattern, size_t n, const char *text, size_t len)
{
    const char *p = pattern;
    const char *t = text;
    const char *last = pattern + n;
    const char *end = text + len;
    const char *star = NULL; /* behind the last '*', and the text that it has not taken */
    const char *taken = NULL;
    while (t < end) {
        const char *next = p + 1;
        if (p < last && *p == '*') {
            star = ++p;
            taken = t;
        } else if (p < last && *p == '?') {
            p++;
            t += character(t, end);
        } else if (p < last && (*p == '[' ? in_set(p, last, *t, &next) : *p == *t)) {
            p = next;
            t++;
        } else if (star) {
            p = star;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < last && *p == '*')
        p++;
    return p == last;
}

bool filter_text_fits(const char *pattern, const char *text)
{
    return strcmp(pattern, text) == 0 || filter_glob(pattern, strlen(pattern), text, strlen(text));
}

static bool match_text(const struct subject *s, const struct node *n, const struct filter_value *v)
{
    const char *pattern = s->f->pool.data + n->text.at;
    if (v->len == 0)
        return false;
    /* A name with brackets in it fits itself: netns:[4026531840]. */
    bool same = (n->text.len == v->len && memcmp(pattern, v->data, v->len) == 0) ||
                (n->text.glob && filter_glob(pattern, n->text.len, (const char *)v->data, v->len));
    return same != (n->op == NE);
}

/* ---- Numbers ---- */

static bool match_number(const struct node *n, uint64_t v)
{
    return (v >= n->number.low && v <= n->number.high) != (n->op == NE);
}

static bool match_autobound(const struct subject *s, uint64_t port)
{
    return s->env ? port >= s->env->auto_min && port <= s->env->auto_max
                  : port >= FILTER_AUTO_MIN && port <= FILTER_AUTO_MAX;
}

/* The number that was looked up, 0 when it was not found. */
static bool match_lookup(const struct subject *s, const struct node *n, uint64_t v)
{
    if (!s->env)
        return false;
    uint64_t want = n->kind == NODE_DEVICE ? s->env->devices[n->lookup] : s->env->cgroups[n->lookup];
    return want && v == want;
}

/* ---- Nodes ---- */

static bool match_leaf(const struct subject *s, const struct node *n)
{
    struct filter_value v = {0};
    const struct record_field *field = n->field ? n->field : filter_role(s->f->table, FILTER_STATE);
    if (!s->get(s->arg, field, &v))
        return false;
    switch ((enum node_kind)n->kind) {
    case NODE_STATES:
        return v.number < 16 && (n->states >> v.number & 1);
    case NODE_NUMBER:
        return match_number(n, v.number);
    case NODE_TEXT:
        return match_text(s, n, &v);
    case NODE_HOST:
        return filter_host_match(&n->host, v.data, v.len);
    case NODE_MARK:
        return (v.number & n->mark.mask) == n->mark.value;
    case NODE_DEVICE:
    case NODE_CGROUP:
        return match_lookup(s, n, v.number);
    case NODE_AUTOBOUND:
        return match_autobound(s, v.number);
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
        break;
    }
    return false;
}

/* Recurses as deep as the parser has allowed. */
static bool match_node(const struct subject *s, uint16_t node)
{
    const struct node *n = &s->f->nodes[node];
    if (n->kind == NODE_NOT)
        return !match_node(s, n->first);
    if (n->kind != NODE_AND && n->kind != NODE_OR)
        return match_leaf(s, n);
    bool enough = n->kind == NODE_OR; /* a child with this value decides */
    for (uint16_t i = n->first; i != NODE_NONE; i = s->f->nodes[i].next) {
        if (match_node(s, i) == enough)
            return enough;
    }
    return !enough;
}

bool filter_match_values(const struct filter *f, filter_get_fn *get, const void *arg,
                         const struct filter_env *env)
{
    const struct subject s = {.f = f, .get = get, .arg = arg, .env = env};
    return f->root == NODE_NONE || match_node(&s, f->root);
}
