/* odradek config: list, describe, alter. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "client/json.h"
#include "client/table.h"
#include "config.h"

/* -- whose settings -------------------------------------------------------------------------------------------------
 */

#define TARGETS_HELP                                                                                                   \
    "What has settings:\n"                                                                                             \
    "  topic NAME...    a topic\n"                                                                                     \
    "  broker [ID...]   a broker: its file, environment and command line, and what was altered since\n"                \
    "  brokers          what was altered for all brokers\n"                                                            \
    "  group NAME...    a consumer group; it need not exist\n"

struct targets {
    struct admin_config_target *items;
    size_t count;
};

/* False: word is none of those that a target begins with. */
static bool type_parse(const char *word, enum admin_config_type *ret)
{
    if (strcmp(word, "topic") == 0)
        *ret = ADMIN_CONFIG_TOPIC;
    else if (strcmp(word, "broker") == 0 || strcmp(word, "brokers") == 0)
        *ret = ADMIN_CONFIG_BROKER;
    else if (strcmp(word, "group") == 0)
        *ret = ADMIN_CONFIG_GROUP;
    else
        return false;
    return true;
}

enum nameless { NAMELESS_REFUSED, NAMELESS_EVERY_BROKER };

/* Checks the operands before anybody is connected to. */
static int targets_check(const struct args_spec *spec, const struct args_operands *operands, enum nameless nameless)
{
    const char *word = operands->items[0];
    enum admin_config_type type;
    if (!type_parse(word, &type))
        return args_mistake(spec, "whose settings? topic, broker, brokers or group, not %s", word);
    bool all_brokers = strcmp(word, "brokers") == 0;
    if (all_brokers && operands->count > 1)
        return args_mistake(spec, "brokers stands for all of them; one of them is: broker %s", operands->items[1]);
    bool may_lack = all_brokers || (type == ADMIN_CONFIG_BROKER && nameless == NAMELESS_EVERY_BROKER);
    if (operands->count == 1 && !may_lack)
        return args_mistake(spec, "which %s?", word);
    return ARGS_GO_ON;
}

static struct odk_str node_name(struct client *memory, int32_t node_id)
{
    char *text = client_new(memory, char, 16);
    int len = snprintf(text, 16, "%d", node_id);
    return (struct odk_str){ .data = text, .len = (size_t)len };
}

static struct targets targets_take(struct cluster *cluster, const struct args_operands *operands)
{
    struct client *memory = cluster_first(cluster);
    struct targets targets = { 0 };
    enum admin_config_type type = ADMIN_CONFIG_TOPIC;
    const char *word = operands->items[0];
    (void)type_parse(word, &type); /* was checked */
    bool every = operands->count == 1 && strcmp(word, "broker") == 0;
    size_t names = every ? cluster_node_count(cluster) : MAX(operands->count - 1, (size_t)1);
    targets.items = client_new(memory, struct admin_config_target, names);
    for (size_t i = 0; i < names; i++) {
        struct odk_str name = { .data = "", .len = 0 };
        if (every)
            name = node_name(memory, cluster_node(cluster, i)->node_id);
        else if (operands->count > 1)
            name = odk_str_from(operands->items[1 + i]);
        targets.items[targets.count++] = (struct admin_config_target){ .type = type, .name = name };
    }
    return targets;
}

/* "topic orders", "all brokers". */
static const char *target_title(const struct admin_config_target *target, struct cli_text *scratch)
{
    if (target->type == ADMIN_CONFIG_BROKER && target->name.len == 0)
        return "all brokers";
    struct cli_text name = cli_escaped(target->name);
    (void)snprintf(scratch->text, sizeof(scratch->text), "%s %.1000s", admin_config_type_name((int8_t)target->type),
                   name.text);
    return scratch->text;
}

static void target_json(struct json *json, const struct admin_config_target *target)
{
    json_text(json, "type", admin_config_type_name((int8_t)target->type));
    json_str(json, "name", target->name);
}

/* -- changes --------------------------------------------------------------------------------------------------------
 */

