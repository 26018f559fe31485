#include "client/admin_configs.h"

#include <stdlib.h>
#include <string.h>

#define DESCRIBE_VERSION_MAX 4
#define ALTER_VERSION_MAX    1
#define LIST_VERSION_MAX     1
#define SOURCE_DEFAULT       5

bool admin_change_parse(const char *text, enum admin_how how, struct admin_change *ret)
{
    const char *equals = strchr(text, '=');
    size_t key_len = equals ? (size_t)(equals - text) : strlen(text);
    bool value = how != ADMIN_DELETE;
    *ret = (struct admin_change){ .key = { .data = text, .len = key_len }, .how = how };
    if (value && equals)
        ret->value = odk_str_from(equals + 1);
    return key_len > 0 && value == (equals != NULL);
}

const char *admin_config_type_name(int8_t type)
{
    switch (type) {
    case ADMIN_CONFIG_TOPIC: return "topic";
    case ADMIN_CONFIG_BROKER: return "broker";
    case ADMIN_CONFIG_GROUP: return "group";
    default: return NULL;
    }
}

const char *admin_config_source_name(int8_t source)
{
    static const char *const names[] = { "unknown", "topic",   "broker",  "brokers", "start",
                                         "default", "unknown", "unknown", "group" };
    return source >= 0 && (size_t)source < countof(names) ? names[source] : "unknown";
}

bool admin_config_is_given(enum admin_config_type type, const struct describe_configs_response_config *config)
{
    const char *source = admin_config_source_name(config->config_source);
    if (type == ADMIN_CONFIG_BROKER)
        return config->config_source != SOURCE_DEFAULT;
    return strcmp(source, admin_config_type_name((int8_t)type)) == 0;
}

/* Whom to ask. */
static enum exit_code target_reach(struct cluster *cluster, const struct admin_config_target *target,
                                   struct client **ret_client)
{
    *ret_client = cluster_first(cluster);
    if (target->type != ADMIN_CONFIG_BROKER || target->name.len == 0)
        return EXIT_CODE_OK;
    int64_t id;
    char text[16];
    (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(target->name.len, sizeof(text) - 1), target->name.data);
    if (!args_int(text, &id) || id < 0 || id > INT32_MAX || !cluster_node_find(cluster, (int32_t)id))
        return cluster_fail(cluster, EXIT_CODE_NOT_FOUND, "there is no broker %s", text);
    return cluster_reach(cluster, (int32_t)id, ret_client);
}

/* -- describe ------------------------------------------------------------------------------------------------------ */

static int text_order(struct odk_str left, struct odk_str right)
{
    size_t len = MIN(left.len, right.len);
    int order = len ? memcmp(left.data, right.data, len) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static int config_order(const void *left, const void *right)
{
    const struct describe_configs_response_config *a = left, *b = right;
    return text_order(a->name, b->name);
}

static enum exit_code target_describe(struct cluster *cluster, const struct admin_config_target *target,
                                      const struct odk_str *keys, size_t key_count,
                                      struct describe_configs_response_resource *ret)
{
    struct client *client;
    enum exit_code code = target_reach(cluster, target, &client);
    if (code != EXIT_CODE_OK)
        return code;
    struct describe_configs_request_resource asked = { .resource_type = (int8_t)target->type,
                                                       .resource_name = target->name,
                                                       .configuration_keys_count = -1 };
    struct describe_configs_request request;
    struct describe_configs_response *response = client_new(client, struct describe_configs_response, 1);
    struct client_call call = { WIRE_KEY_DESCRIBE_CONFIGS, -1, &request, response };
    call.version = client_version(client, call.key, DESCRIBE_VERSION_MAX);
    describe_configs_request_init(&request);
    request.resources = &asked;
    request.resources_count = 1;
    request.include_synonyms = call.version >= 1;
    if (key_count > 0) {
        asked.configuration_keys = client_new(client, struct odk_str, key_count);
        memcpy(asked.configuration_keys, keys, key_count * sizeof(*keys));
        asked.configuration_keys_count = (int32_t)key_count;
    }
    code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cluster_note(cluster, client, code);
    if (response->results_count != 1)
        return cluster_fail(cluster, EXIT_CODE_FAILURE, "the broker answered about %d resources instead of one",
                            response->results_count);
    *ret = response->results[0];
    if (ret->configs_count > 0)
        qsort(ret->configs, (size_t)ret->configs_count, sizeof(*ret->configs), config_order);
    return EXIT_CODE_OK;
}

enum exit_code admin_configs_describe(struct cluster *cluster, const struct admin_config_target *targets, size_t count,
                                      const struct odk_str *keys, size_t key_count,
                                      struct describe_configs_response_resource **ret_resources)
{
    enum exit_code code = EXIT_CODE_OK;
    *ret_resources = client_new(cluster_first(cluster), struct describe_configs_response_resource, count);
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++)
        code = target_describe(cluster, &targets[i], keys, key_count, &(*ret_resources)[i]);
    return code;
}

