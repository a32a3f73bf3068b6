#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"
