/* gRPC statuses and the project's error codes. */
#ifndef XTCP_RPC_STATUS_H
#define XTCP_RPC_STATUS_H

/* "OK", "UNAVAILABLE", …; "UNKNOWN" for numbers that are none of gRPC's. A constant string. */
const char *rpc_status_name(int grpc_status);

/* The project's code for a gRPC status: 0 for OK, ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_RANGE (INVALID_ARGUMENT),
 * … */
int rpc_status_error(int grpc_status);

/* The gRPC status for one of our codes or -errno: the one place that decides what a client sees. */
int rpc_status_from_error(int code);

#endif
