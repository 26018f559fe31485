/*
 * Frame of a model test: the same random operations on the real thing and on a naive twin, from a printed seed.
 *
 * Without arguments a program runs its fixed seeds; with one it runs that seed only.
 */
#pragma once
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/prng.h"

#define MODEL_SEEDS 40u

static inline int model_main(int argc, char **argv, void (*run)(struct prng *prng))
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t last = argc > 1 ? first : MODEL_SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        printf("seed %" PRIu64 "\n", seed);
        fflush(stdout);
        struct prng prng = { seed };
        run(&prng);
    }
    return 0;
}
