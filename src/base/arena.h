/*
 * Bump allocation for one request or one call: zeroed objects, freed all at once.
 *
 * Memory comes in blocks from malloc; the first block is kept across resets, so a steady request load allocates
 * nothing. The bound makes a hostile request fail instead of eating the machine: arena_new returns NULL when it is
 * reached, and decoders treat that as a malformed request.
 */
#pragma once
#include <stddef.h>

#include "base/base.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* in the newest block */
    size_t total;               /* bytes handed out since the last reset */
    size_t limit;               /* bound on total; 0 = none */
};

#define ARENA_BLOCK_BYTES 4096u

/* Zeroed, aligned to 16; NULL when the limit is reached or count * size overflows. Zero bytes give a valid pointer. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
#define arena_new(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))

/* Forgets everything handed out; keeps one block. */
void arena_reset(struct arena *arena);
/* Frees everything; the arena may be used again. */
void arena_deinit(struct arena *arena);
