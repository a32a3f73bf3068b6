/* What the files of the configuration codec share: the table of XtcpConfig's fields, and small helpers.
 * Included by rpc/msg_config*.c and their test only. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_INT_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xtcp_config/v1/xtcp_config.pb-c.h>

#include "config/config.h"
#include "rpc/codec/config/msg_config_reply.h"

/* A response of ConfigService, as the client has it. */
/* Reads a document, an XtcpConfig, as config_set_request_from_json does; |*out| is for protobuf_c_message_free_unpacked. */
int config_json_read(const char *text, size_t len, const char *name, ProtobufCMessage **out, struct err *e);

struct config_reply {
    XtcpConfig__V1__SetResponse *message; /* what the other responses are, too */
};

/* ---- The table ---- */

/* What stands behind a field of XtcpConfig. */
enum config_field_kind {
    CONFIG_FIELD_FIXED,    /* one value, that of |fixed_number| or |fixed_text|; nothing here can change it */
    CONFIG_FIELD_DURATION, /* the option of this name */
    CONFIG_FIELD_NUMBER,   /* the option of this name: a number or switch */
    CONFIG_FIELD_TEXT,     /* the option of this name */
    CONFIG_FIELD_GROUPS,   /* struct config.groups */
    CONFIG_FIELD_DEBUG_LEVEL, /* struct config.debug_level */
    CONFIG_FIELD_PORT,        /* follows from the listeners */
    CONFIG_FIELD_VERSION,     /* the daemon's */
    CONFIG_FIELD_GENERATION,
    CONFIG_FIELD_OPTIONS, /* see msg_config_options.c */
};

/* One field of XtcpConfig. The bounds are those of the wire contract, for everybody who speaks it; those of
 * struct config can be narrower and hold besides. */
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
    const char *option;     /* of config_options, that it shows; NULL: none */
    bool secret;            /* never repeated in an error */
    const char *why; /* why it cannot be set, or what else stands behind it; NULL: the option says it */
};

#define CONFIG_FIELD_COUNT 68

/* Ascending by number; every field of XtcpConfig. */
extern const struct config_field config_fields[CONFIG_FIELD_COUNT];

/* The descriptor of a row's field, and the place of its value in |m|. */
const ProtobufCFieldDescriptor *config_field_descriptor(const struct config_field *row);
static inline void *config_field_at(XtcpConfig__V1__XtcpConfig *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}
static inline const void *config_field_at_const(const XtcpConfig__V1__XtcpConfig *m,
                                                const ProtobufCFieldDescriptor *f)
{
    return (const char *)m + f->offset;
}

/* Checks the value that |m| has for |row| against the row's bounds. Returns 0, or ERR_RANGE or ERR_MALFORMED
 * (a Duration that is none) with |e| naming field, value and bounds. */
int config_field_check(const struct config_field *row, const XtcpConfig__V1__XtcpConfig *m, struct err *e);

#define CONFIG_QUOTE_MAX 80

/* |text| as an error quotes it: utf8_quote. Returns |out|. */
const char *config_quote(const char *text, char out[CONFIG_QUOTE_MAX]);

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

/* ---- XtcpConfig made of a struct config ---- */

#define CONFIG_VIEW_DURATIONS 4
#define CONFIG_VIEW_TEXTS     8

/* A message with all that it points to, apart from the strings, which stay those of the configuration. */
struct config_view {
    XtcpConfig__V1__XtcpConfig message;
    Google__Protobuf__Duration durations[CONFIG_VIEW_DURATIONS];
    size_t n_durations;
    XtcpConfig__V1__EnabledDeserializers deserializers;
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry entries[GROUP_COUNT];
    XtcpConfig__V1__EnabledDeserializers__EnabledEntry *entry_list[GROUP_COUNT];
    XtcpConfig__V1__DaemonOptions options;
    XtcpConfig__V1__Listeners listeners;
    XtcpConfig__V1__Namespaces namespaces;
    XtcpConfig__V1__NamespaceDirectories directories;
    XtcpConfig__V1__Limits limits;
    XtcpConfig__V1__CpuBudget cpu;
    XtcpConfig__V1__Reserve reserve;
    XtcpConfig__V1__Log log;
    XtcpConfig__V1__State state;
    XtcpConfig__V1__Process process;
    XtcpConfig__V1__Texts include, exclude;
    XtcpConfig__V1__Access access;
    XtcpConfig__V1__Texts texts[CONFIG_VIEW_TEXTS]; /* the lists of |access| */
    size_t n_texts;
};

/* Fills |v| with |c|; valid as long as |v| stays where it is and |c| and |extra| live. */
void config_view_init(struct config_view *v, const struct config *c, const struct config_msg_extra *extra);

/* A Duration of the view for |ns|. */
Google__Protobuf__Duration *config_view_duration(struct config_view *v, int64_t ns);

/* The part of it that is XtcpConfig.options. */
void config_view_options(struct config_view *v, const struct config *c);

/* The part of that that is DaemonOptions.access. */
void config_view_access(struct config_view *v, const struct config *c);

/* XtcpConfig.grpc_port. */
uint32_t config_view_port(const struct config *c, const struct config_msg_extra *extra);

/* Appends |message|. Returns 0 or -ENOMEM. */
int config_msg_pack(const ProtobufCMessage *message, struct buf *out);

/* ---- Set ---- */

/* A SetRequest that is being applied. */
struct config_apply {
    const struct config *in_force;
    const struct config_msg_extra *extra;
    struct config *candidate; /* what is changed */
    bool complete;            /* the message is a complete configuration: its zeros are values */
    uint32_t port;            /* grpc_port when it is to change, else 0 */
    struct err *e;
};

/* Applies XtcpConfig.options to the candidate, after all other fields. Returns 0 or an error with |a->e|
 * naming the field. */
int config_apply_options(struct config_apply *a, const XtcpConfig__V1__DaemonOptions *options);

/* Gives the first TCP listener of the candidate the port |port|. Returns 0 or an error with |a->e|. */
int config_apply_port(struct config_apply *a, uint32_t port);

/* The part of it that is DaemonOptions.access. */
int config_apply_access(struct config_apply *a, const XtcpConfig__V1__Access *access);

/* Sets the option called |name| of the candidate from its text form. */
int config_apply_text(struct config_apply *a, const char *name, const char *text);

/* Replaces the list called |name| of the candidate. Its items are checked one by one, as they may hold what
 * separates items in text form. */
int config_apply_list(struct config_apply *a, const char *name, char *const *items, size_t n);

/* Proto names of DaemonOptions' fields, with the option behind each. */
struct config_option_path {
    const char *path; /* "options.log.level" */
    const char *option;
};
#define CONFIG_OPTION_PATHS 39
extern const struct config_option_path config_option_paths[CONFIG_OPTION_PATHS];

/* The proto name of the field that shows |option|; its own name when none does. */
const char *config_wire_name(const struct config_option *option);

#endif
