/*
 * odradek group describe: where a group stands in each partition, how far behind, and who reads it.
 *
 * Lag is the log's end minus the committed offset, as Kafka's tool counts it. All groups are asked in a handful of
 * requests: describe, committed offsets, and one ListOffsets for all their partitions.
 */
#include <stdlib.h>
#include <string.h>

#include "client/offsets.h"
#include "group.h"
#include "group_view.h"
#include "watch.h"

struct describe {
    struct cli_common common;
    struct args_operands names;
    const char *every; /* --watch; NULL: once */
    bool all;
    struct group_parts parts;
};

/* -- collecting -----------------------------------------------------------------------------------------------------
 */

static void rows_build(struct client *memory, struct group_view *view)
{
    const struct admin_group *group = view->group;
    size_t most = group->offset_count;
    for (int32_t m = 0; m < group->member_count; m++)
        most += group->members[m].current.count;
    view->rows = client_new(memory, struct group_row, most);
    bool *read = client_new(memory, bool, group->offset_count);
    for (int32_t m = 0; m < group->member_count; m++) {
        const struct admin_assignment *current = &group->members[m].current;
        for (size_t p = 0; p < current->count; p++) {
            const struct admin_offset *committed =
                admin_offset_find(group, current->partitions[p].topic, current->partitions[p].partition);
            view->rows[view->row_count++] = (struct group_row){ .topic = current->partitions[p].topic,
                                                                .partition = current->partitions[p].partition,
                                                                .committed = committed,
                                                                .member = &group->members[m] };
            if (committed)
                read[committed - group->offsets] = true;
        }
    }
    for (size_t i = 0; i < group->offset_count; i++)
        if (!read[i])
            view->rows[view->row_count++] = (struct group_row){ .topic = group->offsets[i].topic,
                                                                .partition = group->offsets[i].partition,
                                                                .committed = &group->offsets[i] };
    qsort(view->rows, view->row_count, sizeof(*view->rows), group_row_order);
}

/* Ends of all partitions of all views, each asked for once. */
static enum exit_code ends_find(struct cluster *cluster, struct group_view *views, size_t count)
{
    size_t total = 0, kept = 0;
    for (size_t v = 0; v < count; v++)
        total += views[v].row_count;
    struct log_offset *ends = client_new(cluster_first(cluster), struct log_offset, total);
    for (size_t v = 0, at = 0; v < count; v++)
        for (size_t i = 0; i < views[v].row_count; i++, at++)
            ends[at] = (struct log_offset){ .topic = views[v].rows[i].topic, .partition = views[v].rows[i].partition };
    qsort(ends, total, sizeof(*ends), log_offset_order);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || log_offset_order(&ends[kept - 1], &ends[i]) != 0)
            ends[kept++] = ends[i];
    enum exit_code code = kept > 0 ? offsets_find(cluster, ends, kept, OFFSETS_LATEST) : EXIT_CODE_OK;
    for (size_t v = 0; v < count && code == EXIT_CODE_OK; v++)
        for (size_t i = 0; i < views[v].row_count; i++) {
            struct log_offset key = { .topic = views[v].rows[i].topic, .partition = views[v].rows[i].partition };
            const struct log_offset *found = bsearch(&key, ends, kept, sizeof(key), log_offset_order);
            views[v].rows[i].end = found ? found->offset : -1;
        }
    return code;
}

static void totals_count(struct group_view *view)
{
    int64_t lag;
    for (size_t i = 0; i < view->row_count; i++) {
        if (i > 0 && group_row_order(&view->rows[i - 1], &view->rows[i]) == 0)
            continue; /* two members claim it */
        view->partition_count++;
        if (group_row_lag(&view->rows[i], &lag))
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

static enum exit_code views_collect(const struct describe *d, struct cluster *cluster, struct group_view **ret,
                                    size_t *count)
{
    struct admin_group *groups = NULL;
    enum exit_code code = groups_choose(d, cluster, &groups, count);
    if (code == EXIT_CODE_OK && *count > 0)
        code = admin_groups_describe(cluster, groups, *count);
    if (code == EXIT_CODE_OK && d->parts.offsets)
        code = admin_groups_committed(cluster, groups, *count);
    struct group_view *views = client_new(cluster_first(cluster), struct group_view, *count);
    for (size_t i = 0; i < *count && code == EXIT_CODE_OK; i++) {
        views[i].group = &groups[i];
        if (groups[i].error == KAFKA_NONE && d->parts.offsets)
            rows_build(cluster_first(cluster), &views[i]);
    }
    if (code == EXIT_CODE_OK && d->parts.offsets)
        code = ends_find(cluster, views, *count);
    for (size_t i = 0; i < *count && code == EXIT_CODE_OK; i++)
        totals_count(&views[i]);
    *ret = views;
    return code;
}

/* -- the command line -----------------------------------------------------------------------------------------------
 */

static int complain(FILE *err, int code, const char *text)
{
    (void)fprintf(err, "odradek: %s\n", text);
    return code;
}

static int views_print(const struct describe *d, struct cluster *cluster, const struct group_view *views, size_t count,
                       FILE *out, FILE *err)
{
    int worst = EXIT_CODE_OK;
    if (d->common.json)
        group_views_json(&d->parts, cluster, views, count, out);
    else
        group_views_tables(&d->parts, cluster, views, count, out);
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
    struct group_view *views = NULL;
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
    if (!d->parts.offsets && !d->parts.members && !d->parts.state) {
        d->parts.offsets = true;
        d->parts.members = d->parts.state = d->common.json;
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
        { "offsets", 0, ARGS_FLAG, NULL, "offsets and lag by partition (default)", &d.parts.offsets },
        { "members", 'm', ARGS_FLAG, NULL, "members and what they read", &d.parts.members },
        { "state", 's', ARGS_FLAG, NULL, "state, coordinator, assignor, epochs", &d.parts.state },
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
