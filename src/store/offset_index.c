#include "store/offset_index.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "store/format.h"

#define ENTRIES_MIN 4u

struct offset_entry offset_index_at(struct odk_bytes index, size_t idx)
{
    struct rd r = rd_init(index.data + idx * FORMAT_OFFSET_ENTRY_BYTES, FORMAT_OFFSET_ENTRY_BYTES);
    uint32_t rel_offset = rd_u32(&r);
    uint32_t pos = rd_u32(&r);
    return (struct offset_entry){ .rel_offset = rel_offset, .pos = pos };
}

enum key { KEY_OFFSET, KEY_POS };

static uint32_t entry_key(struct offset_entry entry, enum key key)
{
    return key == KEY_OFFSET ? entry.rel_offset : entry.pos;
}

/* How many entries have a key <= target. */
static size_t count_upto(struct odk_bytes index, enum key key, uint32_t target)
{
    size_t lo = 0;
    size_t hi = index.len / FORMAT_OFFSET_ENTRY_BYTES;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (entry_key(offset_index_at(index, mid), key) <= target)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool floor_by(struct odk_bytes index, enum key key, uint32_t target, struct offset_entry *ret)
{
    size_t count = count_upto(index, key, target);
    if (count == 0)
        return false;
    *ret = offset_index_at(index, count - 1);
    return true;
}

bool offset_index_floor(struct odk_bytes index, uint32_t rel_offset, struct offset_entry *ret)
{
    return floor_by(index, KEY_OFFSET, rel_offset, ret);
}

bool offset_index_floor_pos(struct odk_bytes index, uint32_t pos, struct offset_entry *ret)
{
    return floor_by(index, KEY_POS, pos, ret);
}

enum odk_err offset_index_check(struct odk_bytes index, uint64_t log_bytes)
{
    if (index.len % FORMAT_OFFSET_ENTRY_BYTES != 0)
        return ODK_ERR_CORRUPT;
    struct offset_entry last = { 0 };
    for (size_t i = 0; i < index.len / FORMAT_OFFSET_ENTRY_BYTES; i++) {
        struct offset_entry entry = offset_index_at(index, i);
        bool rises = i == 0 || (entry.rel_offset > last.rel_offset && entry.pos > last.pos);
        if (!rises || entry.rel_offset > INT32_MAX || entry.pos > INT32_MAX || entry.pos >= log_bytes)
            return ODK_ERR_CORRUPT;
        last = entry;
    }
    return ODK_OK;
}

/* -- owned -------------------------------------------------------------------------------------------------------- */

void offset_index_deinit(struct offset_index *index)
{
    free(index->data);
    *index = (struct offset_index){ 0 };
}

static void reserve(struct offset_index *index, uint32_t count)
{
    if (count <= index->capacity)
        return;
    uint32_t capacity = MAX(MAX(index->capacity * 2, count), ENTRIES_MIN);
    index->data = xrealloc(index->data, (size_t)capacity * FORMAT_OFFSET_ENTRY_BYTES);
    index->capacity = capacity;
}

void offset_index_append(struct offset_index *index, uint32_t rel_offset, uint32_t pos)
{
    ASSERT(rel_offset <= INT32_MAX);
    ASSERT(pos <= INT32_MAX);
    if (index->count > 0) {
        struct offset_entry last = offset_index_at(offset_index_bytes(index, 0), index->count - 1);
        ASSERT(rel_offset > last.rel_offset); /* I1 */
        ASSERT(pos > last.pos);
    }
    reserve(index, index->count + 1);
    struct wr w = wr_init(index->data + (size_t)index->count * FORMAT_OFFSET_ENTRY_BYTES, FORMAT_OFFSET_ENTRY_BYTES);
    wr_i32(&w, (int32_t)rel_offset);
    wr_i32(&w, (int32_t)pos);
    index->count++;
}

void offset_index_truncate(struct offset_index *index, uint32_t rel_offset)
{
    if (rel_offset == 0)
        index->count = 0;
    else
        index->count = (uint32_t)count_upto(offset_index_bytes(index, 0), KEY_OFFSET, rel_offset - 1);
}

void offset_index_load(struct offset_index *index, struct odk_bytes bytes)
{
    ASSERT(bytes.len % FORMAT_OFFSET_ENTRY_BYTES == 0);
    uint32_t count = (uint32_t)(bytes.len / FORMAT_OFFSET_ENTRY_BYTES);
    reserve(index, count);
    if (count > 0)
        memcpy(index->data, bytes.data, bytes.len);
    index->count = count;
}

struct odk_bytes offset_index_bytes(const struct offset_index *index, uint32_t first)
{
    ASSERT(first <= index->count);
    if (first == index->count)
        return (struct odk_bytes){ 0 };
    size_t skipped = (size_t)first * FORMAT_OFFSET_ENTRY_BYTES;
    return (struct odk_bytes){ index->data + skipped, (size_t)index->count * FORMAT_OFFSET_ENTRY_BYTES - skipped };
}
