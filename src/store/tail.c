#include "store/tail.h"

#include <stdlib.h>
#include <string.h>

#define EVICT_SEARCH_MAX 64u

struct slab {
    struct list link;
    struct list free;
    uint32_t free_count;
    uint8_t *memory;
    struct chunk chunks[SLAB_CHUNKS];
};

/* -- the pool ------------------------------------------------------------------------------------------------------ */

void tail_pool_init(struct tail_pool *pool, uint64_t bytes_max)
{
    *pool = (struct tail_pool){ .bytes_max = MAX(bytes_max, (uint64_t)SLAB_CHUNKS * CHUNK_BYTES) };
    list_init(&pool->slabs);
    list_init(&pool->cached);
}

static void slab_free(struct tail_pool *pool, struct slab *slab)
{
    list_remove(&slab->link);
    pool->slab_bytes -= (uint64_t)SLAB_CHUNKS * CHUNK_BYTES;
    free(slab->memory);
    free(slab);
}

void tail_pool_deinit(struct tail_pool *pool)
{
    list_each(node, &pool->slabs) {
        slab_free(pool, list_entry(node, struct slab, link));
    }
}

static struct slab *slab_new(struct tail_pool *pool)
{
    uint64_t bytes = (uint64_t)SLAB_CHUNKS * CHUNK_BYTES;
    if (pool->slab_bytes + bytes > pool->bytes_max)
        return NULL;
    struct slab *slab = calloc(1, sizeof(*slab));
    void *memory = NULL;
    if (!slab || posix_memalign(&memory, TAIL_BLOCK_BYTES, bytes) != 0) {
        free(slab);
        return NULL;
    }
    slab->memory = memory;
    list_init(&slab->free);
    for (uint32_t i = 0; i < SLAB_CHUNKS; i++) {
        struct chunk *chunk = &slab->chunks[i];
        chunk->data = slab->memory + (size_t)i * CHUNK_BYTES;
        chunk->slab = slab;
        list_push_back(&slab->free, &chunk->link);
    }
    slab->free_count = SLAB_CHUNKS;
    list_push_back(&pool->slabs, &slab->link);
    pool->slab_bytes += bytes;
    return slab;
}

static void chunk_release(struct tail_pool *pool, struct chunk *chunk)
{
    struct slab *slab = chunk->slab;
    list_remove(&chunk->link);
    chunk->tail = NULL;
    chunk->next = NULL;
    chunk->used = false;
    list_push_front(&slab->free, &chunk->link);
    slab->free_count++;
    pool->used_bytes -= CHUNK_BYTES;
    if (slab->free_count == 1) { /* slabs with room stand in front */
        list_remove(&slab->link);
        list_push_front(&pool->slabs, &slab->link);
    }
}

static void cached_remove(struct tail_pool *pool, struct chunk *chunk)
{
    if (!list_linked(&chunk->link))
        return;
    list_remove(&chunk->link);
    pool->cached_bytes -= CHUNK_BYTES;
}

static struct chunk *tail_at(const struct tail *tail, uint32_t i)
{
    return tail->chunks[(tail->head + i) & (tail->capacity - 1)];
}

/* Takes the first chunk out of its tail. It is filed, so readers find its bytes in the file. */
static void tail_drop_first(struct tail *tail, struct tail_pool *pool)
{
    struct chunk *chunk = tail_at(tail, 0);
    tail->head++;
    tail->count--;
    uint64_t behind = (tail->begin / CHUNK_BYTES + 1) * CHUNK_BYTES;
    tail->begin = tail->count == 0 ? tail->end : behind;
    cached_remove(pool, chunk);
    chunk->tail = NULL;
    if (chunk->pins == 0)
        chunk_release(pool, chunk);
}

static bool pool_evict_one(struct tail_pool *pool)
{
    uint32_t tries = 0;
    list_each(node, &pool->cached) {
        struct chunk *chunk = list_entry(node, struct chunk, link);
        if (chunk->pins == 0 && tail_at(chunk->tail, 0) == chunk) {
            tail_drop_first(chunk->tail, pool);
            return true;
        }
        if (++tries == EVICT_SEARCH_MAX)
            break;
    }
    return false;
}

void tail_pool_age(struct tail_pool *pool, uint64_t cached_before_ns)
{
    for (uint32_t i = 0; i < EVICT_SEARCH_MAX && !list_empty(&pool->cached); i++) {
        struct chunk *oldest = list_entry(pool->cached.next, struct chunk, link);
        if (oldest->cached_ns > cached_before_ns || !pool_evict_one(pool))
            break;
    }
    uint32_t seen = 0;
    list_each(node, &pool->slabs) {
        struct slab *slab = list_entry(node, struct slab, link);
        if (slab->free_count == 0 || ++seen > EVICT_SEARCH_MAX)
            break;
        if (slab->free_count == SLAB_CHUNKS)
            slab_free(pool, slab);
    }
}

