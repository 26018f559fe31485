/*
 * Which log is compacted next, and how far: the policy; odk_log_clean does the work.
 *
 * Every log.cleaner.backoff.ms, and at once after a pass, all partitions of this shard whose cleanup.policy says compact
 * are looked at, a few in each turn of the loop. The one with the largest share of bytes that no pass has seen is
 * compacted, if that is above min.cleanable.dirty.ratio or one of its records has waited for max.compaction.lag.ms. One
 * pass per shard at a time. The active segment is never touched, nor what is younger than min.compaction.lag.ms.
 *
 * Internal topics are left alone: __consumer_offsets is shortened by its own host.
 */
#pragma once
#include <odradek/log.h>

#include "base/list.h"
#include "base/timer.h"

struct broker;
struct partition;

/* A log that may be compacted. */
struct compaction_choice {
    struct odk_uuid topic_id; /* zero: none */
    int32_t index;
    double ratio;
    int64_t up_to;
};

struct compaction {
    struct timer timer;
    struct list due;  /* partitions to be looked at in this search */
    struct list rest; /* all others that this shard owns */
    struct compaction_choice best; /* of this search */
    struct odk_clean pass;
    bool running;
    uint64_t passes; /* that have ended well */
};

void compaction_init(struct broker *broker);
/* No search will come. */
void compaction_stop(struct broker *broker);
/* Sets the first search; to be called in every turn. */
void compaction_on_tick(struct broker *broker);
/* The partition has a log on this shard from now on. To be taken back with compaction_forget before it is freed. */
void compaction_know(struct broker *broker, struct partition *partition);
void compaction_forget(struct partition *partition);
