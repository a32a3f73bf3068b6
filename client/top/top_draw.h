/* Draws the model and the view of top. One thread. */
#ifndef XTCP_CLIENT_TOP_TOP_DRAW_H
#define XTCP_CLIENT_TOP_TOP_DRAW_H

#include "client/top/top_feed.h"
#include "client/top/top_model.h"
#include "client/top/top_view.h"

/* The screen besides the sockets. */
struct top_scene {
    struct top_model *model;
    struct top_view *view;
    const char *target;
    int64_t every_ns; /* 0: the daemon's schedule */
    struct top_feed_status feed;
};

/* Draws all of the screen. Tells the view how many rows it has. */
void top_draw(const struct top_scene *s);

/* Parts of it, between lines |from| and |to| (not included). */
void top_draw_history(const struct top_scene *s, size_t from, size_t to);
void top_draw_columns(const struct top_scene *s, size_t from, size_t to);
void top_draw_help(const struct top_scene *s, size_t from, size_t to);

#endif