int config_changes_take(const struct args_spec *spec, const struct config_changes *changes, struct client *memory,
                        struct admin_change **ret, size_t *ret_count)
{
    const struct args_list *lists[] = { &changes->set, &changes->deleted, &changes->append, &changes->subtract };
    static const enum admin_how hows[] = { ADMIN_SET, ADMIN_DELETE, ADMIN_APPEND, ADMIN_SUBTRACT };
    static const char *const wants[] = { "--set wants KEY=VALUE", "--delete wants KEY", "--append wants KEY=VALUE",
                                         "--subtract wants KEY=VALUE" };
    size_t count = 0;
    for (size_t l = 0; l < countof(lists); l++)
        count += lists[l]->count;
    *ret = memory ? client_new(memory, struct admin_change, count) : NULL;
    *ret_count = 0;
    for (size_t l = 0; l < countof(lists); l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            struct admin_change change;
            if (!admin_change_parse(lists[l]->items[i], hows[l], &change))
                return args_mistake(spec, "%s", wants[l]);
            if (memory)
                (*ret)[*ret_count] = change;
            (*ret_count)++;
        }
    }
    return ARGS_GO_ON;
}

void config_changes_deinit(struct config_changes *changes)
{
    args_list_deinit(&changes->set);
    args_list_deinit(&changes->deleted);
    args_list_deinit(&changes->append);
    args_list_deinit(&changes->subtract);
}

/* -- alter ----------------------------------------------------------------------------------------------------------
 */

struct alter {
    struct cli_common common;
    struct config_changes changes;
    bool dry_run;
};

static int outcome_print(const struct alter *alter, const struct admin_config_target *target,
                         const struct admin_outcome *outcome, struct json *json)
{
    struct cli_text scratch, why;
    const char *title = target_title(target, &scratch);
    if (alter->common.json) {
        json_object(json, NULL);
        target_json(json, target);
        json_text(json, "error", outcome->error ? kafka_error_name(outcome->error) : NULL);
        json_end(json);
        json_line(json);
    }
    if (outcome->error != KAFKA_NONE)
        return cli_fail(client_exit_code(outcome->error), "%s: %s", title,
                        cli_error_text(outcome->error, outcome->message, &why));
    if (!alter->common.json)
        (void)fprintf(stderr, alter->dry_run ? "settings of %s could be altered\n" : "altered settings of %s\n", title);
    return EXIT_CODE_OK;
}

static int alter_run(const struct alter *alter, const struct args_spec *spec, const struct args_operands *operands,
                     struct cluster *cluster)
{
    struct targets targets = targets_take(cluster, operands);
    struct admin_change *changes;
    struct admin_outcome *outcomes;
    struct json json;
    size_t count;
    int worst = config_changes_take(spec, &alter->changes, cluster_first(cluster), &changes, &count);
    if (worst != ARGS_GO_ON)
        return worst;
    enum exit_code code =
        admin_configs_alter(cluster, targets.items, targets.count, changes, count, alter->dry_run, &outcomes);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", cluster_why(cluster));
    worst = EXIT_CODE_OK;
    json_init(&json, stdout);
    for (size_t i = 0; i < targets.count; i++)
        worst = cli_worse(worst, outcome_print(alter, &targets.items[i], &outcomes[i], &json));
    return worst;
}

static int config_alter(int argc, char **argv)
{
    struct alter alter = { .common = cli_common() };
    const struct args_option options[] = {
        CONFIG_CHANGES_ROWS(alter.changes), { "dry-run", 0, ARGS_FLAG, NULL, "only check", &alter.dry_run },
        CLI_JSON_ROW(alter.common),         CLI_BROKERS_ROW(alter.common),
        CLI_TIMEOUT_ROW(alter.common),
    };
    struct args_spec spec = { "config alter",
                              "Changes settings while the broker runs; all changes of one resource, or none.",
                              "topic|broker|brokers|group [NAME...]",
                              options,
                              countof(options),
                              1,
                              SIZE_MAX,
                              TARGETS_HELP
                              "\nexamples:\n"
                              "  odradek config alter topic orders --set retention.ms=3600000\n"
                              "  odradek config alter brokers --set log.retention.ms=86400000\n"
                              "  odradek config alter group billing --delete consumer.session.timeout.ms" };
    struct args_operands operands;
    struct admin_change *changes;
    struct cluster *cluster = NULL;
    size_t count = 0;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = targets_check(&spec, &operands, NAMELESS_REFUSED);
    if (code == ARGS_GO_ON)
        code = config_changes_take(&spec, &alter.changes, NULL, &changes, &count);
    if (code == ARGS_GO_ON && count == 0)
        code = args_mistake(&spec, "nothing to change: --set KEY=VALUE, --delete KEY");
    if (code == ARGS_GO_ON)
        code = cli_cluster(&alter.common, &cluster);
    if (cluster && code == EXIT_CODE_OK)
        code = alter_run(&alter, &spec, &operands, cluster);
    cluster_close(cluster);
    config_changes_deinit(&alter.changes);
    return code;
}

