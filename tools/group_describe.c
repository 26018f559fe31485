/*
 * odradek group describe: where a group stands in each partition, how far behind, and who reads it.
 *
 * Lag is the log's end minus the committed offset, as Kafka's tool counts it. All groups are asked in a handful of
 * requests: describe, committed offsets, and one ListOffsets for all their partitions.
 */
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/offsets.h"
#include "client/table.h"
#include "group.h"
#include "watch.h"

struct describe {
    struct cli_common common;
    struct args_operands names;
    const char *every; /* --watch; NULL: once */
    bool all;
    bool offsets, members, state; /* parts */
};

/* A partition that a group has committed in, or that a member reads. */
struct row {
    struct odk_str topic;
    int32_t partition;
    const struct admin_offset *committed; /* NULL: nothing */
    const struct admin_member *member;    /* NULL: nobody */
    int64_t end;                          /* -1: unknown */
};

struct view {
    struct admin_group *group;
    struct row *rows; /* ordered */
    size_t row_count;
    size_t partition_count;
    size_t unknown_count; /* partitions whose lag is not known */
    int64_t lag;          /* of all others */
};

/* -- collecting -----------------------------------------------------------------------------------------------------
 */

static int row_order(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static const struct admin_offset *committed_find(const struct admin_group *group,
                                                 const struct admin_partition *partition)
{
    size_t low = 0, high = group->offset_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct admin_offset *at = &group->offsets[middle];
        struct admin_partition here = { at->topic, at->partition };
        int order = admin_group_partition_order(&here, partition);
        if (order == 0)
            return at;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void rows_build(struct client *memory, struct view *view)
{
    const struct admin_group *group = view->group;
    size_t most = group->offset_count;
    for (int32_t m = 0; m < group->member_count; m++)
        most += group->members[m].current.count;
    view->rows = client_new(memory, struct row, most);
    bool *read = client_new(memory, bool, group->offset_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        const struct admin_assignment *current = &group->members[m].current;
        for (size_t p = 0; p < current->count; p++) {
            const struct admin_offset *committed = committed_find(group, &current->partitions[p]);
            view->rows[view->row_count++] = (struct row){ .topic = current->partitions[p].topic,
                                                          .partition = current->partitions[p].partition,
                                                          .committed = committed,
                                                          .member = &group->members[m] };
            if (committed)
                read[committed - group->offsets] = true;
        }
    }
    for (size_t i = 0; i < group->offset_count; i++)
        if (!read[i])
            view->rows[view->row_count++] = (struct row){ .topic = group->offsets[i].topic,
                                                          .partition = group->offsets[i].partition,
                                                          .committed = &group->offsets[i] };
    qsort(view->rows, view->row_count, sizeof(*view->rows), row_order);
}

static int log_order(const void *left, const void *right)
{
    const struct log_offset *a = left;
    const struct log_offset *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Ends of all partitions of all views, each asked for once. */
static enum exit_code ends_find(struct cluster *cluster, struct view *views, size_t count)
{
    size_t total = 0, kept = 0;
    for (size_t v = 0; v < count; v++)
        total += views[v].row_count;
    struct log_offset *ends = client_new(cluster_first(cluster), struct log_offset, total);
    for (size_t v = 0, at = 0; v < count; v++)
        for (size_t i = 0; i < views[v].row_count; i++, at++)
            ends[at] = (struct log_offset){ .topic = views[v].rows[i].topic, .partition = views[v].rows[i].partition };
    qsort(ends, total, sizeof(*ends), log_order);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || log_order(&ends[kept - 1], &ends[i]) != 0)
            ends[kept++] = ends[i];
    enum exit_code code = kept > 0 ? offsets_find(cluster, ends, kept, OFFSETS_LATEST) : EXIT_CODE_OK;
    for (size_t v = 0; v < count && code == EXIT_CODE_OK; v++)
        for (size_t i = 0; i < views[v].row_count; i++) {
            struct log_offset key = { .topic = views[v].rows[i].topic, .partition = views[v].rows[i].partition };
            const struct log_offset *found = bsearch(&key, ends, kept, sizeof(key), log_order);
            views[v].rows[i].end = found ? found->offset : -1;
        }
    return code;
}

static bool row_lag(const struct row *row, int64_t *ret)
{
    if (!row->committed || row->committed->error != KAFKA_NONE || row->end < 0)
        return false;
    *ret = row->end - row->committed->offset;
    return true;
}

static void totals_count(struct view *view)
{
    int64_t lag;
    for (size_t i = 0; i < view->row_count; i++) {
        if (i > 0 && row_order(&view->rows[i - 1], &view->rows[i]) == 0)
            continue; /* two members claim it */
        view->partition_count++;
        if (row_lag(&view->rows[i], &lag))
            view->lag += lag;
        else
            view->unknown_count++;
    }
}

static enum exit_code groups_choose(const struct describe *d, struct cluster *cluster, struct admin_group **ret,
                                    size_t *ret_count)
{
    struct odk_str types[] = { ODK_STR("classic"), ODK_STR("consumer") };
    struct admin_groups_filter filter = { .types = types, .type_count = countof(types) };
    if (d->all)
        return admin_groups_list(cluster, &filter, ret, ret_count);
    *ret_count = d->names.count;
    *ret = admin_groups_named(cluster, d->names.items, ret_count);
    return EXIT_CODE_OK;
}

static enum exit_code views_collect(const struct describe *d, struct cluster *cluster, struct view **ret, size_t *count)
{
    struct admin_group *groups = NULL;
    enum exit_code code = groups_choose(d, cluster, &groups, count);
    if (code == EXIT_CODE_OK && *count > 0)
        code = admin_groups_describe(cluster, groups, *count);
    if (code == EXIT_CODE_OK && d->offsets)
        code = admin_groups_committed(cluster, groups, *count);
    struct view *views = client_new(cluster_first(cluster), struct view, *count);
    for (size_t i = 0; i < *count && code == EXIT_CODE_OK; i++) {
        views[i].group = &groups[i];
        if (groups[i].error == KAFKA_NONE && d->offsets)
            rows_build(cluster_first(cluster), &views[i]);
    }
    if (code == EXIT_CODE_OK && d->offsets)
        code = ends_find(cluster, views, *count);
    for (size_t i = 0; i < *count && code == EXIT_CODE_OK; i++)
        totals_count(&views[i]);
    *ret = views;
    return code;
}

/* -- tables ---------------------------------------------------------------------------------------------------------
 */

static void table_text_or_dash(struct table *table, struct odk_str text)
{
    table_str(table, text.len > 0 ? text : ODK_STR("-"));
}

static void offsets_table(const struct view *views, size_t count, FILE *out)
{
    static const char *const heads[] = { "GROUP", "TOPIC",       "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET",
                                         "LAG",   "CONSUMER-ID", "HOST",      "CLIENT-ID" };
    struct table table;
    size_t rows = 0;
    table_init(&table, heads, countof(heads));
    for (size_t v = 0; v < count; v++) {
        for (size_t i = 0; i < views[v].row_count; i++, rows++) {
            const struct row *row = &views[v].rows[i];
            bool committed = row->committed && row->committed->error == KAFKA_NONE;
            int64_t lag;
            table_str(&table, views[v].group->id);
            table_str(&table, row->topic);
            table_int(&table, row->partition);
            table_int_or_dash(&table, committed ? row->committed->offset : -1);
            table_int_or_dash(&table, row->end);
            if (row_lag(row, &lag))
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

static void members_table(const struct view *views, size_t count, FILE *out)
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

static void coordinator_print(struct cluster *cluster, const struct admin_group *group, char *ret, size_t len)
{
    const struct metadata_response_broker *node = cluster_node_find(cluster, group->coordinator);
    ret[0] = '\0';
    if (node)
        (void)snprintf(ret, len, "%.*s:%d", ODK_STR_FMT(node->host), node->port);
}

static void state_table(struct cluster *cluster, const struct view *views, size_t count, FILE *out)
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
static void summary_print(const struct describe *d, const struct view *view, FILE *out)
{
    const struct admin_group *group = view->group;
    (void)fprintf(out, "%s: %s, %d member%s", cli_escaped(group->id).text, cli_escaped(group->state).text,
                  group->member_count, plural((size_t)group->member_count));
    if (d->offsets && view->partition_count == 0)
        (void)fprintf(out, ", no committed offsets");
    else if (d->offsets)
        (void)fprintf(out, ", %zu partition%s, lag %lld", view->partition_count, plural(view->partition_count),
                      (long long)view->lag);
    if (d->offsets && view->unknown_count > 0)
        (void)fprintf(out, " (unknown for %zu partition%s)", view->unknown_count, plural(view->unknown_count));
    (void)fputc('\n', out);
}

static void tables_print(const struct describe *d, struct cluster *cluster, const struct view *views, size_t count,
                         FILE *out)
{
    if (d->state)
        state_table(cluster, views, count, out);
    if (d->members)
        members_table(views, count, out);
    if (d->offsets)
        offsets_table(views, count, out);
    for (size_t v = 0; v < count; v++)
        if (views[v].group->error == KAFKA_NONE)
            summary_print(d, &views[v], out);
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

static void rows_json(const struct view *view, struct json *json)
{
    json_int(json, "lag", view->lag);
    json_int(json, "lag_unknown_partitions", (int64_t)view->unknown_count);
    json_array(json, "partitions");
    for (size_t i = 0; i < view->row_count; i++) {
        const struct row *row = &view->rows[i];
        const struct admin_offset *committed = row->committed;
        bool good = committed && committed->error == KAFKA_NONE;
        int64_t lag = 0;
        bool known = row_lag(row, &lag);
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

static void view_json(const struct describe *d, struct cluster *cluster, const struct view *view, struct json *json)
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
        if (d->members)
            members_json(group, json);
        if (d->offsets)
            rows_json(view, json);
    }
    json_end(json);
    json_line(json);
}

/* -- the command line -----------------------------------------------------------------------------------------------
 */

static int complain(FILE *err, int code, const char *text)
{
    (void)fprintf(err, "odradek: %s\n", text);
    return code;
}

static int views_print(const struct describe *d, struct cluster *cluster, const struct view *views, size_t count,
                       FILE *out, FILE *err)
{
    int worst = EXIT_CODE_OK;
    struct json json;
    json_init(&json, out);
    for (size_t v = 0; v < count && d->common.json; v++)
        view_json(d, cluster, &views[v], &json);
    if (!d->common.json)
        tables_print(d, cluster, views, count, out);
    for (size_t v = 0; v < count; v++)
        if (views[v].group->error != KAFKA_NONE)
            worst = cli_worse(worst, complain(err, group_exit_code(views[v].group), group_why(views[v].group).text));
    return worst;
}

/* Everything once: connects, asks, prints. */
static int describe_print(void *context, FILE *out, FILE *err)
{
    const struct describe *d = context;
    struct client_options options = cli_options(&d->common);
    struct cluster *cluster = NULL;
    struct view *views = NULL;
    size_t count = 0;
    int code = (int)cluster_open(&options, &cluster);
    if (code == EXIT_CODE_OK)
        code = (int)views_collect(d, cluster, &views, &count);
    if (code != EXIT_CODE_OK)
        (void)complain(err, code, cluster_why(cluster));
    else
        code = views_print(d, cluster, views, count, out, err);
    cluster_close(cluster);
    return code;
}

static int describe_start(struct describe *d, const struct args_spec *spec)
{
    int64_t every_ms = 0;
    if (d->all == (d->names.count > 0))
        return args_mistake(spec, d->all ? "--all and names exclude each other" : "missing operand: GROUP, or --all");
    if (!d->offsets && !d->members && !d->state) {
        d->offsets = true;
        d->members = d->state = d->common.json;
    }
    if (!d->every)
        return describe_print(d, stdout, stderr);
    int code = watch_parse(spec, d->every, &every_ms);
    enum watch_style style = d->common.json ? WATCH_APPEND : WATCH_REDRAW;
    return code == ARGS_GO_ON ? watch_run(style, every_ms, describe_print, d) : code;
}

int group_describe(int argc, char **argv)
{
    struct describe d = { .common = cli_common() };
    const struct args_option options[] = {
        { "offsets", 0, ARGS_FLAG, NULL, "offsets and lag by partition (default)", &d.offsets },
        { "members", 'm', ARGS_FLAG, NULL, "members and what they read", &d.members },
        { "state", 's', ARGS_FLAG, NULL, "state, coordinator, assignor, epochs", &d.state },
        { "all", 'a', ARGS_FLAG, NULL, "all classic and consumer groups", &d.all },
        { "watch", 'w', ARGS_TEXT, "[SECONDS]", "again and again (default: every 2 seconds)", &d.every,
          .otherwise = "2" },
        CLI_JSON_ROW(d.common),
        CLI_BROKERS_ROW(d.common),
        CLI_TIMEOUT_ROW(d.common),
    };
    struct args_spec spec = {
        "group describe",
        "Shows where groups stand, how far behind they are and who reads what.",
        "[GROUP...]",
        options,
        countof(options),
        0,
        SIZE_MAX,
        "LAG is in records: the log's end minus the committed offset; - where one of them is unknown.\n"
        "--offsets, --members and --state may be combined; --json prints all three unless some are chosen.\n\n"
        "examples:\n"
        "  odradek group describe orders\n"
        "  odradek group describe orders --watch 1\n"
        "  odradek group describe --all --json | jq '{group, lag}'",
    };
    int code = args_parse(&spec, argc, argv, &d.names);
    return code == ARGS_GO_ON ? describe_start(&d, &spec) : code;
}
