/* The variant of xxh3 that is compiled with AVX2 where the compiler can. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False where this build or this machine has no AVX2; xxh3_wide must not be called then. */
bool xxh3_wide_usable(void);
uint64_t xxh3_wide(const void *data, size_t len, uint64_t seed);