/* -- describe -------------------------------------------------------------------------------------------------------
 */

struct describe {
    struct cli_common common;
    struct args_list keys;
    bool all;
    bool no_header;
};

static void setting_json(const struct admin_config_target *target,
                         const struct describe_configs_response_config *config, struct json *json)
{
    json_object(json, NULL);
    target_json(json, target);
    json_str(json, "key", config->name);
    json_str(json, "value", config->value);
    json_text(json, "source", admin_config_source_name(config->config_source));
    json_bool(json, "read_only", config->read_only);
    json_bool(json, "sensitive", config->is_sensitive);
    json_array(json, "synonyms");
    for (int32_t i = 0; i < config->synonyms_count; i++) {
        json_object(json, NULL);
        json_str(json, "key", config->synonyms[i].name);
        json_str(json, "value", config->synonyms[i].value);
        json_text(json, "source", admin_config_source_name(config->synonyms[i].source));
        json_end(json);
    }
    json_end(json);
    json_end(json);
    json_line(json);
}

static void setting_row(const struct admin_config_target *target, const struct describe_configs_response_config *config,
                        struct table *table)
{
    struct cli_text scratch;
    table_text(table, target_title(target, &scratch));
    table_str(table, config->name);
    if (config->value.data)
        table_str(table, config->value);
    else
        table_text(table, "-");
    table_text(table, admin_config_source_name(config->config_source));
}

static bool setting_is_there(const struct describe_configs_response_resource *resource, struct odk_str key)
{
    for (int32_t i = 0; i < resource->configs_count; i++)
        if (odk_str_eq(resource->configs[i].name, key))
            return true;
    return false;
}

/* Settings of one target; the keys that are asked for are shown in any case. */
static int target_print(const struct describe *describe, const struct admin_config_target *target,
                        const struct describe_configs_response_resource *resource, struct table *table,
                        struct json *json)
{
    struct cli_text scratch, why;
    if (resource->error_code != KAFKA_NONE)
        return cli_fail(client_exit_code(resource->error_code), "%s: %s", target_title(target, &scratch),
                        cli_error_text(resource->error_code, resource->error_message, &why));
    for (size_t k = 0; k < describe->keys.count; k++)
        if (!setting_is_there(resource, odk_str_from(describe->keys.items[k])))
            return cli_fail(EXIT_CODE_NOT_FOUND, "%s has no setting %s; --all shows those there are",
                            target_title(target, &scratch), describe->keys.items[k]);
    for (int32_t i = 0; i < resource->configs_count; i++) {
        const struct describe_configs_response_config *config = &resource->configs[i];
        if (!describe->all && describe->keys.count == 0 && !admin_config_is_given(target->type, config))
            continue;
        if (describe->common.json)
            setting_json(target, config, json);
        else
            setting_row(target, config, table);
    }
    return EXIT_CODE_OK;
}

static int describe_run(const struct describe *describe, const struct args_operands *operands, struct cluster *cluster)
{
    static const char *const heads[] = { "OF", "KEY", "VALUE", "SOURCE" };
    struct client *memory = cluster_first(cluster);
    struct targets targets = targets_take(cluster, operands);
    struct describe_configs_response_resource *resources;
    struct odk_str *keys = client_new(memory, struct odk_str, describe->keys.count);
    struct table table;
    struct json json;
    int worst = EXIT_CODE_OK;
    for (size_t i = 0; i < describe->keys.count; i++)
        keys[i] = odk_str_from(describe->keys.items[i]);
    enum exit_code code =
        admin_configs_describe(cluster, targets.items, targets.count, keys, describe->keys.count, &resources);
    if (code != EXIT_CODE_OK)
        return cli_fail(code, "%s", cluster_why(cluster));
    table_init(&table, heads, countof(heads));
    json_init(&json, stdout);
    for (size_t i = 0; i < targets.count; i++)
        worst = cli_worse(worst, target_print(describe, &targets.items[i], &resources[i], &table, &json));
    if (describe->common.json)
        return worst;
    bool nothing = table.count == 0;
    table_print(&table, stdout,
                describe->no_header || (nothing && worst != EXIT_CODE_OK) ? TABLE_NO_HEADS : TABLE_HEADS);
    if (nothing && worst == EXIT_CODE_OK)
        (void)fprintf(stderr, "nothing but defaults; --all shows them\n");
    return worst;
}

