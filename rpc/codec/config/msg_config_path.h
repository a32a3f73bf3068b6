/* Fields of XtcpConfig by their paths ("label", "options.log.level") and in text form. Included by rpc/codec/config/
 * and its tests only; any thread. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_PATH_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_PATH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "lib/buf.h"
#include "lib/err.h"

/* The path that |key| means (see config_draft_assign), a constant; NULL with |e| when there is none. */
const char *config_path_of(const char *key, struct err *e);

/* Sets the field at |path| of |root|, which was not set before, to the value that |text| has. |*zero| becomes whether
 * that is a zero or an empty text, which is the same as leaving the field out. Returns 0, ERR_TYPE, ERR_RANGE,
 * ERR_UNSUPPORTED or -ENOMEM with |e|. */
int config_path_set(ProtobufCMessage *root, const char *path, const char *text, bool *zero, struct err *e);

/* Appends the field at |path| of |root| as config_path_set reads it: nothing when it is absent. */
void config_path_print(const ProtobufCMessage *root, const char *path, struct buf *out);

/* Whether the field at |path| of |root| is absent, zero or empty. A message that is present is not, whatever it
 * holds. */
bool config_path_absent(const ProtobufCMessage *root, const char *path);

#endif
