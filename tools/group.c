/* odradek group: list, describe, reset, delete, delete-offsets. */
#include "group.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/json.h"
#include "client/table.h"

/* -- errors ---------------------------------------------------------------------------------------------------------
 */

const char *group_error_text(int16_t error)
{
    switch (error) {
    case KAFKA_GROUP_SUBSCRIBED_TO_TOPIC: return "a member of the group reads the topic; stop the members first";
    case KAFKA_UNKNOWN_MEMBER_ID: return "the group has members";
    default: return kafka_error_text(error);
    }
}

int group_exit_code(const struct admin_group *group)
{
    switch (group->error) {
    case KAFKA_NON_EMPTY_GROUP:
    case KAFKA_GROUP_SUBSCRIBED_TO_TOPIC:
    case KAFKA_GROUP_AUTHORIZATION_FAILED: return EXIT_CODE_REFUSED;
    default: return group->type == ADMIN_OTHER ? EXIT_CODE_REFUSED : (int)client_exit_code(group->error);
    }
}

struct group_why group_why(const struct admin_group *group)
{
    struct group_why why;
    struct cli_text id = cli_escaped(group->id), more = cli_escaped(group->error_message);
    size_t room = sizeof(why.text);
    if (group->type == ADMIN_OTHER)
        (void)snprintf(why.text, room, "group %s is a %s group, which this verb cannot handle", id.text,
                       cli_escaped(group->type_name).text);
    else if (group->error == KAFKA_GROUP_ID_NOT_FOUND)
        (void)snprintf(why.text, room, "group %s: there is no such group; try: odradek group list", id.text);
    else if (group->error == KAFKA_NON_EMPTY_GROUP)
        (void)snprintf(why.text, room,
                       "group %s has members; stop them first (odradek group describe --members shows who they are)",
                       id.text);
    else if (group->error_message.len > 0)
        (void)snprintf(why.text, room, "group %s: %s", id.text, more.text);
    else
        (void)snprintf(why.text, room, "group %s: %s", id.text, group_error_text(group->error));
    return why;
}

/* -- scopes ---------------------------------------------------------------------------------------------------------
 */

struct group_scope group_scope(const char *text)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    return (struct group_scope){ .topic = { text, len }, .partitions = colon ? colon + 1 : NULL };
}

int64_t group_scope_next(const char **at)
{
    char *end;
    if (**at == '\0')
        return -1;
    if (**at < '0' || **at > '9')
        return -2;
    long long partition = strtoll(*at, &end, 10);
    if (partition > INT32_MAX || (*end != '\0' && (*end != ',' || end[1] == '\0')))
        return -2;
    *at = end + (*end == ',');
    return partition;
}

int group_scope_check(const struct args_spec *spec, const char *text)
{
    struct group_scope scope = group_scope(text);
    int64_t partition = -1;
    bool empty = scope.partitions && *scope.partitions == '\0';
    for (const char *at = scope.partitions; at && partition != -2 && *at != '\0';)
        partition = group_scope_next(&at);
    if (scope.topic.len == 0 || partition == -2 || empty)
        return args_mistake(spec, "--topic: '%s' is neither TOPIC nor TOPIC:0,1,2", text);
    return ARGS_GO_ON;
}

/* -- list -----------------------------------------------------------------------------------------------------------
 */

static const char *const state_names[] = { "Stable",    "Empty",       "PreparingRebalance", "CompletingRebalance",
                                           "Assigning", "Reconciling", "NotReady",           "Dead" };
static const char *const type_names[] = { "classic", "consumer", "share", "streams" };

struct list {
    struct cli_common common;
    struct args_list states;
    struct args_list types;
    bool no_header;
};

