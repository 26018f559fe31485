/* Twin of both indexes: plain arrays, searched from end to end. */
#include "model.h"
#include "store/offset_index.h"
#include "store/time_index.h"

#define ENTRIES_MAX 3000u
#define OPS         4000u

static struct offset_entry offsets[ENTRIES_MAX];
static uint32_t offset_count;
static struct time_entry times[ENTRIES_MAX];
static uint32_t time_count;
static struct time_entry youngest;

/* -- offset index ------------------------------------------------------------------------------------------------- */

static void offset_append(struct offset_index *index, struct prng *prng)
{
    if (offset_count == ENTRIES_MAX)
        return;
    struct offset_entry last = offset_count > 0 ? offsets[offset_count - 1] : (struct offset_entry){ 0 };
    struct offset_entry entry = { last.rel_offset + (uint32_t)prng_between(prng, 1, 50),
                                  last.pos + (uint32_t)prng_between(prng, 1, 9000) };
    offset_index_append(index, entry.rel_offset, entry.pos);
    offsets[offset_count++] = entry;
}

static void offset_truncate(struct offset_index *index, struct prng *prng)
{
    uint32_t rel = offset_count > 0 ? offsets[prng_below(prng, offset_count)].rel_offset : 0;
    rel += (uint32_t)prng_below(prng, 3);
    rel -= MIN(rel, (uint32_t)prng_below(prng, 3));
    offset_index_truncate(index, rel);
    while (offset_count > 0 && offsets[offset_count - 1].rel_offset >= rel)
        offset_count--;
}

static void offset_compare(const struct offset_index *index, struct prng *prng)
{
    struct odk_bytes bytes = offset_index_bytes(index, 0);
    uint32_t rel = (uint32_t)prng_below(prng, offset_count * 30 + 3);
    uint32_t pos = (uint32_t)prng_below(prng, offset_count * 5000 + 3);
    const struct offset_entry *by_rel = NULL;
    const struct offset_entry *by_pos = NULL;
    for (uint32_t i = 0; i < offset_count; i++) {
        by_rel = offsets[i].rel_offset <= rel ? &offsets[i] : by_rel;
        by_pos = offsets[i].pos <= pos ? &offsets[i] : by_pos;
    }
    struct offset_entry found;
    ASSERT(index->count == offset_count);
    ASSERT(offset_index_floor(bytes, rel, &found) == (by_rel != NULL));
    if (by_rel)
        ASSERT(found.rel_offset == by_rel->rel_offset && found.pos == by_rel->pos);
    ASSERT(offset_index_floor_pos(bytes, pos, &found) == (by_pos != NULL));
    if (by_pos)
        ASSERT(found.rel_offset == by_pos->rel_offset && found.pos == by_pos->pos);
}

static void offset_reload(struct offset_index *index)
{
    struct odk_bytes bytes = offset_index_bytes(index, 0);
    uint64_t log_bytes = offset_count > 0 ? (uint64_t)offsets[offset_count - 1].pos + 1 : 0;
    ASSERT(offset_index_check(bytes, log_bytes) == ODK_OK);
    if (offset_count > 0)
        ASSERT(offset_index_check(bytes, log_bytes - 1) == ODK_ERR_CORRUPT);
    struct offset_index copy = { 0 };
    offset_index_load(&copy, bytes);
    offset_index_deinit(index);
    *index = copy;
}

static void offset_step(struct offset_index *index, struct prng *prng)
{
    uint64_t op = prng_below(prng, 10000);
    if (op < 6000)
        offset_append(index, prng);
    else if (op < 6010)
        offset_truncate(index, prng);
    else if (op < 6100)
        offset_reload(index);
    offset_compare(index, prng);
}

/* -- time index --------------------------------------------------------------------------------------------------- */

static uint32_t time_rel;

static void time_observe(struct time_index *index, struct prng *prng)
{
    time_rel += (uint32_t)prng_between(prng, 1, 9);
    int64_t timestamp = youngest.timestamp + (int64_t)prng_below(prng, 40) - 30;
    time_index_observe(index, timestamp, time_rel);
    if (timestamp > youngest.timestamp)
        youngest = (struct time_entry){ timestamp, time_rel };
}

static void time_append(struct time_index *index)
{
    time_index_append_max(index);
    bool younger = time_count == 0 ? youngest.timestamp >= 0 : youngest.timestamp > times[time_count - 1].timestamp;
    if (younger && time_count < ENTRIES_MAX)
        times[time_count++] = youngest;
}

static void time_truncate(struct time_index *index, struct prng *prng)
{
    uint32_t rel = (uint32_t)prng_below(prng, time_rel + 2);
    time_index_truncate(index, rel);
    while (time_count > 0 && times[time_count - 1].rel_offset >= rel)
        time_count--;
    youngest = time_count > 0 ? times[time_count - 1] : (struct time_entry){ .timestamp = -1 };
}

static void time_compare(const struct time_index *index, struct prng *prng)
{
    struct odk_bytes bytes = time_index_bytes(index, 0);
    int64_t timestamp = (int64_t)prng_below(prng, (uint64_t)(youngest.timestamp + 20)) - 3;
    const struct time_entry *want = NULL;
    for (uint32_t i = 0; i < time_count; i++)
        want = times[i].timestamp <= timestamp ? &times[i] : want;
    struct time_entry found;
    ASSERT(index->count == time_count);
    ASSERT(time_index_check(bytes, time_rel) == ODK_OK);
    ASSERT(time_index_floor(bytes, timestamp, &found) == (want != NULL));
    if (want)
        ASSERT(found.timestamp == want->timestamp && found.rel_offset == want->rel_offset);
    ASSERT(time_index_last(bytes, &found) == (time_count > 0));
}

static void time_step(struct time_index *index, struct prng *prng)
{
    uint64_t op = prng_below(prng, 10000);
    if (op < 7000)
        time_observe(index, prng);
    else if (op < 9600)
        time_append(index);
    else if (op < 9610)
        time_truncate(index, prng);
    time_compare(index, prng);
}

static void run(struct prng *prng)
{
    struct offset_index offset_index = { 0 };
    struct time_index time_index = { 0 };
    offset_count = 0;
    time_count = 0;
    time_rel = 0;
    youngest = (struct time_entry){ .timestamp = -1 };
    for (uint32_t i = 0; i < OPS; i++) {
        offset_step(&offset_index, prng);
        time_step(&time_index, prng);
    }
    offset_index_deinit(&offset_index);
    time_index_deinit(&time_index);
}

int main(int argc, char **argv)
{
    return model_main(argc, argv, run);
}
