#include "base/hash_table.h"

#include "base/xxh3.h"

static uint64_t table_seed;

unsigned hash_table_hash(const void *key, size_t len)
{
    return (unsigned)xxh3(key, len, table_seed);
}

void hash_table_seed(uint64_t seed)
{
    table_seed = seed;
}
