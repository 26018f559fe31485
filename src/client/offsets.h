/* Where logs begin and end, and what stands in them at a time: many partitions in one question to each leader. */
#pragma once
#include "client/cluster.h"

#define OFFSETS_LATEST   (-1)
#define OFFSETS_EARLIEST (-2)

struct log_offset {
    struct odk_str topic;
    int32_t partition;
    int64_t offset; /* -1: unknown, or no record that young */
    int16_t error;
};

/* By topic, then partition. */
int log_offset_order(const void *left, const void *right);

/*
 * Fills offset and error. which: OFFSETS_LATEST, OFFSETS_EARLIEST or a time in ms since 1970: the first record at or
 * behind it. list is ordered by topic and partition and holds each partition once.
 *
 * Cost: one ListOffsets for each leader; where there are several nodes, one Metadata first.
 */
ODK_MUST_USE enum exit_code offsets_find(struct cluster *cluster, struct log_offset *list, size_t count, int64_t which);
