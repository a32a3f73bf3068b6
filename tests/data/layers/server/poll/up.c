#include "server/watch/focus.h"
