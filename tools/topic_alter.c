/* odradek topic alter: more partitions, other settings. */
#include "topic.h"

#include "client/json.h"
#include "config.h"

#define GROW_VERSION_MAX 3

struct topic_changes {
    struct cli_common common;
    struct config_changes settings;
    int64_t partitions; /* -1: as they are */
    bool dry_run;
};

/* Asks for more partitions of the topics that have no error yet. */
static enum exit_code topics_grow(const struct topic_changes *changes, struct cluster *cluster,
                                  const struct args_operands *names, struct admin_outcome *outcomes)
{
    struct client *client = cluster_first(cluster);
    struct create_partitions_request request;
    struct create_partitions_response response;
    struct client_call call = { WIRE_KEY_CREATE_PARTITIONS, -1, &request, &response };
    call.version = client_version(client, call.key, GROW_VERSION_MAX);
    create_partitions_request_init(&request);
    request.timeout_ms = (int32_t)MIN(changes->common.timeout_ms, INT32_MAX);
    request.validate_only = changes->dry_run;
    request.topics = client_new(client, struct create_partitions_request_topic, names->count);
    for (size_t i = 0; i < names->count; i++) {
        if (outcomes[i].error != KAFKA_NONE)
            continue;
        struct create_partitions_request_topic *topic = &request.topics[request.topics_count++];
        create_partitions_request_topic_init(topic);
        topic->name = odk_str_from(names->items[i]);
        topic->count = (int32_t)changes->partitions;
        topic->assignments_count = -1;
    }
    if (request.topics_count == 0)
        return EXIT_CODE_OK;
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return cluster_note(cluster, client, code);
    for (size_t i = 0; i < names->count; i++) { /* answers come in any order */
        for (int32_t r = 0; r < response.results_count; r++) {
            const struct create_partitions_response_topic *result = &response.results[r];
            if (outcomes[i].error == KAFKA_NONE && odk_str_eq(result->name, odk_str_from(names->items[i])))
                outcomes[i] = (struct admin_outcome){ result->error_code, result->error_message };
        }
    }
    return EXIT_CODE_OK;
}

static int outcome_print(const struct topic_changes *changes, const char *name, const struct admin_outcome *outcome,
                         struct json *json)
{
    struct cli_text why, shown = cli_escaped(odk_str_from(name));
    if (changes->common.json) {
        json_object(json, NULL);
        json_text(json, "topic", name);
        json_text(json, "error", outcome->error ? kafka_error_name(outcome->error) : NULL);
        json_end(json);
        json_line(json);
    }
    if (outcome->error != KAFKA_NONE)
        return cli_fail(client_exit_code(outcome->error), "topic %s: %s", shown.text,
                        cli_error_text(outcome->error, outcome->message, &why));
    if (!changes->common.json)
        (void)fprintf(stderr, changes->dry_run ? "topic %s could be altered\n" : "altered topic %s\n", shown.text);
    return EXIT_CODE_OK;
}

/* Settings first: a topic whose settings are refused does not grow. */
static int alter_run(const struct topic_changes *changes, const struct args_spec *spec,
                     const struct args_operands *names, struct cluster *cluster)
{
    struct client *memory = cluster_first(cluster);
    struct admin_outcome *outcomes = client_new(memory, struct admin_outcome, names->count);
    struct admin_config_target *targets = client_new(memory, struct admin_config_target, names->count);
    struct admin_change *settings;
    struct json json;
    size_t count;
    int worst = config_changes_take(spec, &changes->settings, memory, &settings, &count);
    if (worst != ARGS_GO_ON)
        return worst;
    for (size_t i = 0; i < names->count; i++)
        targets[i] = (struct admin_config_target){ ADMIN_CONFIG_TOPIC, odk_str_from(names->items[i]) };
    enum exit_code code = EXIT_CODE_OK;
    if (count > 0)
        code = admin_configs_alter(cluster, targets, names->count, settings, count, changes->dry_run, &outcomes);
    if (code == EXIT_CODE_OK && changes->partitions > 0)
        code = topics_grow(changes, cluster, names, outcomes);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", cluster_why(cluster));
    worst = EXIT_CODE_OK;
    json_init(&json, stdout);
    for (size_t i = 0; i < names->count; i++)
        worst = cli_worse(worst, outcome_print(changes, names->items[i], &outcomes[i], &json));
    return worst;
}

int topic_alter(int argc, char **argv)
{
    struct topic_changes changes = { .common = cli_common(), .partitions = -1 };
    const struct args_option options[] = {
        { "partitions", 'p', ARGS_INT, "N", "have so many partitions, more than now", &changes.partitions, 1,
          INT32_MAX },
        CONFIG_CHANGES_ROWS(changes.settings),
        { "dry-run", 0, ARGS_FLAG, NULL, "only check", &changes.dry_run },
        CLI_JSON_ROW(changes.common),
        CLI_BROKERS_ROW(changes.common),
        CLI_TIMEOUT_ROW(changes.common),
    };
    struct args_spec spec = { "topic alter",
                              "Gives topics more partitions and other settings.",
                              "NAME...",
                              options,
                              countof(options),
                              1,
                              SIZE_MAX,
                              "Records with keys go to other partitions when there are more of them.\n\n"
                              "examples:\n"
                              "  odradek topic alter orders --partitions 12\n"
                              "  odradek topic alter orders paid --set retention.ms=3600000 --delete flush.ms" };
    struct args_operands names;
    struct admin_change *settings;
    struct cluster *cluster = NULL;
    size_t count = 0;
    int code = args_parse(&spec, argc, argv, &names);
    if (code == ARGS_GO_ON)
        code = config_changes_take(&spec, &changes.settings, NULL, &settings, &count);
    if (code == ARGS_GO_ON && count == 0 && changes.partitions < 0)
        code = args_mistake(&spec, "nothing to change: --partitions N, --set KEY=VALUE, --delete KEY");
    if (code == ARGS_GO_ON)
        code = cli_cluster(&changes.common, &cluster);
    if (cluster && code == EXIT_CODE_OK)
        code = alter_run(&changes, &spec, &names, cluster);
    cluster_close(cluster);
    config_changes_deinit(&changes.settings);
    return code;
}
