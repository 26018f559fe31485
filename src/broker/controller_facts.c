/* What the records of the metadata log say when they are put together. */
#include <stdlib.h>
#include <string.h>

#include "broker/config_value.h"
#include "broker/controller_internal.h"

static void topic_free(struct facts *facts, struct facts_topic *topic)
{
    HASH_DEL(facts->topics, topic);
    topic_config_deinit(&topic->config);
    free(topic->name);
    free(topic);
}

static void settings_free(struct facts *facts, struct facts_settings *entry)
{
    HASH_DEL(facts->settings, entry);
    for (uint32_t i = 0; i < entry->setting_count; i++)
        free((void *)(uintptr_t)entry->settings[i].value.data);
    free(entry->settings);
    free(entry->key);
    free(entry);
}

void facts_deinit(struct facts *facts)
{
    struct facts_topic *topic, *next_topic;
    HASH_ITER(hh, facts->topics, topic, next_topic)
    topic_free(facts, topic);
    struct facts_settings *entry, *next_entry;
    HASH_ITER(hh, facts->settings, entry, next_entry)
    settings_free(facts, entry);
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

static void topic_configure(struct facts *facts, struct facts_topic *topic, const struct metadata_record *record)
{
    topic_config_deinit(&topic->config);
    topic_config_init(&topic->config, facts->broker->env.config);
    for (uint32_t i = 0; i < record->setting_count; i++) {
        struct config_why why;
        if (topic_config_set(&topic->config, record->settings[i].key, record->settings[i].value, &why) != ODK_OK)
            DIAG_WARN(facts->broker->env.diag, "topic %s: stored setting ignored: %s", topic->name, why.text);
    }
}

static enum odk_err topic_create(struct facts *facts, const struct metadata_record *record)
{
    struct facts_topic *topic = NULL;
    HASH_FIND(hh, facts->topics, record->id.b, sizeof(record->id.b), topic);
    if (topic) /* said again by a snapshot */
        return ODK_OK;
    if (topic_name_check(record->name))
        return ODK_ERR_CORRUPT;
    topic = xcalloc(1, sizeof(*topic));
    topic->id = record->id;
    topic->name = xstrndup(record->name.data, record->name.len);
    topic->partition_count = record->partition_count;
    topic_configure(facts, topic, record);
    HASH_ADD(hh, facts->topics, id, sizeof(topic->id), topic);
    return ODK_OK;
}

static enum odk_err topic_change(struct facts *facts, const struct metadata_record *record)
{
    struct facts_topic *topic = NULL;
    HASH_FIND(hh, facts->topics, record->id.b, sizeof(record->id.b), topic);
    if (!topic)
        return ODK_ERR_CORRUPT;
    if (record->kind == METADATA_TOPIC_PURGED)
        topic_free(facts, topic);
    else if (record->kind == METADATA_TOPIC_DELETED)
        topic->deleted = true;
    else if (record->kind == METADATA_TOPIC_CONFIG)
        topic_configure(facts, topic, record);
    else if (record->partition_count < topic->partition_count)
        return ODK_ERR_CORRUPT;
    else
        topic->partition_count = record->partition_count;
    return ODK_OK;
}

/* -- the broker and groups ---------------------------------------------------------------------------------------- */

/* The table's own text of a key, which lives for ever; data NULL when it is not known any more. */
static struct odk_str key_static(enum metadata_kind kind, struct odk_str key)
{
    bool broker = kind == METADATA_BROKER_CONFIG;
    const struct config_row *rows = broker ? broker_config_rows : group_config_rows;
    uint32_t count = broker ? BROKER_CONFIG_COUNT : GROUP_CONFIG_COUNT;
    uint32_t id = config_row_find(rows, count, key);
    return id < count ? odk_str_from(rows[id].key) : (struct odk_str){ 0 };
}

static void settings_fill(struct facts *facts, struct facts_settings *entry, const struct metadata_record *record)
{
    entry->settings = xcalloc(record->setting_count, sizeof(*entry->settings));
    for (uint32_t i = 0; i < record->setting_count; i++) {
        struct odk_str key = key_static(record->kind, record->settings[i].key);
        struct odk_str value = record->settings[i].value;
        if (!key.data) {
            DIAG_WARN(facts->broker->env.diag, "%s: stored setting ignored: unknown: %.*s", entry->name.data,
                      ODK_STR_FMT(record->settings[i].key));
            continue;
        }
        value.data = xstrndup(value.data, value.len);
        entry->settings[entry->setting_count++] = (struct metadata_setting){ .key = key, .value = value };
    }
}

static enum odk_err settings_take(struct facts *facts, const struct metadata_record *record)
{
    struct facts_settings *entry = NULL;
    size_t len = record->name.len + 1;
    char *key = xcalloc(len + 1, 1);
    key[0] = (char)record->kind;
    if (record->name.len > 0)
        memcpy(key + 1, record->name.data, record->name.len);
    HASH_FIND(hh, facts->settings, key, len, entry);
    if (entry)
        settings_free(facts, entry);
    if (record->setting_count == 0) {
        free(key);
        return ODK_OK;
    }
    entry = xcalloc(1, sizeof(*entry));
    entry->key = key;
    entry->kind = record->kind;
    entry->name = (struct odk_str){ .data = key + 1, .len = record->name.len };
    settings_fill(facts, entry, record);
    HASH_ADD_KEYPTR(hh, facts->settings, entry->key, len, entry);
    return ODK_OK;
}

/* -- all ---------------------------------------------------------------------------------------------------------- */

enum odk_err facts_take(struct facts *facts, const struct metadata_record *record)
{
    switch (record->kind) {
    case METADATA_TOPIC: return topic_create(facts, record);
    case METADATA_TOPIC_DELETED:
    case METADATA_TOPIC_PURGED:
    case METADATA_TOPIC_CONFIG:
    case METADATA_TOPIC_PARTITIONS: return topic_change(facts, record);
    case METADATA_BROKER_CONFIG:
    case METADATA_GROUP_CONFIG: return settings_take(facts, record);
    case METADATA_PRODUCER_IDS:
        facts->producer_ids_end = MAX(facts->producer_ids_end, record->producer_ids_end);
        return ODK_OK;
    }
    UNREACHABLE();
}

uint64_t facts_record_count(const struct facts *facts)
{
    return (uint64_t)HASH_COUNT(facts->topics) * 2 + HASH_COUNT(facts->settings) + 1;
}

void metadata_record_of_topic(struct metadata_record *ret, struct odk_str name, struct odk_uuid id,
                              int32_t partition_count, const struct topic_config *config)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < TOPIC_CONFIG_COUNT; i++)
        count += config->set[i] != NULL;
    *ret =
        (struct metadata_record){ .kind = METADATA_TOPIC, .id = id, .name = name, .partition_count = partition_count };
    ret->settings = count ? xcalloc(count, sizeof(*ret->settings)) : NULL;
    for (uint32_t i = 0; i < TOPIC_CONFIG_COUNT; i++) {
        if (config->set[i])
            ret->settings[ret->setting_count++] =
                (struct metadata_setting){ .key = odk_str_from(topic_config_rows[i].key),
                                           .value = odk_str_from(config->set[i]) };
    }
}

uint32_t facts_records(const struct facts *facts, struct metadata_record *records)
{
    uint32_t count = 0;
    records[count++] =
        (struct metadata_record){ .kind = METADATA_PRODUCER_IDS, .producer_ids_end = facts->producer_ids_end };
    for (const struct facts_settings *entry = facts->settings; entry; entry = entry->hh.next) {
        struct metadata_record *record = &records[count++];
        *record = (struct metadata_record){ .kind = entry->kind, .name = entry->name };
        record->settings = xcalloc(MAX(entry->setting_count, 1u), sizeof(*record->settings));
        memcpy(record->settings, entry->settings, entry->setting_count * sizeof(*record->settings));
        record->setting_count = entry->setting_count;
    }
    for (const struct facts_topic *topic = facts->topics; topic; topic = topic->hh.next) {
        metadata_record_of_topic(&records[count++], odk_str_from(topic->name), topic->id, topic->partition_count,
                                 &topic->config);
        if (topic->deleted)
            records[count++] = (struct metadata_record){ .kind = METADATA_TOPIC_DELETED, .id = topic->id };
    }
    return count;
}
