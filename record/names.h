/* Names of the small numbers in a record. Constant; any thread. */
#ifndef XTCP_RECORD_NAMES_H
#define XTCP_RECORD_NAMES_H

#include <stdint.h>

struct record_field; /* record/fields.h */

/* TCP states as the kernel numbers and names them (TCP_ESTABLISHED = 1 … of <netinet/tcp.h>; net/tcp_states.h
 * for those above CLOSING), without the prefix: "ESTABLISHED", "TIME_WAIT", … NULL for a number without a
 * name. */
const char *record_state_name(uint64_t state);

/* Congestion avoidance states (enum tcp_ca_state of <linux/tcp.h>): "Open", "Disorder", "CWR", "Recovery",
 * "Loss"; NULL. */
const char *record_ca_state_name(uint64_t state);

/* RecordEvent: "poll", "close"; NULL. */
const char *record_event_name(uint64_t event);

/* The kernel's names of the values of XtcpFlatRecord.CongestionAlgorithm, indexed by them and filled up with
 * zeros; [0] is empty. */
#define RECORD_ALGORITHMS 8
extern const char record_algorithm_names[RECORD_ALGORITHMS][8];

/* "cubic", …; NULL for 0 and numbers without a name. */
const char *record_algorithm_name(uint64_t algorithm);

/* The name of |value| as one of |f|, for programs and people alike (states, algorithms, events), or NULL. */
const char *record_value_name(const struct record_field *f, uint64_t value);

/* The same for people, who get names of families and timers as well: "inet6", "keepalive". */
const char *record_people_name(const struct record_field *f, uint64_t value);

#endif
