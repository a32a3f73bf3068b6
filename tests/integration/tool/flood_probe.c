/* A caller that makes one call after the other and notes how long each took. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/tool/flood_kinds.h"
#include "tests/integration/tool/flood_probe.h"
#include "tests/integration/tool/flood_reader.h"

#define PAUSE_MS     5
#define CALL_MS      5000  /* after which an answer comes no more */
#define LAST_ID      20000 /* of a connection, whose window is never looked at */
#define SAMPLES_MAX  200000
#define OUTPUT_BYTES 1024

struct probe {
    const struct address *target, *from;
    SSL_CTX *tls;
    struct piece first, again;
    struct link link;
    struct reader reader;
    uint32_t id; /* of the call */
    bool message, ended;
    uint32_t *samples; /* µs */
    size_t n;          /* answered */
    size_t failures;
    size_t connections;
};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- The connection ---- */

/* Whether the socket is ready before |deadline|. */
static bool ready(struct probe *p, short events, int64_t deadline)
{
    struct pollfd fd = {.fd = p->link.fd, .events = events};
    int64_t left = (deadline - now_us() + 999) / 1000;
    return left > 0 && poll(&fd, 1, (int)left) > 0;
}

static bool send_all(struct probe *p, const uint8_t *bytes, size_t len, int64_t deadline)
{
    while (len) {
        ssize_t n = link_write(&p->link, bytes, len);
        if (n < 0 || (n == 0 && !ready(p, POLLOUT, deadline)))
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void hang_up(struct probe *p)
{
    if (p->link.fd >= 0)
        link_close(&p->link);
}

static bool connect_anew(struct probe *p, int64_t deadline)
{
    int result;
    p->reader = (struct reader){0};
    p->id = 0;
    p->link = (struct link){.fd = link_dial(p->target, p->from)};
    if (p->link.fd < 0)
        return false;
    p->connections++;
    while ((result = link_finish(&p->link, p->tls)) > 0) {
        bool reads = p->link.ssl && SSL_want_read(p->link.ssl);
        if (!ready(p, reads ? POLLIN : POLLOUT, deadline))
            return false;
    }
    return result == 0 && send_all(p, preface.bytes, preface.len, deadline);
}

/* ---- A call ---- */

static void frame_came(void *context, const struct frame *f)
{
    struct probe *p = context;
    uint8_t answer[17] = {0, 0, 8, FRAME_PING, FLAG_ACK};
    if (f->type == FRAME_PING && !(f->flags & FLAG_ACK)) {
        memcpy(answer + 9, f->begin, sizeof(f->begin));
        send_all(p, answer, sizeof(answer), now_us() + 1000000);
    }
    if (f->stream != p->id)
        return;
    p->message |= f->type == FRAME_DATA && f->len > 0;
    p->ended |= f->type == FRAME_RST_STREAM || (f->type == FRAME_HEADERS && f->flags & FLAG_END_STREAM);
}

static bool await_answer(struct probe *p, int64_t deadline)
{
    uint8_t bytes[65536];
    while (!p->ended) {
        ssize_t n = link_read(&p->link, bytes, sizeof(bytes));
        if (n < 0 || (n == 0 && !ready(p, POLLIN, deadline)))
            return false;
        stream_reader_take(&p->reader, bytes, (size_t)n, frame_came, p);
    }
    return p->message; /* who is refused gets none */
}

static bool call(struct probe *p, int64_t deadline)
{
    uint8_t bytes[OUTPUT_BYTES];
    if (p->link.fd < 0 && !connect_anew(p, deadline))
        return false;
    const struct piece *piece = p->id ? &p->again : &p->first;
    p->id += p->id ? 2 : 1;
    p->message = p->ended = false;
    piece_put(piece, p->id, bytes);
    return send_all(p, bytes, piece->len, deadline) && await_answer(p, deadline);
}

static void call_and_note(struct probe *p)
{
    int64_t begin = now_us();
    bool good = call(p, begin + CALL_MS * 1000);
    if (good && p->n < SAMPLES_MAX)
        p->samples[p->n++] = (uint32_t)(now_us() - begin);
    p->failures += !good;
    if (!good || p->id >= LAST_ID)
        hang_up(p);
}

/* ---- The report ---- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct probe *p, double q)
{
    size_t at = (size_t)(q * (double)p->n);
    return p->n ? p->samples[at < p->n ? at : p->n - 1] / 1000.0 : 0;
}

static void tell_and_begin_anew(struct probe *p)
{
    qsort(p->samples, p->n, sizeof(p->samples[0]), by_size);
    printf("{\"count\": %zu, \"failures\": %zu, \"connections\": %zu, ", p->n, p->failures, p->connections);
    printf("\"median_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n", quantile_ms(p, 0.5),
           quantile_ms(p, 0.99), quantile_ms(p, 1));
    fflush(stdout);
    p->n = p->failures = p->connections = 0;
}

/* Rests between two calls. Returns whether to go on. */
static bool pause_and_listen(struct probe *p)
{
    char line[64];
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&fd, 1, PAUSE_MS) <= 0)
        return true;
    if (!fgets(line, sizeof(line), stdin))
        return false;
    tell_and_begin_anew(p);
    return true;
}

void probe(const struct address *target, const struct address *from, SSL_CTX *tls, const char *method)
{
    struct probe p = {.target = target, .from = from, .tls = tls, .link.fd = -1};
    bool said = false;
    p.samples = calloc(SAMPLES_MAX, sizeof(p.samples[0]));
    if (!p.samples)
        abort();
    preface_make();
    piece_make_call(&p.first, method, false);
    piece_make_call(&p.again, method, true);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll(2) shall see what has not been read */
    do {
        call_and_note(&p);
        if (!said && p.n) {
            said = true;
            p.n = p.failures = 0;
            puts("ready");
            fflush(stdout);
        }
    } while (pause_and_listen(&p));
    hang_up(&p);
    free(p.first.bytes);
    free(p.again.bytes);
    free(p.samples);
}
