/* odradek topic: create, list, describe, delete; alter is in a file of its own. */
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "cli.h"
#include "client/json.h"
#include "client/offsets.h"
#include "client/table.h"
#include "topic.h"

#define CREATE_VERSION_MAX      7
#define DELETE_VERSION_MAX      5 /* by name; later ones have another shape */
#define CONFIGS_VERSION_MAX     3
#define CREATE_VERSION_DEFAULTS 4 /* -1 means the broker's default from here on */
#define RESOURCE_TOPIC          2
#define SOURCE_TOPIC            1
#define OPERATIONS_NOT_ASKED    INT32_MIN

/* -- create ---------------------------------------------------------------------------------------------------------
 */

struct create {
    struct cli_common common;
    int64_t partitions;
    int64_t replication;
    struct args_list configs;
    bool if_not_exists;
    bool dry_run;
};

static bool configs_split(struct client *client, const struct args_list *list,
                          struct create_topics_request_topic *topic)
{
    topic->configs = client_new(client, struct create_topics_request_config, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (!equals || equals == list->items[i])
            return false;
        struct create_topics_request_config *config = &topic->configs[topic->configs_count++];
        config->name = (struct odk_str){ list->items[i], (size_t)(equals - list->items[i]) };
        config->value = odk_str_from(equals + 1);
    }
    return true;
}

static int create_result(const struct create *create, const struct create_topics_response_topic *topic,
                         struct json *json)
{
    struct cli_text why, name = cli_escaped(topic->name);
    bool existed = create->if_not_exists && topic->error_code == KAFKA_TOPIC_ALREADY_EXISTS;
    if (create->common.json) {
        char id[UUID_TEXT_LEN + 1];
        uuid_print(topic->topic_id, id);
        json_object(json, NULL);
        json_str(json, "topic", topic->name);
        json_text(json, "error", topic->error_code ? kafka_error_name(topic->error_code) : NULL);
        json_bool(json, "existed", topic->error_code == KAFKA_TOPIC_ALREADY_EXISTS);
        if (!odk_uuid_is_zero(topic->topic_id))
            json_text(json, "id", id);
        if (topic->num_partitions >= 0)
            json_int(json, "partitions", topic->num_partitions);
        json_end(json);
        json_line(json);
    }
    if (topic->error_code != KAFKA_NONE && !existed)
        return cli_fail(client_exit_code(topic->error_code), "topic %s: %s", name.text,
                        cli_error_text(topic->error_code, topic->error_message, &why));
    if (!create->common.json)
        (void)fprintf(stderr,
                      existed           ? "topic %s exists\n"
                      : create->dry_run ? "topic %s could be created\n"
                                        : "created topic %s\n",
                      name.text);
    return EXIT_CODE_OK;
}

static int create_send(const struct create *create, const struct args_spec *spec, struct client *client,
                       const struct args_operands *names)
{
    struct create_topics_request request;
    struct create_topics_response response;
    struct client_call call = { WIRE_KEY_CREATE_TOPICS, -1, &request, &response };
    call.version = client_version(client, call.key, CREATE_VERSION_MAX);
    bool defaults = call.version >= CREATE_VERSION_DEFAULTS;
    create_topics_request_init(&request);
    request.timeout_ms = (int32_t)MIN(create->common.timeout_ms, INT32_MAX);
    request.validate_only = create->dry_run;
    request.topics = client_new(client, struct create_topics_request_topic, names->count);
    for (size_t i = 0; i < names->count; i++) {
        struct create_topics_request_topic *topic = &request.topics[request.topics_count++];
        create_topics_request_topic_init(topic);
        topic->name = odk_str_from(names->items[i]);
        topic->num_partitions = create->partitions < 0 && !defaults ? 1 : (int32_t)create->partitions;
        topic->replication_factor = create->replication < 0 && !defaults ? 1 : (int16_t)create->replication;
        if (!configs_split(client, &create->configs, topic))
            return args_mistake(spec, "--config wants KEY=VALUE");
    }
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", client_why(client));
    int worst = EXIT_CODE_OK;
    struct json json;
    json_init(&json, stdout);
    for (int32_t i = 0; i < response.topics_count; i++)
        worst = cli_worse(worst, create_result(create, &response.topics[i], &json));
    return worst;
}

