/*
 * The tail: the end of a segment as memory, byte for byte what the file holds or will hold.
 *
 * A tail is a row of chunks of 16 KiB. Chunk number n holds the file's bytes [n * 16 KiB, (n + 1) * 16 KiB). Chunks come
 * from a pool that all tails of a store share; it takes memory in slabs, on demand, and gives wholly free slabs back.
 *
 *        begin          filed        end
 *          |  in the file |  only here  |
 *   [chunk][chunk][chunk][chunk][chunk]
 *
 * (I1) begin <= filed <= end; begin is a multiple of 4096 or equals end (nothing held).
 * (I2) A chunk may be evicted when all its bytes are filed and nobody has it pinned; only the first of a tail goes, so
 *      that what is held stays contiguous. Eviction is oldest-filed first over all tails: the cache of recent data.
 * (I3) A pinned chunk keeps its memory until it is unpinned, even when its tail is gone.
 */
#pragma once
#include <stdbool.h>
#include <sys/uio.h>

#include <odradek/bytes.h>

#include "base/base.h"
#include "base/list.h"

#define CHUNK_BYTES       16384u
#define SLAB_CHUNKS       64u
#define TAIL_BLOCK_BYTES  4096u

struct tail;
struct slab;

struct chunk {
    uint8_t *data;
    struct tail *tail; /* NULL: free, or orphaned with pins */
    struct slab *slab;
    struct chunk *next; /* the one behind it in its tail */
    struct list link;   /* pool's free list, or its list of evictable chunks */
    uint64_t cached_ns; /* when it became evictable */
    uint32_t pins;
    bool used;
};

struct tail_pool {
    struct list slabs;
    struct list cached;  /* evictable chunks, oldest first */
    uint64_t bytes_max;
    uint64_t slab_bytes; /* memory taken */
    uint64_t used_bytes; /* in chunks that are not free */
    uint64_t cached_bytes;
    uint64_t now_ns;     /* stamped on chunks that become evictable */
};

struct tail {
    struct chunk **chunks; /* ring of capacity, a power of two or 0 */
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    uint64_t begin;
    uint64_t filed;
    uint64_t end;
};

void tail_pool_init(struct tail_pool *pool, uint64_t bytes_max);
void tail_pool_deinit(struct tail_pool *pool);
/* Evicts what has been cached since before that time; gives free slabs back. Bounded work. */
void tail_pool_age(struct tail_pool *pool, uint64_t cached_before_ns);
/* True when the pool could not give a further len bytes without waiting for a spill. */
bool tail_pool_tight(const struct tail_pool *pool, uint64_t len);

/* An empty tail whose end is at pos of the file, with everything below filed. */
void tail_init(struct tail *tail, uint64_t pos);
/* Gives everything back. */
void tail_deinit(struct tail *tail, struct tail_pool *pool);

/* True when the block that holds end is not in memory although end is inside it: load it with tail_load first. */
static inline bool tail_wants_load(const struct tail *tail)
{
    return tail->count == 0 && tail->end % TAIL_BLOCK_BYTES != 0;
}

/* Makes room for len more bytes; false when the pool has none to give now. */
bool tail_reserve(struct tail *tail, struct tail_pool *pool, uint64_t len);
/* Gives an empty tail the file's bytes [end rounded down to 4096, end). Room must be reserved. */
void tail_load(struct tail *tail, const uint8_t *bytes, uint64_t len);
/* Copies bytes to the end. Room must be reserved. */
void tail_append(struct tail *tail, const void *bytes, uint64_t len);
/* The file now holds everything below pos. */
void tail_set_filed(struct tail *tail, struct tail_pool *pool, uint64_t pos);
/* Drops bytes that were appended and never filed: end moves back to pos >= filed. */
void tail_cut(struct tail *tail, struct tail_pool *pool, uint64_t pos);

/* True when the byte at pos is in memory. */
static inline bool tail_holds(const struct tail *tail, uint64_t pos)
{
    return tail->count > 0 && pos >= tail->begin && pos < tail->end;
}

/* Views of [from, to), which must be held, neighbours in memory joined. Stops when iov is full; ret_len says how far it
 * came. Returns the number of views. */
uint32_t tail_views(const struct tail *tail, uint64_t from, uint64_t to, struct iovec *iov, uint32_t iov_max,
                    uint64_t *ret_len);
/* Copies len held bytes at pos. */
void tail_copy(const struct tail *tail, uint64_t pos, void *dst, uint64_t len);

/* Keeps the chunks of [from, to) alive; the result goes to tail_unpin with the same count. */
struct chunk *tail_pin(struct tail *tail, uint64_t from, uint64_t to, uint32_t *ret_count);
void tail_unpin(struct tail_pool *pool, struct chunk *first, uint32_t count);
