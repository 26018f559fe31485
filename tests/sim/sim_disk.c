/*
 * The content of one file in a simulated file system.
 *
 * Two images: the cache is what programs see, the medium is what power loss surely leaves. A page whose images differ
 * carries a flag that says why (enum sim_page_flag). The rules, per page of 4 KiB and sector of 512 bytes:
 *
 *   (D1) a page that is DIRTY or VOLATILE at power loss is dropped, kept, or torn by sectors.
 *   (D2) a failed sync leaves half of what it covered LOST: clean, so that no later sync writes it, the new bytes in
 *        the cache and the old ones on the medium; eviction (here: at a restart) brings the old bytes back.
 *   (D3) the durable size follows the pages that reached the medium; what lies between is zeros.
 *   (D4) a truncation is committed before any page behind the cut reaches the medium.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim_internal.h"

struct sim_inode *sim_inode_new(struct sim_world *world, bool is_dir, const char *name)
{
    struct sim_inode *inode = xcalloc(1, sizeof(*inode));
    inode->world = world;
    inode->id = ++world->inode_count;
    inode->is_dir = is_dir;
    inode->cut_to = UINT64_MAX;
    inode->lock_handle = -1;
    (void)snprintf(inode->trace_name, sizeof(inode->trace_name), "%s", name);
    list_push_back(&world->inodes, &inode->in_world);
    return inode;
}

static uint8_t *reserve(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *mem = mmap(NULL, SIM_FILE_BYTES_MAX, PROT_READ | PROT_WRITE, flags, -1, 0);
    ASSERT(mem != MAP_FAILED);
    return mem;
}

static uint32_t page_of(uint64_t pos)
{
    return (uint32_t)(pos / SIM_PAGE);
}

static uint64_t at(uint32_t page)
{
    return (uint64_t)page * SIM_PAGE;
}

static uint32_t page_end(const struct sim_inode *inode)
{
    uint64_t end = MAX(inode->size, inode->medium_size);
    return MIN(page_of(end + SIM_PAGE - 1), inode->page_cap);
}

static void need_pages(struct sim_inode *inode, uint64_t end)
{
    if (inode->cache == NULL) {
        inode->cache = reserve();
        inode->medium = reserve();
    }
    uint32_t count = page_of(end + SIM_PAGE - 1);
    if (count <= inode->page_cap)
        return;
    uint32_t cap = MAX(16u, MAX(count, inode->page_cap * 2));
    inode->flags = xrealloc(inode->flags, cap);
    inode->gens = xrealloc(inode->gens, cap * sizeof(uint32_t));
    memset(inode->flags + inode->page_cap, 0, cap - inode->page_cap);
    memset(inode->gens + inode->page_cap, 0, (cap - inode->page_cap) * sizeof(uint32_t));
    inode->page_cap = cap;
}

static void release_page(struct sim_inode *inode, uint32_t page)
{
    if ((inode->flags[page] & SIM_PAGE_USED) != 0)
        inode->world->pages_used--;
    inode->flags[page] &= (uint8_t)~(SIM_PAGE_USED | SIM_PAGE_UNSAFE | SIM_PAGE_BAD);
}

void sim_inode_drop(struct sim_inode *inode)
{
    for (uint32_t page = 0; page < inode->page_cap; page++)
        release_page(inode, page);
    if (inode->cache != NULL) {
        (void)munmap(inode->cache, SIM_FILE_BYTES_MAX);
        (void)munmap(inode->medium, SIM_FILE_BYTES_MAX);
    }
    free(inode->flags);
    free(inode->gens);
    inode->cache = NULL;
    inode->medium = NULL;
    inode->flags = NULL;
    inode->gens = NULL;
    inode->page_cap = 0;
    inode->size = 0;
    inode->medium_size = 0;
}

static void entries_free(struct sim_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++)
        free(entries->at[i].name);
    free(entries->at);
}

void sim_inode_free(struct sim_inode *inode)
{
    sim_inode_drop(inode);
    entries_free(&inode->live);
    entries_free(&inode->durable);
    list_remove(&inode->in_world);
    free(inode);
}

/* -- programs read and write ------------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *data, uint64_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

static bool take_page(struct sim_inode *inode, uint32_t page)
{
    struct sim_world *world = inode->world;
    if ((inode->flags[page] & SIM_PAGE_USED) != 0)
        return true;
    if (world->faults.space_bytes != 0 && (world->pages_used + 1) * SIM_PAGE > world->faults.space_bytes)
        return false;
    world->pages_used++;
    inode->flags[page] |= SIM_PAGE_USED;
    return true;
}

static void heal_page(struct sim_inode *inode, uint32_t page)
{
    if ((inode->flags[page] & SIM_PAGE_BAD) == 0)
        return;
    memcpy(inode->cache + at(page), inode->medium + at(page), SIM_PAGE);
    inode->flags[page] &= (uint8_t)~SIM_PAGE_BAD;
}

/* gens says since when the page is unsafe: a sync that began later covers what it held then, so the page must reach the
 * medium with that sync, whatever was written over it meanwhile. */
