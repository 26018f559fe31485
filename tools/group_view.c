#include "group_view.h"

#include <stdlib.h>

#include "cli.h"
#include "client/json.h"
#include "client/table.h"

int group_row_order(const void *left, const void *right)
{
    const struct group_row *a = left;
    const struct group_row *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

bool group_row_lag(const struct group_row *row, int64_t *ret)
{
    if (!row->committed || row->committed->error != KAFKA_NONE || row->end < 0)
        return false;
    *ret = row->end - row->committed->offset;
    return true;
}

/* -- tables ---------------------------------------------------------------------------------------------------------
 */

static void table_text_or_dash(struct table *table, struct odk_str text)
{
    table_str(table, text.len > 0 ? text : ODK_STR("-"));
}

static void offsets_table(const struct group_view *views, size_t count, FILE *out)
{
    static const char *const heads[] = { "GROUP", "TOPIC",       "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET",
                                         "LAG",   "CONSUMER-ID", "HOST",      "CLIENT-ID" };
    struct table table;
    size_t rows = 0;
    table_init(&table, heads, countof(heads));
    for (size_t v = 0; v < count; v++) {
        for (size_t i = 0; i < views[v].row_count; i++, rows++) {
            const struct group_row *row = &views[v].rows[i];
            bool committed = row->committed && row->committed->error == KAFKA_NONE;
            int64_t lag;
            table_str(&table, views[v].group->id);
            table_str(&table, row->topic);
            table_int(&table, row->partition);
            table_int_or_dash(&table, committed ? row->committed->offset : -1);
            table_int_or_dash(&table, row->end);
            if (group_row_lag(row, &lag))
                table_int(&table, lag);
            else
                table_dash(&table);
            table_text_or_dash(&table, row->member ? row->member->id : (struct odk_str){ 0 });
            table_text_or_dash(&table, row->member ? row->member->host : (struct odk_str){ 0 });
            table_text_or_dash(&table, row->member ? row->member->client_id : (struct odk_str){ 0 });
        }
    }
    table_print(&table, out, rows > 0 ? TABLE_HEADS : TABLE_NO_HEADS);
    if (rows > 0)
        (void)fputc('\n', out);
}

/* topic:0,1;other:3 */
static void assignment_cell(struct table *table, const struct admin_assignment *assignment)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    ASSERT(to != NULL); /* there is memory */
    if (assignment->opaque)
        (void)fprintf(to, "(%zu bytes)", assignment->bytes);
    else if (assignment->count == 0)
        (void)fputc('-', to);
    for (size_t i = 0; i < assignment->count; i++) {
        const struct admin_partition *at = &assignment->partitions[i];
        bool same = i > 0 && odk_str_eq(at->topic, assignment->partitions[i - 1].topic);
        if (!same)
            (void)fprintf(to, "%s%.*s:", i > 0 ? ";" : "", ODK_STR_FMT(at->topic));
        (void)fprintf(to, "%s%d", same ? "," : "", at->partition);
    }
    (void)fclose(to);
    table_str(table, (struct odk_str){ text, len });
    free(text);
}

static void members_table(const struct group_view *views, size_t count, FILE *out)
{
    static const char *const heads[] = { "GROUP",         "CONSUMER-ID",        "GROUP-INSTANCE-ID",
                                         "HOST",          "CLIENT-ID",          "#PARTITIONS",
                                         "CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-ASSIGNMENT" };
    struct table table;
    size_t rows = 0;
    table_init(&table, heads, countof(heads));
    for (size_t v = 0; v < count; v++) {
        const struct admin_group *group = views[v].group;
        for (int32_t i = 0; i < group->member_count && group->error == KAFKA_NONE; i++, rows++) {
            const struct admin_member *member = &group->members[i];
            table_str(&table, group->id);
            table_str(&table, member->id);
            table_text_or_dash(&table, member->instance_id);
            table_text_or_dash(&table, member->host);
            table_text_or_dash(&table, member->client_id);
            if (member->current.opaque)
                table_dash(&table);
            else
                table_int(&table, (int64_t)member->current.count);
            table_int_or_dash(&table, member->epoch);
            assignment_cell(&table, &member->current);
            assignment_cell(&table, &member->target);
        }
    }
    table_print(&table, out, rows > 0 ? TABLE_HEADS : TABLE_NO_HEADS);
    if (rows > 0)
        (void)fputc('\n', out);
}

