/* Controls how fast the connections under guard are read: budgets, pauses, and the end of those that exceed
 * their budget for long. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/thread.h"
#include "lib/tsan.h"
#include "rpc/server/guard_internal.h"

/* A frame that gRPC answers, or that nobody needs, costs as much as this many others. */
#define COSTLY 20

/* Bytes sent to a client that pay for one frame that follows from them: it has to send WINDOW_UPDATEs for the
 * data it reads, and acknowledge PINGs. Also the number of such frames that it can save up. */
#define SENT_PER_ANSWER 2048
#define CREDIT_MAX      16384

/* A read takes no more than the rest of a frame, something for frame headers, and the smallest calls that
 * there is budget for: bytes that have been read cannot be given back. */
#define READ_MAX      16384
#define READ_LEAST    256
#define CALL_SMALLEST 12

/* The most that one connection may have read before others have a turn: bytes, and the bytes that a frame
 * counts as. */
#define TURN_MAX   65536
#define TURN_FRAME 100

/* A connection that is over its budget for this long is closed, if so much waits in its socket that it cannot
 * be a client that waits for its answers. */
#define HOT_NS      (2 * NS_PER_S)
#define HOT_BACKLOG 32768

/* While answers cannot be written, this many frames that ask for one are read: of a connection; of a user and
 * of all users, in parts of calls_rate_max. Answers that are sent earn further ones. A connection that stays
 * there is closed. */
#define STUCK_MAX      300
#define STUCK_USER     0.5
#define STUCK_ALL      1
#define SENT_PER_STUCK 1024
#define STUCK_CONTROL  3000 /* of the role control */
#define STUCK_FEW      30   /* that do not count for other connections */
#define STUCK_LOOK_NS  (50 * NS_PER_MS)
#define UNREAD_LOOK_NS (1 * NS_PER_S)
#define STUCK_NS       (20 * NS_PER_S)

/* Resets that a connection may always send at once. */
#define RESETS_LEAST 1000

/* TLS: the types of a record with a part of a handshake and of a ServerHello in it (RFC 8446, sections 5.1
 * and 4). */
#define TLS_HANDSHAKE    22
#define TLS_SERVER_HELLO 2

/* The most bytes of a handshake: more bytes that nobody has decrypted are no handshake. */
#define HIDDEN_MAX 65536

/* The bytes that a handshake usually has. */
#define HANDSHAKE_BYTES 6144

/* The size of a call in a TLS record that is assumed before the record is decrypted. */
#define CALL_HIDDEN 40

/* A user with this part of its own budgets left is one that asks little. */
#define LIGHT 0.9

/* Memory is given back when a flood has been over for this long. */
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

/* The same for connections of a user. */
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

/* To be called before the budgets of |c| are refilled. */
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
    c->light = false;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* ---- Answers that cannot be written ---- */

/* Counts |amount| more, or less, for the user and for all. Connections with the role control count for
 * themselves. */
static void share_stuck(struct guard_conn *c, double amount)
{
    c->stuck += amount;
    if (guard_class_of(c) == GUARD_CONTROL)
        return;
    c->user->stuck += amount;
    guard.stuck += amount;
}

static void stick(struct guard_conn *c, double amount)
{
    if (amount <= 0)
        return;
    if (c->stuck <= 0) {
        c->stuck_ns = clock_mono_ns();
        c->next_stuck = guard.stuck_conns;
        if (guard.stuck_conns)
            guard.stuck_conns->previous_stuck = c;
        guard.stuck_conns = c;
        pthread_cond_signal(&guard.changed);
    }
    share_stuck(c, amount);
}

static void unstick(struct guard_conn *c, double amount)
{
    if (c->stuck <= 0 || amount <= 0)
        return;
    share_stuck(c, amount < c->stuck ? -amount : -c->stuck);
    if (c->stuck > 0)
        return;
    *(c->previous_stuck ? &c->previous_stuck->next_stuck : &guard.stuck_conns) = c->next_stuck;
    if (c->next_stuck)
        c->next_stuck->previous_stuck = c->previous_stuck;
    c->next_stuck = c->previous_stuck = NULL;
}

