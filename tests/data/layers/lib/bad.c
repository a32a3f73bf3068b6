#include "config/config.h"
#include <netlink/netlink.h>
#include "log.h"
