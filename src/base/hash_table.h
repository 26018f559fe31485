/*
 * uthash with a hash that strangers cannot foresee: XXH3 with a seed that is drawn at a start. Keys that clients choose
 * (ids of groups and members, names of topics) can so not be made to fall into one bucket. Nobody includes uthash.h itself.
 *
 * The seed belongs to the whole process, because uthash has no place for one in a table. Order of iteration does not
 * depend on it: uthash visits what is in a table in the order of coming.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define HASH_FUNCTION(key, key_len, hash_value) ((hash_value) = hash_table_hash((key), (key_len)))
#include <uthash.h>

unsigned hash_table_hash(const void *key, size_t len);
/* To be called before there is any table; without it the seed is 0, as simulations and tests want it. */
void hash_table_seed(uint64_t seed);