/* Accounts for the bytes sent since the last time. */
static void settle_sent(struct guard_conn *c, int64_t now_ns)
{
    uint64_t sent = atomic_load_explicit(&c->sent, memory_order_relaxed);
    double more = (double)(sent - c->sent_seen);
    c->sent_seen = sent;
    c->credit += more / SENT_PER_ANSWER;
    if (c->credit > CREDIT_MAX)
        c->credit = CREDIT_MAX;
    if (more > 0)
        c->stuck_ns = now_ns;
    unstick(c, atomic_load(&c->blocked) ? more / SENT_PER_STUCK : c->stuck);
}

/* How many more frames that ask for an answer may be read of |c| while its answers wait: at least 0. A
 * connection with few such frames does not pay for others of its user, or for other users. */
static double stuck_room(const struct guard_conn *c)
{
    double rate = guard.limits.calls_rate;
    double room = (guard_class_of(c) == GUARD_CONTROL ? STUCK_CONTROL : STUCK_MAX) - c->stuck;
    if (guard_class_of(c) != GUARD_CONTROL) {
        double few = STUCK_FEW - c->stuck;
        double shared = least(STUCK_USER * rate - c->user->stuck, STUCK_ALL * rate - guard.stuck);
        room = least(room, shared > few ? shared : few);
    }
    return room > 0 ? room : 0;
}

