/* Settings that stand over the broker's: what topics and groups have in common. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/diag.h"
#include "broker/config_value.h"

/* The broker's key that decides: the strongest that is set, else the last one that has a default. */
static enum broker_config_id synonym_that_counts(const char *synonyms, const struct broker_config *broker)
{
    struct odk_str rest = odk_str_from(synonyms), key;
    enum broker_config_id chosen = BROKER_CONFIG_COUNT;
    while (config_list_next(&rest, &key)) {
        enum broker_config_id id = broker_config_find(key);
        ASSERT(id < BROKER_CONFIG_COUNT);
        if (broker_config_given(broker, id))
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

static void value_from_broker(const struct config_row *row, void *config, const struct config_row *source,
                              const struct broker_config *broker)
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

char **config_own_texts(const struct config_table *table, void *config)
{
    return (char **)(void *)((char *)config + table->set_offset);
}

static void value_take(const struct config_table *table, void *config, uint32_t id, const struct broker_config *broker)
{
    const struct config_row *row = &table->rows[id];
    enum broker_config_id source = synonym_that_counts(row->synonyms, broker);
    if (source == BROKER_CONFIG_COUNT)
        config_value_default(row, config);
    else
        value_from_broker(row, config, &broker_config_rows[source], broker);
}

void config_own_unset(const struct config_table *table, void *config, uint32_t id, const struct broker_config *broker)
{
    char **texts = config_own_texts(table, config);
    free(texts[id]);
    texts[id] = NULL;
    value_take(table, config, id, broker);
}

void config_own_refresh(const struct config_table *table, void *config, const struct broker_config *broker)
{
    char **texts = config_own_texts(table, config);
    for (uint32_t id = 0; id < table->count; id++) {
        if (!texts[id])
            value_take(table, config, id, broker);
    }
}

void config_own_init(const struct config_table *table, void *config, const struct broker_config *broker)
{
    memset(config, 0, table->bytes);
    config_own_refresh(table, config, broker);
}

void config_own_deinit(const struct config_table *table, void *config)
{
    char **texts = config_own_texts(table, config);
    for (uint32_t id = 0; id < table->count; id++) {
        free(texts[id]);
        texts[id] = NULL;
    }
}

void config_own_copy(const struct config_table *table, void *dst, const void *src)
{
    memcpy(dst, src, table->bytes);
    char **texts = config_own_texts(table, dst);
    for (uint32_t id = 0; id < table->count; id++) {
        if (!texts[id])
            continue;
        struct config_why why;
        texts[id] = xstrndup(texts[id], strlen(texts[id]));
        ASSERT(config_value_parse(&table->rows[id], texts[id], dst, &why) == ODK_OK); /* I1 */
    }
}

enum odk_err config_own_set(const struct config_table *table, void *config, struct odk_str key, struct odk_str value,
                            struct config_why *ret_why)
{
    uint32_t id = config_row_find(table->rows, table->count, key);
    if (id == table->count) {
        char shown[128];
        (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s is not a %s setting",
                       diag_escape(shown, sizeof(shown), key), table->of);
        return ODK_ERR_NOT_FOUND;
    }
    const struct config_row *row = &table->rows[id];
    char *text = config_text_take(row, value, ret_why);
    if (!text)
        return ODK_ERR_INVALID;
    enum odk_err err = config_value_parse(row, text, config, ret_why);
    if (err != ODK_OK) {
        free(text);
        return err;
    }
    char **texts = config_own_texts(table, config);
    free(texts[id]);
    texts[id] = text;
    return ODK_OK;
}

/* -- where values come from ---------------------------------------------------------------------------------------- */

/* What the broker's key has at one place; NULL: nothing. */
static const char *place_text(const struct broker_config *broker, struct config_place place)
{
    switch (place.source) {
    case CONFIG_SOURCE_BROKER: return broker->dynamic[CONFIG_THIS_BROKER][place.id];
    case CONFIG_SOURCE_ALL_BROKERS: return broker->dynamic[CONFIG_ALL_BROKERS][place.id];
    case CONFIG_SOURCE_START: return broker->set[place.id];
    case CONFIG_SOURCE_DEFAULT: return broker_config_rows[place.id].fallback;
    case CONFIG_SOURCE_TOPIC:
    case CONFIG_SOURCE_GROUP: break;
    }
    UNREACHABLE();
}

const char *config_place_text(const struct broker_config *broker, struct config_place place)
{
    return broker_config_rows[place.id].type == CONFIG_PASSWORD ? NULL : place_text(broker, place);
}

uint32_t config_places(const char *synonyms, const struct broker_config *broker,
                       struct config_place ret[CONFIG_PLACES_MAX])
{
    static const enum config_source sources[] = { CONFIG_SOURCE_BROKER, CONFIG_SOURCE_ALL_BROKERS, CONFIG_SOURCE_START,
                                                  CONFIG_SOURCE_DEFAULT };
    uint32_t count = 0;
    for (uint32_t i = 0; i < countof(sources); i++) {
        struct odk_str rest = odk_str_from(synonyms), key;
        while (config_list_next(&rest, &key)) {
            struct config_place place = { .source = sources[i], .id = broker_config_find(key) };
            ASSERT(count < CONFIG_PLACES_MAX);
            if (place_text(broker, place))
                ret[count++] = place;
        }
    }
    return count;
}

enum config_source config_source_of(const char *synonyms, const struct broker_config *broker)
{
    struct config_place places[CONFIG_PLACES_MAX];
    return config_places(synonyms, broker, places) > 0 ? places[0].source : CONFIG_SOURCE_DEFAULT;
}
