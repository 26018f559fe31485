/*
 * The rules for altering settings. Nothing here changes anything: a decision is the full set of settings that a resource
 * has afterwards. Source: KIP-133, KIP-226, KIP-339; Kafka's ConfigurationControlManager and ConfigAdminManager for
 * errors and their order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config_value.h"
#include "broker/controller_internal.h"

/* What is being worked out for one item. */
struct alteration {
    struct alter_item *item;
    const char *of; /* "topic" */
    const struct config_row *rows;
    uint32_t count;
    char *const *now; /* the texts that are set, by row */
    char **next;      /* those that will be; allocated */
    bool *named;      /* rows that the item has named */
};

static bool refuse(struct alter_item *item, enum kafka_error error, const char *message)
{
    item->error = error;
    item->message = message;
    return false;
}

/* format has one %s, for text from a client. */
static bool refuse_text(struct alter_item *item, enum kafka_error error, const char *before, struct odk_str text,
                        const char *after)
{
    char shown[256];
    (void)snprintf(item->why.text, sizeof(item->why.text), "%s%s%s", before, diag_escape(shown, sizeof(shown), text),
                   after);
    return refuse(item, error, item->why.text);
}

/* -- lists -------------------------------------------------------------------------------------------------------- */

static bool list_has(struct odk_str list, struct odk_str wanted)
{
    struct odk_str item;
    while (config_list_next(&list, &item)) {
        if (odk_str_eq(item, wanted))
            return true;
    }
    return false;
}

/* Adds the items of more to dst of which other says that they are (or are not) there. */
static size_t list_add(char *dst, size_t len, struct odk_str more, struct odk_str other, bool there)
{
    struct odk_str item;
    while (config_list_next(&more, &item)) {
        if (item.len == 0 || list_has(other, item) != there)
            continue;
        if (len > 0)
            dst[len++] = ',';
        memcpy(dst + len, item.data, item.len);
        len += item.len;
    }
    return len;
}

/* The list with the items of value added or taken out, allocated; NULL when it is too long. */
static char *list_change(const char *now, struct odk_str value, enum alter_how how)
{
    struct odk_str old = odk_str_from(now), none = { 0 };
    char *list = xcalloc(old.len + value.len + 2, 1);
    size_t len;
    if (how == ALTER_APPEND) {
        len = list_add(list, 0, old, none, false);
        len = list_add(list, len, value, old, false);
    } else {
        len = list_add(list, 0, old, value, false);
    }
    if (len <= CONFIG_VALUE_BYTES_MAX)
        return list;
    free(list);
    return NULL;
}

/* -- one change --------------------------------------------------------------------------------------------------- */

static bool key_refuse(const struct alteration *alteration, struct odk_str key)
{
    char before[48];
    (void)snprintf(before, sizeof(before), "Unknown %s config name: ", alteration->of);
    return refuse_text(alteration->item, KAFKA_INVALID_CONFIG, before, key, "");
}

static bool list_take(struct alteration *alteration, uint32_t id, const struct alter_change *change)
{
    struct alter_item *item = alteration->item;
    const struct config_row *row = &alteration->rows[id];
    bool append = change->how == ALTER_APPEND;
    if (row->type != CONFIG_LIST && row->type != CONFIG_FLAGS)
        return refuse_text(item, KAFKA_INVALID_CONFIG, append ? "Can't APPEND to key " : "Can't SUBTRACT to key ",
                           change->key, " because its type is not LIST.");
    char *value = config_text_take(row, change->value, &item->why);
    if (!value)
        return refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    const char *now = alteration->now[id] ? alteration->now[id] : row->fallback ? row->fallback : "";
    char *list = list_change(now, odk_str_from(value), (enum alter_how)change->how);
    free(value);
    if (!list)
        return refuse_text(item, KAFKA_INVALID_CONFIG, "The list would be too long: ", change->key, "");
    free(alteration->next[id]);
    alteration->next[id] = list;
    return true;
}

static bool value_take(struct alteration *alteration, uint32_t id, const struct alter_change *change)
{
    struct alter_item *item = alteration->item;
    char *text = config_text_take(&alteration->rows[id], change->value, &item->why);
    if (!text)
        return refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    free(alteration->next[id]);
    alteration->next[id] = text;
    return true;
}

static bool change_take(struct alteration *alteration, const struct alter_change *change)
{
    struct alter_item *item = alteration->item;
    uint32_t id = config_row_find(alteration->rows, alteration->count, change->key);
    if (change->how < ALTER_SET || change->how > ALTER_SUBTRACT)
        return refuse(item, KAFKA_INVALID_REQUEST, "the request has an unknown operation");
    if (change->how != ALTER_DELETE && !change->value.data)
        return refuse_text(item, KAFKA_INVALID_REQUEST, "Null value not supported for : ", change->key, "");
    if (id == alteration->count) /* what cannot be set can be taken away */
        return change->how == ALTER_DELETE || key_refuse(alteration, change->key);
    if (alteration->named[id])
        return refuse(item, KAFKA_INVALID_REQUEST, "Error due to duplicate config keys");
    alteration->named[id] = true;
    if (change->how == ALTER_SET)
        return value_take(alteration, id, change);
    if (change->how != ALTER_DELETE)
        return list_take(alteration, id, change);
    free(alteration->next[id]);
    alteration->next[id] = NULL;
    return true;
}

