#include "client/top/top_view.h"

#include <stdio.h>
#include <string.h>

#include "client/top/top_columns.h"
#include "lib/utf8.h"

void top_view_init(struct top_view *v, enum top_sort sort, const char *filter)
{
    *v = (struct top_view){.sort = sort, .shown = top_columns_usual(), .page = 1};
    snprintf(v->filter, sizeof(v->filter), "%s", filter ? filter : "");
}

/* ---- The list ---- */

static size_t list_length(const struct top_view *v, const struct top_model *m)
{
    return v->mode == TOP_MODE_NAMESPACES ? m->n_netns : m->n_order;
}

static void into_sight(struct top_view *v, size_t length)
{
    size_t page = v->page ? v->page : 1;
    if (v->cursor >= length)
        v->cursor = length ? length - 1 : 0;
    if (v->offset > v->cursor)
        v->offset = v->cursor;
    if (v->cursor >= v->offset + page)
        v->offset = v->cursor - page + 1;
    if (v->offset + page > length)
        v->offset = length > page ? length - page : 0;
}

void top_view_settle(struct top_view *v, struct top_model *m)
{
    if (v->mode != TOP_MODE_NAMESPACES && v->bound) {
        size_t row = top_model_find(m, &v->selected);
        if (row != SIZE_MAX)
            v->cursor = row;
        else
            v->bound = false;
    }
    into_sight(v, list_length(v, m));
}

/* The cursor was moved to |to|. On the first row it stays there, whichever socket comes to the top. */
static void move_to(struct top_view *v, const struct top_model *m, size_t to)
{
    size_t length = list_length(v, m);
    v->cursor = to < length ? to : length ? length - 1 : 0;
    v->bound = v->mode == TOP_MODE_SOCKETS && v->cursor > 0 && length;
    if (v->bound)
        v->selected = top_model_row(m, v->cursor)->now.key;
    into_sight(v, length);
}

static bool list_key(struct top_view *v, const struct top_model *m, uint32_t key)
{
    size_t page = v->page ? v->page : 1;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        move_to(v, m, v->cursor ? v->cursor - 1 : 0);
        return true;
    case TOP_KEY_DOWN:
    case 'j':
        move_to(v, m, v->cursor + 1);
        return true;
    case TOP_KEY_PAGE_UP:
        move_to(v, m, v->cursor > page ? v->cursor - page : 0);
        return true;
    case TOP_KEY_PAGE_DOWN:
        move_to(v, m, v->cursor + page);
        return true;
    case TOP_KEY_HOME:
    case 'g':
        move_to(v, m, 0);
        return true;
    case TOP_KEY_END:
    case 'G':
        move_to(v, m, SIZE_MAX);
        return true;
    default:
        return false;
    }
}

static void sort_by(struct top_view *v, struct top_model *m, enum top_sort by)
{
    v->sort = by;
    v->cursor = v->offset = 0;
    v->bound = false;
    top_model_sort(m, by);
}

/* ---- The prompt ---- */

/* Bytes of the character that ends at |at|, and of the one that begins there. */
static size_t char_before(const char *text, size_t at)
{
    size_t n = at > 0;
    while (n < at && utf8_goes_on(text[at - n]))
        n++;
    return n;
}

static size_t char_after(const char *text, size_t at)
{
    size_t n = text[at] != 0;
    while (n && utf8_goes_on(text[at + n]))
        n++;
    return n;
}

static void input_remove(struct top_view *v, size_t from, size_t n)
{
    memmove(v->input + from, v->input + from + n, strlen(v->input + from + n) + 1);
    v->input_at = from;
}

static void input_insert(struct top_view *v, uint32_t code)
{
    char bytes[4];
    size_t n = 1, len = strlen(v->input);
    if (code < 0x80) {
        bytes[0] = (char)code;
    } else {
        n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--, code >>= 6)
            bytes[i] = (char)(0x80 | (code & 0x3f));
        bytes[0] = (char)((0xf00 >> n & 0xf0) | code);
    }
    if (len + n >= sizeof(v->input))
        return;
    memmove(v->input + v->input_at + n, v->input + v->input_at, len - v->input_at + 1);
    memcpy(v->input + v->input_at, bytes, n);
    v->input_at += n;
}

static enum top_action prompt_done(struct top_view *v)
{
    struct err e = {0};
    const char *text = v->input + strspn(v->input, " ");
    if (v->check && *text && v->check(text, &e) != 0) {
        snprintf(v->input_error, sizeof(v->input_error), "%s", e.text);
        return TOP_ACTION_NONE;
    }
    v->prompting = false;
    if (strcmp(text, v->filter) == 0)
        return TOP_ACTION_NONE;
    memmove(v->filter, text, strlen(text) + 1);
    v->cursor = v->offset = 0;
    v->bound = false;
    return TOP_ACTION_FILTER;
}

