#include "broker/retention.h"

#include <inttypes.h>

#include "base/units.h"
#include "broker/broker_internal.h"

#define FIRST_CHECK_MS 30000 /* not while everybody connects */
#define PAUSE_MS       1     /* between turns of one check: others come first */
/* In one turn: */
#define PARTITIONS_MAX 256u
#define LOOKS_MAX      32u /* at segments: each may map and check an index */
/* A log that nobody has used reads files at its first use: one of these ends the turn. */

#define CLOCK_STEP_MS   60000
#define CLOCK_DOUBT_MS  600000

/* -- one partition ------------------------------------------------------------------------------------------------- */

/* segment: the one that holds offset. */
static bool is_too_old(const struct broker *broker, struct odk_log *log, const struct topic_config *config,
                       const struct odk_segment_info *segment, int64_t offset)
{
    if (config->retention_ms < 0 || broker->now_ns < broker->retention.clock_doubted_ns)
        return false;
    int64_t since_ms = segment->max_timestamp;
    if (since_ms < 0 || since_ms > broker->wall_ms)
        since_ms = odk_log_segment_written_ms(log, offset);
    return since_ms >= 0 && broker->wall_ms - since_ms > config->retention_ms;
}

static bool is_too_much(const struct topic_config *config, const struct odk_segment_info *segment)
{
    return config->retention_bytes >= 0 && segment->bytes_behind >= (uint64_t)config->retention_bytes;
}

/* Where the log may begin, looking at no more than *looks segments. */
static int64_t new_start(const struct broker *broker, const struct partition *partition, int64_t start, uint32_t *looks)
{
    const struct topic_config *config = &partition->topic->config;
    struct odk_log *log = partition->log;
    struct odk_segment_info segment;
    while (*looks > 0 && odk_log_segment(log, start, &segment) == ODK_OK && segment.bytes > 0) {
        (*looks)--;
        if (!is_too_much(config, &segment) && !is_too_old(broker, log, config, &segment, start))
            break;
        if (segment.active && odk_log_roll(log) != ODK_OK)
            break; /* something is being appended: at the next check */
        start = segment.end_offset;
    }
    return start;
}

static bool applies(const struct partition *partition)
{
    const struct topic *topic = partition->topic;
    if (topic->internal || !(topic->config.cleanup_policy & TOPIC_CLEANUP_DELETE)) /* internal ones look after themselves */
        return false;
    if (topic->config.retention_ms < 0 && topic->config.retention_bytes < 0)
        return false;
    enum odk_err state = odk_log_state(partition->log);
    return (state == ODK_OK || state == ODK_ERR_FULL) && !odk_log_known_empty(partition->log);
}

static void partition_look(struct broker *broker, struct partition *partition, uint32_t *looks)
{
    if (!applies(partition))
        return;
    bool loaded = odk_log_is_loaded(partition->log);
    int64_t start = odk_log_start_offset(partition->log);
    int64_t moved = start >= 0 ? new_start(broker, partition, start, looks) : start;
    if (moved > start) {
        DIAG_INFO(broker->env.diag, "partition %s-%d: retention moves its start from %" PRId64 " to %" PRId64,
                  partition->topic->name, partition->index, start, moved);
        odk_log_trim(partition->log, moved, NULL, NULL);
    }
    if (*looks == 0) { /* there may be more: it is the first of the next turn */
        list_remove(&partition->retained);
        list_push_front(&broker->retention.due, &partition->retained);
    }
    if (!loaded)
        *looks = 0;
}

/* -- checks -------------------------------------------------------------------------------------------------------- */

static void retention_arm(struct broker *broker, uint64_t deadline_ns)
{
    timer_arm(broker->env.timers, &broker->retention.timer, deadline_ns);
}

static void retention_on_time(struct timer *timer, uint64_t now_ns)
{
    struct retention *retention = container_of(timer, struct retention, timer);
    struct broker *broker = container_of(retention, struct broker, retention);
    if (list_empty(&retention->due)) {
        list_splice(&retention->due, &retention->rest);
        retention->begun_ns = now_ns;
    }
    uint32_t looks = LOOKS_MAX;
    for (uint32_t i = 0; i < PARTITIONS_MAX && looks > 0 && !list_empty(&retention->due); i++) {
        struct partition *partition = list_entry(list_pop_front(&retention->due), struct partition, retained);
        list_push_back(&retention->rest, &partition->retained);
        partition_look(broker, partition, &looks);
    }
    uint64_t next_ns = deadline_after_ms(now_ns, PAUSE_MS);
    if (list_empty(&retention->due))
        next_ns = deadline_after_ms(retention->begun_ns, broker->env.config->log_retention_check_interval_ms);
    retention_arm(broker, next_ns);
}

void retention_on_tick(struct broker *broker)
{
    struct retention *retention = &broker->retention;
    int64_t clock_ms = broker->wall_ms - (int64_t)(broker->now_ns / NS_PER_MS);
    int64_t step_ms = clock_ms - retention->clock_ms;
    if (!retention->clock_known) {
        retention->clock_known = true;
        retention_arm(broker, deadline_after_ms(broker->now_ns,
                                                MIN(FIRST_CHECK_MS, broker->env.config->log_retention_check_interval_ms)));
    } else if (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS) {
        retention->clock_doubted_ns = deadline_after_ms(broker->now_ns, CLOCK_DOUBT_MS);
        DIAG_WARN(broker->env.diag, "the clock has stepped by %" PRId64 " s: retention.ms deletes nothing for %d minutes",
                  step_ms / 1000, CLOCK_DOUBT_MS / 60000);
    }
    retention->clock_ms = clock_ms;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

void retention_init(struct broker *broker)
{
    broker->retention.timer.fire = retention_on_time;
    list_init(&broker->retention.due);
    list_init(&broker->retention.rest);
}

void retention_stop(struct broker *broker)
{
    timer_cancel(broker->env.timers, &broker->retention.timer);
}

void retention_know(struct broker *broker, struct partition *partition)
{
    list_push_back(&broker->retention.rest, &partition->retained);
}

void retention_forget(struct partition *partition)
{
    list_remove(&partition->retained);
}