/* -- all changes of a resource ------------------------------------------------------------------------------------ */

static bool alteration_differs(const struct alteration *alteration)
{
    for (uint32_t id = 0; id < alteration->count; id++) {
        const char *now = alteration->now[id], *next = alteration->next[id];
        if (!now != !next || (now && strcmp(now, next) != 0))
            return true;
    }
    return false;
}

/* The decision, and a record of it. */
static void alteration_finish(struct alteration *alteration, struct metadata_record *ret)
{
    struct alter_item *item = alteration->item;
    item->settings = xcalloc(alteration->count, sizeof(*item->settings));
    for (uint32_t id = 0; id < alteration->count; id++) {
        if (!alteration->next[id])
            continue;
        item->settings[item->setting_count++] = (struct metadata_setting){
            .key = odk_str_from(alteration->rows[id].key), .value = odk_str_from(alteration->next[id])
        };
        alteration->next[id] = NULL;
    }
    item->changed = true;
    ret->id = item->id;
    ret->name = item->name;
    ret->settings = xcalloc(MAX(item->setting_count, 1u), sizeof(*ret->settings));
    memcpy(ret->settings, item->settings, item->setting_count * sizeof(*ret->settings));
    ret->setting_count = item->setting_count;
}

void alter_item_deinit(struct alter_item *item)
{
    for (uint32_t i = 0; i < item->setting_count; i++)
        free((void *)(uintptr_t)item->settings[i].value.data);
    free(item->settings);
    item->settings = NULL;
    item->setting_count = 0;
}

/*
 * Works out item's changes; check says whether what comes out is allowed. True when there is a record to be written.
 */
static bool alteration_run(struct alteration *alteration, bool validate_only,
                           bool (*check)(const struct alteration *alteration, void *context), void *context,
                           struct metadata_record *ret)
{
    struct alter_item *item = alteration->item;
    bool good = true, written = false;
    alteration->next = xcalloc(alteration->count, sizeof(char *));
    alteration->named = xcalloc(alteration->count, sizeof(bool));
    for (uint32_t id = 0; id < alteration->count && !item->replace; id++) {
        const char *now = alteration->now[id];
        alteration->next[id] = now ? xstrndup(now, strlen(now)) : NULL;
    }
    for (uint32_t i = 0; i < item->change_count && good; i++)
        good = change_take(alteration, &item->changes[i]);
    if (good && check(alteration, context) && !validate_only && alteration_differs(alteration)) {
        alteration_finish(alteration, ret);
        written = true;
    }
    for (uint32_t id = 0; id < alteration->count; id++)
        free(alteration->next[id]);
    free(alteration->next);
    free(alteration->named);
    return written;
}

/* -- topics and groups -------------------------------------------------------------------------------------------- */

static bool values_set(const struct alteration *alteration, const struct config_table *table, void *config)
{
    struct alter_item *item = alteration->item;
    for (uint32_t id = 0; id < table->count; id++) {
        if (!alteration->next[id])
            continue;
        if (config_own_set(table, config, odk_str_from(table->rows[id].key), odk_str_from(alteration->next[id]),
                           &item->why) != ODK_OK)
            return refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    }
    return true;
}

static bool topic_check(const struct alteration *alteration, void *context)
{
    const struct broker *broker = context;
    struct alter_item *item = alteration->item;
    struct topic_config config;
    topic_config_init(&config, broker->env.config);
    bool good = values_set(alteration, &topic_config_table, &config);
    if (good && topic_config_check(&config, &item->why) != ODK_OK)
        good = refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    topic_config_deinit(&config);
    return good;
}

static bool topic_decide(struct broker *broker, struct alter_item *item, bool validate_only,
                         struct metadata_record *ret)
{
    const char *wrong = topic_name_check(item->name);
    if (item->name.len == 0)
        return refuse(item, KAFKA_INVALID_REQUEST, "Default topic resources are not allowed.");
    if (wrong)
        return refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, wrong);
    struct topic *topic = topics_by_name(&broker->topics, item->name);
    if (!topic)
        return refuse_text(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The topic '", item->name, "' does not exist.");
    struct alteration alteration = { .item = item,
                                     .of = topic_config_table.of,
                                     .rows = topic_config_rows,
                                     .count = TOPIC_CONFIG_COUNT,
                                     .now = topic->config.set };
    item->id = topic->id;
    ret->kind = METADATA_TOPIC_CONFIG;
    return alteration_run(&alteration, validate_only, topic_check, broker, ret);
}

