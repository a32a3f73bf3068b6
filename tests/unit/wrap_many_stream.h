/* The functions with which the linker replaces the network and the clock of the client's stream engine (ld --wrap): the
 * program that includes this defines them. */
#ifndef XTCP_TESTS_WRAP_MANY_STREAM_H
#define XTCP_TESTS_WRAP_MANY_STREAM_H

#include "client/stop.h"
#include "rpc/client/many_stream.h"

int64_t __wrap_clock_mono_ns(void);
uint32_t __wrap_arc4random(void);
int __wrap_rpc_many_new(struct rpc_many **out);
void __wrap_rpc_many_free(struct rpc_many *m);
int __wrap_rpc_many_next(struct rpc_many *m, int64_t deadline_ns, struct rpc_many_event *out);
int __wrap_rpc_many_stream_open(struct rpc_many *m, const struct rpc_many_stream_call *call, void *owner,
                                struct rpc_many_stream **out, struct err *e);
int __wrap_rpc_many_stream_send(struct rpc_many_stream *l, const void *message, size_t len);
bool __wrap_rpc_many_stream_connected(const struct rpc_many_stream *l);
void __wrap_rpc_many_stream_close(struct rpc_many_stream *l);
enum stop_reason __wrap_stop_reason(const struct stop *s);

#endif
