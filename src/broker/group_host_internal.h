/*
 * What the group_* files of this folder share.
 *
 *   group_host.c      partitions, topics, calls: who is there and in which state
 *   group_append.c    records -> batches -> log, and the gate that holds answers back
 *   group_load.c      log -> records -> groups
 *   group_snapshot.c  a long log becomes a short one
 */
#pragma once
#include <odradek/batch.h>
#include <odradek/log.h>

#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "broker/group_host.h"

/* Where one batch ends and the next begins when there is more to write, between two events; less when segments are small.
 * One event's records stay together up to GROUP_BATCH_BYTES_MAX, or what a segment holds. */
#define GROUP_BATCH_BYTES ((size_t)KIB(64))

enum group_partition_state { GROUP_PARTITION_LOADING, GROUP_PARTITION_ACTIVE, GROUP_PARTITION_FAILED };

/* A batch on its way into the log. */
struct group_batch {
    struct list node; /* the partition's sealed or flying ones, or host->batches_free */
    struct group_partition *partition;
    struct odk_append append;
    struct odk_batch_builder builder;
    uint64_t seq;
};

enum group_snapshot_state { GROUP_SNAPSHOT_NONE, GROUP_SNAPSHOT_WRITING, GROUP_SNAPSHOT_TRIMMING };

/* See group_snapshot.c. */
struct group_snapshot {
    enum group_snapshot_state state;
    uint64_t first_seq; /* the batches of the snapshot; none: first is last + 1 */
    uint64_t last_seq;
    int64_t offset;      /* where the first one begins */
    uint64_t fact_bytes; /* of the snapshot itself */
    uint64_t log_bytes;  /* of the snapshot and what came after it */
};

struct group_partition {
    struct group_host *host;
    struct odk_log *log;
    struct groups *groups; /* ACTIVE: NULL as long as the log is empty and nobody has called */
    enum group_partition_state state;
    int32_t index;
    struct list due; /* host->due: something was recorded or answered */

    struct group_batch *open; /* takes records; NULL: there were none since the last one was sealed */
    struct list sealed;       /* not in the log's hands yet */
    struct list flying;       /* in the log's hands */
    size_t flying_bytes;
    uint64_t last_seq;      /* of the newest batch that has records */
    uint64_t durable_seq;   /* all batches up to this one are durable */
    int64_t durable_offset; /* behind them */
    enum odk_err refused;   /* the log did not take a batch; H2 */
    struct list answers;    /* errands, by call.node, in order; H1 */

    struct list loading; /* host->loading */
    uint64_t load_from_ns;
    struct list gone; /* struct group_gone: topics that went while the groups were loaded */

    uint64_t log_bytes;  /* of all batches from the start of the log on */
    uint64_t fact_bytes; /* of them, what a snapshot would hold: as last known */
    struct group_snapshot snapshot;
};

/* The partition whose log is being read; one at a time. */
struct group_load {
    struct group_partition *partition; /* NULL: none */
    struct odk_read read;
    int64_t offset;
    uint64_t record_count;
    uint64_t bytes;
    uint8_t *scratch; /* parts put together */
    size_t scratch_capacity;
};

struct group_host {
    struct broker *broker;
    struct groups_config config;
    struct group_memory memory;
    struct group_turn turn;
    struct odk_uuid topic_id;
    size_t segment_bytes; /* of the topic */
    struct group_partition **partitions; /* by index; NULL: another shard's */
    int32_t partition_count;             /* 0: there is no topic yet */
    struct list due;
    struct list loading;
    struct timer load_timer;
    struct group_load *load; /* NULL: nothing is being loaded */
    struct list batches_free;
    uint32_t batches_free_count;
    struct diag_rate refused_rate;

    struct list waiting; /* struct group_topic_waiter */
    struct controller_op op;
    struct create_item item;
    struct create_setting settings[3];
    char segment_bytes_text[16];
    bool asked; /* op is on its way */
};

/* -- group_host.c --------------------------------------------------------------------------------------------------- */

/* Makes the groups of a partition, to be filled. */
struct groups *group_partition_groups_new(struct group_partition *partition);
/* The partition takes calls from now on. */
void group_partition_activate(struct group_partition *partition);
/* The partition is out of service. */
void group_partition_fail(struct group_partition *partition);
/* Lets answers go that wait for nothing; to be called when the groups have been entered and left. */
void group_partition_settle(struct group_partition *partition);

/* -- group_append.c ------------------------------------------------------------------------------------------------- */

/* The groups' env.record, flush and answer; context is the partition. */
void group_append_record(void *context, struct odk_bytes key, struct odk_bytes value);
void group_append_event_end(void *context);
void group_append_answer(void *context, struct group_call *call);
/* Ends the open batch. */
void group_append_seal(struct group_partition *partition);
/* Hands sealed batches to the log. */
void group_append_submit(struct group_partition *partition);
/* Answers whose records are durable go. */
void group_append_release(struct group_partition *partition);
/* After a refused batch, when nothing is flying: H2. */
void group_append_recover(struct group_partition *partition);
void group_append_deinit(struct group_partition *partition);
void group_batch_free(struct group_batch *batch);

/* -- group_load.c --------------------------------------------------------------------------------------------------- */

/* Reads the partition's log soon, not before delay_ms have passed. */
void group_load_queue(struct group_partition *partition, uint64_t delay_ms);
/* A topic has gone while the partition is LOADING. */
void group_load_topic_gone(struct group_partition *partition, const struct topic *topic);
void group_load_init(struct group_host *host);
void group_load_deinit(struct group_host *host);
void group_load_forget(struct group_partition *partition);

/* -- group_snapshot.c ------------------------------------------------------------------------------------------------ */

/* Begins a snapshot when it is time; at the end of a turn. */
void group_snapshot_check(struct group_partition *partition);
/* A batch is durable. */
void group_snapshot_on_durable(struct group_partition *partition, const struct group_batch *batch);
/* Cuts the log when the snapshot is durable; at the end of a turn. */
void group_snapshot_settle(struct group_partition *partition);
/* The log refused a batch. */
void group_snapshot_abandon(struct group_partition *partition);
