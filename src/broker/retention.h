/*
 * What a topic's settings let go: records that are too old (retention.ms) or too many (retention.bytes).
 *
 * Every log.retention.check.interval.ms all partitions of this shard whose cleanup.policy says delete are looked at, a few
 * in each turn of the loop. Whole segments go, oldest first; a segment that is still written to is ended first when all
 * of it may go. The settings of that moment count.
 *
 * A segment is as old as its youngest record. A timestamp ahead of the clock is not believed: then, and when no record
 * has one, the segment is as old as its file, so that no date keeps data for ever. When the clock steps nothing is found
 * too old for a while, so that a clock that is put right at once deletes nothing. See docs/decisions/0006-retention.md.
 */
#pragma once
#include "base/list.h"
#include "base/timer.h"

struct broker;
struct partition;

struct retention {
    struct timer timer;
    struct list due;  /* partitions to be looked at in this check */
    struct list rest; /* all others that this shard owns */
    uint64_t begun_ns;        /* this check */
    int64_t clock_ms;         /* wall clock less monotonic clock */
    uint64_t clock_doubted_ns; /* nothing is too old until then */
    bool clock_known;
};

void retention_init(struct broker *broker);
/* No check will come. */
void retention_stop(struct broker *broker);
/* Compares the clocks; the first call sets the first check. */
void retention_on_tick(struct broker *broker);
/* The partition has a log on this shard from now on. To be taken back with retention_forget before it is freed. */
void retention_know(struct broker *broker, struct partition *partition);
void retention_forget(struct partition *partition);
