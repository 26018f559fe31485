#include "store/time_index.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "store/format.h"

#define ENTRIES_MIN 4u

struct time_entry time_index_at(struct odk_bytes index, size_t idx)
{
    struct rd r = rd_init(index.data + idx * FORMAT_TIME_ENTRY_BYTES, FORMAT_TIME_ENTRY_BYTES);
    int64_t timestamp = rd_i64(&r);
    uint32_t rel_offset = rd_u32(&r);
    return (struct time_entry){ .timestamp = timestamp, .rel_offset = rel_offset };
}

bool time_index_floor(struct odk_bytes index, int64_t timestamp, struct time_entry *ret)
{
    size_t lo = 0; /* entries before lo are not younger, from hi on they are */
    size_t hi = index.len / FORMAT_TIME_ENTRY_BYTES;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (time_index_at(index, mid).timestamp <= timestamp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return false;
    *ret = time_index_at(index, lo - 1);
    return true;
}

bool time_index_last(struct odk_bytes index, struct time_entry *ret)
{
    size_t count = index.len / FORMAT_TIME_ENTRY_BYTES;
    if (count == 0)
        return false;
    *ret = time_index_at(index, count - 1);
    return true;
}

enum odk_err time_index_check(struct odk_bytes index, uint32_t rel_offset_max)
{
    if (index.len % FORMAT_TIME_ENTRY_BYTES != 0)
        return ODK_ERR_CORRUPT;
    struct time_entry last = { .timestamp = -1 }; /* I2 */
    for (size_t i = 0; i < index.len / FORMAT_TIME_ENTRY_BYTES; i++) {
        struct time_entry entry = time_index_at(index, i);
        bool rises = entry.timestamp > last.timestamp && entry.rel_offset >= last.rel_offset; /* I1 */
        if (!rises || entry.rel_offset > INT32_MAX || entry.rel_offset > rel_offset_max)
            return ODK_ERR_CORRUPT;
        last = entry;
    }
    return ODK_OK;
}

/* -- owned -------------------------------------------------------------------------------------------------------- */

void time_index_deinit(struct time_index *index)
{
    free(index->data);
    *index = (struct time_index){ 0 };
}

static void reserve(struct time_index *index, uint32_t count)
{
    if (count <= index->capacity)
        return;
    uint32_t capacity = MAX(MAX(index->capacity * 2, count), ENTRIES_MIN);
    index->data = xrealloc(index->data, (size_t)capacity * FORMAT_TIME_ENTRY_BYTES);
    index->capacity = capacity;
}

void time_index_observe(struct time_index *index, int64_t max_timestamp, uint32_t rel_offset)
{
    ASSERT(rel_offset <= INT32_MAX);
    if (max_timestamp < 0) /* I2 */
        return;
    if (index->has_max && max_timestamp <= index->max.timestamp)
        return;
    index->has_max = true;
    index->max = (struct time_entry){ .timestamp = max_timestamp, .rel_offset = rel_offset };
}

void time_index_append_max(struct time_index *index)
{
    struct time_entry last;
    if (!index->has_max)
        return;
    if (time_index_last(time_index_bytes(index, 0), &last)) {
        if (index->max.timestamp <= last.timestamp)
            return;
        ASSERT(index->max.rel_offset >= last.rel_offset); /* I1 */
    }
    reserve(index, index->count + 1);
    struct wr w = wr_init(index->data + (size_t)index->count * FORMAT_TIME_ENTRY_BYTES, FORMAT_TIME_ENTRY_BYTES);
    wr_i64(&w, index->max.timestamp);
    wr_i32(&w, (int32_t)index->max.rel_offset);
    index->count++;
}

static void max_from_last(struct time_index *index)
{
    struct time_entry last;
    index->has_max = time_index_last(time_index_bytes(index, 0), &last);
    if (index->has_max)
        index->max = last;
}

void time_index_truncate(struct time_index *index, uint32_t rel_offset)
{
    struct time_entry last;
    while (time_index_last(time_index_bytes(index, 0), &last) && last.rel_offset >= rel_offset)
        index->count--;
    max_from_last(index);
}

void time_index_load(struct time_index *index, struct odk_bytes bytes)
{
    ASSERT(bytes.len % FORMAT_TIME_ENTRY_BYTES == 0);
    uint32_t count = (uint32_t)(bytes.len / FORMAT_TIME_ENTRY_BYTES);
    reserve(index, count);
    if (count > 0)
        memcpy(index->data, bytes.data, bytes.len);
    index->count = count;
    max_from_last(index);
}

struct odk_bytes time_index_bytes(const struct time_index *index, uint32_t first)
{
    ASSERT(first <= index->count);
    if (first == index->count)
        return (struct odk_bytes){ 0 };
    size_t skipped = (size_t)first * FORMAT_TIME_ENTRY_BYTES;
    return (struct odk_bytes){ index->data + skipped, (size_t)index->count * FORMAT_TIME_ENTRY_BYTES - skipped };
}
