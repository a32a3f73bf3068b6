/* Counts the frames of HTTP/2 that a client sends, without keeping any of the bytes: the connection preface,
 * then frames of a header of nine bytes and a payload (RFC 9113, sections 3.4 and 4.1). Header blocks are not
 * decoded.
 *
 * Pure; one thread at a time for a meter. */
#ifndef XTCP_RPC_SERVER_H2_METER_H
#define XTCP_RPC_SERVER_H2_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H2_PREFACE_SIZE 24
#define H2_HEADER_SIZE  9

/* A header block of ours has at most METADATA_MAX bytes (rpc/server/core_server.c) and comes in one frame, or two. gRPC
 * keeps the bytes that it has not understood of an unfinished block, without a bound, and reads all of it again with
 * each frame. */
#define H2_BLOCK_MAX 16384
#define H2_PARTS_MAX 8

/* Frame types (RFC 9113, section 6). */
enum h2_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION
};

/* The position of the meter in the stream of bytes. All zero: at its beginning. */
struct h2_meter {
    uint8_t preface; /* bytes of it that have come */
    uint8_t head;    /* bytes of the frame header that have come */
    uint8_t header[H2_HEADER_SIZE];
    uint8_t type;   /* of the frame whose payload comes */
    uint8_t parts;  /* CONTINUATIONs of the header block that comes, and */
    uint32_t block; /* its bytes so far */
    uint32_t left;  /* bytes of that payload that are to come */
};

/* The result of counting. A frame counts when its header is complete, its payload as it comes: the length in
 * a header is not to be believed. */
struct h2_count {
    uint32_t frames;  /* all of them */
    uint32_t calls;   /* HEADERS: each may begin a call */
    uint32_t resets;  /* RST_STREAM */
    uint32_t answers; /* frames that ask for no answer but follow from what the peer was sent: WINDOW_UPDATE,
                         and acknowledgements of PING and SETTINGS */
    uint32_t costly;  /* frames that gRPC answers, or that no client of ours needs: SETTINGS, PING, PRIORITY,
                         PUSH_PROMISE, GOAWAY and unknown ones */
    uint64_t data;    /* bytes of payload of DATA that have come */
    bool
        endless; /* a header block was longer than H2_BLOCK_MAX, or in more than H2_PARTS_MAX CONTINUATIONs */
};

/* Reads |n| bytes at |p| and adds the frames in them to |c|. */
void h2_meter_read(struct h2_meter *m, const uint8_t *p, size_t n, struct h2_count *c);

#endif
