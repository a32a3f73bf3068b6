/* The bytes of a flood: frames of HTTP/2, made once and sent again and again. */
#ifndef XTCP_TEST_FLOOD_KINDS_H
#define XTCP_TEST_FLOOD_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a flood is no longer than that. */
#define PIECE_MAX ((size_t)96 * 1024)

/* The flow-control window that a peer grants at first: of a connection, and of a stream. */
#define WINDOW 65535

/* Frames in a row, for one stream at most. */
struct piece {
    uint8_t *bytes;
    size_t len;
    size_t ids[8]; /* where the number of the stream has to be put */
    size_t n_ids;
    uint32_t frames;
    uint32_t calls;
    uint32_t window; /* bytes that count for flow control */
};

enum reading { READ_ALL, READ_NONE, READ_A_BYTE };

struct kind {
    const char *name;
    enum reading reading;
    bool closes; /* as soon as it is connected */
    void (*make_first)(struct piece *);
    void (*make_again)(struct piece *); /* NULL: nothing more is sent */
    struct piece first;
    struct piece again;
};

extern struct kind kinds[];
extern const size_t n_kinds;

/* NULL when there is none of that name. */
struct kind *kind_find(const char *name);

/* Makes the pieces of |k|, once. */
void kind_make(struct kind *k);

/* The bytes at the beginning of each connection; there when a kind has been made, or preface_make() was
 * called. */
extern struct piece preface;
void preface_make(void);

/* A call of |path| with an empty message; |known|: it is not the first on its connection. */
void piece_make_call(struct piece *p, const char *path, bool known);

/* Copies |p| to |to|, for the stream |id|. */
void piece_put(const struct piece *p, uint32_t id, uint8_t *to);

#endif
