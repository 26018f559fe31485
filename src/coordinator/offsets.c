#include "coordinator/offsets.h"

#include "base/base.h"

void offsets_clear(struct offsets *offsets)
{
    ASSERT(offsets->by_name == NULL);
}
