/* The text of one value of a record as a table shows it. Any thread. */
#ifndef XTCP_CLIENT_SHOW_CELL_H
#define XTCP_CLIENT_SHOW_CELL_H

#include <stdbool.h>
#include <stddef.h>

#include "record/fields.h"
#include "record/text.h"
#include "record/unpack.h"

#define CELL_TEXT_MAX 80

/* TCP states as the kernel numbers them (its net/tcp_states.h). <netinet/tcp.h> has them, too, but cannot be
 * included together with <linux/tcp.h>, which the field table needs. */
enum { CELL_TIME_WAIT = 6, CELL_CLOSE = 7, CELL_LISTEN = 10 };

/* |text| of |n| bytes, in the record, constant or in |own|; n = 0: nothing to tell. */
struct cell {
    const char *text;
    size_t n;
    bool numeric; /* asked for: exact numbers */
    char own[CELL_TEXT_MAX];
};

/* |c| shows the NUL-terminated |text| (NULL: nothing), which stays the caller's. */
void cell_text(struct cell *c, const char *text);

/* |c| shows what has been written to its |own|. */
void cell_own(struct cell *c);

/* Whether |r| is of a connection with a meaningful tcp_info: in LISTEN its numbers mean other things;
 * TIME_WAIT and SYN_RECV have none at all. */
bool cell_has_flow(const record_message *r);

/* The value of |f| in |r| with its unit, or as exact number; nothing where it has no meaning: the round trip
 * time of a listener, a limit that stands for none. */
void cell_field(struct cell *c, const record_message *r, const struct record_field *f);

#endif
