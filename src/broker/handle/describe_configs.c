/*
 * DescribeConfigs: settings of topics and of this broker, from the two tables. Source: protocol guide; KIP-133,
 * KIP-226, KIP-569.
 */
#include <stdio.h>

#include "broker/api.h"
#include "broker/broker_internal.h"

enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum config_source { SOURCE_TOPIC = 1, SOURCE_STATIC_BROKER = 4, SOURCE_DEFAULT = 5 };

#define SYNONYMS_MAX 8u

struct describe {
    struct request *request;
    struct describe_configs_request in;
    struct describe_configs_response reply;
    bool short_of_memory;
};

static bool is_wanted(const struct describe_configs_request_resource *resource, const char *key)
{
    if (resource->configuration_keys_count <= 0)
        return true;
    for (int32_t i = 0; i < resource->configuration_keys_count; i++)
        if (odk_str_eq(resource->configuration_keys[i], odk_str_from(key)))
            return true;
    return false;
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

static bool synonyms_new(struct describe *describe, struct describe_configs_response_config *out, size_t count)
{
    out->synonyms = arena_new(&describe->request->arena, struct describe_configs_response_synonym, count);
    describe->short_of_memory |= !out->synonyms;
    return out->synonyms != NULL;
}

static void synonym_add(struct describe_configs_response_config *out, const struct config_row *row,
                        struct odk_str value, enum config_source source)
{
    bool secret = row->type == CONFIG_PASSWORD;
    out->synonyms[out->synonyms_count++] = (struct describe_configs_response_synonym){
        .name = odk_str_from(row->key), .value = secret ? (struct odk_str){ 0 } : value, .source = (int8_t)source
    };
}

static struct odk_str fallback_of(const struct config_row *row)
{
    return row->fallback ? odk_str_from(row->fallback) : (struct odk_str){ 0 };
}

/* -- topics ---------------------------------------------------------------------------------------------------------
 */

/* What counts first, then what would count without it, down to the defaults. */
static void topic_synonyms(struct describe *describe, const struct topic *topic, enum topic_config_id id,
                           struct describe_configs_response_config *out)
{
    const struct broker_config *broker = describe->request->broker->env.config;
    struct config_synonym synonyms[SYNONYMS_MAX];
    uint32_t count = topic_config_synonyms(id, broker, synonyms, SYNONYMS_MAX);
    if (!synonyms_new(describe, out, 2 * count + 1))
        return;
    if (topic->config.set[id])
        synonym_add(out, &topic_config_rows[id], out->value, SOURCE_TOPIC);
    for (uint32_t i = 0; i < count; i++) {
        const struct config_row *row = &broker_config_rows[synonyms[i].id];
        if (synonyms[i].set)
            synonym_add(out, row, value_of(describe, row, broker), SOURCE_STATIC_BROKER);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct config_row *row = &broker_config_rows[synonyms[i].id];
        if (row->fallback)
            synonym_add(out, row, fallback_of(row), SOURCE_DEFAULT);
    }
}

static void topic_entry(struct describe *describe, const struct topic *topic, enum topic_config_id id,
                        struct describe_configs_response_config *out)
{
    const struct broker_config *broker = describe->request->broker->env.config;
    enum config_source source = SOURCE_DEFAULT;
    if (topic->config.set[id])
        source = SOURCE_TOPIC;
    else if (topic_config_default_changed(id, broker))
        source = SOURCE_STATIC_BROKER;
    entry_fill(describe, &topic_config_rows[id], &topic->config, out);
    out->config_source = (int8_t)source;
    out->is_default = source != SOURCE_TOPIC;
    if (describe->in.include_synonyms)
        topic_synonyms(describe, topic, id, out);
}

static void topic_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                           struct describe_configs_response_resource *out)
{
    const struct topic *topic = topics_by_name(&describe->request->broker->topics, in->resource_name);
    const char *why = topic ? NULL : topic_name_check(in->resource_name);
    if (!topic) {
        resource_refuse(out, why ? KAFKA_INVALID_TOPIC_EXCEPTION : KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                        why ? odk_str_from(why) : ODK_STR("this topic does not exist"));
        return;
    }
    out->configs = arena_new(&describe->request->arena, struct describe_configs_response_config, TOPIC_CONFIG_COUNT);
    describe->short_of_memory |= !out->configs;
    for (uint32_t id = 0; out->configs && id < TOPIC_CONFIG_COUNT; id++)
        if (is_wanted(in, topic_config_rows[id].key))
            topic_entry(describe, topic, (enum topic_config_id)id, &out->configs[out->configs_count++]);
}

/* -- this broker ----------------------------------------------------------------------------------------------------
 */

static void broker_entry(struct describe *describe, enum broker_config_id id,
                         struct describe_configs_response_config *out)
{
    const struct broker_config *config = describe->request->broker->env.config;
    const struct config_row *row = &broker_config_rows[id];
    bool set = config->set[id] != NULL;
    entry_fill(describe, row, config, out);
    out->read_only = true; /* settings are read at the start */
    out->config_source = set ? SOURCE_STATIC_BROKER : SOURCE_DEFAULT;
    out->is_default = !set;
    if (!describe->in.include_synonyms || !synonyms_new(describe, out, 2))
        return;
    if (set)
        synonym_add(out, row, out->value, SOURCE_STATIC_BROKER);
    if (row->fallback)
        synonym_add(out, row, fallback_of(row), SOURCE_DEFAULT);
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
    if (in->resource_name.len == 0)
        return; /* the settings that were made for all brokers while they run: there are none */
    if (!is_this_node(describe, in->resource_name)) {
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("no broker with this id here"));
        return;
    }
    out->configs = arena_new(&describe->request->arena, struct describe_configs_response_config, BROKER_CONFIG_COUNT);
    describe->short_of_memory |= !out->configs;
    for (uint32_t id = 0; out->configs && id < BROKER_CONFIG_COUNT; id++)
        if (is_wanted(in, broker_config_rows[id].key))
            broker_entry(describe, (enum broker_config_id)id, &out->configs[out->configs_count++]);
}

static void resource_describe(struct describe *describe, const struct describe_configs_request_resource *in,
                              struct describe_configs_response_resource *out)
{
    out->resource_type = in->resource_type;
    out->resource_name = in->resource_name;
    if (in->resource_type == RESOURCE_TOPIC)
        topic_describe(describe, in, out);
    else if (in->resource_type == RESOURCE_BROKER)
        broker_describe(describe, in, out);
    else
        resource_refuse(out, KAFKA_INVALID_REQUEST, ODK_STR("resources of this type have no settings here"));
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
