/* How fast the connections under guard are read: budgets, pauses, and the end of those that go on. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/tsan.h"
#include "rpc/guard_int.h"

/* A frame that gRPC answers, or that nobody needs, costs as much as so many others. */
#define COSTLY 20

/* Bytes sent to a client that make up for one frame that follows from them: it has to send WINDOW_UPDATEs for
 * what it reads, and acknowledge PINGs. And how many of them it can save up. */
#define SENT_PER_ANSWER 2048
#define CREDIT_MAX      16384

/* A read takes no more than what is left of a frame, something for frame headers, and the smallest calls that
 * there is budget for: what has been read cannot be given back. */
#define READ_MAX      16384
#define READ_LEAST    256
#define CALL_SMALLEST 12

/* What one connection may have read before others have a turn: bytes, a frame counting as so many. */
#define TURN_MAX   65536
#define TURN_FRAME 100

/* A connection that is over its budget for this long is closed, if so much waits in its socket that it does
 * not wait for answers, as clients do. */
#define HOT_NS      (2 * NS_PER_S)
#define HOT_BACKLOG 16384

/* While answers cannot be written, so many frames that ask for one are read: of a connection; of a user and
 * of all, in parts of calls_rate_max. What is sent earns further ones. A connection that stays there is
 * closed. */
#define STUCK_MAX      300
#define STUCK_USER     0.5
#define STUCK_ALL      1
#define SENT_PER_STUCK 1024
#define STUCK_LOOK_NS  (50 * NS_PER_MS)
#define STUCK_NS       (20 * NS_PER_S)

/* Resets that a connection may always send at once. */
#define RESETS_LEAST 1000

/* TLS: the type of a record with a part of a handshake (RFC 8446, section 5.1), and how many bytes one has at
 * most. */
#define TLS_HANDSHAKE 22
#define HIDDEN_MAX    65536

/* Those that a handshake usually has. */
#define HANDSHAKE_BYTES 6144

/* Users that come near their budget do not have the reserve of all: so much of a burst below zero. */
#define LIGHT   0.9
#define RESERVE 0.5

/* Memory is given back when a flood has been over for so long. */
#define TRIM_NS (2 * NS_PER_S)

/* ---- Budgets ---- */

/* For a rate of one call a second and user. Docs: docs/access.md. */
static const struct budget_limit per_call[GUARD_LEVELS][GUARD_CLASSES][2] = {
    [GUARD_OWN] = {[GUARD_OTHERS] = {[BUDGET_CALLS] = {0.5, 0.5}, [BUDGET_FRAMES] = {2, 4}},
                   [GUARD_CONTROL] = {[BUDGET_CALLS] = {25, 1}, [BUDGET_FRAMES] = {200, 40}}},
    [GUARD_USER] = {[GUARD_OTHERS] = {[BUDGET_CALLS] = {1, 0.5}, [BUDGET_FRAMES] = {5, 5}},
                    [GUARD_CONTROL] = {[BUDGET_CALLS] = {25, 1}, [BUDGET_FRAMES] = {200, 40}}},
    [GUARD_ALL] = {[GUARD_OTHERS] = {[BUDGET_CALLS] = {2, 1}, [BUDGET_FRAMES] = {10, 10}},
                   [GUARD_CONTROL] = {[BUDGET_CALLS] = {25, 1}, [BUDGET_FRAMES] = {200, 40}}},
};

static const struct budget_limit bytes[GUARD_LEVELS][GUARD_CLASSES] = {
    [GUARD_OWN] = {[GUARD_OTHERS] = {16e6, 8e6}, [GUARD_CONTROL] = {256e6, 64e6}},
    [GUARD_USER] = {[GUARD_OTHERS] = {16e6, 8e6}, [GUARD_CONTROL] = {256e6, 64e6}},
    [GUARD_ALL] = {[GUARD_OTHERS] = {32e6, 16e6}, [GUARD_CONTROL] = {256e6, 64e6}},
};

static const struct budget_limit data[GUARD_LEVELS][GUARD_CLASSES] = {
    [GUARD_OWN] = {[GUARD_OTHERS] = {256e3, 1e6}, [GUARD_CONTROL] = {64e6, 16e6}},
    [GUARD_USER] = {[GUARD_OTHERS] = {256e3, 1e6}, [GUARD_CONTROL] = {64e6, 16e6}},
    [GUARD_ALL] = {[GUARD_OTHERS] = {1e6, 4e6}, [GUARD_CONTROL] = {64e6, 16e6}},
};

