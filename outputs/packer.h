/* Makes messages of rows: in a format, of one key each, none longer than the destination takes. One thread. */
#ifndef XTCP_OUTPUTS_PACKER_H
#define XTCP_OUTPUTS_PACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/output.h"
#include "lib/buf.h"
#include "outputs/format/format.h"
#include "outputs/sink/sink.h"

struct packer;

struct packer_options {
    const struct format *format;
    const struct config_strings *columns; /* names of fields, in their order; empty: all */
    const char *hostname;                 /* the key OUTPUT_KEY_HOSTNAME */
};

/* Strings are copied. Returns 0 and |out|, or -ENOMEM. */
int packer_new(const struct packer_options *o, struct packer **out);
void packer_free(struct packer *p);

/* Takes the rows of the serialized Envelope |rows|, which must stay as it is until the next packer_load. Returns their number,
 * or a negative code: -ENOMEM, or that of bytes that are no Envelope. */
int64_t packer_load(struct packer *p, const uint8_t *rows, size_t len);

struct packer_rules {
    enum output_key key;
    size_t largest; /* bytes of a message; 0: any; a row that is longer has a message of its own */
    bool header;    /* the first message begins a file or a connection: a header line belongs there */
    bool headers;   /* each message does */
    uint64_t poll_id;
};

/* Makes messages of all rows. Rows that cannot be read are left out and counted in |*bad|. Returns 0 or -ENOMEM. */
int packer_pack(struct packer *p, const struct packer_rules *rules, uint32_t *bad);

/* The messages made last, valid until the next packer_load or packer_pack. Each result is SINK_AGAIN at first. */
struct sink_message *packer_messages(struct packer *p, size_t *n);

/* Appends the rows of the messages whose result is SINK_DONE to |rows|, as a serialized Envelope. Returns their number. */
uint32_t packer_delivered(const struct packer *p, struct buf *rows);

/* Cuts |rows|, which holds what packer_load was given, down to the rows of the messages whose result is SINK_AGAIN or
 * SINK_BROKEN, in the order in which they came. Returns their number. Needs no memory. */
uint32_t packer_rest(struct packer *p, struct buf *rows);

#endif
