/* The interface between the files of the configuration codec: the table of XtcpConfig's fields, and small helpers.
 * Included by rpc/codec/config/ and its tests only. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_INTERNAL_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xtcp_config/v1/xtcp_config.pb-c.h>

#include "config/config.h"
#include "rpc/codec/config/msg_config_place.h"
#include "rpc/codec/config/msg_config_reply.h"

/* Reads a document, an XtcpConfig, as config_set_request_from_json does; |*out| is for
 * protobuf_c_message_free_unpacked. */
int config_json_read(const char *text, size_t len, const char *name, ProtobufCMessage **out, struct err *e);

/* The fields that |d| sets. */
struct config_draft;
XtcpConfig__V1__XtcpConfig *config_draft_message(struct config_draft *d);

/* A response of ConfigService, as the client has it. */
struct config_reply {
    XtcpConfig__V1__SetResponse *message; /* the other responses have its fields, too */
};

/* ---- The fields of XtcpConfig ---- */

/* The source of a field of XtcpConfig. */
enum config_field_kind {
    CONFIG_FIELD_FIXED,  /* one value, that of |fixed_number| or |fixed_text|; nothing here can change it */
    CONFIG_FIELD_OPTION, /* the option whose wire path it is */
    CONFIG_FIELD_DEBUG_LEVEL, /* struct config.debug_level: the option log_level, as a number */
    CONFIG_FIELD_PORT,        /* follows from the listeners: the option grpc_listen */
    CONFIG_FIELD_VERSION,     /* the daemon's */
    CONFIG_FIELD_GENERATION,
    CONFIG_FIELD_OPTIONS, /* the message with the options that the schema has no field for */
};

/* One field of XtcpConfig. The bounds are those of the wire contract, which hold for all daemons; those of
 * struct config may be narrower and hold as well. */
struct config_field {
    uint32_t number;
    const char *name;
    enum config_field_kind kind;
    bool required;
    bool above;        /* |min| itself is excluded */
    uint64_t min, max; /* of a number; of a text's length in characters; of a Duration, seconds; of a list's
                          entries. |max| 0: no bound */
    uint64_t fixed_number;
    const char *fixed_text; /* NULL: empty */
    bool secret;            /* never repeated in an error */
    const char *why;        /* why it cannot be set, or which option it stands for; NULL: the option tells */
};

/* Ascending by number; every field of XtcpConfig. */
extern const struct config_field config_fields[];
extern const size_t config_field_count;

/* The row of the field called |name|, or NULL. */
const struct config_field *config_field_find(const char *name);

/* The descriptor of a row's field, and its place in |m|. */
const ProtobufCFieldDescriptor *config_field_descriptor(const struct config_field *row);
struct config_place config_field_place(const struct config_field *row, const XtcpConfig__V1__XtcpConfig *m);

/* Checks the value at |p|, the place of |row| in a message, against the row's bounds. Returns 0, or ERR_RANGE or ERR_MALFORMED
 * (a Duration that is none) with |e| naming field, value and bounds. */
int config_field_check(const struct config_field *row, const struct config_place *p, struct err *e);

#define CONFIG_QUOTE_MAX 80

/* |text| as an error quotes it: utf8_quote. Returns |out|. */
const char *config_quote(const char *text, char out[CONFIG_QUOTE_MAX]);

/* ---- Options behind them ---- */

/* The option that |row| shows, or NULL. */
const struct config_option *config_field_option(const struct config_field *row);

#define CONFIG_NESTED_PREFIX "options."

/* The options that XtcpConfig.options shows, by |wire_order|: the one number |i| from 0 on, NULL after the last. */
const struct config_option *config_nested_option(size_t i);

/* The option whose wire path is |path|, or NULL. */
const struct config_option *config_option_by_wire(const char *path);

/* ---- Durations ---- */

/* |d| in ns. Returns 0; ERR_MALFORMED when seconds and nanoseconds do not make one by the rules of
 * google/protobuf/duration.proto; ERR_RANGE when it does not fit in 63 bits. |e| calls it |name|. */
int config_duration_ns(const Google__Protobuf__Duration *d, const char *name, int64_t *ns, struct err *e);

/* |ns| in |d|, which is initialised. */
void config_duration_set(Google__Protobuf__Duration *d, int64_t ns);

/* ERR_RANGE unless |ns| is within |min_s| to |max_s| seconds (|max_s| 0: no bound; |above|: not |min_s|
 * itself). */
int config_duration_check(int64_t ns, const char *name, uint64_t min_s, uint64_t max_s, bool above,
                          struct err *e);

/* ---- Get ---- */

/* XtcpConfig for |c|: NULL when out of memory, else for protobuf_c_message_free_unpacked. */
XtcpConfig__V1__XtcpConfig *config_message_of(const struct config *c, const struct config_msg_extra *extra);

/* XtcpConfig.grpc_port. */
uint32_t config_port_of(const struct config *c, const struct config_msg_extra *extra);

/* Appends |message|. Returns 0 or -ENOMEM. */
int config_msg_pack(const ProtobufCMessage *message, struct buf *out);

/* ---- Outputs: |p| is the place of a message Outputs ---- */

/* Makes the message of |outputs|, with or without their secrets. Returns 0 or -ENOMEM. */
int config_put_outputs(const struct config_place *p, const struct config_outputs *outputs, bool secrets);

/* Reads the message into |out|, which is the caller's to clear. Returns 0, or a code with |e| naming the number of the
 * output and its key; |out| is empty then. Only what each value may be is checked. */
int config_take_outputs(const struct config_place *p, struct config_outputs *out, struct err *e);

/* The same from and to the text form of the option |outputs|. */
int config_set_outputs(const struct config_place *p, const char *text, struct err *e);
void config_print_outputs(const struct config_place *p, struct buf *out);

/* ---- Set ---- */

/* A SetRequest that is being applied. */
struct config_apply {
    const struct config *in_force;
    const struct config_msg_extra *extra;
    struct config *candidate; /* the configuration being changed */
    uint32_t port;            /* grpc_port when it is to change, else 0 */
    struct err *e;
};

/* Applies XtcpConfig.options of |m| to the candidate, after all other fields. Returns 0 or an error with |a->e|
 * naming the field. */
int config_apply_options(struct config_apply *a, const XtcpConfig__V1__XtcpConfig *m);

/* Sets |option| of the candidate to the value at |p|, its place, unless that stands for "not given". Returns 0 or an
 * error with |a->e| naming the field. */
int config_apply_option(struct config_apply *a, const struct config_option *option,
                        const struct config_place *p);

/* Makes the list of outputs of the candidate that of the message at |p|, unless that is absent. Secrets that are hidden there
 * are those in force. Returns 0 or an error with |a->e|. */
int config_apply_outputs(struct config_apply *a, const struct config_option *option,
                         const struct config_place *p);

/* Gives the first TCP listener of the candidate the port |port|. Returns 0 or an error with |a->e|. */
int config_apply_port(struct config_apply *a, uint32_t port);

#endif