void guard_set_budgets(void)
{
    const double rate = guard.limits.calls_rate;
    for (int l = 0; l < GUARD_LEVELS; l++) {
        for (int c = 0; c < GUARD_CLASSES; c++) {
            struct budget_limit *to = guard.budgets[l][c];
            for (int k = 0; k < 2; k++)
                to[k] = (struct budget_limit){rate * per_call[l][c][k].rate, rate * per_call[l][c][k].burst};
            to[BUDGET_BYTES] = bytes[l][c];
            to[BUDGET_DATA] = data[l][c];
        }
    }
}

/* Resets that a connection may send: more at once than it may have calls open, since a client that cancels
 * all of them at once is honest. */
static double resets_rate(void)
{
    return guard.limits.calls_rate / 10.0;
}

static double resets_burst(void)
{
    double burst = guard.limits.calls_rate / 2.0;
    return burst < RESETS_LEAST ? RESETS_LEAST : burst;
}

/* The same of connections of a user. */
static double connects_rate(void)
{
    double rate = guard.limits.calls_rate / 20.0;
    return rate < 5 ? 5 : rate;
}

static double connects_burst(void)
{
    double burst = guard.limits.calls_rate / 5.0;
    return burst < 32 ? 32 : burst;
}

bool guard_may_connect(struct guard_user *u, enum quota_rank rank, int64_t now_ns)
{
    double burst = connects_burst();
    if (u->connects < 0)
        u->connects = burst; /* the first one */
    else
        u->connects += (double)(now_ns - u->connects_ns) / (double)NS_PER_S * connects_rate();
    u->connects_ns = now_ns;
    if (u->connects > burst)
        u->connects = burst;
    if (rank == QUOTA_CONTROL)
        return true;
    if (u->connects < 1)
        return false;
    u->connects--;
    return true;
}

bool guard_is_fresh(struct guard_user *u, int64_t now_ns)
{
    bool full = true;
    for (int i = 0; i < GUARD_CLASSES; i++) {
        budget_refill(&u->budget[i], guard.budgets[GUARD_USER][i], now_ns);
        full = full && budget_has(&u->budget[i], guard.budgets[GUARD_USER][i], 1);
    }
    return full && u->connects + (double)(now_ns - u->connects_ns) / (double)NS_PER_S * connects_rate() >=
                       connects_burst();
}

/* Before the budgets of |c| are refilled. */
static void refill_resets(struct guard_conn *c, int64_t now_ns)
{
    c->resets += (double)(now_ns - c->own.at_ns) / (double)NS_PER_S * resets_rate();
    if (c->resets > resets_burst())
        c->resets = resets_burst();
}

void guard_flow_begin(struct guard_conn *c, int64_t now_ns)
{
    budget_init(&c->own, guard.budgets[GUARD_OWN][guard_class_of(c)], now_ns);
    c->resets = resets_burst();
    c->hot_ns = 0;
}

static void unstick(struct guard_conn *c, double amount)
{
    if (amount > c->stuck)
        amount = c->stuck;
    c->stuck -= amount;
    c->user->stuck -= amount;
    guard.stuck -= amount;
}

/* ---- Pauses ---- */

static void unpause(struct guard_conn *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    *(c->previous_paused ? &c->previous_paused->next_paused : &guard.paused) = c->next_paused;
    if (c->next_paused)
        c->next_paused->previous_paused = c->previous_paused;
    c->next_paused = c->previous_paused = NULL;
}

static void pause_until(struct guard_conn *c, int64_t wake_ns)
{
    c->wake_ns = wake_ns;
    c->turn = 0;
    if (c->paused)
        return;
    c->paused = true;
    c->next_paused = guard.paused;
    if (guard.paused)
        guard.paused->previous_paused = c;
    guard.paused = c;
    guard.stats.throttled++;
    pthread_cond_signal(&guard.changed);
}

void guard_resume(struct guard_conn *c)
{
    if (!c->paused)
        return;
    c->wake_ns = 0;
    pthread_cond_signal(&guard.changed);
}

