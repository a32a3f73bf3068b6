/* The state of the screen and its changes by keys, without a terminal or a daemon. One thread. */
#ifndef XTCP_CLIENT_TOP_TOP_VIEW_H
#define XTCP_CLIENT_TOP_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/top/top_model.h"
#include "lib/err.h"

/* Keys are code points; those without one are: */
enum top_key_code {
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_BACKSPACE,
    TOP_KEY_DELETE,
    TOP_KEY_OTHER,
};
#define TOP_KEY_ESCAPE  27
#define TOP_KEY_CTRL(c) ((c)&0x1f)

enum top_mode { TOP_MODE_SOCKETS, TOP_MODE_NAMESPACES, TOP_MODE_HISTORY, TOP_MODE_COLUMNS, TOP_MODE_HELP };

/* The part of a key's effect that is left to the caller. */
enum top_action {
    TOP_ACTION_NONE,
    TOP_ACTION_QUIT,
    TOP_ACTION_FILTER, /* |filter| is another one */
    TOP_ACTION_PAUSE,  /* |paused| has changed */
    TOP_ACTION_RETRY,  /* connect now */
};

#define TOP_FILTER_MAX 1024 /* bytes of a filter that is typed, with its NUL */

struct top_view {
    enum top_mode mode;
    enum top_sort sort;
    bool paused;
    uint32_t shown; /* bits of enum top_column_id */
    char filter[TOP_FILTER_MAX];
    /* The list: sockets or namespaces. */
    size_t cursor;
    size_t offset;              /* first row on the screen */
    size_t page;                /* rows on the screen: set when it is drawn */
    bool bound;                 /* the cursor stays with |selected| wherever it goes */
    struct socket_key selected; /* a socket */
    struct socket_key followed; /* the one of TOP_MODE_HISTORY */
    size_t column;              /* the cursor of TOP_MODE_COLUMNS */
    /* The prompt for a filter. */
    bool prompting;
    char input[TOP_FILTER_MAX];
    size_t input_at; /* bytes before the cursor */
    char input_error[ERR_TEXT_MAX];
    /* Checks a filter: 0, or a negative error with |e|. */
    int (*check)(const char *filter, struct err *e);
};

void top_view_init(struct top_view *v, enum top_sort sort, const char *filter);

/* Takes one key. |m| is put into another order when the sort changes. */
enum top_action top_view_key(struct top_view *v, struct top_model *m, uint32_t key);

/* Another poll is in |m|, or the screen has another size: the cursor stays with its socket and in sight. */
void top_view_settle(struct top_view *v, struct top_model *m);

#endif