bool tail_pool_tight(const struct tail_pool *pool, uint64_t len)
{
    uint64_t taken = pool->used_bytes - pool->cached_bytes;
    return taken + len + CHUNK_BYTES > pool->bytes_max;
}

/* A free chunk, the one behind `after` in memory if possible. */
static struct chunk *chunk_take(struct tail_pool *pool, const struct chunk *after)
{
    struct slab *slab = NULL;
    struct chunk *chunk = NULL;
    if (after && after != &after->slab->chunks[SLAB_CHUNKS - 1]) {
        slab = after->slab;
        size_t idx = (size_t)(after - slab->chunks) + 1;
        chunk = slab->chunks[idx].used ? NULL : &slab->chunks[idx];
    }
    if (!chunk) {
        slab = list_empty(&pool->slabs) ? NULL : list_entry(pool->slabs.next, struct slab, link);
        if (!slab || slab->free_count == 0)
            slab = slab_new(pool);
        if (!slab)
            return NULL;
        chunk = list_entry(slab->free.next, struct chunk, link);
    }
    list_remove(&chunk->link);
    chunk->used = true;
    slab->free_count--;
    pool->used_bytes += CHUNK_BYTES;
    if (slab->free_count == 0) {
        list_remove(&slab->link);
        list_push_back(&pool->slabs, &slab->link);
    }
    return chunk;
}

static struct chunk *chunk_new(struct tail_pool *pool, const struct chunk *after)
{
    struct chunk *chunk = chunk_take(pool, after);
    if (!chunk && pool_evict_one(pool))
        chunk = chunk_take(pool, NULL);
    return chunk;
}

/* -- one tail ------------------------------------------------------------------------------------------------------ */

void tail_init(struct tail *tail, uint64_t pos)
{
    *tail = (struct tail){ .begin = pos, .filed = pos, .end = pos };
}

void tail_deinit(struct tail *tail, struct tail_pool *pool)
{
    while (tail->count > 0)
        tail_drop_first(tail, pool);
    free(tail->chunks);
    tail_init(tail, tail->end);
}

static bool ring_grow(struct tail *tail)
{
    uint32_t capacity = tail->capacity ? tail->capacity * 2 : 4;
    struct chunk **chunks = calloc(capacity, sizeof(struct chunk *));
    if (!chunks)
        return false;
    for (uint32_t i = 0; i < tail->count; i++)
        chunks[i] = tail_at(tail, i);
    free(tail->chunks);
    tail->chunks = chunks;
    tail->capacity = capacity;
    tail->head = 0;
    return true;
}

static bool tail_grow(struct tail *tail, struct tail_pool *pool)
{
    if (tail->count == tail->capacity && !ring_grow(tail))
        return false;
    struct chunk *last = tail->count > 0 ? tail_at(tail, tail->count - 1) : NULL;
    struct chunk *chunk = chunk_new(pool, last);
    if (!chunk)
        return false;
    /* Eviction inside chunk_new may have taken what was this tail's only, filed chunk. */
    last = tail->count > 0 ? tail_at(tail, tail->count - 1) : NULL;
    if (last)
        last->next = chunk;
    else
        tail->begin = align_down(tail->end, TAIL_BLOCK_BYTES);
    chunk->tail = tail;
    tail->chunks[(tail->head + tail->count) & (tail->capacity - 1)] = chunk;
    tail->count++;
    return true;
}

/* Makes wholly filed chunks evictable. */
static void tail_offer(struct tail *tail, struct tail_pool *pool, uint64_t from)
{
    if (tail->count == 0)
        return;
    uint64_t first_no = tail->begin / CHUNK_BYTES;
    uint64_t idx = from / CHUNK_BYTES > first_no ? from / CHUNK_BYTES - first_no : 0;
    for (; idx < tail->count; idx++) {
        uint64_t chunk_end = (first_no + idx + 1) * CHUNK_BYTES;
        if (MIN(chunk_end, tail->end) > tail->filed)
            break;
        struct chunk *chunk = tail_at(tail, (uint32_t)idx);
        if (list_linked(&chunk->link))
            continue;
        chunk->cached_ns = pool->now_ns;
        list_push_back(&pool->cached, &chunk->link);
        pool->cached_bytes += CHUNK_BYTES;
    }
}

bool tail_reserve(struct tail *tail, struct tail_pool *pool, uint64_t len)
{
    const bool was_empty = tail->count == 0;
    if (!was_empty) /* about to be appended to: no longer wholly filed */
        cached_remove(pool, tail_at(tail, tail->count - 1));
    for (;;) {
        uint64_t first_pos = align_down(tail->count ? tail->begin : tail->end, CHUNK_BYTES);
        if (tail->count > 0 && first_pos + (uint64_t)tail->count * CHUNK_BYTES >= tail->end + len)
            return true;
        if (!tail_grow(tail, pool))
            break;
    }
    while (was_empty && tail->count > 0)
        tail_drop_first(tail, pool);
    tail_offer(tail, pool, tail->filed > 0 ? tail->filed - 1 : 0);
    return false;
}