static void touch(struct sim_inode *inode, uint32_t page, enum sim_page_flag how)
{
    uint8_t flags = inode->flags[page];
    bool waits = (flags & (SIM_PAGE_DIRTY | SIM_PAGE_VOLATILE)) != 0 && (flags & SIM_PAGE_LOST) == 0;
    if (!waits)
        inode->gens[page] = inode->gen;
    flags &= (uint8_t)~SIM_PAGE_UNSAFE;
    inode->flags[page] = flags | (uint8_t)how;
}

static void put_cache(struct sim_inode *inode, uint32_t page, const uint8_t *src, uint64_t len, uint64_t pos)
{
    if ((inode->flags[page] & SIM_PAGE_CACHE) == 0) {
        if (all_zero(src, len))
            return;
        inode->flags[page] |= SIM_PAGE_CACHE;
    }
    memcpy(inode->cache + pos, src, len);
}

int64_t sim_inode_write(struct sim_inode *inode, const uint8_t *src, uint64_t len, uint64_t pos, enum sim_page_flag how)
{
    if (pos + len > SIM_FILE_BYTES_MAX)
        return -EFBIG;
    if (len == 0)
        return 0;
    need_pages(inode, pos + len);
    inode->gen++;
    uint64_t done = 0;
    while (done < len) {
        uint32_t page = page_of(pos + done);
        uint64_t piece = MIN(len - done, at(page + 1) - (pos + done));
        if (!take_page(inode, page))
            break;
        heal_page(inode, page);
        put_cache(inode, page, src + done, piece, pos + done);
        touch(inode, page, how);
        done += piece;
    }
    if (done == 0)
        return -ENOSPC;
    inode->size = MAX(inode->size, pos + done);
    inode->modified_ms = inode->world->wall_offset_ms + (int64_t)(inode->world->now_ns / NS_PER_MS);
    return (int64_t)done;
}

bool sim_inode_read(struct sim_inode *inode, uint8_t *dst, uint64_t len, uint64_t pos, bool direct)
{
    ASSERT(pos + len <= inode->size);
    uint64_t done = 0;
    while (done < len) {
        uint32_t page = page_of(pos + done);
        uint64_t piece = MIN(len - done, at(page + 1) - (pos + done));
        uint8_t flags = page < inode->page_cap ? inode->flags[page] : 0;
        if ((flags & SIM_PAGE_BAD) != 0)
            return false;
        bool old = direct && (flags & SIM_PAGE_UNSAFE) == SIM_PAGE_LOST;
        if ((flags & (old ? SIM_PAGE_MEDIUM : SIM_PAGE_CACHE)) == 0)
            memset(dst + done, 0, piece);
        else
            memcpy(dst + done, (old ? inode->medium : inode->cache) + pos + done, piece);
        done += piece;
    }
    return true;
}

