/* Server reflection: answers which services, methods and messages there are. The messages of
 * grpc.reflection.v1 and v1alpha are the same on the wire, so one handler serves both.
 *
 * A struct reflection is immutable once made: any number of threads may ask it at the same time. */
#ifndef XTCP_RPC_CODEC_MSG_REFLECTION_H
#define XTCP_RPC_CODEC_MSG_REFLECTION_H

#include <stddef.h>

#include "lib/buf.h"
#include "lib/err.h"

struct reflection;

/* Full names of every service of this project's contract, with health and the two reflections. */
#define REFLECTION_SERVICE_COUNT 9
extern const char *const reflection_services[REFLECTION_SERVICE_COUNT];

/* A handler that lists the |n| services with those full names (copied). Loads the descriptors of all protos
 * of the project. Returns 0 and it in |out|, ERR_UNKNOWN with |e| for a service that no proto defines,
 * -ENOMEM. */
int reflection_new(const char *const *services, size_t n, struct reflection **out, struct err *e);
void reflection_free(struct reflection *r);

/* Appends the ServerReflectionResponse for the ServerReflectionRequest of |len| bytes at |request|. For
 * something that does not exist the answer is an error_response. Returns 0, or ERR_MALFORMED for bytes that
 * are no request, -ENOMEM. */
int reflection_answer(const struct reflection *r, const void *request, size_t len, struct buf *reply,
                      struct err *e);

#endif
