/* The client's side of ConfigService: requests written, responses read. Everything here is pure and may be called from
 * any thread. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_REPLY_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "rpc/codec/config/msg_config.h"

struct config_reply; /* a response of ConfigService that carries a configuration */

/* Reads GetResponse, SetResponse, SetPollFrequencyResponse or SetS3UploadResponse. Fields that only a newer daemon has
 * are left out. Returns 0 and the reply in |out|, for config_reply_free, or ERR_MALFORMED, ERR_LIMIT, -ENOMEM. */
int config_reply_decode(const void *reply, size_t len, struct config_reply **out, struct err *e);
void config_reply_free(struct config_reply *r);

/* Appends the configuration as indented protojson, ending with a newline. Returns 0 or -ENOMEM. */
int config_reply_json(const struct config_reply *r, struct buf *out);

/* The generation of the configuration, and its durations in ns, 0 when the reply has none. */
uint64_t config_reply_generation(const struct config_reply *r);
int64_t config_reply_poll_frequency(const struct config_reply *r);
int64_t config_reply_poll_timeout(const struct config_reply *r);

/* The names in SetResponse.changed: |*n| of them, owned by |r|. */
const char *const *config_reply_changed(const struct config_reply *r, size_t *n);

#define CONFIG_JSON_MAX (1024 * 1024) /* bytes of a document */

/* Appends a SetRequest made of the protojson document |text|, an XtcpConfig, called |name| in errors. Strict:
 * anything behind the object, unknown and duplicate keys and wrong types are errors that name place and key.
 * Returns 0, ERR_MALFORMED, ERR_UNKNOWN, ERR_DUPLICATE, ERR_TYPE, ERR_RANGE, ERR_LIMIT or -ENOMEM. */
int config_set_request_from_json(const char *text, size_t len, const char *name, bool dry_run,
                                 struct buf *request, struct err *e);

/* Append a SetPollFrequencyRequest, a TriggerPollBurstRequest. Return 0 or -ENOMEM. */
int config_poll_frequency_request(int64_t frequency_ns, int64_t timeout_ns, struct buf *request);
int config_burst_request(const struct config_msg_burst *burst, struct buf *request);

/* Reads a TriggerPollBurstResponse, a CancelBurstResponse. Return 0, ERR_MALFORMED, ERR_RANGE or -ENOMEM. */
int config_burst_reply_decode(const void *reply, size_t len, struct config_msg_burst *out, struct err *e);
int config_cancel_reply_decode(const void *reply, size_t len, uint32_t *cancelled, struct err *e);

#endif
