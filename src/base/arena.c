#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *older;
    size_t capacity;
    _Alignas(16) uint8_t bytes[];
};

static struct arena_block *block_add(struct arena *arena, size_t need)
{
    size_t capacity = MAX(need, (size_t)ARENA_BLOCK_BYTES - sizeof(struct arena_block));
    if (arena->blocks)
        capacity = MAX(capacity, MIN(arena->blocks->capacity * 2, (size_t)256 * 1024));
    struct arena_block *block = malloc(sizeof(*block) + capacity);
    if (!block)
        return NULL;
    block->older = arena->blocks;
    block->capacity = capacity;
    arena->blocks = block;
    arena->used = 0;
    return block;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = align_up(bytes, 16);
    if (arena->limit && bytes > arena->limit - arena->total)
        return NULL;
    struct arena_block *block = arena->blocks;
    if (!block || bytes > block->capacity - arena->used)
        block = block_add(arena, bytes);
    if (!block)
        return NULL;
    void *memory = block->bytes + arena->used;
    arena->used += bytes;
    arena->total += bytes;
    return memset(memory, 0, bytes);
}

static void blocks_free(struct arena_block *block)
{
    while (block) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    if (block && block->capacity > 4 * ARENA_BLOCK_BYTES) {
        blocks_free(block);
        arena->blocks = NULL;
    } else if (block) {
        blocks_free(block->older);
        block->older = NULL;
    }
    arena->used = 0;
    arena->total = 0;
}

void arena_deinit(struct arena *arena)
{
    blocks_free(arena->blocks);
    *arena = (struct arena){ .limit = arena->limit };
}
