#include "base/xxh3.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/xxh3_wide.h"

uint64_t xxh3(const void *data, size_t len, uint64_t seed)
{
    if (xxh3_wide_usable())
        return xxh3_wide(data, len, seed);
    return XXH3_64bits_withSeed(data, len, seed);
}
