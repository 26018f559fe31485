/*
 * Where requests wait for a partition to move: one-shot watches in the partition's list, on its owner shard.
 *
 * Nothing polls: a watch costs its memory and nothing else until the end offset of its partition moves.
 */
#pragma once
#include "base/list.h"

/* Embedded in what waits; in at most one list. */
struct fetch_watch {
    struct list node;
    /* The watch is out of its list when this runs. It may end other watches, but no partition. */
    void (*wake)(struct fetch_watch *watch);
};

/* Adds watch to a partition's waiters. */
void purgatory_watch(struct list *waiters, struct fetch_watch *watch);
/* Harmless when it is not waiting. */
void purgatory_unwatch(struct fetch_watch *watch);
/* Wakes everybody who waits now: the end has moved, or the partition is deleted or out of service. Must be called
 * before a partition is freed. Watches that are added meanwhile wait for the next time. */
void purgatory_wake(struct list *waiters);