void sim_inode_truncate(struct sim_inode *inode, uint64_t size)
{
    ASSERT(size <= SIM_FILE_BYTES_MAX);
    need_pages(inode, MAX(size, inode->size));
    if (size < inode->size) {
        uint32_t first = page_of(size + SIM_PAGE - 1);
        for (uint32_t page = first; page < page_end(inode); page++) {
            if ((inode->flags[page] & SIM_PAGE_CACHE) != 0)
                memset(inode->cache + at(page), 0, SIM_PAGE);
            release_page(inode, page);
        }
        if (size % SIM_PAGE != 0 && (inode->flags[first - 1] & SIM_PAGE_CACHE) != 0) {
            heal_page(inode, first - 1);
            memset(inode->cache + size, 0, at(first) - size);
            inode->gen++;
            touch(inode, first - 1, SIM_PAGE_DIRTY);
        }
        inode->cut_to = MIN(inode->cut_to, size);
    }
    inode->size = size;
    inode->modified_ms = inode->world->wall_offset_ms + (int64_t)(inode->world->now_ns / NS_PER_MS);
}

bool sim_inode_break(struct sim_inode *inode, uint64_t pos)
{
    uint32_t page = page_of(pos);
    if (pos >= inode->size || page >= inode->page_cap || at(page + 1) > inode->medium_size)
        return false;
    if ((inode->flags[page] & (SIM_PAGE_UNSAFE | SIM_PAGE_BAD)) != 0 || (inode->flags[page] & SIM_PAGE_CACHE) == 0)
        return false;
    if (inode->cut_to != UINT64_MAX)
        return false;
    memset(inode->cache + at(page), 0, SIM_PAGE);
    inode->flags[page] |= SIM_PAGE_BAD;
    return true;
}

void sim_inode_heal(struct sim_inode *inode)
{
    for (uint32_t page = 0; page < page_end(inode); page++)
        heal_page(inode, page);
}

/* -- towards the medium ------------------------------------------------------------------------------------------- */

static void wipe_medium(struct sim_inode *inode, uint64_t from)
{
    for (uint32_t page = page_of(from); page < inode->page_cap; page++) {
        uint64_t begin = MAX(from, at(page));
        if ((inode->flags[page] & SIM_PAGE_MEDIUM) != 0)
            memset(inode->medium + begin, 0, at(page + 1) - begin);
    }
}

/* (D4) */
static void commit_cut(struct sim_inode *inode)
{
    if (inode->cut_to == UINT64_MAX)
        return;
    wipe_medium(inode, inode->cut_to);
    inode->medium_size = MIN(inode->medium_size, inode->cut_to);
    inode->cut_to = UINT64_MAX;
}

static void put_medium(struct sim_inode *inode, uint32_t page)
{
    uint8_t flags = inode->flags[page];
    if ((flags & (SIM_PAGE_CACHE | SIM_PAGE_MEDIUM)) == 0)
        return; /* zeros over zeros */
    if ((flags & SIM_PAGE_CACHE) == 0)
        memset(inode->medium + at(page), 0, SIM_PAGE);
    else
        memcpy(inode->medium + at(page), inode->cache + at(page), SIM_PAGE);
    inode->flags[page] |= SIM_PAGE_MEDIUM;
}

static void harden_page(struct sim_inode *inode, uint32_t page)
{
    if (at(page + 1) > inode->cut_to)
        commit_cut(inode);
    put_medium(inode, page);
    inode->flags[page] &= (uint8_t)~SIM_PAGE_UNSAFE;
    inode->medium_size = MAX(inode->medium_size, MIN(inode->size, at(page + 1)));
}

void sim_inode_harden(struct sim_inode *inode, uint64_t pos, uint64_t len)
{
    commit_cut(inode);
    for (uint32_t page = page_of(pos); len > 0 && page <= page_of(pos + len - 1); page++)
        harden_page(inode, page);
}

static bool covered(const struct sim_inode *inode, uint32_t page, uint32_t gen)
{
    uint8_t flags = inode->flags[page];
    bool waits = (flags & (SIM_PAGE_DIRTY | SIM_PAGE_VOLATILE)) != 0 && (flags & SIM_PAGE_LOST) == 0;
    return waits && inode->gens[page] <= gen;
}

void sim_inode_sync(struct sim_inode *inode, uint32_t gen, uint64_t size)
{
    commit_cut(inode);
    for (uint32_t page = 0; page < page_end(inode); page++) {
        /* A page that became unsafe since then may travel along. */
        if (covered(inode, page, UINT32_MAX) && (covered(inode, page, gen) || prng_chance(&inode->world->rng, 500000)))
            harden_page(inode, page);
    }
    inode->medium_size = MAX(inode->medium_size, MIN(size, inode->size));
}

