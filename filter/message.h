/* Filters over decoded records, for a client whose daemon cannot filter. */
#ifndef XTCP_FILTER_MESSAGE_H
#define XTCP_FILTER_MESSAGE_H

#include <stdbool.h>

#include "filter/filter.h"
#include "record/unpack.h"

/* Whether |r| passes |f|. A record does not carry zeros: a field that is not in it counts as 0 when the
 * kernel sent it, which diag_attributes and tcp_info_len tell, and as absent otherwise. Where the record does
 * not tell, it counts as 0 where others of its section are in the record, and as absent otherwise; a field of
 * a section of one field as 0, unless the socket is in TIME_WAIT or SYN_RECV, where the kernel has nothing
 * but addresses. The names of devices and cgroups are not known here: comparisons with them are false. Any
 * thread. */
bool filter_match_record(const struct filter *f, const record_message *r);

#endif
