/* Shared by the tests of collectors at work: a set with a sink that only counts. All of it asserts.
 */
#ifndef XTCP_TESTS_COLLECTORS_FIXTURE_H
#define XTCP_TESTS_COLLECTORS_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/collector.h"
#include "lib/clock.h"

#define PATIENCE (20 * NS_PER_S)

struct sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done;
    unsigned failed; /* of these */
    uint64_t rows;
    uint64_t wrong; /* batches with another poll than expected, or without rows */
    uint64_t want_poll;
    uint64_t cookie; /* of the last batch */
    struct collector_result last;
    uint64_t hold_id; /* not 0: batch() waits while it is, on threads of the collectors with this id */
    unsigned held;    /* that wait */
};

struct fixture {
    struct sink sink;
    struct batch_pool *pool;
    struct collectors *set;
    struct err e;
};

/* A set with as many slots as |dump_slots|; a collector's namespace has the id 7. */
void fixture_open(struct fixture *f, unsigned dump_slots);
/* The same with all |options| but for sink and pool. */
void fixture_open_with(struct fixture *f, struct collectors_options options);
void fixture_close(struct fixture *f);

struct poll_request *request_new(uint64_t poll_id, int64_t patience);

#define FIXTURE_ID 7
struct collector *start(struct fixture *f, const char *name, const char *path, uint64_t cookie, bool is_own);
struct collector *start_id(struct fixture *f, uint64_t id, const char *path);
void end(struct collector *c);

/* One poll with a request of its own. */
struct collector_result poll_once(struct fixture *f, struct collector *c, int64_t patience);

/* Waits until |want| results are there in all; returns the last one. */
struct collector_result wait_done(struct sink *s, unsigned want);
unsigned done_count(struct sink *s);

/* Has batch() wait for the collectors with the id |id|; 0: lets them go. */
void hold(struct sink *s, uint64_t id);
void wait_held(struct sink *s, unsigned want);

/* Entries of a directory of /proc/self: "fd", "task". */
size_t count_entries(const char *what);

#endif