/* Splits values at commas; each must be one of names, in any case. */
static int words_split(const struct args_spec *spec, const char *option, const struct args_list *values,
                       const char *const *names, size_t name_count, struct odk_str *ret, size_t *ret_count)
{
    for (size_t i = 0; i < values->count; i++) {
        const char *word = values->items[i];
        for (;;) {
            size_t len = strcspn(word, ","), known = 0;
            while (known < name_count && (strlen(names[known]) != len || strncasecmp(names[known], word, len) != 0))
                known++;
            if (known == name_count)
                return args_mistake(spec, "--%s: '%.*s' is none of %s", option, (int)len, word,
                                    names == type_names ? "classic, consumer, share, streams"
                                                        : "Stable, Empty, PreparingRebalance, CompletingRebalance, "
                                                          "Assigning, Reconciling, NotReady, Dead");
            if (*ret_count < name_count)
                ret[(*ret_count)++] = odk_str_from(names[known]);
            if (word[len] == '\0')
                break;
            word += len + 1;
        }
    }
    return ARGS_GO_ON;
}

static bool has_members(const struct admin_group *group)
{
    return group->type != ADMIN_OTHER && !odk_str_eq(group->state, ODK_STR("Empty")) &&
           !odk_str_eq(group->state, ODK_STR("Dead"));
}

/* Only groups with members are asked for their number. */
static enum exit_code members_count(struct cluster *cluster, struct admin_group *groups, size_t count)
{
    struct admin_group *asked = client_new(cluster_first(cluster), struct admin_group, count);
    size_t asked_count = 0;
    for (size_t i = 0; i < count; i++) {
        groups[i].member_count = groups[i].type == ADMIN_OTHER ? -1 : 0;
        if (has_members(&groups[i]))
            asked[asked_count++] = groups[i];
    }
    enum exit_code code = asked_count > 0 ? admin_groups_describe(cluster, asked, asked_count) : EXIT_CODE_OK;
    for (size_t i = 0, a = 0; i < count && code == EXIT_CODE_OK; i++) {
        if (!has_members(&groups[i]))
            continue;
        groups[i].member_count = asked[a].error == KAFKA_NONE ? asked[a].member_count : -1;
        if (asked[a].error == KAFKA_NONE)
            groups[i].state = asked[a].state;
        a++;
    }
    return code;
}

static void list_json(const struct admin_group *groups, size_t count)
{
    struct json json;
    json_init(&json, stdout);
    for (size_t i = 0; i < count; i++) {
        json_object(&json, NULL);
        json_str(&json, "group", groups[i].id);
        json_str(&json, "type", groups[i].type_name);
        json_str(&json, "protocol_type", groups[i].protocol_type);
        json_str(&json, "state", groups[i].state);
        if (groups[i].member_count < 0)
            json_null(&json, "members");
        else
            json_int(&json, "members", groups[i].member_count);
        json_int(&json, "coordinator", groups[i].coordinator);
        json_end(&json);
        json_line(&json);
    }
}

static void list_table(const struct admin_group *groups, size_t count, enum table_heads heads)
{
    static const char *const titles[] = { "GROUP", "TYPE", "PROTOCOL", "STATE", "MEMBERS" };
    struct table table;
    table_init(&table, titles, countof(titles));
    for (size_t i = 0; i < count; i++) {
        table_str(&table, groups[i].id);
        table_str(&table, groups[i].type_name);
        table_str(&table, groups[i].protocol_type.len > 0 ? groups[i].protocol_type : ODK_STR("-"));
        table_str(&table, groups[i].state);
        table_int_or_dash(&table, groups[i].member_count);
    }
    table_print(&table, stdout, heads);
}

static int list_run(const struct list *list, const struct admin_groups_filter *filter)
{
    struct cluster *cluster = NULL;
    struct admin_group *groups = NULL;
    size_t count = 0;
    int code = cli_cluster(&list->common, &cluster);
    if (code == EXIT_CODE_OK) {
        enum exit_code asked = admin_groups_list(cluster, filter, &groups, &count);
        if (asked == EXIT_CODE_OK)
            asked = members_count(cluster, groups, count);
        if (asked != EXIT_CODE_OK)
            code = cli_fail(asked, "%s", cluster_why(cluster));
    }
    if (code == EXIT_CODE_OK && list->common.json)
        list_json(groups, count);
    else if (code == EXIT_CODE_OK)
        list_table(groups, count, list->no_header ? TABLE_NO_HEADS : TABLE_HEADS);
    cluster_close(cluster);
    return code;
}

