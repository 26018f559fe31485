/* Settings of groups. Source: KIP-848, KIP-932, KIP-1071; Kafka's GroupConfig. */
#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "broker/config_value.h"

#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc)                                        \
    [GROUP_CONFIG_##                                                                                                   \
        field] = { key,     CONFIG_##type, effect, offsetof(struct group_config, field), fallback, min, max,           \
                   choices, synonyms,      doc },
const struct config_row group_config_rows[GROUP_CONFIG_COUNT] = {
#include "broker/group_config.def"
};
#undef X

const struct config_table group_config_table = {
    .of = "group",
    .rows = group_config_rows,
    .count = GROUP_CONFIG_COUNT,
    .set_offset = offsetof(struct group_config, set),
    .bytes = sizeof(struct group_config),
};

/* What the broker allows a group to set. BROKER_CONFIG_COUNT: no bound on that side. */
static const struct {
    enum group_config_id id;
    enum broker_config_id min, max;
} bounds[] = {
#define BOUND(name, low, high) { GROUP_CONFIG_##name, low, high }
#define BOTH(side, name)                                                                                               \
    BOUND(side##_##name, BROKER_CONFIG_group_##side##_min_##name, BROKER_CONFIG_group_##side##_max_##name)
    BOTH(consumer, assignment_interval_ms),
    BOTH(consumer, heartbeat_interval_ms),
    BOTH(consumer, session_timeout_ms),
    BOTH(share, assignment_interval_ms),
    BOTH(share, delivery_count_limit),
    BOTH(share, heartbeat_interval_ms),
    BOTH(share, partition_max_record_locks),
    BOTH(share, record_lock_duration_ms),
    BOTH(share, session_timeout_ms),
    BOTH(streams, assignment_interval_ms),
    BOTH(streams, heartbeat_interval_ms),
    BOTH(streams, session_timeout_ms),
    BOUND(streams_num_standby_replicas, BROKER_CONFIG_COUNT, BROKER_CONFIG_group_streams_max_standby_replicas),
    BOUND(streams_num_warmup_replicas, BROKER_CONFIG_COUNT, BROKER_CONFIG_group_streams_max_warmup_replicas),
    BOUND(streams_task_offset_interval_ms, BROKER_CONFIG_group_streams_min_task_offset_interval_ms,
          BROKER_CONFIG_COUNT),
#undef BOTH
#undef BOUND
};

/* A member that must be the greater one of two. */
static const struct {
    enum group_config_id session, heartbeat;
} beats[] = {
    { GROUP_CONFIG_consumer_session_timeout_ms, GROUP_CONFIG_consumer_heartbeat_interval_ms },
    { GROUP_CONFIG_share_session_timeout_ms, GROUP_CONFIG_share_heartbeat_interval_ms },
    { GROUP_CONFIG_streams_session_timeout_ms, GROUP_CONFIG_streams_heartbeat_interval_ms },
};

static int64_t number_of(const struct group_config *config, enum group_config_id id)
{
    return config_number(&group_config_rows[id], config);
}

static int64_t bound_of(const struct broker_config *broker, enum broker_config_id id, int64_t otherwise)
{
    return id == BROKER_CONFIG_COUNT ? otherwise : config_number(&broker_config_rows[id], broker);
}

static enum odk_err bounds_check(const struct group_config *config, const struct broker_config *broker,
                                 struct config_why *ret_why)
{
    for (uint32_t i = 0; i < countof(bounds); i++) {
        enum group_config_id id = bounds[i].id;
        int64_t min = bound_of(broker, bounds[i].min, group_config_rows[id].min);
        int64_t max = bound_of(broker, bounds[i].max, group_config_rows[id].max);
        if (!config->set[id] || (number_of(config, id) >= min && number_of(config, id) <= max))
            continue;
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "%s must be in the range %" PRId64 " to %" PRId64 " inclusive.", group_config_rows[id].key, min,
                       max);
        return ODK_ERR_INVALID;
    }
    return ODK_OK;
}

static enum odk_err beats_check(const struct group_config *config, struct config_why *ret_why)
{
    for (uint32_t i = 0; i < countof(beats); i++) {
        enum group_config_id session = beats[i].session, heartbeat = beats[i].heartbeat;
        bool set = config->set[session] || config->set[heartbeat];
        if (!set || number_of(config, session) > number_of(config, heartbeat))
            continue;
        (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s must be greater than %s",
                       group_config_rows[session].key, group_config_rows[heartbeat].key);
        return ODK_ERR_INVALID;
    }
    return ODK_OK;
}

static enum odk_err words_check(const struct group_config *config, struct config_why *ret_why)
{
    static const char *const resets[] = { "latest", "earliest", "by_duration:P" };
    const char *reset = config->share_auto_offset_reset;
    if (strncmp(config->errors_deadletterqueue_topic_name, "__", 2) == 0) {
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'");
        return ODK_ERR_INVALID;
    }
    if (strcmp(reset, resets[0]) == 0 || strcmp(reset, resets[1]) == 0 ||
        (strncmp(reset, resets[2], strlen(resets[2])) == 0 && reset[strlen(resets[2])] != '\0'))
        return ODK_OK;
    (void)snprintf(ret_why->text, sizeof(ret_why->text),
                   "share.auto.offset.reset must be earliest, latest or by_duration:<duration in ISO 8601>");
    return ODK_ERR_INVALID;
}

enum odk_err group_config_check(const struct group_config *config, const struct broker_config *broker,
                                struct config_why *ret_why)
{
    enum odk_err err = bounds_check(config, broker, ret_why);
    if (err == ODK_OK)
        err = beats_check(config, ret_why);
    return err == ODK_OK ? words_check(config, ret_why) : err;
}

int32_t group_config_bounded(const struct group_config *config, enum group_config_id id,
                             const struct broker_config *broker)
{
    int64_t value = number_of(config, id);
    for (uint32_t i = 0; i < countof(bounds) && config->set[id]; i++) {
        if (bounds[i].id != id)
            continue;
        value = MAX(value, bound_of(broker, bounds[i].min, value));
        value = MIN(value, bound_of(broker, bounds[i].max, value));
    }
    return (int32_t)value;
}
