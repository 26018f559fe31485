/*
 * Memory ranges that are registered with the kernel, each with its slot in the kernel's table: sorted by address, so
 * that finding the slot of a buffer takes a binary search, and a range never overlaps another.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct region {
    uintptr_t start;
    size_t len;
    uint32_t slot;
};

struct regions {
    struct region *sorted;
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots_free; /* a stack of slots that were given back */
    uint32_t slots_free_count;
    uint32_t slots_used; /* slots below were given out at least once */
};

/* Returns the slot given to the range, or -1 when slots_max are in use. */
int32_t regions_add(struct regions *regions, const void *mem, size_t len, uint32_t slots_max);
/* Returns the slot of the range that starts at mem, now free; -1 if there is none. */
int32_t regions_remove(struct regions *regions, const void *mem);
/* The slot of the range that holds [mem, mem+len), or -1. */
int32_t regions_find(const struct regions *regions, const void *mem, size_t len);
void regions_deinit(struct regions *regions);
