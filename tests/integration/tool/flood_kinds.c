/* The pieces of each kind of flood. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/integration/tool/flood_kinds.h"

#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"

#define FRAME_HEAD     9
#define FRAME_MAX      16384
#define MESSAGE_HEAD   5
#define BODY_BYTES     (60 * 1024)
#define INFLATED       ((size_t)60 * 1024 * 1024)
#define BOMB_BYTES     3000 /* a field of the peer's table, which a byte names again */
#define EMPTY_PER_FULL 200

/* The first place in the dynamic table of HPACK is that of the field that was put in last. */
#define DYNAMIC 62

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PING = 6,
    WINDOW_UPDATE = 8,
    CONTINUATION,
    UNKNOWN = 0x42
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum stream { CONNECTION, FIRST, NEXT }; /* NEXT: the number is put in later */

struct piece preface;

/* ---- Frames ---- */

static void put(struct piece *p, const void *bytes, size_t len)
{
    if (p->len + len > PIECE_MAX)
        abort();
    memcpy(p->bytes + p->len, bytes, len);
    p->len += len;
}

static void put_byte(struct piece *p, unsigned byte)
{
    put(p, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_u32(uint8_t *at, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* Begins a frame. Returns where, for end_frame(). */
static size_t begin_frame(struct piece *p, unsigned type, unsigned flags, enum stream stream)
{
    size_t at = p->len;
    uint8_t head[FRAME_HEAD] = {0, 0, 0, (uint8_t)type, (uint8_t)flags, 0, 0, 0, stream == FIRST};
    if (stream == NEXT)
        p->ids[p->n_ids++] = at + 5;
    put(p, head, sizeof(head));
    p->frames++;
    return at;
}

static void end_frame(struct piece *p, size_t at)
{
    size_t len = p->len - at - FRAME_HEAD;
    for (int i = 0; i < 3; i++)
        p->bytes[at + (size_t)i] = (uint8_t)(len >> (16 - 8 * i));
}

static void put_frame(struct piece *p, unsigned type, unsigned flags, enum stream stream, const void *bytes,
                      size_t len)
{
    size_t at = begin_frame(p, type, flags, stream);
    put(p, bytes, len);
    end_frame(p, at);
}

/* |len| bytes of a message, in as many frames as it takes. */
static void put_data(struct piece *p, const uint8_t *bytes, size_t len, bool end)
{
    while (len) {
        size_t n = len < FRAME_MAX ? len : FRAME_MAX;
        put_frame(p, DATA, end && n == len ? END_STREAM : 0, NEXT, bytes, n);
        p->window += (uint32_t)n;
        bytes += n;
        len -= n;
    }
}

void piece_put(const struct piece *p, uint32_t id, uint8_t *to)
{
    memcpy(to, p->bytes, p->len);
    for (size_t i = 0; i < p->n_ids; i++)
        put_u32(to + p->ids[i], id);
}

/* ---- Fields of a call ---- */

static void put_text(struct piece *p, const char *text)
{
    size_t len = strlen(text);
    if (len < 127) {
        put_byte(p, (unsigned)len);
    } else {
        put_byte(p, 127);
        for (len -= 127; len >= 128; len >>= 7)
            put_byte(p, 128 | (len & 127));
        put_byte(p, (unsigned)len);
    }
    put(p, text, strlen(text));
}

/* The fields of a call of |path|: in full, to be kept in the peer's table, or by their places there. */
static void put_fields(struct piece *p, const char *path, const char *encoding, bool known)
{
    const char *fields[][2] = {{":path", path},
                               {":authority", "x"},
                               {"content-type", "application/grpc"},
                               {"te", "trailers"},
                               {"grpc-encoding", encoding}};
    size_t n = encoding ? 5 : 4;
    put_byte(p, 0x83); /* POST */
    put_byte(p, 0x86); /* http */
    for (size_t i = 0; i < n; i++) {
        if (known) {
            put_byte(p, (unsigned)(0x80 | (DYNAMIC + n - 1 - i)));
            continue;
        }
        put_byte(p, 0x40);
        put_text(p, fields[i][0]);
        put_text(p, fields[i][1]);
    }
}

/* |known|: the connection has had a call of this kind before. */
static void put_call(struct piece *p, const char *path, const char *encoding, bool known)
{
    size_t at = begin_frame(p, HEADERS, END_HEADERS, NEXT);
    put_fields(p, path, encoding, known);
    end_frame(p, at);
    p->calls++;
}

static void put_empty_message(struct piece *p)
{
    static const uint8_t message[MESSAGE_HEAD];
    put_data(p, message, sizeof(message), true);
}

/* ---- Kinds: calls ---- */

static void make_reset(struct piece *p, bool known)
{
    static const uint8_t cancel[4] = {0, 0, 0, 8};
    put_call(p, CHECK, NULL, known);
    put_frame(p, RST_STREAM, 0, NEXT, cancel, sizeof(cancel));
}

static void first_reset(struct piece *p)
{
    make_reset(p, false);
}

static void next_reset(struct piece *p)
{
    make_reset(p, true);
}

static void first_call(struct piece *p)
{
    put_call(p, CHECK, NULL, false);
    put_empty_message(p);
}

static void next_call(struct piece *p)
{
    put_call(p, CHECK, NULL, true);
    put_empty_message(p);
}

static void first_watch(struct piece *p)
{
    put_call(p, WATCH, NULL, false);
    put_empty_message(p);
}

static void next_watch(struct piece *p)
{
    put_call(p, WATCH, NULL, true);
    put_empty_message(p);
}

static void first_opened(struct piece *p)
{
    put_call(p, CHECK, NULL, false);
}

static void next_opened(struct piece *p)
{
    put_call(p, CHECK, NULL, true);
}

/* A message without its last byte. */
static void put_most_of_a_body(struct piece *p)
{
    static uint8_t message[MESSAGE_HEAD + BODY_BYTES - 1];
    put_u32(message + 1, BODY_BYTES);
    put_data(p, message, sizeof(message), false);
}

static void first_body(struct piece *p)
{
    put_call(p, CHECK, NULL, false);
    put_most_of_a_body(p);
}

static void next_body(struct piece *p)
{
    put_call(p, CHECK, NULL, true);
    put_most_of_a_body(p);
}

/* ---- Kinds: compressed calls ---- */

/* |window_bits|: 31 for gzip, 15 for deflate. Returns the length. */
static size_t compress_zeros(int window_bits, uint8_t *to, size_t room)
{
    static uint8_t zeros[65536];
    z_stream z = {.next_out = to, .avail_out = (unsigned)room};
    if (deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    for (size_t done = 0; done < INFLATED; done += sizeof(zeros)) {
        z.next_in = zeros;
        z.avail_in = sizeof(zeros);
        if (deflate(&z, done + sizeof(zeros) < INFLATED ? Z_NO_FLUSH : Z_FINISH) == Z_STREAM_ERROR)
            abort();
    }
    deflateEnd(&z);
    return z.total_out;
}

static void make_bomb(struct piece *p, const char *encoding, int window_bits, bool known)
{
    static uint8_t message[WINDOW]; /* of the first call, which is made before the next */
    static size_t len;
    if (!known)
        len = compress_zeros(window_bits, message + MESSAGE_HEAD, sizeof(message) - MESSAGE_HEAD);
    message[0] = 1;
    put_u32(message + 1, (uint32_t)len);
    put_call(p, CHECK, encoding, known);
    put_data(p, message, MESSAGE_HEAD + len, true);
}

static void first_gzip(struct piece *p)
{
    make_bomb(p, "gzip", 15 + 16, false);
}

static void next_gzip(struct piece *p)
{
    make_bomb(p, "gzip", 15 + 16, true);
}

static void first_deflate(struct piece *p)
{
    make_bomb(p, "deflate", 15, false);
}

static void next_deflate(struct piece *p)
{
    make_bomb(p, "deflate", 15, true);
}

/* ---- Kinds: frames that are no calls ---- */

static void make_settings(struct piece *p)
{
    put_frame(p, SETTINGS, 0, CONNECTION, "", 0);
}

static void make_ping(struct piece *p)
{
    put_frame(p, PING, 0, CONNECTION, "flooding", 8);
}

static void make_window(struct piece *p)
{
    static const uint8_t one[4] = {0, 0, 0, 1};
    put_frame(p, WINDOW_UPDATE, 0, CONNECTION, one, sizeof(one));
}

static void make_priority(struct piece *p)
{
    static const uint8_t weight[5] = {0, 0, 0, 0, 15};
    put_frame(p, PRIORITY, 0, FIRST, weight, sizeof(weight));
}

static void make_unknown(struct piece *p)
{
    put_frame(p, UNKNOWN, 0, CONNECTION, "", 0);
}

static void make_data(struct piece *p)
{
    put_frame(p, DATA, 0, FIRST, "", 0);
}

/* ---- Kinds: blocks of fields ---- */

/* The block goes on in frames that end none. */
static void first_continuation(struct piece *p)
{
    size_t at = begin_frame(p, HEADERS, 0, NEXT);
    put_fields(p, CHECK, NULL, false);
    end_frame(p, at);
    p->calls++;
}

static void next_continuation(struct piece *p)
{
    for (int i = 0; i < EMPTY_PER_FULL; i++)
        put_frame(p, CONTINUATION, 0, FIRST, "", 0);
    size_t at = begin_frame(p, CONTINUATION, 0, FIRST);
    for (int i = 0; i < FRAME_MAX; i++)
        put_byte(p, 0x80 | DYNAMIC);
    end_frame(p, at);
}

/* A field whose value is said to have a gigabyte (an integer of RFC 7541, section 5.1), which then comes. */
static void first_field(struct piece *p)
{
    static const uint8_t length[] = {0x7f, 0x81, 0xff, 0xff, 0xff, 0x03};
    size_t at = begin_frame(p, HEADERS, 0, NEXT);
    put_fields(p, CHECK, NULL, false);
    put_byte(p, 0x00);
    put_text(p, "endless");
    for (size_t i = 0; i < sizeof(length); i++)
        put_byte(p, length[i]);
    end_frame(p, at);
    p->calls++;
}

static void next_field(struct piece *p)
{
    size_t at = begin_frame(p, CONTINUATION, 0, FIRST);
    for (int i = 0; i < FRAME_MAX; i++)
        put_byte(p, 'x');
    end_frame(p, at);
}

/* A large field is put into the peer's table. */
static void first_headers(struct piece *p)
{
    char value[BOMB_BYTES + 1] = {0};
    memset(value, 'x', BOMB_BYTES);
    size_t at = begin_frame(p, HEADERS, END_HEADERS | END_STREAM, NEXT);
    put_fields(p, CHECK, NULL, false);
    put_byte(p, 0x40);
    put_text(p, "large");
    put_text(p, value);
    end_frame(p, at);
    p->calls++;
}

/* That field as often as there is room for its name: 49 MB. */
static void next_headers(struct piece *p)
{
    size_t at = begin_frame(p, HEADERS, END_HEADERS | END_STREAM, NEXT);
    for (int i = 0; i < FRAME_MAX; i++)
        put_byte(p, 0x80 | DYNAMIC);
    end_frame(p, at);
    p->calls++;
}

/* ---- */

struct kind kinds[] = {
    {.name = "resets", .reading = READ_ALL, .make_first = first_reset, .make_again = next_reset},
    {.name = "calls", .reading = READ_ALL, .make_first = first_call, .make_again = next_call},
    {.name = "unread", .reading = READ_NONE, .make_first = first_call, .make_again = next_call},
    {.name = "trickle", .reading = READ_A_BYTE, .make_first = first_call, .make_again = next_call},
    {.name = "settings", .reading = READ_ALL, .make_first = make_settings, .make_again = make_settings},
    {.name = "ping", .reading = READ_ALL, .make_first = make_ping, .make_again = make_ping},
    {.name = "window", .reading = READ_ALL, .make_first = make_window, .make_again = make_window},
    {.name = "priority", .reading = READ_ALL, .make_first = make_priority, .make_again = make_priority},
    {.name = "unknown", .reading = READ_ALL, .make_first = make_unknown, .make_again = make_unknown},
    {.name = "data", .reading = READ_ALL, .make_first = first_opened, .make_again = make_data},
    {.name = "continuation",
     .reading = READ_ALL,
     .make_first = first_continuation,
     .make_again = next_continuation},
    {.name = "field", .reading = READ_ALL, .make_first = first_field, .make_again = next_field},
    {.name = "headers", .reading = READ_ALL, .make_first = first_headers, .make_again = next_headers},
    {.name = "opened", .reading = READ_ALL, .make_first = first_opened, .make_again = next_opened},
    {.name = "body", .reading = READ_ALL, .make_first = first_body, .make_again = next_body},
    {.name = "gzip", .reading = READ_ALL, .make_first = first_gzip, .make_again = next_gzip},
    {.name = "deflate", .reading = READ_ALL, .make_first = first_deflate, .make_again = next_deflate},
    {.name = "watch", .reading = READ_NONE, .make_first = first_watch, .make_again = next_watch},
    {.name = "connect", .reading = READ_NONE, .closes = true},
    {.name = "idle", .reading = READ_ALL},
};
const size_t n_kinds = sizeof(kinds) / sizeof(kinds[0]);

static void make_piece(struct piece *p, void (*make)(struct piece *))
{
    p->bytes = malloc(PIECE_MAX);
    if (!p->bytes)
        abort();
    if (make)
        make(p);
}

/* The peer may answer as much as it likes; that its settings were seen is never said, so none of them bind.
 */
static void make_preface(struct piece *p)
{
    static const char text[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t window[6] = {0, 4, 0x3f, 0xff, 0xff, 0xff};
    static const uint8_t more[4] = {0x3f, 0xff, 0, 0};
    put(p, text, sizeof(text) - 1);
    put_frame(p, SETTINGS, 0, CONNECTION, window, sizeof(window));
    put_frame(p, WINDOW_UPDATE, 0, CONNECTION, more, sizeof(more));
}

void preface_make(void)
{
    if (!preface.bytes)
        make_piece(&preface, make_preface);
}

void piece_make_call(struct piece *p, const char *path, bool known)
{
    make_piece(p, NULL);
    put_call(p, path, NULL, known);
    put_empty_message(p);
}

void kind_make(struct kind *k)
{
    preface_make();
    make_piece(&k->first, k->make_first);
    make_piece(&k->again, k->make_again);
}

struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}
