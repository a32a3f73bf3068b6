/* A stand-in for the calls of rpc/server/server.h, so that what the hub and its subscribers do can be tested without
 * a network: it counts kicks and remembers how a call was ended. Its user is whom the test says. */
#ifndef XTCP_TESTS_SERVER_FAKE_RPC_H
#define XTCP_TESTS_SERVER_FAKE_RPC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "rpc/server/server.h"

struct rpc_call {
    _Atomic int refs;
    _Atomic int kicks;
    _Atomic bool finished;
    _Atomic bool aborted;
    _Atomic int code;
    struct quota_user *quota; /* the test's */
    enum quota_rank rank;
};

#endif