static void coordinator_print(const struct cluster *cluster, const struct admin_group *group, char *ret, size_t len)
{
    const struct metadata_response_broker *node = cluster_node_find(cluster, group->coordinator);
    ret[0] = '\0';
    if (node)
        (void)snprintf(ret, len, "%.*s:%d", ODK_STR_FMT(node->host), node->port);
}

static void state_table(const struct cluster *cluster, const struct group_view *views, size_t count, FILE *out)
{
    static const char *const heads[] = { "GROUP", "COORDINATOR", "ID",           "TYPE",    "ASSIGNMENT-STRATEGY",
                                         "STATE", "GROUP-EPOCH", "TARGET-EPOCH", "#MEMBERS" };
    struct table table;
    size_t rows = 0;
    table_init(&table, heads, countof(heads));
    for (size_t v = 0; v < count; v++) {
        const struct admin_group *group = views[v].group;
        char coordinator[300];
        if (group->error != KAFKA_NONE)
            continue;
        coordinator_print(cluster, group, coordinator, sizeof(coordinator));
        table_str(&table, group->id);
        table_text_or_dash(&table, odk_str_from(coordinator));
        table_int(&table, group->coordinator);
        table_str(&table, group->type_name);
        table_text_or_dash(&table, group->assignor);
        table_str(&table, group->state);
        table_int_or_dash(&table, group->epoch);
        table_int_or_dash(&table, group->assignment_epoch);
        table_int(&table, group->member_count);
        rows++;
    }
    table_print(&table, out, rows > 0 ? TABLE_HEADS : TABLE_NO_HEADS);
    if (rows > 0)
        (void)fputc('\n', out);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* One line for each group: what the tables add up to. */
static void summary_print(const struct group_parts *parts, const struct group_view *view, FILE *out)
{
    const struct admin_group *group = view->group;
    (void)fprintf(out, "%s: %s, %d member%s", cli_escaped(group->id).text, cli_escaped(group->state).text,
                  group->member_count, plural((size_t)group->member_count));
    if (parts->offsets && view->partition_count == 0)
        (void)fprintf(out, ", no committed offsets");
    else if (parts->offsets)
        (void)fprintf(out, ", %zu partition%s, lag %lld", view->partition_count, plural(view->partition_count),
                      (long long)view->lag);
    if (parts->offsets && view->unknown_count > 0)
        (void)fprintf(out, " (unknown for %zu partition%s)", view->unknown_count, plural(view->unknown_count));
    (void)fputc('\n', out);
}

void group_views_tables(const struct group_parts *parts, const struct cluster *cluster, const struct group_view *views,
                        size_t count, FILE *out)
{
    if (parts->state)
        state_table(cluster, views, count, out);
    if (parts->members)
        members_table(views, count, out);
    if (parts->offsets)
        offsets_table(views, count, out);
    for (size_t v = 0; v < count; v++)
        if (views[v].group->error == KAFKA_NONE)
            summary_print(parts, &views[v], out);
}

/* -- JSON -----------------------------------------------------------------------------------------------------------
 */

static void int_or_null(struct json *json, const char *key, bool known, int64_t value)
{
    if (known)
        json_int(json, key, value);
    else
        json_null(json, key);
}

static void assignment_json(struct json *json, const char *key, const struct admin_assignment *assignment)
{
    if (assignment->opaque) {
        json_null(json, key);
        return;
    }
    json_array(json, key);
    for (size_t i = 0; i < assignment->count; i++) {
        json_object(json, NULL);
        json_str(json, "topic", assignment->partitions[i].topic);
        json_int(json, "partition", assignment->partitions[i].partition);
        json_end(json);
    }
    json_end(json);
}

static void members_json(const struct admin_group *group, struct json *json)
{
    json_array(json, "members");
    for (int32_t i = 0; i < group->member_count; i++) {
        const struct admin_member *member = &group->members[i];
        json_object(json, NULL);
        json_str(json, "member", member->id);
        json_str(json, "instance", member->instance_id);
        json_str(json, "client", member->client_id);
        json_str(json, "host", member->host);
        int_or_null(json, "epoch", member->epoch >= 0, member->epoch);
        assignment_json(json, "assignment", &member->current);
        if (group->type == ADMIN_CONSUMER)
            assignment_json(json, "target_assignment", &member->target);
        if (member->current.opaque)
            json_int(json, "assignment_bytes", (int64_t)member->current.bytes);
        json_end(json);
    }
    json_end(json);
}

static void rows_json(const struct group_view *view, struct json *json)
{
    json_int(json, "lag", view->lag);
    json_int(json, "lag_unknown_partitions", (int64_t)view->unknown_count);
    json_array(json, "partitions");
    for (size_t i = 0; i < view->row_count; i++) {
        const struct group_row *row = &view->rows[i];
        const struct admin_offset *committed = row->committed;
        bool good = committed && committed->error == KAFKA_NONE;
        int64_t lag = 0;
        bool known = group_row_lag(row, &lag);
        json_object(json, NULL);
        json_str(json, "topic", row->topic);
        json_int(json, "partition", row->partition);
        int_or_null(json, "current_offset", good, good ? committed->offset : 0);
        int_or_null(json, "end_offset", row->end >= 0, row->end);
        int_or_null(json, "lag", known, lag);
        int_or_null(json, "leader_epoch", good && committed->leader_epoch >= 0, good ? committed->leader_epoch : 0);
        json_str(json, "metadata", good ? committed->metadata : (struct odk_str){ 0 });
        json_str(json, "member", row->member ? row->member->id : (struct odk_str){ 0 });
        json_str(json, "client", row->member ? row->member->client_id : (struct odk_str){ 0 });
        json_str(json, "host", row->member ? row->member->host : (struct odk_str){ 0 });
        json_end(json);
    }
    json_end(json);
}

static void view_json(const struct group_parts *parts, const struct cluster *cluster, const struct group_view *view,
                      struct json *json)
{
    const struct admin_group *group = view->group;
    char coordinator[300];
    json_object(json, NULL);
    json_str(json, "group", group->id);
    json_text(json, "error", group->error ? kafka_error_name(group->error) : NULL);
    json_str(json, "type", group->type_name);
    if (group->error == KAFKA_NONE) {
        coordinator_print(cluster, group, coordinator, sizeof(coordinator));
        json_str(json, "protocol_type", group->protocol_type);
        json_str(json, "state", group->state);
        json_str(json, "assignor", group->assignor);
        int_or_null(json, "epoch", group->epoch >= 0, group->epoch);
        int_or_null(json, "assignment_epoch", group->assignment_epoch >= 0, group->assignment_epoch);
        json_int(json, "coordinator", group->coordinator);
        json_text(json, "coordinator_address", *coordinator ? coordinator : NULL);
        if (parts->members)
            members_json(group, json);
        if (parts->offsets)
            rows_json(view, json);
    }
    json_end(json);
    json_line(json);
}

void group_views_json(const struct group_parts *parts, const struct cluster *cluster, const struct group_view *views,
                      size_t count, FILE *out)
{
    struct json json;
    json_init(&json, out);
    for (size_t v = 0; v < count; v++)
        view_json(parts, cluster, &views[v], &json);
}
