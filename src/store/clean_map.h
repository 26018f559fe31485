/*
 * Compaction's memory: for each key the offset of its last record. Keys are known by their XXH3-128 under a seed that
 * nobody outside can foresee, so that no producer can choose two keys that are taken for one.
 *
 * 24 bytes a slot, at most nine of ten in use (log.cleaner.io.buffer.load.factor's default); never more memory than was
 * asked for. Lookups cost one or two cache lines.
 */
#pragma once
#include <stdbool.h>

#include <odradek/bytes.h>

#include "base/base.h"

struct clean_slot {
    uint64_t low;
    uint64_t high;
    int64_t next; /* offset + 1; 0: free */
};

struct clean_map {
    struct clean_slot *slots;
    uint64_t capacity;
    uint64_t count;
    uint64_t seed;
};

/* Room for that many keys, or for as many as bytes_max allows. ODK_ERR_MEMORY. */
MUST_USE enum odk_err clean_map_init(struct clean_map *map, uint64_t keys, uint64_t bytes_max, uint64_t seed);
void clean_map_deinit(struct clean_map *map);
/* The key's last record is at offset, or at a later one that was noted before. False: it is a new key and there is no room. */
bool clean_map_note(struct clean_map *map, struct odk_bytes key, int64_t offset);
/* The last offset noted for the key, -1 when there is none. */
int64_t clean_map_find(const struct clean_map *map, struct odk_bytes key);
