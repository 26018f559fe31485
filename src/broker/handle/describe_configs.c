/*
 * DescribeConfigs: settings of topics, of this broker and of groups, from the three tables. Source: protocol guide;
 * KIP-133, KIP-226, KIP-569, KIP-1142.
 */
#include <stdio.h>

#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/config_value.h"

struct describe {
    struct request *request;
    struct describe_configs_request in;
    struct describe_configs_response reply;
    bool short_of_memory;
};

/* Which rows the resource asks for; NULL: no memory. */
static const bool *wanted_rows(struct describe *describe, const struct describe_configs_request_resource *resource,
                               const struct config_row *rows, uint32_t count)
{
    bool all = resource->configuration_keys_count <= 0;
    bool *wanted = arena_new(&describe->request->arena, bool, (size_t)count + 1);
    describe->short_of_memory |= !wanted;
    for (uint32_t id = 0; wanted && all && id < count; id++)
        wanted[id] = true;
    for (int32_t i = 0; wanted && i < resource->configuration_keys_count; i++)
        wanted[config_row_find(rows, count, resource->configuration_keys[i])] = true; /* at count: not known */
    return wanted;
}

static void resource_refuse(struct describe_configs_response_resource *out, int16_t error_code, struct odk_str why)
{
    out->error_code = error_code;
    out->error_message = why;
}

static struct odk_str value_of(struct describe *describe, const struct config_row *row, const void *config)
{
    char *text = arena_new(&describe->request->arena, char, CONFIG_TEXT_BYTES);
    if (!text) {
        describe->short_of_memory = true;
        return (struct odk_str){ 0 };
    }
    return config_print(row, config, text);
}

/* Everything but source and synonyms. */
static void entry_fill(struct describe *describe, const struct config_row *row, const void *config,
                       struct describe_configs_response_config *out)
{
    bool secret = row->type == CONFIG_PASSWORD;
    describe_configs_response_config_init(out);
    out->name = odk_str_from(row->key);
    out->value = secret ? (struct odk_str){ 0 } : value_of(describe, row, config);
    out->is_sensitive = secret;
    out->config_type = config_type_code(row->type);
    if (describe->in.include_documentation)
        out->documentation = odk_str_from(row->doc);
}

static bool entries_new(struct describe *describe, struct describe_configs_response_resource *out, uint32_t count)
{
    out->configs = arena_new(&describe->request->arena, struct describe_configs_response_config, count);
    describe->short_of_memory |= !out->configs;
    return out->configs != NULL;
}

static bool synonyms_new(struct describe *describe, struct describe_configs_response_config *out, size_t count)
{
    if (!describe->in.include_synonyms)
        return false;
    out->synonyms = arena_new(&describe->request->arena, struct describe_configs_response_synonym, count);
    describe->short_of_memory |= !out->synonyms;
    return out->synonyms != NULL;
}

static void synonym_add(struct describe_configs_response_config *out, const char *key, struct odk_str value,
                        enum config_source source)
{
    out->synonyms[out->synonyms_count++] = (struct describe_configs_response_synonym){
        .name = odk_str_from(key), .value = value, .source = (int8_t)source
    };
}

/* The broker's keys that count for a value, what counts first. */
static void synonyms_add(struct describe *describe, struct describe_configs_response_config *out,
                         const struct config_place *places, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *text = config_place_text(describe->request->broker->env.config, places[i]);
        synonym_add(out, broker_config_rows[places[i].id].key, text ? odk_str_from(text) : (struct odk_str){ 0 },
                    places[i].source);
    }
}

/* -- topics and groups ----------------------------------------------------------------------------------------------
 */

/* Something with settings of its own. */
struct owner {
    const struct config_table *table;
    enum config_source source;
    void *config;
};

/* Like config_places. A default of a weaker key, say of log.retention.hours for retention.ms, is no synonym unless the
 * strongest key has a value: so Kafka's clients know it. Weaker keys that somebody set are named, which Kafka does not. */
