/* Sizes and times in the units their names say. */
#pragma once
#include <stdint.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* now + ms, saturating; negative ms count as zero. */
static inline uint64_t deadline_after_ms(uint64_t now_ns, int64_t ms)
{
    if (ms <= 0)
        return now_ns;
    uint64_t delta_ns, deadline_ns;
    if (__builtin_mul_overflow((uint64_t)ms, NS_PER_MS, &delta_ns) ||
        __builtin_add_overflow(now_ns, delta_ns, &deadline_ns))
        return UINT64_MAX - 1;
    return deadline_ns;
}