void sim_inode_sync_fail(struct sim_inode *inode, uint32_t gen)
{
    sim_trace(inode->world, "write-back.fail", inode->id, gen, 0);
    inode->err_seq++;
    inode->err_told = false;
    for (uint32_t page = 0; page < page_end(inode); page++) {
        if (!covered(inode, page, gen))
            continue;
        if (prng_chance(&inode->world->rng, 500000)) {
            harden_page(inode, page);
            continue;
        }
        inode->flags[page] &= (uint8_t)~SIM_PAGE_DIRTY; /* (D2) */
        inode->flags[page] |= SIM_PAGE_LOST;
    }
}

/* -- crashes ------------------------------------------------------------------------------------------------------ */

static void tear_sector(struct sim_inode *inode, const uint8_t *src, uint64_t pos, bool made_it)
{
    struct sim_world *world = inode->world;
    uint32_t page = page_of(pos);
    uint8_t *medium = inode->medium + pos;
    if (memcmp(medium, src, SIM_SECTOR) == 0)
        return;
    inode->flags[page] |= SIM_PAGE_MEDIUM | SIM_PAGE_STALE;
    if (made_it) {
        memcpy(medium, src, SIM_SECTOR);
        return;
    }
    /* Only where nothing was: a sector that holds promised bytes is atomic. */
    if (world->faults.garbage == 0 || !prng_chance(&world->rng, world->faults.garbage) ||
        !all_zero(inode->medium + at(page), SIM_PAGE))
        return;
    for (uint32_t i = 0; i < SIM_SECTOR; i++)
        medium[i] = (uint8_t)prng_next(&world->rng);
}

enum tear { TEAR_NONE, TEAR_ALL, TEAR_PREFIX, TEAR_RANDOM, TEAR_COUNT };

void sim_inode_tear(struct sim_inode *inode, const uint8_t *src, uint64_t len, uint64_t pos)
{
    struct prng *rng = &inode->world->rng;
    enum tear how = (enum tear)prng_below(rng, TEAR_COUNT);
    uint64_t prefix = align_down(prng_below(rng, len + 1), SIM_SECTOR);
    if (how == TEAR_NONE || pos + len > SIM_FILE_BYTES_MAX || inode->cut_to != UINT64_MAX)
        return;
    need_pages(inode, pos + len);
    /* Beyond the durable size, data counts only where the size followed: all of it or whole leading pages. */
    if (pos + len > inode->medium_size && how != TEAR_RANDOM) {
        uint64_t grown = how == TEAR_ALL ? len : align_down(prefix, SIM_PAGE);
        inode->medium_size = MAX(inode->medium_size, grown > 0 ? pos + grown : 0);
    }
    for (uint64_t done = 0; done + SIM_SECTOR <= len; done += SIM_SECTOR) {
        bool made_it = how == TEAR_ALL || (how == TEAR_PREFIX && done < prefix) ||
                       (how == TEAR_RANDOM && prng_chance(rng, 500000));
        if (pos + done + SIM_SECTOR <= inode->medium_size)
            tear_sector(inode, src + done, pos + done, made_it);
    }
}

/* (D1) */
static void damage_page(struct sim_inode *inode, uint32_t page)
{
    struct prng *rng = &inode->world->rng;
    inode->flags[page] |= SIM_PAGE_STALE;
    switch (prng_below(rng, 3)) {
    case 0:
        return;
    case 1:
        harden_page(inode, page);
        inode->flags[page] |= SIM_PAGE_STALE;
        return;
    default:
        break;
    }
    /* The size follows a page that was written at all; without it the sectors could not be seen. */
    inode->medium_size = MAX(inode->medium_size, MIN(inode->size, at(page + 1)));
    for (uint64_t done = 0; done < SIM_PAGE; done += SIM_SECTOR)
        tear_sector(inode, inode->cache + at(page) + done, at(page) + done, prng_chance(rng, 500000));
}

