/* The question: all TCP sockets of a namespace, IPv4 and IPv6, in one pass over the kernel's tables. Any
 * thread. */
#ifndef XTCP_COLLECTORS_DIAG_REQUEST_H
#define XTCP_COLLECTORS_DIAG_REQUEST_H

#include <stdint.h>

#include "lib/groups.h"

struct nl_msg;

/* The extension mask (idiag_ext: bit INET_DIAG_X - 1) that makes the kernel send what |groups| need. */
uint8_t diag_request_extensions(groups_t groups);

/* A TCPDIAG_GETSOCK dump request as a libnl message, its sequence number and port still to be filled in by
 * libnl. The caller frees it with nlmsg_free. NULL without memory. */
struct nl_msg *diag_request_new(groups_t groups);

#endif
