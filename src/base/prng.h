/* Seeded generator (splitmix64): for jitter, tests and the simulator. Not for secrets. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *p)
{
    uint64_t z = (p->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); 0 for bound 0. */
static inline uint64_t prng_below(struct prng *p, uint64_t bound)
{
    return bound ? prng_next(p) % bound : 0;
}

/* Uniform in [lo, hi]. */
static inline uint64_t prng_between(struct prng *p, uint64_t lo, uint64_t hi)
{
    return lo + prng_below(p, hi - lo + 1);
}

static inline bool prng_chance(struct prng *p, uint32_t per_million)
{
    return prng_next(p) % 1000000u < per_million;
}
