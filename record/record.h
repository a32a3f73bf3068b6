/* The encoder: one socket in, one row of an Envelope out.
 *
 * A row is the framing of Envelope.row (tag, length) followed by a serialized XtcpFlatRecord, its fields in
 * ascending order, zero scalars left out: byte for byte as a protobuf library encodes the same record.
 * Concatenated rows are a serialized Envelope. */
#ifndef XTCP_RECORD_RECORD_H
#define XTCP_RECORD_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "model/groups.h"
#include "record/source.h"

#define RECORD_SCHEMA_VERSION 1
#define RECORD_EVENT_POLL     0
#define RECORD_EVENT_CLOSE    1

/* The values that are the same in every record of one namespace in one poll. Strings may be NULL or empty: then they are
 * not sent. */
struct record_context {
    const char *daemon_version;
    const char *hostname;
    const char *location;
    const char *netns; /* display name of the namespace */
    const char *container_id;
    const char *container_runtime;
    const char *container_name;
    const char *container_image;
    const char *label;
    const char *tag;
    int64_t timestamp_ns; /* wall clock at the start of the poll */
    uint64_t netns_inode;
    uint64_t netns_cookie;
    uint64_t poll_id;
    uint32_t nsid;
    uint32_t event;  /* RECORD_EVENT_… */
    groups_t groups; /* parts of other groups are not encoded even when the kernel sent them */
};

/* A context in its encoded form: made once per poll and namespace, read for every socket. Open only so that
 * it can live on the caller's stack; its contents belong to record.c. */
#define RECORD_FRAME_HEAD_MAX 3072
#define RECORD_FRAME_TAIL_MAX 64
struct record_frame {
    uint32_t head_len;
    uint32_t tail_len;
    groups_t groups;
    uint32_t attributes;                 /* attributes that records tell of: record_attributes */
    uint8_t head[RECORD_FRAME_HEAD_MAX]; /* fields 1 to 51 */
    uint8_t tail[RECORD_FRAME_TAIL_MAX]; /* fields 3000 to 3002; 3003 and 3004 are of each answer */
};

/* The most bytes that one row can take, whatever the kernel sends. */
#define RECORD_ROW_MAX (RECORD_FRAME_HEAD_MAX + 2048)

/* Encodes |c| into |f|. Returns 0, or ERR_LIMIT when its strings exceed RECORD_FRAME_HEAD_MAX. Any thread. */
int record_frame_init(struct record_frame *f, const struct record_context *c);

/* The attributes, 1 << INET_DIAG_X each, that a record with |groups| tells of when the kernel has sent them:
 * all but those whose fields are not encoded. Any thread. */
uint32_t record_attributes(groups_t groups);

/* diag_attributes of |s| in such a record, |told| being record_attributes: never 0. */
static inline uint32_t record_attributes_sent(const struct record_source *s, uint32_t told)
{
    uint32_t sent = s->attributes & told;
    return sent | (sent == 0); /* bit 0, INET_DIAG_NONE: none */
}

/* Encodes |s| as one row at |out|, which has RECORD_ROW_MAX bytes of room; those behind the row may be
 * overwritten too. |counter| is the record's position in the namespace's dump, from 0. Parts may be shorter
 * or longer than today's structs: missing members are not sent. Returns the bytes written. No allocation, no
 * failure. Any thread. */
size_t record_encode(const struct record_frame *f, const struct record_source *s, uint64_t counter,
                     uint8_t *out);

#endif
