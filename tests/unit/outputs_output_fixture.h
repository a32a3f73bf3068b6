/* An output around a sink that does what the test says, and what came of it. All of it asserts.
 *
 * The program is linked with --wrap=sink_find,--wrap=backoff_next: every destination is the sink of the script, and pauses
 * between attempts are as long as the script says. */
#ifndef XTCP_TESTS_OUTPUTS_OUTPUT_FIXTURE_H
#define XTCP_TESTS_OUTPUTS_OUTPUT_FIXTURE_H

#include "lib_test.h"

#include <pthread.h>

#include "lib/backoff.h"
#include "lib/clock.h"
#include "outputs/output.h"
#include "outputs/sink/sink.h"

#define KIB 1024ULL

/* ---- The sink ---- */

enum { SCRIPT_STEPS = 64, SCRIPT_IDS = 1 << 20, SCRIPT_LOG = 1 << 16 };

/* A message that was delivered. */
struct script_message {
    uint32_t rows;
    uint64_t first; /* id of its first row; its last one */
    uint64_t last;
    uint64_t poll_id;
    size_t len;
    bool header;
};

/* Whoever reads or writes it while the output runs holds the lock. */
struct script {
    pthread_mutex_t lock;

    /* What is to happen. The lists are used up, then comes the default. */
    enum sink_result connects[SCRIPT_STEPS], connects_default;
    size_t n_connects;
    enum sink_result sends[SCRIPT_STEPS],
        sends_default; /* of messages, one by one; after AGAIN and BROKEN that
                                                            holds for all behind it in the list */
    size_t n_sends;
    bool draws;         /* results are drawn: what fails is broken, not now or refused */
    bool hangs;         /* in wait, within send, until it is cancelled or |hangs| is false */
    bool hangs_connect; /* the same within connect */
    int64_t slow_ns;    /* every send waits so long */
    int64_t pause_ns;   /* between attempts; as long as that */
    size_t largest;
    enum output_key key;
    size_t resend; /* as the option of that name of tcp */
    bool resends;  /* the sink has unsure */

    /* The connection. */
    bool connected;
    size_t written; /* bytes on this one, or the last one */

    /* What has happened. */
    unsigned opened, connected_times, sends_begun, poll_ends, reopened, closed, pauses;
    bool in_wait;
    struct script_message log[SCRIPT_LOG];
    size_t n_log;
    uint8_t delivered[SCRIPT_IDS]; /* how often the row of that id was */
    uint64_t rows;                 /* delivered, each time */
    uint64_t tests;                /* synthetic records among these */
};
extern struct script script;

/* Appends to |connects| or |sends|. */
void script_connect(enum sink_result r);
void script_send(enum sink_result r);
/* What comes from now on. */
void script_defaults(enum sink_result connects, enum sink_result sends);
void script_hang(bool hangs);

/* The script as it is now: a number of it, read under its lock. */
#define SCRIPT(member)                                                                                       \
    ({                                                                                                       \
        pthread_mutex_lock(&script.lock);                                                                    \
        __typeof__(script.member) value_ = script.member;                                                    \
        pthread_mutex_unlock(&script.lock);                                                                  \
        value_;                                                                                              \
    })

/* How many rows of the ids |first| up to |end| were delivered, and how many of these more than once. */
struct deliveries {
    uint64_t rows, twice;
};
struct deliveries deliveries(uint64_t first, uint64_t end);

/* Each row of the ids |first| up to |end| was delivered once. */
void expect_all_once(uint64_t first, uint64_t end);

/* The rows were delivered in the order of their ids, each message with those that follow. */
void expect_in_order(void);

const struct sink_ops *__wrap_sink_find(const struct output_kind *kind, struct err *e);
int64_t __wrap_backoff_next(struct backoff *b);

/* ---- The output ---- */

struct output_fixture {
    struct output_config config; /* of the next output */
    struct output *o;            /* NULL: none */
    char spool_dir[40];          /* in which it has its spool; removed behind each test */
    uint64_t id;                 /* of the next row */
    uint64_t poll_id;
    _Atomic unsigned changes; /* calls of |changed| */
};
extern struct output_fixture fix;

void config_to(const char *to);
void config_format(const char *format);

/* Makes the output of |fix.config| and starts it. */
void start(void);
/* Only makes it. */
void make(void);

/* Rows of the poll at hand, in batches; the end of that; both. */
void put(uint32_t rows);
void end_poll(void);
void poll_of(uint32_t rows);

/* Bytes that |rows| rows count for in a queue, when they come in one batch. */
uint64_t queue_bytes(uint32_t rows);

/* The status, with drops by their reasons. */
struct view {
    struct output_status s;
    uint64_t dropped[OUTPUT_DROPS];
    uint64_t dropped_all;
    char error[ERR_TEXT_MAX];
};

/* The status now. Returns whether no row is missing in it, and none is in it twice. Any thread, asserts nothing. */
bool view_of(struct output *o, struct view *out);

/* The same, and asserts that. */
struct view look_at(struct output *o);

extern struct view now; /* that of |fix.o|, as of the last WAIT_UNTIL or look */
void look(void);

/* Looks until |condition|; it may take long when the machine is slow. */
#define WAIT_UNTIL(condition)                                                                                \
    do {                                                                                                     \
        int64_t end_ = clock_mono_ns() + 30 * NS_PER_S;                                                      \
        for (look(); !(condition); look()) {                                                                 \
            if (clock_mono_ns() > end_)                                                                      \
                fail_msg("never: %s", #condition);                                                           \
            nap(NS_PER_MS / 2);                                                                              \
        }                                                                                                    \
    } while (0)

void nap(int64_t ns);

/* Waits until nothing is queued. */
void wait_until_sent(void);

/* Stops it with |time_ns| to do so, and frees it; it ends in time. |now| is the last status. */
void finish(int64_t time_ns);

/* ---- For cmocka ---- */

int output_setup(void **state);
int output_teardown(void **state);
int output_group_setup(void **state);
int output_group_teardown(void **state);

#define OUTPUT_TEST(name) cmocka_unit_test_setup_teardown(name, output_setup, output_teardown)

#endif