static int topic_create(int argc, char **argv)
{
    struct create create = { .common = cli_common(), .partitions = -1, .replication = -1 };
    const struct args_option options[] = {
        { "partitions", 'p', ARGS_INT, "N", "partitions (default: the broker's)", &create.partitions, 1, INT32_MAX },
        { "replication", 'r', ARGS_INT, "N", "replication factor (default: the broker's)", &create.replication, 1,
          INT16_MAX },
        { "config", 'c', ARGS_LIST, "KEY=VALUE", "a setting of the topic; may be repeated", &create.configs },
        { "if-not-exists", 0, ARGS_FLAG, NULL, "a topic that exists is no failure", &create.if_not_exists },
        { "dry-run", 0, ARGS_FLAG, NULL, "only check", &create.dry_run },
        CLI_JSON_ROW(create.common),
        CLI_BROKERS_ROW(create.common),
        CLI_TIMEOUT_ROW(create.common),
    };
    struct args_spec spec = {
        "topic create", "Creates topics.", "NAME...", options, countof(options), 1, SIZE_MAX, NULL
    };
    struct args_operands names;
    struct client *client = NULL;
    int code = args_parse(&spec, argc, argv, &names);
    if (code == ARGS_GO_ON)
        code = cli_connect(&create.common, &client);
    if (client && code == EXIT_CODE_OK)
        code = create_send(&create, &spec, client, &names);
    client_close(client);
    args_list_deinit(&create.configs);
    return code;
}

/* -- delete ---------------------------------------------------------------------------------------------------------
 */

static int delete_send(const struct cli_common *common, struct client *client, const struct args_operands *names)
{
    struct delete_topics_request request;
    struct delete_topics_response response;
    struct client_call call = { WIRE_KEY_DELETE_TOPICS, -1, &request, &response };
    call.version = client_version(client, call.key, DELETE_VERSION_MAX);
    delete_topics_request_init(&request);
    request.timeout_ms = (int32_t)MIN(common->timeout_ms, INT32_MAX);
    request.topic_names = client_new(client, struct odk_str, names->count);
    for (size_t i = 0; i < names->count; i++)
        request.topic_names[request.topic_names_count++] = odk_str_from(names->items[i]);
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", client_why(client));
    int worst = EXIT_CODE_OK;
    struct json json;
    json_init(&json, stdout);
    for (int32_t i = 0; i < response.responses_count; i++) {
        const struct delete_topics_response_topic *topic = &response.responses[i];
        struct cli_text why, name = cli_escaped(topic->name);
        if (common->json) {
            json_object(&json, NULL);
            json_str(&json, "topic", topic->name);
            json_text(&json, "error", topic->error_code ? kafka_error_name(topic->error_code) : NULL);
            json_end(&json);
            json_line(&json);
        }
        if (topic->error_code != KAFKA_NONE)
            worst = cli_worse(worst, cli_fail(client_exit_code(topic->error_code), "topic %s: %s", name.text,
                                              cli_error_text(topic->error_code, topic->error_message, &why)));
        else if (!common->json)
            (void)fprintf(stderr, "deleted topic %s\n", name.text);
    }
    return worst;
}

static int topic_delete(int argc, char **argv)
{
    struct cli_common common = cli_common();
    const struct args_option options[] = { CLI_JSON_ROW(common), CLI_BROKERS_ROW(common), CLI_TIMEOUT_ROW(common) };
    struct args_spec spec = {
        "topic delete", "Deletes topics and all their records.", "NAME...", options, countof(options), 1, SIZE_MAX, NULL
    };
    struct args_operands names;
    struct client *client = NULL;
    int code = args_parse(&spec, argc, argv, &names);
    if (code == ARGS_GO_ON)
        code = cli_connect(&common, &client);
    if (client && code == EXIT_CODE_OK)
        code = delete_send(&common, client, &names);
    client_close(client);
    return code;
}

/* -- metadata -------------------------------------------------------------------------------------------------------
 */

/* names == NULL: all topics. Topics and partitions come sorted. */
static int metadata_get(struct cluster *cluster, const struct args_operands *names, struct metadata_response *ret)
{
    size_t count = names ? names->count : 0;
    struct odk_str *asked = client_new(cluster_first(cluster), struct odk_str, count);
    for (size_t i = 0; i < count; i++)
        asked[i] = odk_str_from(names->items[i]);
    enum exit_code code = cluster_topics(cluster, names ? asked : NULL, count, ret);
    return code == EXIT_CODE_OK ? EXIT_CODE_OK : cli_fail(code, "%s", cluster_why(cluster));
}

/* -- list -----------------------------------------------------------------------------------------------------------
 */

static int replicas_of(const struct metadata_response_topic *topic)
{
    return topic->partitions_count > 0 ? topic->partitions[0].replica_nodes_count : 0;
}

static void list_json(const struct metadata_response_topic *topic, struct json *json)
{
    json_object(json, NULL);
    json_str(json, "topic", topic->name);
    json_int(json, "partitions", topic->partitions_count);
    json_int(json, "replicas", replicas_of(topic));
    json_bool(json, "internal", topic->is_internal);
    json_end(json);
    json_line(json);
}

