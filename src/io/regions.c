#include "io/regions.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* The number of ranges that start at or below address. */
static uint32_t regions_rank(const struct regions *regions, uintptr_t address)
{
    uint32_t low = 0;
    uint32_t high = regions->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (regions->sorted[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void regions_grow(struct regions *regions)
{
    if (regions->count < regions->capacity)
        return;
    regions->capacity = MAX(16u, regions->capacity * 2);
    regions->sorted = xrealloc(regions->sorted, regions->capacity * sizeof(regions->sorted[0]));
    regions->slots_free = xrealloc(regions->slots_free, regions->capacity * sizeof(regions->slots_free[0]));
}

int32_t regions_add(struct regions *regions, const void *mem, size_t len, uint32_t slots_max)
{
    if (regions->count >= slots_max)
        return -1;
    regions_grow(regions);
    uint32_t slot =
        regions->slots_free_count ? regions->slots_free[--regions->slots_free_count] : regions->slots_used++;
    uint32_t rank = regions_rank(regions, (uintptr_t)mem);
    struct region *at = &regions->sorted[rank];
    memmove(at + 1, at, (regions->count - rank) * sizeof(*at));
    *at = (struct region){ .start = (uintptr_t)mem, .len = len, .slot = slot };
    regions->count++;
    return (int32_t)slot;
}

int32_t regions_remove(struct regions *regions, const void *mem)
{
    uint32_t rank = regions_rank(regions, (uintptr_t)mem);
    if (rank == 0 || regions->sorted[rank - 1].start != (uintptr_t)mem)
        return -1;
    struct region *at = &regions->sorted[rank - 1];
    uint32_t slot = at->slot;
    memmove(at, at + 1, (regions->count - rank) * sizeof(*at));
    regions->count--;
    regions->slots_free[regions->slots_free_count++] = slot;
    return (int32_t)slot;
}

int32_t regions_find(const struct regions *regions, const void *mem, size_t len)
{
    uintptr_t address = (uintptr_t)mem;
    uint32_t rank = regions_rank(regions, address);
    if (rank == 0)
        return -1;
    const struct region *region = &regions->sorted[rank - 1];
    size_t distance = address - region->start;
    return distance < region->len && len <= region->len - distance ? (int32_t)region->slot : -1;
}

void regions_deinit(struct regions *regions)
{
    free(regions->sorted);
    free(regions->slots_free);
    *regions = (struct regions){ 0 };
}
