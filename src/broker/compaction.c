#include "broker/compaction.h"

#include <inttypes.h>

#include "base/units.h"
#include "base/uuid.h"
#include "broker/broker_internal.h"

#define PAUSE_MS       1    /* between turns of one search: others come first */
#define HURRY_MS       1000
#define PARTITIONS_MAX 256u /* looked at in one turn */
#define SEGMENTS_MAX   256u /* of one log, looked at for their age: a pass goes no further then */
/* The map has slots of fixed size and leaves some free, as log.cleaner.io.buffer.load.factor's default says. */

/* -- one partition ------------------------------------------------------------------------------------------------- */

static bool applies(const struct partition *partition)
{
    const struct topic *topic = partition->topic;
    return !topic->internal && (topic->config.cleanup_policy & TOPIC_CLEANUP_COMPACT) &&
           odk_log_state(partition->log) == ODK_OK && !odk_log_known_empty(partition->log);
}

/* How far a pass that begins at dirty may go: to the first segment that is active or has too young a record. ret_oldest:
 * about when the first record was made, -1 when that is not known. */
static int64_t reach(const struct broker *broker, const struct partition *partition, int64_t dirty, int64_t *ret_oldest)
{
    const struct topic_config *config = &partition->topic->config;
    const int64_t lag_ms = config->min_compaction_lag_ms;
    struct odk_segment_info segment;
    int64_t up_to = dirty;
    *ret_oldest = -1;
    for (uint32_t i = 0; i < SEGMENTS_MAX && odk_log_segment(partition->log, up_to, &segment) == ODK_OK; i++) {
        if (segment.active || (lag_ms > 0 && segment.max_timestamp > broker->wall_ms - lag_ms))
            return segment.base_offset;
        if (i == 0)
            *ret_oldest = segment.first_timestamp;
        up_to = lag_ms > 0 ? segment.end_offset : odk_log_end_offset(partition->log); /* no age to be looked at */
    }
    return up_to;
}

static void partition_look(struct broker *broker, struct partition *partition)
{
    struct compaction_choice *best = &broker->compaction.best;
    const struct topic_config *config = &partition->topic->config;
    struct odk_segment_info head, limit;
    int64_t oldest_ms;
    int64_t dirty = applies(partition) ? odk_log_dirty_offset(partition->log) : -1;
    int64_t up_to = dirty >= 0 ? reach(broker, partition, dirty, &oldest_ms) : -1;
    if (up_to <= dirty || odk_log_segment(partition->log, dirty, &head) != ODK_OK ||
        odk_log_segment(partition->log, up_to, &limit) != ODK_OK)
        return;
    uint64_t behind = limit.bytes + limit.bytes_behind;
    uint64_t all = odk_log_size(partition->log) - behind;
    uint64_t unseen = head.bytes + head.bytes_behind - behind;
    double ratio = all > 0 ? (double)unseen / (double)all : 0;
    bool waited = oldest_ms >= 0 && broker->wall_ms - oldest_ms > config->max_compaction_lag_ms;
    if (waited)
        ratio += 1; /* before all that have not */
    if (ratio > config->min_cleanable_dirty_ratio && (odk_uuid_is_zero(best->topic_id) || ratio > best->ratio))
        *best = (struct compaction_choice){ partition->topic->id, partition->index, ratio, up_to };
}

/* -- passes -------------------------------------------------------------------------------------------------------- */

static void compaction_arm(struct broker *broker, int64_t delay_ms)
{
    timer_arm(broker->env.timers, &broker->compaction.timer, deadline_after_ms(broker->now_ns, delay_ms));
}

static void pass_on_done(struct odk_clean *pass, enum odk_err err)
{
    struct compaction *compaction = container_of(pass, struct compaction, pass);
    struct broker *broker = container_of(compaction, struct broker, compaction);
    compaction->running = false;
    compaction->passes += err == ODK_OK;
    if (err == ODK_OK)
        DIAG_INFO(broker->env.diag, "compaction: read %" PRIu64 " bytes, wrote %" PRIu64, pass->bytes_read,
                  pass->bytes_written);
    compaction_arm(broker, err == ODK_OK ? PAUSE_MS : broker->env.config->log_cleaner_backoff_ms);
}

/* Starts a pass on what the search has found. */
static void pass_start(struct broker *broker)
{
    struct compaction *compaction = &broker->compaction;
    const struct compaction_choice best = compaction->best;
    struct topic *topic = topics_by_id(&broker->topics, best.topic_id);
    struct partition *partition = topic ? topic_partition(topic, best.index) : NULL;
    compaction->best = (struct compaction_choice){ 0 };
    bool clock_doubted = broker->now_ns < broker->retention.clock_doubted_ns; /* marks of deletion would go too early */
    if (!partition || !partition->log || clock_doubted) {
        compaction_arm(broker, broker->env.config->log_cleaner_backoff_ms);
        return;
    }
    compaction->pass = (struct odk_clean){
        .up_to = best.up_to,
        .now_ms = broker->wall_ms,
        .delete_retention_ms = topic->config.delete_retention_ms,
        .map_bytes_max = (uint64_t)broker->env.config->log_cleaner_dedupe_buffer_size / broker->env.shard_count,
        .done = pass_on_done,
    };
    compaction->running = odk_log_clean(partition->log, &compaction->pass) == ODK_OK;
    if (!compaction->running) /* what it found is on its way into its files */
        compaction_arm(broker, MIN(broker->env.config->log_cleaner_backoff_ms, (int64_t)HURRY_MS));
}

/* -- searching ----------------------------------------------------------------------------------------------------- */

static void compaction_on_time(struct timer *timer, uint64_t now_ns)
{
    struct compaction *compaction = container_of(timer, struct compaction, timer);
    struct broker *broker = container_of(compaction, struct broker, compaction);
    (void)now_ns;
    if (list_empty(&compaction->due))
        list_splice(&compaction->due, &compaction->rest);
    bool loaded = true; /* a log that was not used before reads files: it ends the turn */
    for (uint32_t i = 0; i < PARTITIONS_MAX && loaded && !list_empty(&compaction->due); i++) {
        struct partition *partition = list_entry(list_pop_front(&compaction->due), struct partition, compacted);
        list_push_back(&compaction->rest, &partition->compacted);
        loaded = !applies(partition) || odk_log_is_loaded(partition->log);
        partition_look(broker, partition);
    }
    if (!list_empty(&compaction->due))
        compaction_arm(broker, PAUSE_MS);
    else
        pass_start(broker);
}

void compaction_on_tick(struct broker *broker)
{
    if (broker->env.config->log_cleaner_enable && !broker->compaction.running && !timer_armed(&broker->compaction.timer))
        compaction_arm(broker, broker->env.config->log_cleaner_backoff_ms);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

void compaction_init(struct broker *broker)
{
    broker->compaction.timer.fire = compaction_on_time;
    list_init(&broker->compaction.due);
    list_init(&broker->compaction.rest);
}

void compaction_stop(struct broker *broker)
{
    timer_cancel(broker->env.timers, &broker->compaction.timer);
}

void compaction_know(struct broker *broker, struct partition *partition)
{
    list_push_back(&broker->compaction.rest, &partition->compacted);
}

void compaction_forget(struct partition *partition)
{
    list_remove(&partition->compacted);
}
