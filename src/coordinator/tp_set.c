#include "coordinator/tp_set.h"

#include <stdlib.h>

static int topic_compare(const struct odk_uuid *a, const struct odk_uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

int tp_compare(const void *a, const void *b)
{
    const struct tp *x = a, *y = b;
    int order = topic_compare(&x->topic, &y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

struct tp_set tp_sorted(struct tp *array, uint32_t count)
{
    bool sorted = true;
    for (uint32_t i = 1; i < count && sorted; i++)
        sorted = tp_compare(&array[i - 1], &array[i]) < 0;
    if (sorted)
        return (struct tp_set){ array, count };
    qsort(array, count, sizeof(*array), tp_compare);
    uint32_t used = 1;
    for (uint32_t i = 1; i < count; i++)
        if (tp_compare(&array[used - 1], &array[i]) != 0)
            array[used++] = array[i];
    return (struct tp_set){ array, used };
}

const struct tp *tp_find(const struct tp_set *set, struct odk_uuid topic, int32_t partition)
{
    struct tp key = { .topic = topic, .partition = partition };
    return set->count > 0 ? bsearch(&key, set->at, set->count, sizeof(key), tp_compare) : NULL;
}

uint32_t tp_run_end(const struct tp_set *set, uint32_t begin)
{
    uint32_t end = begin + 1;
    while (end < set->count && odk_uuid_eq(set->at[end].topic, set->at[begin].topic))
        end++;
    return end;
}

bool tp_equal(const struct tp_set *a, const struct tp_set *b)
{
    return a->count == b->count && tp_within(a, b);
}

bool tp_within(const struct tp_set *part, const struct tp_set *whole)
{
    uint32_t j = 0;
    for (uint32_t i = 0; i < part->count; i++, j++) {
        while (j < whole->count && tp_compare(&whole->at[j], &part->at[i]) < 0)
            j++;
        if (j == whole->count || tp_compare(&whole->at[j], &part->at[i]) != 0)
            return false;
    }
    return true;
}

bool tp_touch(const struct tp_set *a, const struct tp_set *b)
{
    uint32_t i = 0, j = 0;
    while (i < a->count && j < b->count) {
        int order = tp_compare(&a->at[i], &b->at[j]);
        if (order == 0)
            return true;
        i += order < 0;
        j += order > 0;
    }
    return false;
}

struct tp *tp_room(struct arena *arena, size_t count)
{
    struct tp *room = arena_new(arena, struct tp, count);
    ASSERT(room != NULL);
    return room;
}

/* Those of a that are in b, or those that are not. */
static struct tp_set sift(const struct tp_set *a, const struct tp_set *b, bool in, struct arena *arena)
{
    struct tp_set result = { .at = tp_room(arena, a->count) };
    uint32_t j = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        while (j < b->count && tp_compare(&b->at[j], &a->at[i]) < 0)
            j++;
        bool found = j < b->count && tp_compare(&b->at[j], &a->at[i]) == 0;
        if (found == in)
            result.at[result.count++] = a->at[i];
    }
    return result;
}

struct tp_set tp_both(const struct tp_set *a, const struct tp_set *b, struct arena *arena)
{
    return sift(a, b, true, arena);
}

struct tp_set tp_without(const struct tp_set *a, const struct tp_set *b, struct arena *arena)
{
    return b->count == 0 ? *a : sift(a, b, false, arena);
}

struct tp_set tp_union(const struct tp_set *a, const struct tp_set *b, struct arena *arena)
{
    if (b->count == 0)
        return *a;
    struct tp_set result = { .at = tp_room(arena, (size_t)a->count + b->count) };
    uint32_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : tp_compare(&a->at[i], &b->at[j]);
        result.at[result.count++] = order <= 0 ? a->at[i] : b->at[j];
        i += order <= 0;
        j += order >= 0;
    }
    return result;
}

struct tp_set tp_copy(const struct tp_set *set, struct arena *arena)
{
    struct tp_set copy = { .at = tp_room(arena, set->count), .count = set->count };
    if (set->count > 0)
        memcpy(copy.at, set->at, set->count * sizeof(*copy.at));
    return copy;
}

struct tp_set tp_keep(const struct tp_set *set)
{
    struct tp_set copy = { .count = set->count };
    if (set->count == 0)
        return copy;
    copy.at = xcalloc(set->count, sizeof(*copy.at));
    memcpy(copy.at, set->at, set->count * sizeof(*copy.at));
    return copy;
}

static uint32_t run_count(const struct tp_set *set)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i = tp_run_end(set, i))
        count++;
    return count;
}

struct tp_run *tp_runs(const struct tp_set *set, struct arena *arena, int32_t *ret_count)
{
    *ret_count = 0;
    struct tp_run *runs = arena_new(arena, struct tp_run, run_count(set));
    int32_t *numbers = arena_new(arena, int32_t, 2 * (size_t)set->count);
    if (!runs || !numbers)
        return NULL;
    for (uint32_t begin = 0, end; begin < set->count; begin = end) {
        end = tp_run_end(set, begin);
        struct tp_run *run = &runs[(*ret_count)++];
        run->topic = set->at[begin].topic;
        run->partitions = numbers + begin;
        run->epochs = numbers + set->count + begin;
        run->count = (int32_t)(end - begin);
        for (uint32_t i = begin; i < end; i++) {
            numbers[i] = set->at[i].partition;
            numbers[set->count + i] = set->at[i].epoch;
        }
    }
    return runs;
}