static enum top_action prompt_key(struct top_view *v, uint32_t key)
{
    size_t at = v->input_at;
    if (key != TOP_KEY_ENTER)
        v->input_error[0] = 0;
    switch (key) {
    case TOP_KEY_ENTER:
        return prompt_done(v);
    case TOP_KEY_ESCAPE:
        v->prompting = false;
        break;
    case TOP_KEY_LEFT:
        v->input_at -= char_before(v->input, at);
        break;
    case TOP_KEY_RIGHT:
        v->input_at += char_after(v->input, at);
        break;
    case TOP_KEY_HOME:
    case TOP_KEY_CTRL('a'):
        v->input_at = 0;
        break;
    case TOP_KEY_END:
    case TOP_KEY_CTRL('e'):
        v->input_at = strlen(v->input);
        break;
    case TOP_KEY_BACKSPACE:
        input_remove(v, at - char_before(v->input, at), char_before(v->input, at));
        break;
    case TOP_KEY_DELETE:
        input_remove(v, at, char_after(v->input, at));
        break;
    case TOP_KEY_CTRL('u'):
        input_remove(v, 0, at);
        break;
    default:
        if (key >= 0x20 && key != 0x7f && key <= 0x10ffff)
            input_insert(v, key);
        break;
    }
    return TOP_ACTION_NONE;
}

static void prompt_begin(struct top_view *v)
{
    v->prompting = true;
    v->input_error[0] = 0;
    memcpy(v->input, v->filter, sizeof(v->input));
    v->input_at = strlen(v->input);
}

/* ---- Modes ---- */

static enum top_action columns_key(struct top_view *v, uint32_t key)
{
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        v->column = v->column ? v->column - 1 : 0;
        break;
    case TOP_KEY_DOWN:
    case 'j':
        v->column = v->column + 1 < TOP_COLUMNS ? v->column + 1 : v->column;
        break;
    case ' ':
        v->shown ^= 1u << v->column;
        break;
    case TOP_KEY_ENTER:
    case TOP_KEY_ESCAPE:
    case 'c':
    case 'q':
        v->mode = TOP_MODE_SOCKETS;
        break;
    default:
        break;
    }
    return TOP_ACTION_NONE;
}

static void enter_mode(struct top_view *v, struct top_model *m, enum top_mode mode)
{
    bool list = mode == TOP_MODE_NAMESPACES || v->mode == TOP_MODE_NAMESPACES;
    if (v->mode == TOP_MODE_HISTORY)
        top_model_pin(m, NULL);
    v->mode = mode;
    if (list) {
        v->cursor = v->offset = 0;
        v->bound = false;
    }
}

static void enter_history(struct top_view *v, struct top_model *m)
{
    if (v->mode != TOP_MODE_SOCKETS || v->cursor >= m->n_order)
        return;
    v->followed = v->selected = top_model_row(m, v->cursor)->now.key;
    v->bound = true;
    top_model_show(m, v->cursor);
    top_model_pin(m, &v->followed);
    v->mode = TOP_MODE_HISTORY;
}

static const struct {
    uint32_t key;
    enum top_sort sort;
} sort_keys[] = {
    {'t', TOP_SORT_THROUGHPUT}, {'r', TOP_SORT_RETRANS}, {'l', TOP_SORT_RTT}, {'w', TOP_SORT_QUEUE}};

static bool sort_key(struct top_view *v, struct top_model *m, uint32_t key)
{
    for (size_t i = 0; i < sizeof(sort_keys) / sizeof(sort_keys[0]); i++) {
        if (sort_keys[i].key == key) {
            sort_by(v, m, sort_keys[i].sort);
            return true;
        }
    }
    if (key != '<' && key != '>')
        return false;
    sort_by(v, m, (enum top_sort)((v->sort + (key == '>' ? 1 : TOP_SORTS - 1)) % TOP_SORTS));
    return true;
}

/* Keys that switch between modes, each of them back to the sockets as well. */
static bool mode_key(struct top_view *v, struct top_model *m, uint32_t key)
{
    switch (key) {
    case 'n':
        enter_mode(v, m, v->mode == TOP_MODE_NAMESPACES ? TOP_MODE_SOCKETS : TOP_MODE_NAMESPACES);
        return true;
    case 'c':
        enter_mode(v, m, TOP_MODE_COLUMNS);
        return true;
    case 'h':
    case '?':
        enter_mode(v, m, v->mode == TOP_MODE_HELP ? TOP_MODE_SOCKETS : TOP_MODE_HELP);
        return true;
    case TOP_KEY_ESCAPE:
        enter_mode(v, m, TOP_MODE_SOCKETS);
        return true;
    case TOP_KEY_ENTER:
        if (v->mode == TOP_MODE_SOCKETS)
            enter_history(v, m);
        else
            enter_mode(v, m, TOP_MODE_SOCKETS);
        return true;
    default:
        return false;
    }
}

enum top_action top_view_key(struct top_view *v, struct top_model *m, uint32_t key)
{
    if (v->prompting)
        return prompt_key(v, key);
    if (v->mode == TOP_MODE_COLUMNS)
        return columns_key(v, key);
    switch (key) {
    case 'q':
    case 'Q':
        return TOP_ACTION_QUIT;
    case '/':
        prompt_begin(v);
        return TOP_ACTION_NONE;
    case ' ':
    case 'p':
        v->paused = !v->paused;
        return TOP_ACTION_PAUSE;
    case 'R':
        return TOP_ACTION_RETRY;
    default:
        break;
    }
    if (!mode_key(v, m, key) && !sort_key(v, m, key))
        list_key(v, m, key);
    return TOP_ACTION_NONE;
}