/* Makes a new edge for gRPC, which then reads again: its own registration, repeated. */
static void wake(const struct guard_conn *c)
{
    struct epoll_event event = c->event;
    if (c->epoll >= 0)
        epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

void guard_watched(struct guard_conn *c, int epoll, const struct epoll_event *event)
{
    pthread_mutex_lock(&guard.lock);
    c->epoll = epoll;
    c->event = *event;
    pthread_mutex_unlock(&guard.lock);
}

void guard_flow_end(struct guard_conn *c)
{
    unpause(c);
    unstick(c, c->stuck);
}

/* Wakes those whose time has come. Returns when the next one is due; INT64_MAX: none. */
static int64_t wake_due(int64_t now_ns)
{
    int64_t next = INT64_MAX;
    struct guard_conn *c = guard.paused;
    while (c) {
        struct guard_conn *after = c->next_paused;
        if (c->wake_ns <= now_ns) {
            unpause(c);
            wake(c);
        } else if (c->wake_ns < next) {
            next = c->wake_ns;
        }
        c = after;
    }
    return next;
}

/* Gives memory back when a flood is over. The lock is held, but not meanwhile. */
static void trim(int64_t now_ns)
{
    if (guard.trim_ns == 0 || now_ns < guard.trim_ns)
        return;
    guard.trim_ns = 0;
    pthread_mutex_unlock(&guard.lock);
    malloc_trim(0);
    pthread_mutex_lock(&guard.lock);
}

void *guard_run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&guard.lock);
    while (!guard.stopping) {
        int64_t now = clock_mono_ns();
        trim(now);
        int64_t next = wake_due(now);
        if (guard.trim_ns && guard.trim_ns < next)
            next = guard.trim_ns;
        if (next == INT64_MAX) {
            pthread_cond_wait(&guard.changed, &guard.lock);
        } else {
            struct timespec until = {.tv_sec = next / NS_PER_S, .tv_nsec = next % NS_PER_S};
            pthread_cond_timedwait(&guard.changed, &guard.lock, &until);
        }
    }
    pthread_mutex_unlock(&guard.lock);
    return NULL;
}

/* ---- Judgement ---- */

/* Its reading ends for good, and its peer is told. */
static void kill_conn(struct guard_conn *c, enum rpc_guard_reason reason, struct guard_news *news)
{
    if (c->dead)
        return;
    c->dead = true;
    guard.trim_ns = clock_mono_ns() + TRIM_NS;
    guard_blame(c->user, reason, news);
    shutdown(c->fd, SHUT_RDWR);
}

/* Takes account of what was sent since the last read. */
static void settle_sent(struct guard_conn *c)
{
    uint64_t sent = atomic_load_explicit(&c->sent, memory_order_relaxed);
    double more = (double)(sent - c->sent_seen);
    c->sent_seen = sent;
    c->credit += more / SENT_PER_ANSWER;
    if (c->credit > CREDIT_MAX)
        c->credit = CREDIT_MAX;
    unstick(c, atomic_load(&c->blocked) ? more / SENT_PER_STUCK : c->stuck);
}

/* Whether too many answers of |c| wait to be written. */
static bool is_stuck(const struct guard_conn *c)
{
    double rate = guard.limits.calls_rate;
    return atomic_load(&c->blocked) &&
           (c->stuck >= STUCK_MAX || c->user->stuck >= STUCK_USER * rate || guard.stuck >= STUCK_ALL * rate);
}

/* How long |c| has to wait for its answers to be read, in ns. */
static int64_t wait_for_answers(struct guard_conn *c, int64_t now_ns, struct guard_news *news)
{
    if (!is_stuck(c)) {
        c->stuck_ns = 0;
        return 0;
    }
    if (c->stuck_ns == 0)
        c->stuck_ns = now_ns;
    if (now_ns - c->stuck_ns > STUCK_NS && guard_class_of(c) != GUARD_CONTROL)
        kill_conn(c, RPC_GUARD_UNREAD, news);
    return STUCK_LOOK_NS;
}

static bool has_backlog(int fd)
{
    int waiting = 0;
    return ioctl(fd, FIONREAD, &waiting) == 0 && waiting >= HOT_BACKLOG;
}

/* |c| has to wait for a budget of its own or its user's, of |kind|: closes it when that is so for long. */
static void judge(struct guard_conn *c, enum budget_kind kind, int64_t now_ns, struct guard_news *news)
{
    static const enum rpc_guard_reason why[BUDGET_KINDS] = {[BUDGET_CALLS] = RPC_GUARD_CALLS,
                                                            [BUDGET_FRAMES] = RPC_GUARD_FRAMES,
                                                            [BUDGET_BYTES] = RPC_GUARD_BYTES,
                                                            [BUDGET_DATA] = RPC_GUARD_DATA};
    if (c->hot_ns == 0)
        c->hot_ns = now_ns;
    guard.trim_ns = now_ns + TRIM_NS;
    if (now_ns - c->hot_ns > HOT_NS && guard_class_of(c) != GUARD_CONTROL && has_backlog(c->fd))
        kill_conn(c, why[kind], news);
}

