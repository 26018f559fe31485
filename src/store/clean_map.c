#include "store/clean_map.h"

#include <stdlib.h>
#include <xxhash.h>

#define SLOTS_MIN 64u

enum odk_err clean_map_init(struct clean_map *map, uint64_t keys, uint64_t bytes_max, uint64_t seed)
{
    uint64_t most = MAX(bytes_max / sizeof(struct clean_slot), (uint64_t)SLOTS_MIN);
    uint64_t wanted = keys > most ? most : MAX(keys + keys / 8 + 1, (uint64_t)SLOTS_MIN);
    *map = (struct clean_map){ .capacity = MIN(wanted, most), .seed = seed };
    map->slots = calloc(map->capacity, sizeof(struct clean_slot));
    return map->slots ? ODK_OK : ODK_ERR_MEMORY;
}

void clean_map_deinit(struct clean_map *map)
{
    free(map->slots);
    *map = (struct clean_map){ 0 };
}

/* The key's slot, or the free one where it would go. There always is a free one. */
static struct clean_slot *slot_of(const struct clean_map *map, XXH128_hash_t hash)
{
    uint64_t idx = (uint64_t)(((unsigned __int128)hash.high64 * map->capacity) >> 64);
    for (;; idx = idx + 1 < map->capacity ? idx + 1 : 0) {
        struct clean_slot *slot = &map->slots[idx];
        if (slot->next == 0 || (slot->low == hash.low64 && slot->high == hash.high64))
            return slot;
    }
}

bool clean_map_note(struct clean_map *map, struct odk_bytes key, int64_t offset)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.len, map->seed);
    struct clean_slot *slot = slot_of(map, hash);
    if (slot->next == 0) {
        if (map->count + 1 > map->capacity / 10 * 9)
            return false;
        map->count++;
        slot->low = hash.low64;
        slot->high = hash.high64;
    }
    slot->next = MAX(slot->next, offset + 1);
    return true;
}

int64_t clean_map_find(const struct clean_map *map, struct odk_bytes key)
{
    return slot_of(map, XXH3_128bits_withSeed(key.data, key.len, map->seed))->next - 1;
}
