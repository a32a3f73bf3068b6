#include "record/names.h"

#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#include "record/fields.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *lookup(const char *const *names, size_t count, uint64_t i)
{
    return i < count ? names[i] : NULL;
}

/* enum of include/net/tcp_states.h: 12 and 13 never left the kernel before 6.8 (13) or at all (12). */
static const char *const states[] = {
    NULL,    "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",    "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV", "BOUND_INACTIVE",
};

static const char *const ca_states[] = {
    [TCP_CA_Open] = "Open",         [TCP_CA_Disorder] = "Disorder", [TCP_CA_CWR] = "CWR",
    [TCP_CA_Recovery] = "Recovery", [TCP_CA_Loss] = "Loss",
};

static const char *const events[] = {"poll", "close"};

static const char *const families[] = {[AF_INET] = "inet", [AF_INET6] = "inet6"};

/* idiag_timer of <linux/inet_diag.h>. */
static const char *const timers[] = {"off", "on", "keepalive", "timewait", "persist"};

const char record_algorithm_names[RECORD_ALGORITHMS][8] = {
    "", "cubic", "dctcp", "vegas", "prague", "bbr", "bbr2", "bbr3",
};

const char *record_state_name(uint64_t state)
{
    return lookup(states, COUNT(states), state);
}

const char *record_ca_state_name(uint64_t state)
{
    return lookup(ca_states, COUNT(ca_states), state);
}

const char *record_event_name(uint64_t event)
{
    return lookup(events, COUNT(events), event);
}

const char *record_algorithm_name(uint64_t algorithm)
{
    return algorithm > 0 && algorithm < RECORD_ALGORITHMS ? record_algorithm_names[algorithm] : NULL;
}

const char *record_value_name(const struct record_field *f, uint64_t value)
{
    switch ((enum record_print)f->print) {
    case PRINT_STATE:
        return record_state_name(value);
    case PRINT_CA_STATE:
        return record_ca_state_name(value);
    case PRINT_ALGORITHM:
        return record_algorithm_name(value);
    case PRINT_EVENT:
        return record_event_name(value);
    default:
        return NULL;
    }
}

const char *record_people_name(const struct record_field *f, uint64_t value)
{
    switch ((enum record_print)f->print) {
    case PRINT_FAMILY:
        return lookup(families, COUNT(families), value);
    case PRINT_TIMER:
        return lookup(timers, COUNT(timers), value);
    default:
        return record_value_name(f, value);
    }
}
