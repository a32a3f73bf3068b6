/* The gRPC methods of the daemon: one table, handlers in svc_*.c. Their |app| is the struct app. */
#ifndef XTCP_SERVER_SERVICES_SERVICES_H
#define XTCP_SERVER_SERVICES_SERVICES_H

#include <stddef.h>

#include "rpc/server/server.h"

/* All methods; |*n| of them. */
const struct rpc_method *services_methods(size_t *n);

/* svc_config.c */
#define UNARY(name) int name(void *app, const struct rpc_request *request, struct buf *reply, struct err *e)
UNARY(svc_config_get);
UNARY(svc_config_set);
UNARY(svc_config_set_poll_frequency);
UNARY(svc_config_trigger_poll);
UNARY(svc_config_trigger_poll_burst);
UNARY(svc_config_cancel_burst);
UNARY(svc_config_set_s3_upload);
/* svc_output.c */
UNARY(svc_output_list);
UNARY(svc_output_pause);
UNARY(svc_output_resume);
UNARY(svc_output_flush);
/* svc_info.c */
UNARY(svc_namespace_list);
UNARY(svc_status_get);
UNARY(svc_health_check);
#undef UNARY

extern const struct rpc_stream_ops svc_flat_records;      /* svc_stream.c */
extern const struct rpc_stream_ops svc_poll_flat_records; /* svc_stream.c */
extern const struct rpc_stream_ops svc_namespace_watch;   /* svc_watch.c */
extern const struct rpc_stream_ops svc_output_watch;      /* svc_output.c */
extern const struct rpc_stream_ops svc_output_test;       /* svc_output.c */
extern const struct rpc_stream_ops svc_focus_watch;       /* svc_focus.c */
extern const struct rpc_stream_ops svc_health_watch;      /* svc_watch.c */
extern const struct rpc_stream_ops svc_reflection;        /* svc_watch.c */

#endif
