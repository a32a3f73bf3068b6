#include <grpc/grpc.h>
#include "nswatch/nswatch.h"
#include <netlink/netlink.h>
