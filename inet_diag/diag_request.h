/* The request for all TCP sockets of a namespace, IPv4 and IPv6, in one pass over the kernel's tables. Any
 * thread. */
#ifndef XTCP_INET_DIAG_DIAG_REQUEST_H
#define XTCP_INET_DIAG_DIAG_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "filter/filter.h"
#include "model/groups.h"

struct nl_msg;

/* The extension mask (idiag_ext: bit INET_DIAG_X - 1) that makes the kernel send the attributes of
 * |groups|. */
uint8_t diag_request_extensions(groups_t groups);

/* The contents of a request for a dump. */
struct diag_request {
    groups_t groups;
    uint32_t states; /* bits 1 << TCP_X; DIAG_STATES_ALL: all that ss -a shows */
    uint16_t sport;  /* local and remote port, in host order; 0: any */
    uint16_t dport;
    const uint8_t *code; /* bytecode of inet_diag, see filter/filter.h */
    size_t code_len;     /* 0: none */
};

#define DIAG_STATES_ALL FILTER_STATES_ALL

/* A TCPDIAG_GETSOCK dump request as a libnl message, its sequence number and port still to be filled in by
 * libnl. The caller frees it with nlmsg_free. NULL without memory. */
struct nl_msg *diag_request_new(const struct diag_request *r);

#endif
