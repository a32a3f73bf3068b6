/* The bytes to and from a client, as the guard sees them: any bytes, cut anywhere, in plaintext, as records
 * of TLS and as what was decrypted. The first byte chooses; of the others, each piece has its length before
 * it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/server/guard_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TLS = 1, CONTROL = 2, BLOCKED = 4, DECRYPT = 8 };

static struct quota *quota;

static void begin(void)
{
    const struct rpc_guard_limits limits = {.connections = {100, 100, 0}, .calls_rate = 1000};
    quota = quota_new();
    if (!quota || rpc_guard_start(quota, &limits, NULL))
        abort();
}

static struct guard_conn *open_conn(int fds[2], uint8_t how)
{
    static const struct rpc_peer peer = {
        .kind = RPC_PEER_USER, .uid = 7, .user = "uid 7", .address = "127.0.0.1:7"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        abort();
    /* the role control may connect as often as it likes */
    if (rpc_guard_open(fds[1], &peer, QUOTA_CONTROL, NULL))
        abort();
    struct guard_conn *c = guard_find(fds[1]);
    pthread_mutex_lock(&guard.lock);
    c->tls = how & TLS;
    if (!(how & CONTROL)) {
        c->rank = QUOTA_REMOTE;
        guard_flow_begin(c, 1);
    }
    pthread_mutex_unlock(&guard.lock);
    return c;
}

/* The piece comes in two parts of memory, as gRPC has them. Returns whether the connection lives. */
static bool read_piece(struct guard_conn *c, const uint8_t *piece, size_t n, uint8_t how)
{
    size_t room;
    int rc = guard_before_read(c, &room);
    if (rc != 0 && rc != -EAGAIN && rc != -ECONNRESET)
        abort();
    if (room == 0 || room > 16384)
        abort();
    if (rc == -ECONNRESET)
        return false;
    const struct iovec whole = {.iov_base = (void *)(uintptr_t)piece, .iov_len = n};
    if (how & BLOCKED)
        guard_after_send(c, &whole, n + 1, n);
    if (how & DECRYPT && c->known) {
        uint8_t random[TLS_RANDOM_SIZE];
        memcpy(random, c->hello + TLS_RANDOM_AT, sizeof(random));
        if (!guard_decrypted(random, piece, n))
            abort();
        return true;
    }
    const struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)piece, .iov_len = n / 2},
                                 {.iov_base = (void *)(uintptr_t)(piece + n / 2), .iov_len = n - n / 2}};
    rc = guard_after_read(c, iov, n);
    if (rc != 0 && rc != -ECONNRESET)
        abort();
    return rc == 0;
}

/* However it is cut, the same is counted. */
static void compare_cuts(const uint8_t *data, size_t size)
{
    struct h2_meter whole = {0};
    struct h2_meter cut = {0};
    struct h2_count a = {0};
    struct h2_count b = {0};
    h2_meter_read(&whole, data, size, &a);
    for (size_t i = 0, step = 1; i < size; i += step, step = step % 13 + 1)
        h2_meter_read(&cut, data + i, size - i < step ? size - i : step, &b);
    if (a.frames != b.frames || a.calls != b.calls || a.resets != b.resets || a.answers != b.answers ||
        a.costly != b.costly || a.data != b.data || whole.left != cut.left || whole.head != cut.head ||
        whole.preface != cut.preface)
        abort();
    if (a.frames > size / H2_HEADER_SIZE || a.data > size ||
        a.calls + a.resets + a.answers + a.costly > a.frames)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (!quota)
        begin();
    compare_cuts(data, size);
    if (size == 0)
        return 0;
    uint8_t how = data[0];
    struct guard_conn *c = open_conn(fds, how);
    bool lives = true;
    for (size_t at = 1; at < size && lives;) {
        size_t n = (size_t)data[at++] + 1;
        if (n > size - at)
            n = size - at;
        lives = n == 0 || read_piece(c, data + at, n, how);
        at += n;
    }
    guard_closing(fds[1]);
    close(fds[0]);
    close(fds[1]);
    if (quota_total(quota, QUOTA_CONNECTIONS) != 0 || guard.stuck > 0.001 || guard.stuck < -0.001)
        abort();
    return 0;
}
