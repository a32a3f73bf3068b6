/* Nodes back to text. `and` and `or` inside of each other are always in parentheses: ss reads them from the
 * left to the right. */
#include <string.h>

#include "filter/node.h"
#include "lib/ascii.h"

static const char *const symbols[] = {
    [EQ] = "=", [NE] = "!=", [LT] = "<", [LE] = "<=", [GT] = ">", [GE] = ">=", [RANGE] = "=",
};

static void print_quoted(struct buf *out, const char *text, size_t n)
{
    buf_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buf_char(out, '\\');
        buf_char(out, text[i]);
    }
    buf_char(out, '"');
}

/* |text| as it is where it is a word, else in quotes. */
static void print_text(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool plain = ascii_is_letter(c) || ascii_is_digit(c) || (unsigned char)c >= 0x80 || c == '*' ||
                     c == '?' || c == '-' || c == '_' || c == '.' || c == '/' || c == ':';
        if (!plain) {
            print_quoted(out, text, n);
            return;
        }
    }
    if (n == 0)
        buf_str(out, "\"\"");
    else
        buf_bytes(out, text, n);
}

static void print_number(struct buf *out, const struct filter *f, const struct node *n)
{
    buf_printf(out, "%s %s ", filter_table_name(f->table, n->field), symbols[n->op]);
    filter_number_print(out, n->field, n->number.value);
    if (n->op == RANGE) {
        buf_char(out, '-');
        filter_number_print(out, n->field, n->number.high);
    }
}

static void print_lookup(struct buf *out, const struct filter *f, const struct lookups *names,
                         const struct node *n, const char *keyword)
{
    const char *name = f->pool.data + names->at[n->lookup];
    buf_printf(out, "%s = ", keyword);
    /* what looks like a number would be read as one */
    if (ascii_is_digit(*name))
        print_quoted(out, name, strlen(name));
    else
        print_text(out, name, strlen(name));
}

static void print_mark(struct buf *out, const struct node *n)
{
    buf_printf(out, "fwmark = 0x%x", n->mark.value);
    if (n->mark.mask != UINT32_MAX)
        buf_printf(out, "/0x%x", n->mark.mask);
}

/* |node|, in parentheses where it has operators of its own. */
static void print_operand(struct buf *out, const struct filter *f, uint16_t node)
{
    bool group = f->nodes[node].kind == NODE_AND || f->nodes[node].kind == NODE_OR;
    buf_str(out, group ? "(" : "");
    filter_print(out, f, node);
    buf_str(out, group ? ")" : "");
}

static void print_children(struct buf *out, const struct filter *f, const struct node *n, const char *word)
{
    for (uint16_t i = n->first; i != NODE_NONE; i = f->nodes[i].next) {
        buf_str(out, i == n->first ? "" : word);
        print_operand(out, f, i);
    }
}

void filter_print(struct buf *out, const struct filter *f, uint16_t node)
{
    const struct node *n = &f->nodes[node];
    switch ((enum node_kind)n->kind) {
    case NODE_AND:
        print_children(out, f, n, " and ");
        break;
    case NODE_OR:
        print_children(out, f, n, " or ");
        break;
    case NODE_NOT:
        buf_str(out, "not ");
        print_operand(out, f, n->first);
        break;
    case NODE_STATES:
        filter_states_print(out, n->states);
        break;
    case NODE_NUMBER:
        print_number(out, f, n);
        break;
    case NODE_TEXT:
        buf_printf(out, "%s %s ", filter_table_name(f->table, n->field), symbols[n->op]);
        print_text(out, f->pool.data + n->text.at, n->text.len);
        break;
    case NODE_HOST:
        buf_printf(out, "%s = ", filter_table_name(f->table, n->field));
        filter_host_print(out, &n->host);
        break;
    case NODE_MARK:
        print_mark(out, n);
        break;
    case NODE_DEVICE:
        print_lookup(out, f, &f->devices, n, "dev");
        break;
    case NODE_CGROUP:
        print_lookup(out, f, &f->cgroups, n, "cgroup");
        break;
    case NODE_AUTOBOUND:
        buf_str(out, "autobound");
        break;
    }
}
