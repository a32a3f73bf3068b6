#include "filter/message.h"

#include <sys/socket.h>

#include "filter/node.h"
#include "record/text.h"

/* Whether |f|, whose value is 0 or empty in |r|, has that value according to the record. */
static bool has_zero(const record_message *r, const struct record_field *f)
{
    switch (f->from) {
    case FROM_CONTEXT:
        return f->type != TYPE_STRING;
    case FROM_COUNTER:
    case FROM_ANSWER:
        return true;
    case FROM_NOTHING:
        return false;
    default:
        return record_was_sent(r, f);
    }
}

/* Whether |r| has any value of the section of |f|. */
static bool section_set(const record_message *r, const struct record_field *f)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (record_fields[i].section == f->section && record_get(r, &record_fields[i]).present)
            return true;
    }
    return false;
}

/* A guess of the same for a record that does not tell which values were sent. */
static bool may_have_zero(const record_message *r, const struct record_field *f)
{
    bool full = r->inet_diag_msg_state != STATE_TIME_WAIT && r->inet_diag_msg_state != STATE_SYN_RECV;
    switch (f->from) {
    case FROM_CONTEXT:
        return f->type != TYPE_STRING;
    case FROM_COUNTER:
    case PART_MSG:
    case PART_MARK:
        return true;
    case FROM_NOTHING:
    case FROM_ANSWER:
        return false;
    case PART_INFO:
        return r->tcp_info_state != 0;
    case PART_DEVICE:
    case PART_CONG:
    case PART_VEGAS:
    case PART_DCTCP:
    case PART_BBR:
        return section_set(r, f);
    case PART_V6ONLY:
        return r->inet_diag_msg_family == AF_INET6 &&
               (r->inet_diag_msg_state == STATE_LISTEN || r->inet_diag_msg_state == STATE_CLOSE);
    case PART_TCLASS:
        return full && r->inet_diag_msg_family == AF_INET6;
    default:
        return full;
    }
}

static bool get(const void *arg, const struct record_field *f, struct filter_value *v)
{
    const record_message *r = arg;
    struct record_value value = record_get(r, f);
    v->number = value.number;
    v->data = value.data;
    v->len = value.len;
    if (f->convert == CONVERT_ADDRESS) {
        if (v->len == 16 && r->inet_diag_msg_family == AF_INET)
            v->len = 4; /* some daemons send the kernel's 16 bytes */
        return v->len > 0;
    }
    return value.present || (r->diag_attributes ? has_zero(r, f) : may_have_zero(r, f));
}

bool filter_match_record(const struct filter *f, const record_message *r)
{
    return filter_match_values(f, get, r, NULL);
}
