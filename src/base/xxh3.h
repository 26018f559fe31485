/* XXH3-64 of long runs with the widest instructions that the machine has; the result is the same everywhere. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t xxh3(const void *data, size_t len, uint64_t seed);