/* Whether the peer of |c| has read nothing for long, with answers waiting. */
static bool is_unread(const struct guard_conn *c, int64_t now_ns)
{
    return atomic_load(&c->blocked) && c->stuck >= STUCK_FEW && now_ns - c->stuck_ns > STUCK_NS &&
           guard_class_of(c) != GUARD_CONTROL;
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

void guard_flow_unstick(struct guard_conn *c)
{
    unstick(c, c->stuck);
}

void guard_flow_end(struct guard_conn *c)
{
    unpause(c);
    guard_flow_unstick(c);
    guard_give_back(c);
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

void guard_trim_soon(void)
{
    if (guard.trim_ns == 0)
        pthread_cond_signal(&guard.changed);
    guard.trim_ns = clock_mono_ns() + TRIM_NS;
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

/* Ends the reading of |c| for good, and tells its peer. */
static void kill_conn(struct guard_conn *c, enum rpc_guard_reason reason, struct guard_news *news)
{
    if (c->dead)
        return;
    c->dead = true;
    guard_trim_soon();
    guard_blame(c->user, reason, news);
    shutdown(c->fd, SHUT_RDWR);
}

/* Closes connections whose answers nobody reads, also when they send nothing more. Returns when to look
 * again. The lock is held, but not while the log is written. */
static int64_t close_unread(int64_t now_ns)
{
    struct guard_news news = {0};
    struct guard_conn *c = guard.stuck_conns;
    while (c) {
        struct guard_conn *after = c->next_stuck;
        settle_sent(c, now_ns);
        if (is_unread(c, now_ns))
            kill_conn(c, RPC_GUARD_UNREAD, &news);
        c = after;
    }
    if (news.any) {
        pthread_mutex_unlock(&guard.lock);
        guard_tell(&news);
        pthread_mutex_lock(&guard.lock);
    }
    return guard.stuck_conns ? now_ns + UNREAD_LOOK_NS : INT64_MAX;
}

void *guard_run(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&guard.lock);
    while (!guard.stopping) {
        int64_t now = clock_mono_ns();
        trim(now);
        int64_t next = close_unread(now);
        next = clock_earlier(next, wake_due(now));
        if (guard.trim_ns)
            next = clock_earlier(next, guard.trim_ns);
        if (guard.stopping) /* set while the lock was not held */
            break;
        thread_cond_wait(&guard.changed, &guard.lock, next);
    }
    pthread_mutex_unlock(&guard.lock);
    return NULL;
}

/* ---- Judgement ---- */

/* The time that |c| has to wait for its answers to be read, in ns. */
static int64_t wait_for_answers(struct guard_conn *c, int64_t now_ns, struct guard_news *news)
{
    if (!atomic_load(&c->blocked) || stuck_room(c) > 0)
        return 0;
    if (is_unread(c, now_ns))
        kill_conn(c, RPC_GUARD_UNREAD, news);
    return STUCK_LOOK_NS;
}

/* Whether more waits in the socket than the rest of a frame and the bytes of a client that waits for its
 * answers. */
static bool has_backlog(const struct guard_conn *c)
{
    int waiting = 0;
    uint32_t left = c->meter.left < READ_MAX ? c->meter.left : READ_MAX; /* announced bytes may never come */
    return ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting >= HOT_BACKLOG + (int)left;
}

/* |c| has to wait for a budget of its own or its user's, of |kind|: closes it when that is so for long. Bytes
 * of requests are no reason: a client that waits for each answer sends as many. */
static void judge(struct guard_conn *c, enum budget_kind kind, int64_t now_ns, struct guard_news *news)
{
    static const enum rpc_guard_reason why[BUDGET_KINDS] = {[BUDGET_CALLS] = RPC_GUARD_CALLS,
                                                            [BUDGET_FRAMES] = RPC_GUARD_FRAMES,
                                                            [BUDGET_BYTES] = RPC_GUARD_BYTES};
    if (c->hot_ns == 0)
        c->hot_ns = now_ns;
    guard_trim_soon();
    if (now_ns - c->hot_ns > HOT_NS && guard_class_of(c) != GUARD_CONTROL && kind != BUDGET_DATA &&
        has_backlog(c))
        kill_conn(c, why[kind], news);
}

/* Whether |c| has to wait for calls only because some are reserved, for itself or its user: that is no fault of |c|,
 * which may be an honest client of a busy machine. */
static bool only_reserved(const struct guard_conn *c)
{
    enum guard_class class = guard_class_of(c);
    return c->own.have[BUDGET_CALLS] + c->reserved > 0 &&
           c->user->budget[class].have[BUDGET_CALLS] + c->user->reserved[class] > 0;
}

/* The common budget that |c| shares with others. */
static struct budget *all_of(const struct guard_conn *c)
{
    return c->light ? &guard.light : &guard.all[guard_class_of(c)];
}

/* The time for which |c| must not be read, in ns; 0: it may be. */
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
    budget_refill(&guard.light, of_all, now_ns);
    int64_t wait = budget_wait(&c->own, own, &kind);
    int64_t more = budget_wait(user, of_user, wait ? &other : &kind);
    if (more > wait)
        wait = more;
    if (wait && kind == BUDGET_CALLS && only_reserved(c))
        c->hot_ns = 0;
    else if (wait)
        judge(c, kind, now_ns, news);
    else if (budget_has(&c->own, own, 0.5) && budget_has(user, of_user, 0.5))
        c->hot_ns = 0;
    /* Users that ask little share a budget of their own, and do not wait for those that ask much. */
    if (class == GUARD_OTHERS && c->reserved <= 0) /* reserved calls go back where they came from */
        c->light = budget_has(&c->own, own, LIGHT) && budget_has(user, of_user, LIGHT);
    more = budget_wait(all_of(c), of_all, &other);
    if (more > wait)
        wait = more;
    more = wait_for_answers(c, now_ns, news);
    return more > wait ? more : wait;
}

/* The bytes that may be read at once. */
static size_t room_of(const struct guard_conn *c)
{
    enum guard_class class = guard_class_of(c);
    double calls = least(c->own.have[BUDGET_CALLS],
                         least(c->user->budget[class].have[BUDGET_CALLS], all_of(c)->have[BUDGET_CALLS]));
    double room = calls > 0 ? CALL_SMALLEST * calls : 0;
    if (atomic_load(&c->blocked))
        room = least(room, H2_HEADER_SIZE * stuck_room(c));
    return (size_t)least((double)c->meter.left + READ_LEAST + room, READ_MAX);
}

/* Lets others have a turn once |c| has had one. Returns whether it has. */
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
    settle_sent(c, now);
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
    all_of(c)->have[kind] -= amount;
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
    if (atomic_load(&c->blocked))
        stick(c, n->calls + n->costly);
    if (n->endless)
        kill_conn(c, RPC_GUARD_HEADERS, news);
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

/* |hello| is the beginning of a record. Returns whether it is a ServerHello, and not the one that only asks
 * for another ClientHello (its random bytes are those of RFC 8446, section 4.1.3). */
static bool is_server_hello(const uint8_t *hello)
{
    static const uint8_t retry[TLS_RANDOM_SIZE] = {
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    return hello[0] == TLS_HANDSHAKE && hello[TLS_HEADER_SIZE] == TLS_SERVER_HELLO &&
           memcmp(hello + TLS_RANDOM_AT, retry, sizeof(retry)) != 0;
}

/* The random bytes of the ServerHello, which are ours and never the same twice, identify |c| when SSL_read is
 * called for it. */
static void know(struct guard_conn *c)
{
    struct guard_conn **bucket = &guard.by_random[guard_random_bucket(c->hello + TLS_RANDOM_AT)];
    if (find_random(c->hello + TLS_RANDOM_AT))
        return; /* its bytes will not be decrypted */
    c->known = true;
    c->next_random = *bucket;
    *bucket = c;
}

/* Looks for the ServerHello in |n| bytes that have been sent, record by record. */
TSAN_IGNORED static void look_for_hello(struct guard_conn *c, const uint8_t *p, size_t n)
{
    for (; n > 0 && !c->known; n--, p++) {
        if (c->record_at < TLS_HELLO_SIZE)
            c->hello[c->record_at] = *p;
        c->record_at++;
        if (c->record_at < TLS_HEADER_SIZE)
            continue;
        if (c->record_at == TLS_HELLO_SIZE && is_server_hello(c->hello))
            know(c);
        else if (c->record_at == TLS_HEADER_SIZE + (uint32_t)(c->hello[3] << 8 | c->hello[4]))
            c->record_at = 0;
    }
}

/* A record of TLS is decrypted when all of it has come: until then, the calls that may be in it are taken
 * from the budget, but never all of the budget: the rest of the record must be able to come. A handshake has
 * no calls, nor has the payload of a frame that has begun. */
static void reserve(struct guard_conn *c, size_t n)
{
    uint64_t none = c->meter.preface == 0 ? HANDSHAKE_BYTES : c->meter.left;
    uint64_t before = c->hidden > none ? c->hidden - none : 0;
    uint64_t after = c->hidden + n > none ? c->hidden + n - none : 0;
    double room = guard.budgets[GUARD_OWN][guard_class_of(c)][BUDGET_CALLS].burst / 2 - c->reserved;
    double calls = least((double)(after - before) / CALL_HIDDEN, room > 0 ? room : 0);
    c->reserved += calls;
    c->user->reserved[guard_class_of(c)] += calls;
    spend(c, BUDGET_CALLS, calls);
}

void guard_give_back(struct guard_conn *c)
{
    spend(c, BUDGET_CALLS, -c->reserved);
    c->user->reserved[guard_class_of(c)] -= c->reserved;
    c->reserved = 0;
    c->hidden = 0;
}

static void count_hidden(struct guard_conn *c, size_t n, struct guard_news *news)
{
    reserve(c, n);
    c->hidden += n;
    if (c->hidden > HIDDEN_MAX)
        kill_conn(c, RPC_GUARD_BLIND, news);
}

int guard_after_read(struct guard_conn *c, const struct iovec *iov, size_t n)
{
    struct guard_news news = {0};
    struct h2_count found = {0};
    pthread_mutex_lock(&guard.lock);
    spend(c, BUDGET_BYTES, (double)n);
    c->turn += (uint32_t)n;
    if (c->tls)
        count_hidden(c, n, &news);
    for (size_t part; n > 0 && !c->tls; iov++, n -= part) {
        part = iov->iov_len < n ? iov->iov_len : n;
        h2_meter_read(&c->meter, iov->iov_base, part, &found);
    }
    charge(c, &found, &news);
    int rc = c->dead ? -ECONNRESET : 0;
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
    return rc;
}

bool guard_decrypted(const uint8_t random[TLS_RANDOM_SIZE], const uint8_t *plain, size_t n)
{
    struct guard_news news = {0};
    struct h2_count found = {0};
    pthread_mutex_lock(&guard.lock);
    struct guard_conn *c = find_random(random);
    if (c) {
        guard_give_back(c);
        h2_meter_read(&c->meter, plain, n, &found);
        charge(c, &found, &news);
    }
    bool lives = c && !c->dead;
    pthread_mutex_unlock(&guard.lock);
    guard_tell(&news);
    return lives;
}

void guard_after_send(struct guard_conn *c, const struct iovec *iov, size_t asked, size_t sent)
{
    atomic_fetch_add_explicit(&c->sent, sent, memory_order_relaxed);
    bool blocked = sent < asked;
    if (atomic_load_explicit(&c->blocked, memory_order_relaxed) != blocked)
        atomic_store(&c->blocked, blocked);
    if (!c->tls || atomic_load_explicit(&c->known, memory_order_relaxed))
        return;
    pthread_mutex_lock(&guard.lock);
    for (size_t part; sent > 0; iov++, sent -= part) {
        part = iov->iov_len < sent ? iov->iov_len : sent;
        look_for_hello(c, iov->iov_base, part);
    }
    pthread_mutex_unlock(&guard.lock);
}