static uint32_t owned_places(const struct config_row *row, const struct broker_config *broker,
                             struct config_place places[CONFIG_PLACES_MAX])
{
    uint32_t count = config_places(row->synonyms, broker, places);
    struct odk_str rest = odk_str_from(row->synonyms), strongest;
    if (count == 0 || places[0].source != CONFIG_SOURCE_DEFAULT || !config_list_next(&rest, &strongest))
        return count;
    return places[0].id == broker_config_find(strongest) ? count : 0;
}

static void owned_entry(struct describe *describe, const struct owner *owner, uint32_t id,
                        struct describe_configs_response_config *out)
{
    const struct config_row *row = &owner->table->rows[id];
    struct config_place places[CONFIG_PLACES_MAX];
    uint32_t count = owned_places(row, describe->request->broker->env.config, places);
    bool own = config_own_texts(owner->table, owner->config)[id] != NULL;
    entry_fill(describe, row, owner->config, out);
    out->config_source = (int8_t)(own ? owner->source : count > 0 ? places[0].source : CONFIG_SOURCE_DEFAULT);
    out->is_default = !own;
    if (!synonyms_new(describe, out, count + 1))
        return;
    if (own)
        synonym_add(out, row->key, out->value, owner->source);
    synonyms_add(describe, out, places, count);
}

static void owner_describe(struct describe *describe, const struct owner *owner,
                           const struct describe_configs_request_resource *in,
                           struct describe_configs_response_resource *out)
{
    const bool *wanted = wanted_rows(describe, in, owner->table->rows, owner->table->count);
    if (!wanted || !entries_new(describe, out, owner->table->count))
        return;
    for (uint32_t id = 0; id < owner->table->count; id++) {
        if (wanted[id])
            owned_entry(describe, owner, id, &out->configs[out->configs_count++]);
    }
}

static void topic_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                           struct describe_configs_response_resource *out)
{
    struct topic *topic = topics_by_name(&describe->request->broker->topics, in->resource_name);
    const char *why = topic ? NULL : topic_name_check(in->resource_name);
    if (!topic) {
        resource_refuse(out, why ? KAFKA_INVALID_TOPIC_EXCEPTION : KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                        why ? odk_str_from(why) : ODK_STR("this topic does not exist"));
        return;
    }
    struct owner owner = { &topic_config_table, CONFIG_SOURCE_TOPIC, &topic->config };
    owner_describe(describe, &owner, in, out);
}

/* A group that does not exist, or sets nothing, has the broker's values. */
static void group_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                           struct describe_configs_response_resource *out)
{
    struct broker *broker = describe->request->broker;
    struct group_config none;
    if (in->resource_name.len == 0) {
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("Group name must not be empty"));
        return;
    }
    struct group_configs_entry *entry = group_configs_find(&broker->group_configs, in->resource_name);
    config_own_init(&group_config_table, &none, broker->env.config);
    struct owner owner = { &group_config_table, CONFIG_SOURCE_GROUP, entry ? &entry->config : &none };
    owner_describe(describe, &owner, in, out);
}

/* -- this broker ----------------------------------------------------------------------------------------------------
 */

static void broker_entry(struct describe *describe, enum broker_config_id id,
                         struct describe_configs_response_config *out)
{
    const struct broker_config *config = describe->request->broker->env.config;
    const struct config_row *row = &broker_config_rows[id];
    struct config_place places[CONFIG_PLACES_MAX];
    uint32_t count = config_places(row->key, config, places);
    enum config_source source = count > 0 ? places[0].source : CONFIG_SOURCE_DEFAULT;
    entry_fill(describe, row, config, out);
    out->read_only = !(row->effect & CONFIG_DYNAMIC);
    out->config_source = (int8_t)source;
    out->is_default = source == CONFIG_SOURCE_DEFAULT;
    if (synonyms_new(describe, out, count))
        synonyms_add(describe, out, places, count);
}

