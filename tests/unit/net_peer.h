/* For tests of network sinks: a sink with what an output gives it, and peers on loopback and on socket files. */
#ifndef XTCP_TESTS_NET_PEER_H
#define XTCP_TESTS_NET_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "sink_host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How long a peer waits for what has to come. */
#define PATIENCE_MS 20000

/* ---- A sink ---- */

struct sink_case {
    struct sink_host_fake host;
    struct url url;
    struct output_kind kind;
    struct sink_env env;
    const struct sink_ops *ops;
    void *sink;
    struct err e; /* of the last call */
};

/* Opens a sink for the destination that |format| makes. |options| must live as long. Returns the result of open. */
int sink_case_open(struct sink_case *c, const struct sink_ops *ops, const void *options, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
void sink_case_close(struct sink_case *c);

/* |fresh| may be NULL. */
enum sink_result sink_case_connect(struct sink_case *c, bool *fresh);
enum sink_result sink_case_send(struct sink_case *c, const void *data, size_t len);

/* Fails unless the last error is |text|, formatted. */
void assert_error(const struct sink_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Connects until that fails, as it does when the end of a connection has been noticed. */
void sink_case_await_end(struct sink_case *c);

/* ---- Peers ---- */

/* A folder for files, of the process: made at the first call, removed by peer_clean. Returns its file |name|, in one of
 * a few buffers. */
const char *peer_path(const char *name);
int peer_clean(void **state);
/* Writes |text| to its file |name|. Returns the path, which the caller frees. */
char *peer_write_file(const char *text, const char *name);

/* A listening socket at 127.0.0.1 or ::1, on any port (0: with |backlog| -1, none listens there, but it is taken). */
int peer_listen(int family, int backlog, uint16_t *port);
/* A unix socket of |type|, bound to |path|; one of SOCK_STREAM listens. */
int peer_listen_unix(int type, const char *path, int backlog);
/* A bound datagram socket. */
int peer_udp(int family, uint16_t *port);

/* The next connection. */
int peer_accept(int listener);

/* Reads up to |len| bytes, fewer at the end only. Returns how many; -errno for a reset. */
ssize_t peer_read(int fd, void *data, size_t len);
/* Reads all up to the end into |out|. Returns 0 or -errno. */
int peer_read_all(int fd, struct buf *out);
/* Fails unless exactly |len| bytes |data| come next. */
void assert_reads(int fd, const void *data, size_t len);

/* A thread that serves one connection: |serve| gets the accepted socket, which is closed behind it. */
struct peer_thread {
    int listener;
    int (*serve)(struct peer_thread *t, int fd);
    void *arg;
    struct buf got;
    int result; /* of serve */
    pthread_t id;
};

void peer_start(struct peer_thread *t, int listener, int (*serve)(struct peer_thread *t, int fd), void *arg);
/* Waits for its end. Returns its result; the caller frees |t->got|. */
int peer_join(struct peer_thread *t);

/* Bytes that differ from place to place. */
uint8_t *peer_pattern(size_t len, unsigned seed);

#endif
