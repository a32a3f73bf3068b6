/* The columns of top: their texts, and the choice of those that fit. Pure; any thread. */
#ifndef XTCP_CLIENT_TOP_TOP_COLUMNS_H
#define XTCP_CLIENT_TOP_TOP_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/top/top_model.h"

enum top_column_id {
    TOP_COLUMN_NETNS,
    TOP_COLUMN_STATE,
    TOP_COLUMN_LOCAL,
    TOP_COLUMN_PEER,
    TOP_COLUMN_SEND,
    TOP_COLUMN_RECEIVE,
    TOP_COLUMN_RETRANS,
    TOP_COLUMN_RETRANS_SHARE,
    TOP_COLUMN_RTT,
    TOP_COLUMN_MIN_RTT,
    TOP_COLUMN_CWND,
    TOP_COLUMN_RECV_QUEUE,
    TOP_COLUMN_SEND_QUEUE,
    TOP_COLUMN_NOT_SENT,
    TOP_COLUMN_LIMIT,
    TOP_COLUMN_ALGORITHM,
    TOP_COLUMN_MSS,
    TOP_COLUMN_UID,
    TOP_COLUMNS
};

#define TOP_CELL_MAX 128 /* bytes of a cell's text with its NUL */

struct top_column {
    const char *title;
    const char *help;
    uint8_t least; /* columns of the terminal that it needs */
    uint8_t good;  /* that it should have, if its texts need them, before less important columns have any */
    uint8_t most;  /* that it may take */
    uint8_t drop;  /* 0: always shown; of the others the highest is left out first */
    bool right;
    bool usual; /* shown unless switched off */
    void (*text)(const struct top_model *m, const struct top_entry *e, char out[TOP_CELL_MAX]);
};

extern const struct top_column top_columns[TOP_COLUMNS];

/* The column that |sort| sorts by. */
enum top_column_id top_columns_sorted(enum top_sort sort);

/* The text of |e| in column |id|, as it came (not clean); "-" when it has no value. */
void top_column_text(const struct top_model *m, const struct top_entry *e, enum top_column_id id,
                     char out[TOP_CELL_MAX]);

/* Chooses among the columns of |shown| (bits) those that fit into |width|, with one blank between them:
 * widths in |out|, 0 for those that are left out. |natural| has the width of the longest text of each. The
 * column of |sort| is among them whenever there is room for anything. */
void top_columns_fit(uint32_t shown, enum top_sort sort, const uint8_t natural[TOP_COLUMNS], size_t width,
                     uint8_t out[TOP_COLUMNS]);

/* The columns that are shown at first, as bits. */
uint32_t top_columns_usual(void);

/* "12.3Mbit/s", "1.5/s", "0.3%": rates as top shows them; |out| has TOP_CELL_MAX bytes. */
void top_text_bits(double bytes_per_s, char *out);
void top_text_per_s(double per_s, char *out);
void top_text_share(double share, char *out);

#endif