static int topic_list(int argc, char **argv)
{
    static const char *const heads[] = { "TOPIC", "PARTITIONS", "REPLICAS" };
    struct cli_common common = cli_common();
    bool internal = false, no_header = false;
    const struct args_option options[] = {
        { "internal", 'i', ARGS_FLAG, NULL, "internal topics too", &internal },
        { "no-header", 0, ARGS_FLAG, NULL, "no line of titles", &no_header },
        CLI_JSON_ROW(common),
        CLI_BROKERS_ROW(common),
        CLI_TIMEOUT_ROW(common),
    };
    struct args_spec spec = { "topic list", "Lists topics.", "", options, countof(options), 0, 0, NULL };
    struct args_operands none;
    struct metadata_response metadata = { 0 };
    struct cluster *cluster = NULL;
    struct table table;
    struct json json;
    int code = args_parse(&spec, argc, argv, &none);
    if (code == ARGS_GO_ON)
        code = cli_cluster(&common, &cluster);
    if (cluster && code == EXIT_CODE_OK)
        code = metadata_get(cluster, NULL, &metadata);
    table_init(&table, heads, countof(heads));
    json_init(&json, stdout);
    for (int32_t i = 0; i < metadata.topics_count; i++) {
        const struct metadata_response_topic *topic = &metadata.topics[i];
        if (topic->is_internal && !internal)
            continue;
        if (common.json) {
            list_json(topic, &json);
            continue;
        }
        table_str(&table, topic->name);
        table_int(&table, topic->partitions_count);
        table_int(&table, replicas_of(topic));
    }
    if (cluster && code == EXIT_CODE_OK && !common.json)
        table_print(&table, stdout, no_header ? TABLE_NO_HEADS : TABLE_HEADS);
    cluster_close(cluster);
    return code;
}

/* -- describe -------------------------------------------------------------------------------------------------------
 */

struct described {
    const struct metadata_response_topic *topic;
    int64_t *starts; /* by position in topic->partitions; -1: unknown */
    int64_t *ends;
    struct describe_configs_response_resource *configs; /* NULL: unknown */
};

static int offsets_get(struct cluster *cluster, const struct metadata_response_topic *topic, int64_t which,
                       int64_t **ret)
{
    size_t count = (size_t)topic->partitions_count;
    struct log_offset *list = client_new(cluster_first(cluster), struct log_offset, count);
    *ret = client_new(cluster_first(cluster), int64_t, count);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct log_offset){ .topic = topic->name, .partition = topic->partitions[i].partition_index };
    enum exit_code code = offsets_find(cluster, list, count, which);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", cluster_why(cluster));
    for (size_t i = 0; i < count; i++)
        (*ret)[i] = list[i].offset;
    return EXIT_CODE_OK;
}

static struct describe_configs_response_resource *configs_get(struct client *client, struct odk_str topic)
{
    struct describe_configs_request request;
    struct describe_configs_response *response = client_new(client, struct describe_configs_response, 1);
    struct describe_configs_request_resource asked = { .resource_type = RESOURCE_TOPIC,
                                                       .resource_name = topic,
                                                       .configuration_keys_count = -1 };
    struct client_call call = { WIRE_KEY_DESCRIBE_CONFIGS, -1, &request, response };
    call.version = client_version(client, call.key, CONFIGS_VERSION_MAX);
    describe_configs_request_init(&request);
    request.resources = &asked;
    request.resources_count = 1;
    if (call.version < 1 || client_call(client, &call) != EXIT_CODE_OK)
        return NULL;
    bool good = response->results_count == 1 && response->results[0].error_code == KAFKA_NONE;
    return good ? &response->results[0] : NULL;
}

static bool is_override(const struct describe_configs_response_config *config)
{
    return config->config_source == SOURCE_TOPIC;
}

static void describe_json(const struct described *d, struct json *json)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_print(d->topic->topic_id, id);
    json_object(json, NULL);
    json_str(json, "topic", d->topic->name);
    json_text(json, "id", odk_uuid_is_zero(d->topic->topic_id) ? NULL : id);
    json_bool(json, "internal", d->topic->is_internal);
    json_object(json, "configs");
    for (int32_t i = 0; d->configs && i < d->configs->configs_count; i++) {
        const struct describe_configs_response_config *config = &d->configs->configs[i];
        char *key = is_override(config) ? xstrndup(config->name.data, config->name.len) : NULL;
        if (key)
            json_str(json, key, config->value);
        free(key);
    }
    json_end(json);
    json_array(json, "partitions");
    for (int32_t i = 0; i < d->topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &d->topic->partitions[i];
        json_object(json, NULL);
        json_int(json, "partition", partition->partition_index);
        json_int(json, "leader", partition->leader_id);
        json_int(json, "leader_epoch", partition->leader_epoch);
        json_array(json, "replicas");
        for (int32_t r = 0; r < partition->replica_nodes_count; r++)
            json_int(json, NULL, partition->replica_nodes[r]);
        json_end(json);
        json_int(json, "start_offset", d->starts[i]);
        json_int(json, "end_offset", d->ends[i]);
        json_end(json);
    }
    json_end(json);
    json_end(json);
    json_line(json);
}

