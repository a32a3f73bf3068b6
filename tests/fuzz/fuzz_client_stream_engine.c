/* Answers of one daemon or several at once, to `stream`, `poll`, `snapshot` and `join`, in any order, with
 * streams that end and time that passes. The calls of gRPC and the clock are played here (the linker puts the
 * functions __wrap_… in the place of those that they are named after).
 *
 * The first byte chooses the command and how it shows records, the second how many nodes there are. Then come
 * steps: a byte that has the node and the kind of the step; for a message its length in two bytes and the
 * message, for the end of a stream its status. At the end of the input the user has had enough. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/fleet/fleet.h"
#include "lib/clock.h"
#include "rpc/client/client_probe.h"
#include "rpc/client/many_stream.h"
#include "tests/unit/wrap_many_stream.h"

#define NODES      3
#define LINES_MAX  64
#define CODE_COUNT 17 /* of grpc_status_code */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- The script ---- */

struct rpc_many_stream {
    size_t node;
    void *owner;
    bool connected;
    bool ended;
};

static struct {
    const uint8_t *at;
    size_t left;
    int64_t now;
    bool over;
    struct rpc_many_stream *lines[NODES]; /* open or ended, not closed yet */
    size_t opened;
} play;

bool __wrap_rpc_client_probe(const char *target, const char *address,
                             const struct rpc_channel_options *options, struct buf *out);
void __wrap_stop_call(struct stop *s, void (*interrupt)(void *context), void *context);

int64_t __wrap_clock_mono_ns(void)
{
    return play.now;
}

uint32_t __wrap_arc4random(void)
{
    return 4;
}

int __wrap_rpc_many_new(struct rpc_many **out)
{
    *out = (struct rpc_many *)&play;
    return 0;
}

void __wrap_rpc_many_free(struct rpc_many *m)
{
    (void)m;
    for (size_t i = 0; i < NODES; i++) {
        free(play.lines[i]);
        play.lines[i] = NULL;
    }
}

int __wrap_rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                                struct rpc_many_stream **out, struct err *e)
{
    (void)m;
    struct rpc_many_stream *l = calloc(1, sizeof(*l));
    if (!l || call->request->failed)
        abort();
    if (play.opened++ == LINES_MAX) {
        free(l);
        return err_set(e, ERR_UNAVAILABLE, "no more of them");
    }
    rpc_many_stream_close(call->instead);
    l->node = (size_t)(call->target[0] - 'a');
    l->owner = owner;
    if (l->node >= NODES || play.lines[l->node])
        abort(); /* one stream for each node */
    play.lines[l->node] = *out = l;
    return 0;
}

int __wrap_rpc_many_stream_send(struct rpc_many_stream *l, const void *message, size_t len)
{
    (void)message, (void)len;
    return l->ended ? ERR_UNAVAILABLE : 0;
}

bool __wrap_rpc_many_stream_connected(const struct rpc_many_stream *l)
{
    return l->connected;
}

void __wrap_rpc_many_stream_close(struct rpc_many_stream *l)
{
    if (!l)
        return;
    if (play.lines[l->node] != l)
        abort();
    play.lines[l->node] = NULL;
    free(l);
}

bool __wrap_rpc_client_probe(const char *target, const char *address,
                             const struct rpc_channel_options *options, struct buf *out)
{
    (void)target, (void)address, (void)options, (void)out;
    return false;
}

void __wrap_stop_call(struct stop *s, void (*interrupt)(void *context), void *context)
{
    (void)s, (void)interrupt, (void)context;
}

enum stop_reason __wrap_stop_reason(const struct stop *s)
{
    (void)s;
    return play.over ? STOP_SIGNAL : STOP_NOT;
}

static unsigned take(void)
{
    if (!play.left)
        return 0;
    play.left--;
    return *play.at++;
}

