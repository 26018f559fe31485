/* The topic's half of config.h: values of its own over the broker's. */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#include "base/base.h"
#include "base/diag.h"
#include "broker/config_value.h"

#define X(field, key, type, fallback, min, max, choices, effect, synonyms, doc)                                        \
    [TOPIC_CONFIG_##                                                                                                   \
        field] = { key,     CONFIG_##type, effect, offsetof(struct topic_config, field), fallback, min, max,           \
                   choices, synonyms,      doc },
const struct config_row topic_config_rows[TOPIC_CONFIG_COUNT] = {
#include "broker/topic_config.def"
};
#undef X

enum topic_config_id topic_config_find(struct odk_str key)
{
    return (enum topic_config_id)config_row_find(topic_config_rows, TOPIC_CONFIG_COUNT, key);
}

/* The broker's key that decides: the strongest that is set, else the last one that has a default. */
static enum broker_config_id synonym_that_counts(const struct config_row *row, const struct broker_config *broker)
{
    struct odk_str rest = odk_str_from(row->synonyms), key;
    enum broker_config_id chosen = BROKER_CONFIG_COUNT;
    while (config_list_next(&rest, &key)) {
        enum broker_config_id id = broker_config_find(key);
        ASSERT(id < BROKER_CONFIG_COUNT);
        if (broker->set[id])
            return id;
        if (broker_config_rows[id].fallback)
            chosen = id;
    }
    return chosen;
}

static bool key_ends_with(const char *key, const char *end)
{
    size_t key_len = strlen(key), end_len = strlen(end);
    return key_len >= end_len && strcmp(key + key_len - end_len, end) == 0;
}

/* log.retention.hours stands for milliseconds. */
static int64_t key_unit(const char *key)
{
    return key_ends_with(key, ".hours") ? 3600000 : key_ends_with(key, ".minutes") ? 60000 : 1;
}

static void value_from_broker(const struct config_row *row, struct topic_config *config,
                              const struct config_row *source, const struct broker_config *broker)
{
    const char *from = (const char *)broker + source->offset;
    char *to = (char *)config + row->offset;
    switch (row->type) {
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG: {
        int64_t value = config_number(source, broker);
        config_number_put(row, config, value < 0 ? value : value * key_unit(source->key));
        break;
    }
    case CONFIG_BOOL: memcpy(to, from, sizeof(bool)); break;
    case CONFIG_DOUBLE: memcpy(to, from, sizeof(double)); break;
    case CONFIG_CHOICE:
    case CONFIG_FLAGS: memcpy(to, from, sizeof(uint8_t)); break;
    case CONFIG_STRING:
    case CONFIG_LIST:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD: *(const char **)(void *)to = *(const char *const *)(const void *)from; break;
    }
}

void topic_config_unset(struct topic_config *config, enum topic_config_id id, const struct broker_config *broker)
{
    const struct config_row *row = &topic_config_rows[id];
    free(config->set[id]);
    config->set[id] = NULL;
    enum broker_config_id source = synonym_that_counts(row, broker);
    if (source == BROKER_CONFIG_COUNT)
        config_value_default(row, config);
    else
        value_from_broker(row, config, &broker_config_rows[source], broker);
}

void topic_config_init(struct topic_config *config, const struct broker_config *broker)
{
    *config = (struct topic_config){ 0 };
    for (uint32_t id = 0; id < TOPIC_CONFIG_COUNT; id++)
        topic_config_unset(config, (enum topic_config_id)id, broker);
}

void topic_config_deinit(struct topic_config *config)
{
    for (uint32_t id = 0; id < TOPIC_CONFIG_COUNT; id++) {
        free(config->set[id]);
        config->set[id] = NULL;
    }
}

void topic_config_copy(struct topic_config *dst, const struct topic_config *src)
{
    *dst = *src;
    for (uint32_t id = 0; id < TOPIC_CONFIG_COUNT; id++) {
        if (!src->set[id])
            continue;
        struct config_why why;
        dst->set[id] = xstrndup(src->set[id], strlen(src->set[id]));
        ASSERT(config_value_parse(&topic_config_rows[id], dst->set[id], dst, &why) == ODK_OK); /* I1 */
    }
}

enum odk_err topic_config_set(struct topic_config *config, struct odk_str key, struct odk_str value,
                              struct config_why *ret_why)
{
    enum topic_config_id id = topic_config_find(key);
    if (id == TOPIC_CONFIG_COUNT) {
        char shown[128];
        (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s is not a topic setting",
                       diag_escape(shown, sizeof(shown), key));
        return ODK_ERR_NOT_FOUND;
    }
    const struct config_row *row = &topic_config_rows[id];
    char *text = config_text_copy(value);
    if (!text) {
        (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s: the value is longer than %u bytes or has a NUL",
                       row->key, CONFIG_VALUE_BYTES_MAX);
        return ODK_ERR_INVALID;
    }
    enum odk_err err = config_value_parse(row, text, config, ret_why);
    if (err != ODK_OK) {
        free(text);
        return err;
    }
    free(config->set[id]);
    config->set[id] = text;
    return ODK_OK;
}

struct odk_log_config topic_config_for_log(const struct topic_config *config)
{
    return (struct odk_log_config){
        .segment_bytes = config->segment_bytes,
        .segment_ms = config->segment_ms,
        .index_interval_bytes = config->index_interval_bytes,
        .segment_index_bytes = config->segment_index_bytes,
        .log_append_time = config->timestamp_type == TOPIC_LOG_APPEND_TIME,
    };
}

uint32_t topic_config_synonyms(enum topic_config_id id, const struct broker_config *broker, struct config_synonym *ret,
                               uint32_t synonyms_max)
{
    struct odk_str rest = odk_str_from(topic_config_rows[id].synonyms), key;
    uint32_t count = 0;
    while (count < synonyms_max && config_list_next(&rest, &key)) {
        enum broker_config_id broker_id = broker_config_find(key);
        ret[count++] = (struct config_synonym){ .id = broker_id, .set = broker->set[broker_id] != NULL };
    }
    return count;
}

bool topic_config_default_changed(enum topic_config_id id, const struct broker_config *broker)
{
    enum broker_config_id source = synonym_that_counts(&topic_config_rows[id], broker);
    return source != BROKER_CONFIG_COUNT && broker->set[source] != NULL;
}