/* What was set for all brokers while they run. */
static void all_brokers_entry(struct describe *describe, enum broker_config_id id,
                              struct describe_configs_response_config *out)
{
    const struct broker_config *config = describe->request->broker->env.config;
    struct config_place place = { CONFIG_SOURCE_ALL_BROKERS, id };
    const char *text = config_place_text(config, place);
    entry_fill(describe, &broker_config_rows[id], config, out);
    out->value = text ? odk_str_from(text) : (struct odk_str){ 0 };
    out->config_source = CONFIG_SOURCE_ALL_BROKERS;
    if (synonyms_new(describe, out, 1))
        synonyms_add(describe, out, &place, 1);
}

static bool is_this_node(struct describe *describe, struct odk_str name)
{
    char id[16];
    int len = snprintf(id, sizeof(id), "%d", broker_node_id(describe->request->broker));
    return odk_str_eq(name, (struct odk_str){ .data = id, .len = (size_t)len });
}

static void broker_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                            struct describe_configs_response_resource *out)
{
    const struct broker_config *config = describe->request->broker->env.config;
    bool all = in->resource_name.len == 0;
    if (!all && !is_this_node(describe, in->resource_name)) {
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("no broker with this id here"));
        return;
    }
    const bool *wanted = wanted_rows(describe, in, broker_config_rows, BROKER_CONFIG_COUNT);
    if (!wanted || !entries_new(describe, out, BROKER_CONFIG_COUNT))
        return;
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        if (!wanted[id])
            continue;
        if (!all)
            broker_entry(describe, (enum broker_config_id)id, &out->configs[out->configs_count++]);
        else if (config->dynamic[CONFIG_ALL_BROKERS][id])
            all_brokers_entry(describe, (enum broker_config_id)id, &out->configs[out->configs_count++]);
    }
}

/* -- what there is none of ------------------------------------------------------------------------------------------
 */

/* Levels of loggers cannot be changed: there are no loggers to name. */
static void logger_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                            struct describe_configs_response_resource *out)
{
    if (in->resource_name.len == 0)
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("Broker id must not be empty"));
    else if (!is_this_node(describe, in->resource_name))
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("no broker with this id here"));
}

/* Nobody can have subscribed to client metrics: no subscription of any name sets anything. */
static void metrics_describe(const struct describe_configs_request_resource *in,
                             struct describe_configs_response_resource *out)
{
    if (in->resource_name.len == 0)
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("Client metrics subscription name must not be empty"));
}

static void resource_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                              struct describe_configs_response_resource *out)
{
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    switch (in->resource_type) {
    case CONFIG_RESOURCE_TOPIC: topic_describe(describe, in, out); break;
    case CONFIG_RESOURCE_BROKER: broker_describe(describe, in, out); break;
    case CONFIG_RESOURCE_BROKER_LOGGER: logger_describe(describe, in, out); break;
    case CONFIG_RESOURCE_CLIENT_METRICS: metrics_describe(in, out); break;
    case CONFIG_RESOURCE_GROUP: group_describe(describe, in, out); break;
    default:
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("resources of this type have no settings here"));
        break;
    }
}

void handle_describe_configs(struct request *request)
{
    struct describe describe = { .request = request };
    if (!request_decoded(
            request, describe_configs_request_decode(&describe.in, &request->body, &request->arena, request->version)))
        return;
    size_t count = (size_t)describe.in.resources_count;
    describe.reply.results = arena_new(&request->arena, struct describe_configs_response_resource, count);
    describe.short_of_memory = !describe.reply.results;
    for (size_t i = 0; i < count && !describe.short_of_memory; i++)
        resource_describe(&describe, &describe.in.resources[i],
                          &describe.reply.results[describe.reply.results_count++]);
    if (describe.short_of_memory) {
        request_too_large(request);
        return;
    }
    request_reply(request,
                  describe_configs_response_encode(&describe.reply, request_reply_begin(request), request->version));
}