static void describe_print(const struct described *d)
{
    static const char *const heads[] = { "PARTITION", "LEADER", "EPOCH", "REPLICAS", "START", "END", "RECORDS" };
    struct table table;
    char id[UUID_TEXT_LEN + 1];
    uuid_print(d->topic->topic_id, id);
    (void)printf("topic       %s\n", cli_escaped(d->topic->name).text);
    if (!odk_uuid_is_zero(d->topic->topic_id))
        (void)printf("id          %s\n", id);
    (void)printf("partitions  %d\n", d->topic->partitions_count);
    for (int32_t i = 0; d->configs && i < d->configs->configs_count; i++)
        if (is_override(&d->configs->configs[i]))
            (void)printf("config      %s=%s\n", cli_escaped(d->configs->configs[i].name).text,
                         cli_escaped(d->configs->configs[i].value).text);
    (void)putchar('\n');
    table_init(&table, heads, countof(heads));
    for (int32_t i = 0; i < d->topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &d->topic->partitions[i];
        table_int(&table, partition->partition_index);
        table_int_or_dash(&table, partition->leader_id);
        table_int_or_dash(&table, partition->leader_epoch);
        table_int(&table, partition->replica_nodes_count);
        table_int_or_dash(&table, d->starts[i]);
        table_int_or_dash(&table, d->ends[i]);
        table_int_or_dash(&table, d->starts[i] < 0 ? -1 : d->ends[i] - d->starts[i]);
    }
    table_print(&table, stdout, TABLE_HEADS);
}

static int describe_one(struct cluster *cluster, const struct metadata_response_topic *topic, struct json *json)
{
    if (topic->error_code != KAFKA_NONE)
        return cli_fail(client_exit_code(topic->error_code), "topic %s: %s%s", cli_escaped(topic->name).text,
                        kafka_error_text(topic->error_code),
                        topic->error_code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION ? "; try: odradek topic list" : "");
    struct described described = { .topic = topic };
    int code = offsets_get(cluster, topic, OFFSETS_EARLIEST, &described.starts);
    if (code == EXIT_CODE_OK)
        code = offsets_get(cluster, topic, OFFSETS_LATEST, &described.ends);
    if (code != EXIT_CODE_OK)
        return code;
    described.configs = configs_get(cluster_first(cluster), topic->name);
    if (json)
        describe_json(&described, json);
    else
        describe_print(&described);
    return EXIT_CODE_OK;
}

static int topic_describe(int argc, char **argv)
{
    struct cli_common common = cli_common();
    const struct args_option options[] = { CLI_JSON_ROW(common), CLI_BROKERS_ROW(common), CLI_TIMEOUT_ROW(common) };
    struct args_spec spec = { "topic describe", "Shows partitions, offsets and settings of topics.",
                              "NAME...",        options,
                              countof(options), 1,
                              SIZE_MAX,         NULL };
    struct args_operands names;
    struct metadata_response metadata = { 0 };
    struct cluster *cluster = NULL;
    struct json json;
    int code = args_parse(&spec, argc, argv, &names);
    if (code == ARGS_GO_ON)
        code = cli_cluster(&common, &cluster);
    if (cluster && code == EXIT_CODE_OK)
        code = metadata_get(cluster, &names, &metadata);
    json_init(&json, stdout);
    for (int32_t i = 0, shown = 0; i < metadata.topics_count; i++) {
        const struct metadata_response_topic *topic = &metadata.topics[i];
        if (topic->error_code == KAFKA_NONE && shown++ > 0 && !common.json)
            (void)putchar('\n');
        code = cli_worse(code, describe_one(cluster, topic, common.json ? &json : NULL));
    }
    cluster_close(cluster);
    return code;
}

int cmd_topic(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "create", "create topics", topic_create },
        { "list", "list topics", topic_list },
        { "describe", "show partitions, offsets and settings", topic_describe },
        { "alter", "more partitions, other settings", topic_alter },
        { "delete", "delete topics and their records", topic_delete },
    };
    return cli_dispatch(verbs, countof(verbs), "odradek topic", argc, argv);
}