/* The chunk of pos and how far pos is inside it. */
static struct chunk *tail_find(const struct tail *tail, uint64_t pos, uint64_t *ret_inside)
{
    uint64_t idx = pos / CHUNK_BYTES - tail->begin / CHUNK_BYTES;
    ASSERT(idx < tail->count);
    *ret_inside = pos % CHUNK_BYTES;
    return tail_at(tail, (uint32_t)idx);
}

void tail_load(struct tail *tail, const uint8_t *bytes, uint64_t len)
{
    ASSERT(tail->count > 0);
    ASSERT(tail->begin == align_down(tail->end, TAIL_BLOCK_BYTES));
    ASSERT(len == tail->end - tail->begin);
    uint64_t inside;
    struct chunk *chunk = tail_find(tail, tail->begin, &inside);
    memcpy(chunk->data + inside, bytes, len);
}

void tail_append(struct tail *tail, const void *bytes, uint64_t len)
{
    const uint8_t *from = bytes;
    while (len > 0) {
        uint64_t inside;
        struct chunk *chunk = tail_find(tail, tail->end, &inside);
        uint64_t now = MIN(len, CHUNK_BYTES - inside);
        memcpy(chunk->data + inside, from, now);
        from += now;
        len -= now;
        tail->end += now;
    }
}

void tail_set_filed(struct tail *tail, struct tail_pool *pool, uint64_t pos)
{
    ASSERT(pos >= tail->filed);
    ASSERT(pos <= tail->end);
    uint64_t before = tail->filed;
    tail->filed = pos;
    tail_offer(tail, pool, before);
}

void tail_cut(struct tail *tail, struct tail_pool *pool, uint64_t pos)
{
    ASSERT(pos >= tail->filed);
    ASSERT(pos <= tail->end);
    tail->end = pos;
    while (tail->count > 0) {
        uint64_t last_pos = align_down(tail->begin, CHUNK_BYTES) + (uint64_t)(tail->count - 1) * CHUNK_BYTES;
        struct chunk *last = tail_at(tail, tail->count - 1);
        if (last_pos < pos || tail->count == 1)
            break;
        cached_remove(pool, last);
        tail->count--;
        last->tail = NULL;
        if (last->pins == 0)
            chunk_release(pool, last);
    }
    if (tail->count > 0 && tail->begin >= pos)
        tail_drop_first(tail, pool);
    tail_offer(tail, pool, pos);
}

uint32_t tail_views(const struct tail *tail, uint64_t from, uint64_t to, struct iovec *iov, uint32_t iov_max,
                    uint64_t *ret_len)
{
    uint32_t count = 0;
    uint64_t pos = from;
    while (pos < to) {
        uint64_t inside;
        struct chunk *chunk = tail_find(tail, pos, &inside);
        uint8_t *data = chunk->data + inside;
        uint64_t len = MIN(to - pos, CHUNK_BYTES - inside);
        if (count > 0 && (uint8_t *)iov[count - 1].iov_base + iov[count - 1].iov_len == data) {
            iov[count - 1].iov_len += len;
        } else {
            if (count == iov_max)
                break;
            iov[count++] = (struct iovec){ .iov_base = data, .iov_len = len };
        }
        pos += len;
    }
    *ret_len = pos - from;
    return count;
}

void tail_copy(const struct tail *tail, uint64_t pos, void *dst, uint64_t len)
{
    uint8_t *to = dst;
    while (len > 0) {
        uint64_t inside;
        struct chunk *chunk = tail_find(tail, pos, &inside);
        uint64_t now = MIN(len, CHUNK_BYTES - inside);
        memcpy(to, chunk->data + inside, now);
        to += now;
        pos += now;
        len -= now;
    }
}

struct chunk *tail_pin(struct tail *tail, uint64_t from, uint64_t to, uint32_t *ret_count)
{
    ASSERT(from < to);
    uint64_t inside;
    struct chunk *first = tail_find(tail, from, &inside);
    uint32_t count = (uint32_t)((to - 1) / CHUNK_BYTES - from / CHUNK_BYTES) + 1;
    struct chunk *chunk = first;
    for (uint32_t i = 0; i < count; i++, chunk = chunk->next)
        chunk->pins++;
    *ret_count = count;
    return first;
}

void tail_unpin(struct tail_pool *pool, struct chunk *first, uint32_t count)
{
    struct chunk *chunk = first;
    for (uint32_t i = 0; i < count; i++) {
        struct chunk *next = chunk->next;
        ASSERT(chunk->pins > 0);
        if (--chunk->pins == 0 && !chunk->tail)
            chunk_release(pool, chunk);
        chunk = next;
    }
}