/* The truncation did not happen, nor anything that followed it behind the cut. */
static void drop_cut(struct sim_inode *inode)
{
    for (uint32_t page = page_of(inode->cut_to); page < inode->page_cap; page++) {
        inode->flags[page] &= (uint8_t)~SIM_PAGE_UNSAFE;
        inode->flags[page] |= SIM_PAGE_STALE;
    }
    inode->size = MIN(inode->size, inode->cut_to);
    inode->cut_to = UINT64_MAX;
}

/* The cache becomes what a fresh boot reads. */
static void reload(struct sim_inode *inode)
{
    wipe_medium(inode, inode->medium_size);
    inode->size = inode->medium_size;
    for (uint32_t page = 0; page < inode->page_cap; page++) {
        uint8_t flags = inode->flags[page];
        if ((flags & (SIM_PAGE_STALE | SIM_PAGE_UNSAFE | SIM_PAGE_BAD)) != 0 || at(page + 1) > inode->size) {
            if ((flags & (SIM_PAGE_CACHE | SIM_PAGE_MEDIUM)) != 0) {
                memcpy(inode->cache + at(page), inode->medium + at(page), SIM_PAGE);
                flags |= SIM_PAGE_CACHE;
            }
        }
        inode->flags[page] = flags & (SIM_PAGE_USED | SIM_PAGE_CACHE | SIM_PAGE_MEDIUM);
        if (at(page) >= inode->size)
            release_page(inode, page);
        else if ((inode->flags[page] & SIM_PAGE_MEDIUM) != 0 && (inode->flags[page] & SIM_PAGE_USED) == 0) {
            inode->flags[page] |= SIM_PAGE_USED;
            inode->world->pages_used++;
        }
    }
}

/* Dead code may still look at its mappings: they keep the old buffer, the file gets a new one. */
static void detach_maps(struct sim_inode *inode)
{
    if (inode->maps == 0)
        return;
    struct sim_world *world = inode->world;
    world->orphans = xrealloc(world->orphans, (world->orphan_count + 1) * sizeof(struct sim_memory));
    world->orphans[world->orphan_count++] = (struct sim_memory){ .mem = inode->cache, .len = SIM_FILE_BYTES_MAX };
    uint8_t *fresh = reserve();
    for (uint32_t page = 0; page < inode->page_cap; page++) {
        if ((inode->flags[page] & SIM_PAGE_CACHE) != 0)
            memcpy(fresh + at(page), inode->cache + at(page), SIM_PAGE);
    }
    inode->cache = fresh;
    inode->maps = 0;
}

void sim_inode_power(struct sim_inode *inode)
{
    struct prng *rng = &inode->world->rng;
    if (inode->cache == NULL)
        return;
    detach_maps(inode);
    if (inode->cut_to != UINT64_MAX && prng_chance(rng, 500000))
        drop_cut(inode);
    else
        commit_cut(inode);
    for (uint32_t page = 0; page < page_end(inode); page++) {
        if ((inode->flags[page] & SIM_PAGE_LOST) != 0)
            inode->flags[page] |= SIM_PAGE_STALE;
        else if ((inode->flags[page] & (SIM_PAGE_DIRTY | SIM_PAGE_VOLATILE)) != 0)
            damage_page(inode, page);
    }
    if (inode->medium_size < inode->size && prng_chance(rng, 250000)) /* (D3), the size alone was committed */
        inode->medium_size += prng_below(rng, inode->size - inode->medium_size + 1);
    reload(inode);
}

void sim_inode_evict(struct sim_inode *inode)
{
    detach_maps(inode);
    sim_inode_heal(inode);
    for (uint32_t page = 0; page < page_end(inode); page++) {
        bool lost = (inode->flags[page] & SIM_PAGE_UNSAFE) == SIM_PAGE_LOST;
        if (!lost || !prng_chance(&inode->world->rng, 500000))
            continue;
        memcpy(inode->cache + at(page), inode->medium + at(page), SIM_PAGE);
        inode->flags[page] &= (uint8_t)~SIM_PAGE_LOST;
        inode->flags[page] |= SIM_PAGE_CACHE;
    }
}
