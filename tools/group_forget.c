/* odradek group delete-offsets: forgets what a group has committed in topics. */
#include <stdlib.h>

#include "client/json.h"
#include "group.h"

struct forget {
    struct cli_common common;
    struct args_list topics;
    struct cluster *cluster;
    struct admin_group *group;
    struct admin_offset *offsets; /* ordered as the group's are */
    size_t count;
    bool *chosen; /* by offset of the group */
};

/* Marks the committed offsets that one --topic names. partition -1: all of the topic. */
static bool choose(struct forget *forget, struct odk_str topic, int64_t partition)
{
    bool found = false;
    for (size_t i = 0; i < forget->group->offset_count; i++) {
        const struct admin_offset *offset = &forget->group->offsets[i];
        if (!odk_str_eq(offset->topic, topic) || (partition >= 0 && offset->partition != partition))
            continue;
        forget->chosen[i] = true;
        found = true;
    }
    return found;
}

static int scope_choose(struct forget *forget, const char *text)
{
    struct group_scope scope = group_scope(text);
    struct cli_text id = cli_escaped(forget->group->id), topic = cli_escaped(scope.topic);
    int64_t partition;
    if (!scope.partitions)
        return choose(forget, scope.topic, -1)
                   ? EXIT_CODE_OK
                   : cli_fail(EXIT_CODE_NOT_FOUND, "group %s has committed nothing in topic %s", id.text, topic.text);
    for (const char *at = scope.partitions; (partition = group_scope_next(&at)) >= 0;)
        if (!choose(forget, scope.topic, partition))
            return cli_fail(EXIT_CODE_NOT_FOUND, "group %s has committed nothing in topic %s, partition %lld", id.text,
                            topic.text, (long long)partition);
    return EXIT_CODE_OK;
}

static int results_print(const struct forget *forget)
{
    int worst = EXIT_CODE_OK;
    struct json json;
    json_init(&json, stdout);
    for (size_t i = 0; i < forget->count; i++) {
        const struct admin_offset *offset = &forget->offsets[i];
        struct cli_text id = cli_escaped(forget->group->id), topic = cli_escaped(offset->topic);
        if (forget->common.json) {
            json_object(&json, NULL);
            json_str(&json, "group", forget->group->id);
            json_str(&json, "topic", offset->topic);
            json_int(&json, "partition", offset->partition);
            json_int(&json, "offset", offset->offset);
            json_text(&json, "error", offset->error ? kafka_error_name(offset->error) : NULL);
            json_end(&json);
            json_line(&json);
        }
        if (offset->error != KAFKA_NONE) {
            enum exit_code code =
                offset->error == KAFKA_GROUP_SUBSCRIBED_TO_TOPIC ? EXIT_CODE_REFUSED : client_exit_code(offset->error);
            worst = cli_worse(worst, cli_fail(code, "group %s, topic %s, partition %d: %s", id.text, topic.text,
                                              offset->partition, group_error_text(offset->error)));
        } else if (!forget->common.json) {
            (void)fprintf(stderr, "forgot offset %lld of group %s in topic %s, partition %d\n",
                          (long long)offset->offset, id.text, topic.text, offset->partition);
        }
    }
    return worst;
}

static int forget_run(struct forget *forget, char *name)
{
    size_t one = 1;
    int code = cli_cluster(&forget->common, &forget->cluster);
    if (code != EXIT_CODE_OK)
        return code;
    struct client *memory = cluster_first(forget->cluster);
    struct admin_group *group = forget->group = admin_groups_named(forget->cluster, &name, &one);
    enum exit_code asked = admin_groups_committed(forget->cluster, group, 1);
    if (asked == EXIT_CODE_OK && group->error != KAFKA_NONE)
        return cli_fail((enum exit_code)group_exit_code(group), "%s", group_why(group).text);
    forget->chosen = client_new(memory, bool, group->offset_count);
    for (size_t i = 0; i < forget->topics.count && asked == EXIT_CODE_OK; i++) {
        code = scope_choose(forget, forget->topics.items[i]);
        if (code != EXIT_CODE_OK)
            return code;
    }
    forget->offsets = client_new(memory, struct admin_offset, group->offset_count);
    for (size_t i = 0; i < group->offset_count; i++)
        if (forget->chosen[i])
            forget->offsets[forget->count++] = group->offsets[i];
    if (asked == EXIT_CODE_OK)
        asked = admin_group_offsets_delete(forget->cluster, group, forget->offsets, forget->count);
    if (asked != EXIT_CODE_OK)
        return cli_fail(asked, "%s", cluster_why(forget->cluster));
    if (group->error != KAFKA_NONE)
        return cli_fail((enum exit_code)group_exit_code(group), "%s", group_why(group).text);
    return results_print(forget);
}

int group_delete_offsets(int argc, char **argv)
{
    struct forget forget = { .common = cli_common() };
    const struct args_option options[] = {
        { "topic", 't', ARGS_LIST, "TOPIC[:N,N]", "a topic, or some partitions of it; may be repeated",
          &forget.topics },
        CLI_JSON_ROW(forget.common),
        CLI_BROKERS_ROW(forget.common),
        CLI_TIMEOUT_ROW(forget.common),
    };
    struct args_spec spec = { "group delete-offsets",
                              "Forgets what a group has committed in topics, also in topics that are gone.",
                              "GROUP",
                              options,
                              countof(options),
                              1,
                              1,
                              "Topics that a running member of the group reads are refused.\n\n"
                              "examples:\n"
                              "  odradek group delete-offsets orders --topic paid\n"
                              "  odradek group delete-offsets orders --topic paid:0,1 --topic sent:7" };
    struct args_operands name;
    int code = args_parse(&spec, argc, argv, &name);
    if (code == ARGS_GO_ON && forget.topics.count == 0)
        code = args_mistake(&spec, "of which topics? --topic TOPIC");
    for (size_t i = 0; i < forget.topics.count && code == ARGS_GO_ON; i++)
        code = group_scope_check(&spec, forget.topics.items[i]);
    if (code == ARGS_GO_ON)
        code = forget_run(&forget, name.items[0]);
    cluster_close(forget.cluster);
    args_list_deinit(&forget.topics);
    return code;
}
