/* Standard output, the width that it may have, and the notes on standard error beside it. One thread. */
#ifndef XTCP_CLIENT_OUTPUT_H
#define XTCP_CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"

struct output {
    int fd;
    int size_fd;     /* the terminal whose size counts: |fd|, unless that is only on the way to it */
    int notes_fd;    /* where notes go: standard error */
    int stop_fd;     /* readable: do not wait for |fd| any longer; -1: wait for any time */
    bool terminal;   /* |fd| is one */
    bool progress;   /* a line of output_progress is on the screen */
    struct buf data; /* append here; output_flush writes it */
    int error; /* 0, or -errno of the first write that failed: -EPIPE when the reader has gone, -ECANCELED
                  when it did not read on and |stop_fd| ended the wait */
};

/* Over |fd|, which stays the caller's. Its stop_fd is -1. */
void output_init(struct output *o, int fd);

/* Frees the memory; what was not flushed is lost. */
void output_fini(struct output *o);

/* Writes all of |data|. Returns 0 or the -errno that is in |error| (the data is dropped then). */
int output_flush(struct output *o);

/* Flushes when much waits. Returns as output_flush. */
int output_flush_if_large(struct output *o);

#define OUTPUT_WIDTH_FILE 132 /* columns of a table that does not go to a terminal */

/* Columns that a table may take: $COLUMNS, else the width of the terminal, else 80 on a terminal and
 * OUTPUT_WIDTH_FILE elsewhere. */
size_t output_width(const struct output *o);

/* Lines of the terminal, 0 when it is none. */
size_t output_height(const struct output *o);

/* Flushes |o| (may be NULL), then writes one line to standard error, the text made printable: with
 * "xtcp2client: " before it, as errors have it, or as it is. */
void output_note(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void output_say(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a line to standard error that is gone again with the next output of any kind, or when it is replaced
 * by the next such line; nothing when standard error is no terminal. */
void output_progress(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
