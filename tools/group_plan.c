/* The plan of `odradek group reset`: partitions from a scope or a file, offsets from group and logs. */
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/offsets.h"
#include "client/table.h"
#include "group_reset.h"

int reset_failed(const struct reset *reset, enum exit_code code)
{
    return cli_fail(code, "%s", cluster_why(reset->cluster));
}

int reset_group_failed(const struct reset *reset)
{
    return cli_fail((enum exit_code)group_exit_code(reset->group), "%s", group_why(reset->group).text);
}

struct client *reset_memory(struct reset *reset)
{
    return cluster_first(reset->cluster);
}

/* -- which partitions -----------------------------------------------------------------------------------------------
 */

static int rows_of_group(struct reset *reset)
{
    const struct admin_group *group = reset->group;
    reset->rows = client_new(reset_memory(reset), struct plan_row, group->offset_count);
    for (size_t i = 0; i < group->offset_count; i++)
        reset->rows[reset->row_count++] =
            (struct plan_row){ .topic = group->offsets[i].topic, .partition = group->offsets[i].partition };
    if (reset->row_count == 0)
        return cli_fail(EXIT_CODE_NOT_FOUND, "group %s has no committed offsets; name topics with --topic",
                        cli_escaped(group->id).text);
    return EXIT_CODE_OK;
}

static int topic_unknown(struct odk_str topic, int16_t error)
{
    return cli_fail(client_exit_code(error), "topic %s: %s; try: odradek topic list", cli_escaped(topic).text,
                    kafka_error_text(error));
}

/* The partitions of one --topic; metadata tells which there are. */
static int rows_of_scope(struct reset *reset, const struct group_scope *scope,
                         const struct metadata_response_topic *topic)
{
    const char *at = scope->partitions;
    int64_t partition;
    if (!topic || topic->error_code != KAFKA_NONE)
        return topic_unknown(scope->topic, topic ? topic->error_code : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    if (!at) {
        for (int32_t i = 0; i < topic->partitions_count; i++)
            reset->rows[reset->row_count++] =
                (struct plan_row){ .topic = topic->name, .partition = topic->partitions[i].partition_index };
        return EXIT_CODE_OK;
    }
    while ((partition = group_scope_next(&at)) >= 0) {
        bool known = false;
        for (int32_t i = 0; i < topic->partitions_count && !known; i++)
            known = topic->partitions[i].partition_index == partition;
        if (!known)
            return cli_fail(EXIT_CODE_NOT_FOUND, "topic %s has no partition %lld", cli_escaped(scope->topic).text,
                            (long long)partition);
        reset->rows[reset->row_count++] = (struct plan_row){ .topic = topic->name, .partition = (int32_t)partition };
    }
    return EXIT_CODE_OK;
}

static const struct metadata_response_topic *topic_find(const struct metadata_response *metadata, struct odk_str name)
{
    for (int32_t i = 0; i < metadata->topics_count; i++)
        if (odk_str_eq(metadata->topics[i].name, name))
            return &metadata->topics[i];
    return NULL;
}

static size_t scope_size(const struct group_scope *scope, const struct metadata_response_topic *topic)
{
    size_t commas = 1;
    for (const char *at = scope->partitions; at && *at; at++)
        commas += *at == ',';
    return scope->partitions ? commas : topic ? (size_t)MAX(topic->partitions_count, 0) : 0;
}

/* Sorts; a partition that was named twice is kept once. */
static void rows_order(struct reset *reset)
{
    size_t kept = 0;
    qsort(reset->rows, reset->row_count, sizeof(*reset->rows), plan_row_order);
    for (size_t i = 0; i < reset->row_count; i++)
        if (kept == 0 || plan_row_order(&reset->rows[kept - 1], &reset->rows[i]) != 0)
            reset->rows[kept++] = reset->rows[i];
    reset->row_count = kept;
}

static int rows_of_topics(struct reset *reset)
{
    size_t count = reset->topics.count, most = 0;
    struct odk_str *names = client_new(reset_memory(reset), struct odk_str, count);
    struct group_scope *scopes = client_new(reset_memory(reset), struct group_scope, count);
    struct metadata_response metadata;
    size_t name_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        scopes[i] = group_scope(reset->topics.items[i]);
        for (size_t n = 0; n < name_count && !known; n++)
            known = odk_str_eq(names[n], scopes[i].topic);
        if (!known)
            names[name_count++] = scopes[i].topic;
    }
    enum exit_code asked = cluster_topics(reset->cluster, names, name_count, &metadata);
    if (asked != EXIT_CODE_OK)
        return reset_failed(reset, asked);
    for (size_t i = 0; i < count; i++)
        most += scope_size(&scopes[i], topic_find(&metadata, scopes[i].topic));
    reset->rows = client_new(reset_memory(reset), struct plan_row, most);
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++)
        code = rows_of_scope(reset, &scopes[i], topic_find(&metadata, scopes[i].topic));
    rows_order(reset);
    return code;
}

static int rows_of_file(struct reset *reset)
{
    char why[400];
    struct odk_str text = odk_str_from(reset->file);
    if (!plan_csv_read(text, reset->group->id, client_arena(reset_memory(reset)), &reset->rows, &reset->row_count, why,
                       sizeof(why)))
        return cli_fail(EXIT_CODE_USAGE, "%s: %s", reset->from_file, why);
    if (reset->row_count == 0)
        return cli_fail(EXIT_CODE_NOT_FOUND, "%s has no line for group %s", reset->from_file,
                        cli_escaped(reset->group->id).text);
    return EXIT_CODE_OK;
}

