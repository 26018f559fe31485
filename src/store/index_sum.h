/*
 * The .indexsum file of a segment: what proves that its index files are what was written.
 *
 * Index files are not synced, as they can be made again from the batches. So after a power cut one may be empty, old,
 * or shorter than it was, and still look right: an index that ends early is a valid index of a smaller segment, and a
 * search by time that believes it skips records. The sum says how many bytes of both files belong to the segment and
 * their hash. It need not be synced either: one that is lost, old or torn proves nothing, or less.
 *
 * u32 magic "ODKX", u16 version, u16 flags (1: whole), u64 bytes of the segment that they are for, u32 bytes of .index,
 * u32 bytes of .timeindex, u64 XXH3-64 of those bytes of .timeindex, seeded by that of .index, seeded by that of all
 * before.
 */
#pragma once
#include <odradek/batch.h>

#include "base/base.h"

#define INDEX_SUM_BYTES 32u

struct index_sum {
    bool whole;         /* the segment is sealed, nothing will be added */
    uint64_t log_bytes; /* whole: the segment's size; else every entry lies below it */
    struct odk_bytes offsets;
    struct odk_bytes times;
};

void index_sum_print(const struct index_sum *sum, uint8_t dst[INDEX_SUM_BYTES]);

/*
 * Holds what the files contain, all of both, against the sum; ret then has the parts that are proven.
 *
 * ODK_ERR_CORRUPT  nothing is proven
 */
MUST_USE enum odk_err index_sum_check(struct odk_bytes sum, struct odk_bytes offsets, struct odk_bytes times,
                                      struct index_sum *ret);