static int config_describe(int argc, char **argv)
{
    struct describe describe = { .common = cli_common() };
    const struct args_option options[] = {
        { "all", 'a', ARGS_FLAG, NULL, "defaults too", &describe.all },
        { "key", 'k', ARGS_LIST, "KEY", "only this one, also when it is a default; may be repeated", &describe.keys },
        { "no-header", 0, ARGS_FLAG, NULL, "no line of titles", &describe.no_header },
        CLI_JSON_ROW(describe.common),
        CLI_BROKERS_ROW(describe.common),
        CLI_TIMEOUT_ROW(describe.common),
    };
    struct args_spec spec = { "config describe",
                              "Shows settings and where they come from.",
                              "topic|broker|brokers|group [NAME...]",
                              options,
                              countof(options),
                              1,
                              SIZE_MAX,
                              TARGETS_HELP "\nexamples:\n"
                                           "  odradek config describe topic orders --all\n"
                                           "  odradek config describe broker --key log.retention.ms" };
    struct args_operands operands;
    struct cluster *cluster = NULL;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = targets_check(&spec, &operands, NAMELESS_EVERY_BROKER);
    if (code == ARGS_GO_ON)
        code = cli_cluster(&describe.common, &cluster);
    if (cluster && code == EXIT_CODE_OK)
        code = describe_run(&describe, &operands, cluster);
    cluster_close(cluster);
    args_list_deinit(&describe.keys);
    return code;
}

/* -- list -----------------------------------------------------------------------------------------------------------
 */

static int list_print(const struct cli_common *common, const struct admin_config_target *targets, size_t count,
                      enum table_heads wanted)
{
    static const char *const heads[] = { "TYPE", "NAME" };
    struct table table;
    struct json json;
    table_init(&table, heads, countof(heads));
    json_init(&json, stdout);
    for (size_t i = 0; i < count; i++) {
        if (common->json) {
            json_object(&json, NULL);
            target_json(&json, &targets[i]);
            json_end(&json);
            json_line(&json);
        } else {
            table_text(&table, admin_config_type_name((int8_t)targets[i].type));
            table_str(&table, targets[i].name);
        }
    }
    if (!common->json)
        table_print(&table, stdout, wanted);
    return EXIT_CODE_OK;
}

static int config_list(int argc, char **argv)
{
    struct cli_common common = cli_common();
    bool no_header = false;
    const struct args_option options[] = {
        { "no-header", 0, ARGS_FLAG, NULL, "no line of titles", &no_header },
        CLI_JSON_ROW(common),
        CLI_BROKERS_ROW(common),
        CLI_TIMEOUT_ROW(common),
    };
    struct args_spec spec = { "config list",
                              "Lists what has settings: topics, brokers, and groups that have some of their own.",
                              "[topic|broker|group]",
                              options,
                              countof(options),
                              0,
                              1,
                              NULL };
    struct args_operands operands;
    struct cluster *cluster = NULL;
    struct admin_config_target *targets = NULL;
    enum admin_config_type type = 0;
    size_t count = 0;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON && operands.count == 1 && !type_parse(operands.items[0], &type))
        code = args_mistake(&spec, "topic, broker or group, not %s", operands.items[0]);
    if (code == ARGS_GO_ON)
        code = cli_cluster(&common, &cluster);
    if (cluster && code == EXIT_CODE_OK) {
        enum exit_code asked = admin_configs_list(cluster, (int8_t)type, &targets, &count);
        code = asked == EXIT_CODE_OK ? list_print(&common, targets, count, no_header ? TABLE_NO_HEADS : TABLE_HEADS)
                                     : cli_fail(asked, "%s", cluster_why(cluster));
    }
    cluster_close(cluster);
    return code;
}

int cmd_config(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "list", "list what has settings", config_list },
        { "describe", "show settings and where they come from", config_describe },
        { "alter", "change settings while the broker runs", config_alter },
    };
    return cli_dispatch(verbs, countof(verbs), "odradek config", argc, argv);
}