/* -- alter --------------------------------------------------------------------------------------------------------- */

static enum exit_code target_alter(struct cluster *cluster, const struct admin_config_target *target,
                                   struct incremental_alter_configs_request_config *configs, size_t count, bool dry_run,
                                   struct admin_outcome *ret)
{
    struct client *client;
    enum exit_code code = target_reach(cluster, target, &client);
    if (code != EXIT_CODE_OK)
        return code;
    struct incremental_alter_configs_request_resource resource = { .resource_type = (int8_t)target->type,
                                                                   .resource_name = target->name,
                                                                   .configs = configs,
                                                                   .configs_count = (int32_t)count };
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    struct client_call call = { WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, -1, &request, &response };
    call.version = client_version(client, call.key, ALTER_VERSION_MAX);
    incremental_alter_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    request.validate_only = dry_run;
    code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cluster_note(cluster, client, code);
    if (response.responses_count != 1)
        return cluster_fail(cluster, EXIT_CODE_FAILURE, "the broker answered about %d resources instead of one",
                            response.responses_count);
    *ret = (struct admin_outcome){ response.responses[0].error_code, response.responses[0].error_message };
    return EXIT_CODE_OK;
}

enum exit_code admin_configs_alter(struct cluster *cluster, const struct admin_config_target *targets, size_t count,
                                   const struct admin_change *changes, size_t change_count, bool dry_run,
                                   struct admin_outcome **ret_outcomes)
{
    struct client *memory = cluster_first(cluster);
    enum exit_code code = EXIT_CODE_OK;
    struct incremental_alter_configs_request_config *configs =
        client_new(memory, struct incremental_alter_configs_request_config, change_count);
    for (size_t i = 0; i < change_count; i++)
        configs[i] = (struct incremental_alter_configs_request_config){ .name = changes[i].key,
                                                                        .config_operation = (int8_t)changes[i].how,
                                                                        .value = changes[i].value };
    *ret_outcomes = client_new(memory, struct admin_outcome, count);
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++)
        code = target_alter(cluster, &targets[i], configs, change_count, dry_run, &(*ret_outcomes)[i]);
    return code;
}

/* -- list ---------------------------------------------------------------------------------------------------------- */

static int target_order(const void *left, const void *right)
{
    const struct admin_config_target *a = left, *b = right;
    return a->type != b->type ? (a->type > b->type) - (a->type < b->type) : text_order(a->name, b->name);
}

enum exit_code admin_configs_list(struct cluster *cluster, int8_t type, struct admin_config_target **ret_targets,
                                  size_t *ret_count)
{
    struct client *client = cluster_first(cluster);
    int8_t types[] = { ADMIN_CONFIG_TOPIC, ADMIN_CONFIG_BROKER, ADMIN_CONFIG_GROUP };
    struct list_config_resources_request request;
    struct list_config_resources_response response;
    struct client_call call = { WIRE_KEY_LIST_CONFIG_RESOURCES, -1, &request, &response };
    call.version = client_version(client, call.key, LIST_VERSION_MAX);
    *ret_count = 0;
    if (call.version < LIST_VERSION_MAX)
        return cluster_fail(cluster, EXIT_CODE_FAILURE,
                            "the broker at %s cannot list what has settings (ListConfigResources 1, Kafka 4.1)",
                            client_address(client));
    list_config_resources_request_init(&request);
    request.resource_types = type ? &type : types;
    request.resource_types_count = type ? 1 : (int32_t)countof(types);
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cluster_note(cluster, client, code);
    if (response.error_code != KAFKA_NONE)
        return cluster_fail(cluster, client_exit_code(response.error_code), "%s",
                            kafka_error_text(response.error_code));
    *ret_targets = client_new(client, struct admin_config_target, (size_t)response.config_resources_count);
    for (int32_t i = 0; i < response.config_resources_count; i++) {
        const struct list_config_resources_response_config_resource *one = &response.config_resources[i];
        if (admin_config_type_name(one->resource_type))
            (*ret_targets)[(*ret_count)++] =
                (struct admin_config_target){ .type = (enum admin_config_type)one->resource_type,
                                              .name = one->resource_name };
    }
    if (*ret_count > 0)
        qsort(*ret_targets, *ret_count, sizeof(**ret_targets), target_order);
    return EXIT_CODE_OK;
}