static int group_list(int argc, char **argv)
{
    struct list list = { .common = cli_common() };
    const struct args_option options[] = {
        { "state", 's', ARGS_LIST, "STATE,...", "only groups in one of these states", &list.states },
        { "type", 't', ARGS_LIST, "TYPE,...", "only groups of one of these types", &list.types },
        { "no-header", 0, ARGS_FLAG, NULL, "leave the titles out", &list.no_header },
        CLI_JSON_ROW(list.common),
        CLI_BROKERS_ROW(list.common),
        CLI_TIMEOUT_ROW(list.common),
    };
    struct args_spec spec = {
        "group list",
        "Lists groups.",
        "",
        options,
        countof(options),
        0,
        0,
        "states: Stable, Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, NotReady, Dead\n"
        "types:  classic, consumer (KIP-848), share, streams\n\n"
        "examples:\n"
        "  odradek group list --state stable,empty\n"
        "  odradek group list --type consumer --json | jq -r .group",
    };
    struct odk_str states[countof(state_names)], types[countof(type_names)];
    struct admin_groups_filter filter = { .states = states, .types = types };
    struct args_operands none;
    int code = args_parse(&spec, argc, argv, &none);
    if (code == ARGS_GO_ON)
        code =
            words_split(&spec, "state", &list.states, state_names, countof(state_names), states, &filter.state_count);
    if (code == ARGS_GO_ON)
        code = words_split(&spec, "type", &list.types, type_names, countof(type_names), types, &filter.type_count);
    if (code == ARGS_GO_ON)
        code = list_run(&list, &filter);
    args_list_deinit(&list.states);
    args_list_deinit(&list.types);
    return code;
}

/* -- delete ---------------------------------------------------------------------------------------------------------
 */

static int delete_results(const struct cli_common *common, const struct admin_group *groups, size_t count)
{
    int worst = EXIT_CODE_OK;
    struct json json;
    json_init(&json, stdout);
    for (size_t i = 0; i < count; i++) {
        int code = EXIT_CODE_OK;
        if (common->json) {
            json_object(&json, NULL);
            json_str(&json, "group", groups[i].id);
            json_text(&json, "error", groups[i].error ? kafka_error_name(groups[i].error) : NULL);
            json_end(&json);
            json_line(&json);
        }
        if (groups[i].error != KAFKA_NONE)
            code = cli_fail((enum exit_code)group_exit_code(&groups[i]), "%s", group_why(&groups[i]).text);
        else if (!common->json)
            (void)fprintf(stderr, "deleted group %s\n", cli_escaped(groups[i].id).text);
        worst = MAX(worst, code);
    }
    return worst;
}

static int group_delete(int argc, char **argv)
{
    struct cli_common common = cli_common();
    const struct args_option options[] = { CLI_JSON_ROW(common), CLI_BROKERS_ROW(common), CLI_TIMEOUT_ROW(common) };
    struct args_spec spec = { "group delete",
                              "Deletes groups without members, and all their committed offsets.",
                              "GROUP...",
                              options,
                              countof(options),
                              1,
                              SIZE_MAX,
                              "example:\n"
                              "  odradek group delete old-reports" };
    struct args_operands names;
    struct cluster *cluster = NULL;
    int code = args_parse(&spec, argc, argv, &names);
    if (code == ARGS_GO_ON)
        code = cli_cluster(&common, &cluster);
    if (cluster && code == EXIT_CODE_OK) {
        size_t count = names.count;
        struct admin_group *groups = admin_groups_named(cluster, names.items, &count);
        enum exit_code asked = admin_groups_delete(cluster, groups, count);
        code = asked == EXIT_CODE_OK ? delete_results(&common, groups, count)
                                     : cli_fail(asked, "%s", cluster_why(cluster));
    }
    cluster_close(cluster);
    return code;
}

int cmd_group(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "list", "list groups with type and state", group_list },
        { "describe", "show offsets, lag and members", group_describe },
        { "reset", "move committed offsets, also of a group that is running", group_reset },
        { "delete", "delete groups and their offsets", group_delete },
        { "delete-offsets", "forget offsets of topics", group_delete_offsets },
    };
    return cli_dispatch(verbs, countof(verbs), "odradek group", argc, argv);
}