/* -- the plan -------------------------------------------------------------------------------------------------------
 */

static void current_fill(struct reset *reset)
{
    for (size_t i = 0; i < reset->row_count; i++) {
        struct plan_row *row = &reset->rows[i];
        const struct admin_offset *found = admin_offset_find(reset->group, row->topic, row->partition);
        row->current = found && found->error == KAFKA_NONE ? found->offset : -1;
    }
}

static int partition_unknown(const struct reset *reset, const struct plan_row *row)
{
    struct cli_text topic = cli_escaped(row->topic);
    if (row->current < 0)
        return cli_fail(EXIT_CODE_NOT_FOUND, "topic %s has no partition %d; try: odradek topic list", topic.text,
                        row->partition);
    return cli_fail(EXIT_CODE_NOT_FOUND,
                    "topic %s has no partition %d; to forget what is committed there: "
                    "odradek group delete-offsets %s --topic %s:%d",
                    topic.text, row->partition, cli_escaped(reset->group->id).text, topic.text, row->partition);
}

/* What the logs say, into one member of each row. */
static int log_fill(struct reset *reset, int64_t which, size_t member)
{
    struct log_offset *list = client_new(reset_memory(reset), struct log_offset, reset->row_count);
    for (size_t i = 0; i < reset->row_count; i++)
        list[i] = (struct log_offset){ .topic = reset->rows[i].topic, .partition = reset->rows[i].partition };
    enum exit_code code = offsets_find(reset->cluster, list, reset->row_count, which);
    if (code != EXIT_CODE_OK)
        return reset_failed(reset, code);
    for (size_t i = 0; i < reset->row_count; i++) {
        if (list[i].error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
            return partition_unknown(reset, &reset->rows[i]);
        if (list[i].error != KAFKA_NONE)
            return cli_fail(client_exit_code(list[i].error), "topic %s, partition %d: %s",
                            cli_escaped(list[i].topic).text, list[i].partition, kafka_error_text(list[i].error));
        memcpy((char *)&reset->rows[i] + member, &list[i].offset, sizeof(list[i].offset));
    }
    return EXIT_CODE_OK;
}

static int rows_solve(struct reset *reset)
{
    for (size_t i = 0; i < reset->row_count; i++)
        if (!plan_solve(&reset->scenario, &reset->rows[i]))
            return cli_fail(EXIT_CODE_FAILURE,
                            "topic %s, partition %d: nothing is committed that could be shifted; "
                            "try --to-earliest, --to-latest or --to-offset",
                            cli_escaped(reset->rows[i].topic).text, reset->rows[i].partition);
    return EXIT_CODE_OK;
}

int reset_plan(struct reset *reset)
{
    int code = reset->from_file    ? rows_of_file(reset)
               : reset->all_topics ? rows_of_group(reset)
                                   : rows_of_topics(reset);
    if (code != EXIT_CODE_OK)
        return code;
    current_fill(reset);
    code = log_fill(reset, OFFSETS_EARLIEST, offsetof(struct plan_row, start));
    if (code == EXIT_CODE_OK)
        code = log_fill(reset, OFFSETS_LATEST, offsetof(struct plan_row, end));
    if (code == EXIT_CODE_OK && reset->scenario.kind == PLAN_TO_MOMENT)
        code = log_fill(reset, reset->scenario.value, offsetof(struct plan_row, asked));
    return code == EXIT_CODE_OK ? rows_solve(reset) : code;
}

/* -- showing it -----------------------------------------------------------------------------------------------------
 */

static void plan_table(const struct reset *reset)
{
    static const char *const heads[] = {
        "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET", "CHANGE", "NOTE"
    };
    struct table table;
    table_init(&table, heads, countof(heads));
    for (size_t i = 0; i < reset->row_count; i++) {
        const struct plan_row *row = &reset->rows[i];
        int64_t change;
        table_str(&table, reset->group->id);
        table_str(&table, row->topic);
        table_int(&table, row->partition);
        table_int_or_dash(&table, row->current);
        table_int(&table, row->target);
        if (plan_change(row, &change))
            table_change(&table, change);
        else
            table_dash(&table);
        table_text(&table, plan_note_text(row->note));
    }
    table_print(&table, stdout, TABLE_HEADS);
}

static void plan_json(const struct reset *reset, const struct admin_commit *commit)
{
    struct json json;
    json_init(&json, stdout);
    for (size_t i = 0; i < reset->row_count; i++) {
        const struct plan_row *row = &reset->rows[i];
        int64_t change;
        json_object(&json, NULL);
        json_str(&json, "group", reset->group->id);
        json_str(&json, "topic", row->topic);
        json_int(&json, "partition", row->partition);
        if (row->current >= 0)
            json_int(&json, "current_offset", row->current);
        else
            json_null(&json, "current_offset");
        json_int(&json, "new_offset", row->target);
        if (plan_change(row, &change))
            json_int(&json, "change", change);
        else
            json_null(&json, "change");
        json_text(&json, "note", row->note == PLAN_PLAIN ? NULL : plan_note_text(row->note));
        json_bool(&json, "executed", commit->stored[i] == row->target);
        json_end(&json);
        json_line(&json);
    }
}

void reset_plan_show(const struct reset *reset, const struct admin_commit *commit)
{
    if (reset->export)
        for (size_t i = 0; i < reset->row_count; i++)
            plan_csv_write(stdout, &reset->rows[i]);
    else if (reset->common.json)
        plan_json(reset, commit);
    else
        plan_table(reset);
}