static bool group_check(const struct alteration *alteration, void *context)
{
    const struct broker *broker = context;
    struct alter_item *item = alteration->item;
    struct group_config config;
    config_own_init(&group_config_table, &config, broker->env.config);
    bool good = values_set(alteration, &group_config_table, &config);
    if (good && group_config_check(&config, broker->env.config, &item->why) != ODK_OK)
        good = refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    config_own_deinit(&group_config_table, &config);
    return good;
}

static bool group_decide(struct broker *broker, struct alter_item *item, bool validate_only, uint32_t *planned,
                         struct metadata_record *ret)
{
    static char *const nothing[GROUP_CONFIG_COUNT];
    if (item->name.len == 0)
        return refuse(item, KAFKA_INVALID_REQUEST, "Default group resources are not allowed.");
    if (item->name.len > GROUP_ID_BYTES_MAX)
        return refuse(item, KAFKA_INVALID_GROUP_ID, "the group id is too long");
    struct group_configs_entry *entry = group_configs_find(&broker->group_configs, item->name);
    if (!entry && HASH_COUNT(broker->group_configs.by_id) + *planned >= GROUP_CONFIGS_MAX)
        return refuse(item, KAFKA_POLICY_VIOLATION, "too many groups have settings of their own");
    struct alteration alteration = { .item = item,
                                     .of = group_config_table.of,
                                     .rows = group_config_rows,
                                     .count = GROUP_CONFIG_COUNT,
                                     .now = entry ? entry->config.set : nothing };
    ret->kind = METADATA_GROUP_CONFIG;
    bool written = alteration_run(&alteration, validate_only, group_check, broker, ret);
    *planned += !entry && written;
    return written;
}

/* -- the broker --------------------------------------------------------------------------------------------------- */

/* Whether the key may be changed here at all. */
static bool broker_key_check(struct alter_item *item, const struct config_row *row)
{
    const char *before = NULL;
    if (!(row->effect & CONFIG_DYNAMIC))
        before = "Cannot update these configs dynamically: [";
    else if (row->effect & CONFIG_PER_LISTENER)
        before = "These security configs can be dynamically updated only per-listener using the listener prefix: [";
    else if (item->name.len == 0 && (row->effect & CONFIG_PER_BROKER))
        before = "Cannot update these configs at default cluster level, broker id must be specified: [";
    return !before || refuse_text(item, KAFKA_INVALID_REQUEST, before, odk_str_from(row->key), "]");
}

/* Kafka calls a value that is not allowed an invalid request here, not an invalid configuration. */
static bool broker_check(const struct alteration *alteration, void *context)
{
    const struct broker *broker = context;
    struct alter_item *item = alteration->item;
    struct broker_config scratch = broker->config; /* parsed into, never freed */
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        const struct config_row *row = &broker_config_rows[id];
        if (!alteration->next[id])
            continue;
        if (!broker_key_check(item, row))
            return false;
        if (config_value_parse(row, alteration->next[id], &scratch, &item->why) != ODK_OK)
            return refuse(item, KAFKA_INVALID_REQUEST, item->why.text);
    }
    return broker_config_check_values(&scratch, &item->why) == ODK_OK ||
           refuse(item, KAFKA_INVALID_REQUEST, item->why.text);
}

bool controller_alter_layer(const struct broker *broker, struct odk_str name, enum config_layer *ret)
{
    char own[16];
    int len = snprintf(own, sizeof(own), "%d", broker_node_id(broker));
    *ret = name.len == 0 ? CONFIG_ALL_BROKERS : CONFIG_THIS_BROKER;
    return name.len == 0 || odk_str_eq(name, (struct odk_str){ .data = own, .len = (size_t)len });
}

static bool broker_decide(struct broker *broker, struct alter_item *item, bool validate_only,
                          struct metadata_record *ret)
{
    enum config_layer layer;
    if (!controller_alter_layer(broker, item->name, &layer))
        return refuse_text(item, KAFKA_INVALID_REQUEST, "Unexpected broker id, this is not it: ", item->name, "");
    struct alteration alteration = { .item = item,
                                     .of = "broker",
                                     .rows = broker_config_rows,
                                     .count = BROKER_CONFIG_COUNT,
                                     .now = broker->config.dynamic[layer] };
    ret->kind = METADATA_BROKER_CONFIG;
    return alteration_run(&alteration, validate_only, broker_check, broker, ret);
}

bool controller_alter_decide(struct controller *controller, const struct controller_op *op, struct alter_item *item,
                             uint32_t *groups_planned, struct metadata_record *ret)
{
    struct broker *broker = controller->broker;
    item->error = item->refused;
    if (item->error != KAFKA_NONE)
        return false;
    switch (item->type) {
    case CONFIG_RESOURCE_TOPIC: return topic_decide(broker, item, op->validate_only, ret);
    case CONFIG_RESOURCE_BROKER: return broker_decide(broker, item, op->validate_only, ret);
    case CONFIG_RESOURCE_GROUP: return group_decide(broker, item, op->validate_only, groups_planned, ret);
    case CONFIG_RESOURCE_BROKER_LOGGER:
    case CONFIG_RESOURCE_CLIENT_METRICS: return false; /* who asks has refused every change of these */
    }
    UNREACHABLE();
}
