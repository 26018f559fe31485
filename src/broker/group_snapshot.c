/*
 * Keeps the logs of the groups short, which would else hold every commit that ever was, all to be read at a start.
 *
 *   WRITING   what is true now has been written behind everything that was recorded before, in batches like any other;
 *             later records come behind it
 *   TRIMMING  all of it is durable: the log begins with it from now on
 *
 * A crash in between leaves facts that are said twice, in the right order. The work is in proportion to the log's growth:
 * a snapshot is written when the log has grown to twice the last one.
 */
#include "broker/group_host_internal.h"

/* A log below this is read in a few milliseconds. Segments are removed whole: with small ones, less makes sense. */
#define HISTORY_BYTES_MIN MIB(1)

static void snapshot_record(void *context, struct odk_bytes key, struct odk_bytes value)
{
    group_append_record(context, key, value);
    group_append_event_end(context); /* facts do not hang together */
}

static void snapshot_begin(struct group_partition *partition)
{
    struct group_snapshot *snapshot = &partition->snapshot;
    group_append_seal(partition);
    *snapshot = (struct group_snapshot){ .state = GROUP_SNAPSHOT_WRITING,
                                         .first_seq = partition->last_seq + 1,
                                         .offset = partition->durable_offset };
    groups_snapshot(partition->groups, snapshot_record, partition);
    group_append_seal(partition);
    snapshot->last_seq = partition->last_seq;
}

void group_snapshot_check(struct group_partition *partition)
{
    uint64_t history_min = MIN(HISTORY_BYTES_MIN, (uint64_t)partition->host->segment_bytes);
    bool long_enough = partition->log_bytes >= 2 * partition->fact_bytes + history_min;
    if (!long_enough || partition->snapshot.state != GROUP_SNAPSHOT_NONE || !partition->groups ||
        partition->refused != ODK_OK || odk_log_state(partition->log) != ODK_OK)
        return;
    snapshot_begin(partition);
}

static void snapshot_on_trimmed(void *context, enum odk_err err)
{
    struct group_partition *partition = context;
    struct group_snapshot *snapshot = &partition->snapshot;
    ASSERT(snapshot->state == GROUP_SNAPSHOT_TRIMMING);
    snapshot->state = GROUP_SNAPSHOT_NONE;
    partition->log_bytes = snapshot->log_bytes;
    partition->fact_bytes = snapshot->fact_bytes;
    if (err != ODK_OK && err != ODK_ERR_CLOSED)
        DIAG_WARN(partition->host->broker->env.diag, GROUP_TOPIC_NAME "-%d: could not be shortened: %s",
                  partition->index, odk_err_text(err));
}

void group_snapshot_on_durable(struct group_partition *partition, const struct group_batch *batch)
{
    struct group_snapshot *snapshot = &partition->snapshot;
    if (snapshot->state == GROUP_SNAPSHOT_NONE)
        return;
    if (batch->seq < snapshot->first_seq) {
        snapshot->offset = partition->durable_offset;
        return;
    }
    snapshot->log_bytes += batch->append.len;
    snapshot->fact_bytes += batch->seq <= snapshot->last_seq ? batch->append.len : 0;
}

void group_snapshot_settle(struct group_partition *partition)
{
    struct group_snapshot *snapshot = &partition->snapshot;
    if (snapshot->state != GROUP_SNAPSHOT_WRITING || partition->durable_seq < snapshot->last_seq)
        return;
    snapshot->state = GROUP_SNAPSHOT_TRIMMING;
    odk_log_trim(partition->log, snapshot->offset, snapshot_on_trimmed, partition);
}

void group_snapshot_abandon(struct group_partition *partition)
{
    if (partition->snapshot.state == GROUP_SNAPSHOT_WRITING)
        partition->snapshot.state = GROUP_SNAPSHOT_NONE;
}