/* How long |c| must not be read, in ns; 0: it may be. */
static int64_t wait_of(struct guard_conn *c, int64_t now_ns, struct guard_news *news)
{
    enum guard_class class = guard_class_of(c);
    const struct budget_limit *own = guard.budgets[GUARD_OWN][class];
    const struct budget_limit *of_user = guard.budgets[GUARD_USER][class];
    const struct budget_limit *of_all = guard.budgets[GUARD_ALL][class];
    struct budget *user = &c->user->budget[class];
    enum budget_kind kind = BUDGET_CALLS;
    enum budget_kind other;
    refill_resets(c, now_ns);
    budget_refill(&c->own, own, now_ns);
    budget_refill(user, of_user, now_ns);
    budget_refill(&guard.all[class], of_all, now_ns);
    int64_t wait = budget_wait(&c->own, own, 0, &kind);
    int64_t more = budget_wait(user, of_user, 0, wait ? &other : &kind);
    if (more > wait)
        wait = more;
    if (wait)
        judge(c, kind, now_ns, news);
    else if (budget_has(&c->own, own, 0.5) && budget_has(user, of_user, 0.5))
        c->hot_ns = 0;
    /* A user that asks little is not made to wait for those that ask much. */
    bool light = budget_has(&c->own, own, LIGHT) && budget_has(user, of_user, LIGHT);
    more = budget_wait(&guard.all[class], of_all, light ? -RESERVE : 0, &other);
    if (more > wait)
        wait = more;
    more = wait_for_answers(c, now_ns, news);
    return more > wait ? more : wait;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* How much may be read at once. */
static size_t room_of(const struct guard_conn *c)
{
    enum guard_class class = guard_class_of(c);
    double calls = least(c->own.have[BUDGET_CALLS], least(c->user->budget[class].have[BUDGET_CALLS],
                                                          guard.all[class].have[BUDGET_CALLS]));
    double room = (double)c->meter.left + READ_LEAST + (calls > 0 ? CALL_SMALLEST * calls : 0);
    return (size_t)least(room, READ_MAX);
}

/* The others have a turn when |c| has had one. Returns whether it has. */
static bool turn_is_over(struct guard_conn *c)
{
    if (c->turn < TURN_MAX)
        return false;
    c->turn = 0;
    wake(c);
    return true;
}

int guard_before_read(struct guard_conn *c, size_t *room)
{
    struct guard_news news = {0};
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&guard.lock);
    settle_sent(c);
    int64_t wait = c->dead ? 0 : wait_of(c, now, &news);
    int rc = c->dead ? -ECONNRESET : wait ? -EAGAIN : 0;
    if (rc == -EAGAIN)
        pause_until(c, now + wait);
    else if (rc == 0 && turn_is_over(c))
        rc = -EAGAIN;
    *room = room_of(c);
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
    return rc;
}

/* ---- Counting ---- */

static void spend(struct guard_conn *c, enum budget_kind kind, double amount)
{
    enum guard_class class = guard_class_of(c);
    c->own.have[kind] -= amount;
    c->user->budget[class].have[kind] -= amount;
    guard.all[class].have[kind] -= amount;
}

/* Charges |n| to |c|. */
static void charge(struct guard_conn *c, const struct h2_count *n, struct guard_news *news)
{
    double paid = least(c->credit, n->answers);
    c->credit -= paid;
    spend(c, BUDGET_CALLS, n->calls);
    spend(c, BUDGET_FRAMES, n->frames - n->costly - paid + (double)n->costly * COSTLY);
    spend(c, BUDGET_DATA, (double)n->data);
    c->turn += n->frames * TURN_FRAME;
    if (atomic_load(&c->blocked)) {
        double asked = n->calls + n->costly;
        c->stuck += asked;
        c->user->stuck += asked;
        guard.stuck += asked;
    }
    if (n->resets == 0 || guard_class_of(c) == GUARD_CONTROL)
        return;
    c->resets -= n->resets;
    if (c->resets < 0)
        kill_conn(c, RPC_GUARD_RESETS, news);
}