static void play_message(struct rpc_many_event *out)
{
    size_t n = take();
    n |= (size_t)take() << 8;
    if (n > play.left)
        n = play.left;
    out->message = (struct rpc_bytes){.data = malloc(n ? n : 1), .len = n};
    if (!out->message.data)
        abort();
    if (n)
        memcpy(out->message.data, play.at, n);
    play.at += n;
    play.left -= n;
}

static void play_end(struct rpc_many_event *out)
{
    static const char *const texts[] = {"", "Connection refused", "http1", "Timeout"};
    unsigned how = take();
    out->ended = true;
    out->status.code = (int)(how % CODE_COUNT);
    snprintf(out->status.text, sizeof(out->status.text), "%s", texts[how / CODE_COUNT % 4]);
}

int __wrap_rpc_many_next(struct rpc_many *m, int64_t deadline_ns, struct rpc_many_event *out)
{
    enum { MESSAGE, SAME, END, TIME };
    (void)m;
    while (play.left) {
        unsigned step = take();
        struct rpc_many_stream *l = play.lines[step % NODES];
        unsigned kind = step / NODES % 4;
        play.now += NS_PER_MS;
        if (kind == TIME && deadline_ns) {
            play.now = deadline_ns > play.now ? deadline_ns : play.now;
            return ERR_TIMEOUT;
        }
        struct rpc_many_event event = {0};
        if (kind == END)
            play_end(&event);
        else if (kind != TIME)
            play_message(&event);
        if (kind == TIME || !l || l->ended) {
            rpc_bytes_free(&event.message);
            continue;
        }
        l->connected = l->connected || kind != END || step >= 128;
        l->ended = kind == END;
        event.owner = l->owner;
        *out = event;
        return 1;
    }
    play.over = true;
    return ERR_CANCELLED;
}

/* ---- The commands ---- */

static void choose(struct options *o, unsigned how)
{
    static const enum output_format formats[] = {OUTPUT_TABLE, OUTPUT_JSONL, OUTPUT_WIDE, OUTPUT_CSV};
    o->output = formats[how / 4 % (how % 4 == 3 ? 2 : 4)];
    if (how & 16) {
        o->columns = "local,peer,tcp_info_rtt";
        o->sort_by = "-rtt,netns";
    }
    o->count = how & 32 ? 0 : 2;
    o->polls = how & 32 ? 1 : 0;
    o->every_ns = how & 64 ? 3 * NS_PER_S : 0;
    o->timeout_ns = how & 128 ? 60 * NS_PER_S : 0;
    o->verbose = how & 64;
    o->all = how & 128;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const run[])(struct fleet * f) = {command_stream, command_poll, command_snapshot,
                                                   command_join};
    static char *const names[NODES] = {(char *)(uintptr_t) "a", (char *)(uintptr_t) "b",
                                       (char *)(uintptr_t) "c"};
    static int nowhere = -1;
    if (nowhere < 0)
        nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (size < 2)
        return 0;
    struct options options = {.target = "fuzz"};
    struct node node[NODES];
    struct node *items[NODES];
    struct output out;
    choose(&options, data[0]);
    for (size_t i = 0; i < NODES; i++) {
        node[i] = (struct node){.name = names[i], .address = names[i], .told = names[i], .options = options};
        node[i].options.address = names[i];
        items[i] = &node[i];
    }
    const struct nodes nodes = {.items = items, .n = 1 + data[1] % NODES};
    memset(&play, 0, sizeof(play));
    play.at = data + 2;
    play.left = size - 2;
    play.now = 1000 * NS_PER_S;
    output_init(&out, nowhere);
    out.notes_fd = nowhere;
    struct fleet fleet = {.options = &options,
                          .nodes = &nodes,
                          .out = &out,
                          .deadline_ns = options.timeout_ns ? play.now + options.timeout_ns : 0};
    int rc = run[data[0] % 4](&fleet);
    if (rc != EXIT_DONE && rc != EXIT_FAILED && rc != EXIT_SOME_FAILED)
        abort();
    output_fini(&out);
    return 0;
}
