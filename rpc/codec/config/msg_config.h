/* Messages of ConfigService (package xtcp_config.v1), by protobuf-c: XtcpConfig carries a map, which the upb
 * of libgrpc 1.51 cannot decode safely.
 *
 * XtcpConfig has a row for each of its fields in msg_config_table.c: the bounds of the wire contract, and whether it
 * has one value in this daemon or shows an option. Each option names its field (|wire| in the option table of
 * config/), and msg_config_place.c goes there.
 *
 * The reading rules of Set:
 *   - a message (Duration, enabled_deserializers, options and messages in it) that is absent is unchanged,
 *     also a required one;
 *   - a number, bool or string that is zero or empty is unset, hence unchanged, when it is not required or
 *     its bounds exclude zero;
 *   - a required number whose bounds include zero (debug_level) has no way to say "absent" in proto3. Its
 *     zero is a value in a complete configuration, one that has every required field that cannot be zero, such as
 *     Get returns; in a partial one ({label: "x"}) it is unchanged;
 *   - a value that this daemon cannot change, or only at its start, is refused by name when it differs from
 *     the one in force;
 *   - a field that the contract does not know is refused by number.
 *
 * Everything here is pure and may be called from any thread. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "lib/buf.h"
#include "lib/err.h"

/* Values of XtcpConfig that are not in struct config. */
struct config_msg_extra {
    const char *daemon_version;
    /* The port that the first TCP listener is bound to; 0: the port in the configuration, 8889 when it has
     * none. */
    uint32_t grpc_port;
};

/* Every option shows in one field, log_level and grpc_listen in two. */
#define CONFIG_MSG_CHANGED_MAX (CONFIG_OPTION_COUNT + 2)

/* A change that was asked for. */
struct config_msg_set {
    /* Validated, normalised, with the generation of the one in force; the caller's, for config_unref. */
    struct config *candidate;
    bool dry_run;
    /* Paths of the fields in which it differs from the one in force ("label", "options.log.format"): constants. */
    const char *changed[CONFIG_MSG_CHANGED_MAX];
    size_t n_changed; /* 0: nothing changes */
};

/* Appends GetResponse, SetResponse, SetPollFrequencyResponse or SetS3UploadResponse with |c|; the |n_changed|
 * names are SetResponse's alone (0 for the others). Returns 0 or -ENOMEM. */
int config_msg_encode_reply(const struct config *c, const struct config_msg_extra *extra,
                            const char *const *changed, size_t n_changed, struct buf *out);

/* Applies the SetRequest of |len| bytes at |request| to a copy of |in_force|, all or nothing. Returns 0 and
 * fills |out|, or, each with |e| naming field, value and bounds:
 *   ERR_MALFORMED, ERR_RANGE, ERR_TYPE, ERR_UNKNOWN, ERR_DUPLICATE, ERR_LIMIT
 *                     the request is wrong (INVALID_ARGUMENT)
 *   ERR_UNSUPPORTED   it changes an option that cannot be changed in this daemon
 *   ERR_STALE         its generation is not the one in force
 *   -ENOMEM */
int config_msg_apply_set(const void *request, size_t len, const struct config *in_force,
                         const struct config_msg_extra *extra, struct config_msg_set *out, struct err *e);

/* The same for a SetPollFrequencyRequest, in which both durations are required. */
int config_msg_apply_poll_frequency(const void *request, size_t len, const struct config *in_force,
                                    struct config_msg_set *out, struct err *e);

struct config_msg_burst {
    uint32_t count;
    int64_t interval_ns;
    bool replace;
};

/* Reads a TriggerPollBurstRequest and checks it, also against the poll timeout in force. Errors as above. */
int config_msg_decode_burst(const void *request, size_t len, int64_t poll_timeout_ns,
                            struct config_msg_burst *out, struct err *e);

/* Appends a TriggerPollBurstResponse. Returns 0 or -ENOMEM. */
int config_msg_encode_burst_reply(const struct config_msg_burst *burst, struct buf *out);

/* Appends a CancelBurstResponse. Returns 0 or -ENOMEM. */
int config_msg_encode_cancel_reply(uint32_t cancelled, struct buf *out);

struct config_msg_s3 {
    int64_t flush_interval_ns;      /* 0: not given */
    uint32_t flush_threshold_bytes; /* 0: not given; one of the two is */
};

/* Reads a SetS3UploadRequest and checks it. Errors as above. */
int config_msg_decode_s3(const void *request, size_t len, struct config_msg_s3 *out, struct err *e);

#endif