static struct guard_conn *find_random(const uint8_t *random)
{
    struct guard_conn *c = guard.by_random[guard_random_bucket(random)];
    while (c && memcmp(c->hello + TLS_RANDOM_AT, random, TLS_RANDOM_SIZE) != 0)
        c = c->next_random;
    return c;
}

/* Keeps the beginning of a connection by TLS, which tells it from others when SSL_read is called for it.
 * Returns false when another connection has the same: that is no chance. */
TSAN_IGNORED static bool keep_hello(struct guard_conn *c, const uint8_t *p, size_t n)
{
    bool unique = true;
    for (; n > 0 && c->hello_size < TLS_HELLO_SIZE; n--) {
        c->hello[c->hello_size++] = *p++;
        if (c->hello_size < TLS_HELLO_SIZE)
            continue;
        struct guard_conn **bucket = &guard.by_random[guard_random_bucket(c->hello + TLS_RANDOM_AT)];
        unique = !find_random(c->hello + TLS_RANDOM_AT);
        c->next_random = *bucket;
        *bucket = c;
    }
    return unique;
}

/* Whether the random bytes of a ClientHello are where they should be: in its first record. What is no TLS at
 * all is left to OpenSSL, which takes it for nothing else. */
static bool is_plain_hello(const struct guard_conn *c)
{
    static const struct {
        uint8_t at, value;
    } fixed[] = {{1, 3}, {5, 1}, {9, 3}};
    if (c->hello_size == 0 || c->hello[0] != TLS_HANDSHAKE)
        return true;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (c->hello_size > fixed[i].at && c->hello[fixed[i].at] != fixed[i].value)
            return false;
    }
    return c->hello_size < 5 || c->hello[3] > 0 || c->hello[4] >= TLS_HELLO_SIZE - 5;
}

/* A record of TLS is decrypted when all of it has come: until then, the calls that may be in it are taken
 * from the budget. A handshake has none. */
static void reserve(struct guard_conn *c, size_t n)
{
    size_t free =
        c->meter.preface == 0 && c->hidden < HANDSHAKE_BYTES ? HANDSHAKE_BYTES - (size_t)c->hidden : 0;
    double calls = n > free ? (double)(n - free) / CALL_SMALLEST : 0;
    c->reserved += calls;
    spend(c, BUDGET_CALLS, calls);
}

static void count_hidden(struct guard_conn *c, const uint8_t *p, size_t n, struct guard_news *news)
{
    bool unique = keep_hello(c, p, n);
    reserve(c, n);
    if (c->meter.preface > 0)
        return;
    c->hidden += n;
    if (!unique || !is_plain_hello(c) || c->hidden > HIDDEN_MAX)
        kill_conn(c, RPC_GUARD_BLIND, news);
}

int guard_after_read(struct guard_conn *c, const struct iovec *iov, size_t n)
{
    struct guard_news news = {0};
    struct h2_count found = {0};
    pthread_mutex_lock(&guard.lock);
    spend(c, BUDGET_BYTES, (double)n);
    c->turn += (uint32_t)n;
    for (; n > 0; iov++) {
        size_t part = iov->iov_len < n ? iov->iov_len : n;
        if (c->tls)
            count_hidden(c, iov->iov_base, part, &news);
        else
            h2_meter_read(&c->meter, iov->iov_base, part, &found);
        n -= part;
    }
    if (!c->tls)
        charge(c, &found, &news);
    int rc = c->dead ? -ECONNRESET : 0;
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
    return rc;
}

void guard_decrypted(const uint8_t random[TLS_RANDOM_SIZE], const uint8_t *plain, size_t n)
{
    struct guard_news news = {0};
    struct h2_count found = {0};
    pthread_mutex_lock(&guard.lock);
    struct guard_conn *c = find_random(random);
    if (c) {
        spend(c, BUDGET_CALLS, -c->reserved);
        c->reserved = 0;
        h2_meter_read(&c->meter, plain, n, &found);
        charge(c, &found, &news);
    }
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
}

void guard_after_send(struct guard_conn *c, size_t asked, size_t sent)
{
    atomic_fetch_add_explicit(&c->sent, sent, memory_order_relaxed);
    bool blocked = sent < asked;
    if (atomic_load_explicit(&c->blocked, memory_order_relaxed) != blocked)
        atomic_store(&c->blocked, blocked);
}
