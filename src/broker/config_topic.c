/* Settings of topics. */
#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "broker/config_value.h"

#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc)                                        \
    [TOPIC_CONFIG_##                                                                                                   \
        field] = { key,     CONFIG_##type, effect, offsetof(struct topic_config, field), fallback, min, max,           \
                   choices, synonyms,      doc },
const struct config_row topic_config_rows[TOPIC_CONFIG_COUNT] = {
#include "broker/topic_config.def"
};
#undef X

const struct config_table topic_config_table = {
    .of = "topic",
    .rows = topic_config_rows,
    .count = TOPIC_CONFIG_COUNT,
    .set_offset = offsetof(struct topic_config, set),
    .bytes = sizeof(struct topic_config),
};

enum topic_config_id topic_config_find(struct odk_str key)
{
    return (enum topic_config_id)config_row_find(topic_config_rows, TOPIC_CONFIG_COUNT, key);
}

void topic_config_init(struct topic_config *config, const struct broker_config *broker)
{
    config_own_init(&topic_config_table, config, broker);
}

void topic_config_deinit(struct topic_config *config)
{
    config_own_deinit(&topic_config_table, config);
}

void topic_config_copy(struct topic_config *dst, const struct topic_config *src)
{
    config_own_copy(&topic_config_table, dst, src);
}

enum odk_err topic_config_set(struct topic_config *config, struct odk_str key, struct odk_str value,
                              struct config_why *ret_why)
{
    return config_own_set(&topic_config_table, config, key, value, ret_why);
}

void topic_config_unset(struct topic_config *config, enum topic_config_id id, const struct broker_config *broker)
{
    config_own_unset(&topic_config_table, config, id, broker);
}

enum odk_err topic_config_check(const struct topic_config *config, struct config_why *ret_why)
{
    if (config->min_compaction_lag_ms > config->max_compaction_lag_ms) {
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "conflict topic config setting min.compaction.lag.ms (%" PRId64
                       ") > max.compaction.lag.ms (%" PRId64 ")",
                       config->min_compaction_lag_ms, config->max_compaction_lag_ms);
        return ODK_ERR_INVALID;
    }
    if (config->compression_gzip_level == 0) {
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "compression.gzip.level: 0 is not allowed; it must be -1 or a whole number from 1 to 9");
        return ODK_ERR_INVALID;
    }
    return ODK_OK;
}

struct odk_log_config topic_config_for_log(const struct topic_config *config)
{
    bool compact = config->cleanup_policy & TOPIC_CLEANUP_COMPACT;
    return (struct odk_log_config){
        .segment_bytes = config->segment_bytes,
        .segment_ms = compact ? MIN(config->segment_ms, config->max_compaction_lag_ms) : config->segment_ms,
        .segment_jitter_ms = config->segment_jitter_ms,
        .index_interval_bytes = config->index_interval_bytes,
        .segment_index_bytes = config->segment_index_bytes,
        .log_append_time = config->timestamp_type == TOPIC_LOG_APPEND_TIME,
    };
}
