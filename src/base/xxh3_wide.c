#include "base/xxh3_wide.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

bool xxh3_wide_usable(void)
{
#ifdef __AVX2__
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

uint64_t xxh3_wide(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}
