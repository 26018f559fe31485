/*
 * odradek group reset: moves a group's committed offsets, by a plan that is shown first.
 *
 * A group with members takes offsets from nobody but them. With --live the members are sent away and the offsets are
 * stored in the same breath; the members notice at their next heartbeat, join again and go on from the new offsets.
 */
#include <stdlib.h>
#include <string.h>

#include "client/moment.h"
#include "group_reset.h"

#define ATTEMPTS_MAX   5
#define AGAIN_PAUSE_MS 200
#define FILE_BYTES_MAX (16u * 1024 * 1024)
#define UNSET          INT64_MIN /* of an option with a number */

/* -- doing it -------------------------------------------------------------------------------------------------------
 */

/* Somebody joined between leave and commit, or before it. */
static bool member_got_in(int16_t error)
{
    return error == KAFKA_UNKNOWN_MEMBER_ID || error == KAFKA_REBALANCE_IN_PROGRESS ||
           error == KAFKA_ILLEGAL_GENERATION || error == KAFKA_STALE_MEMBER_EPOCH;
}

static int refused(const struct reset *reset)
{
    const struct admin_group *group = reset->group;
    return cli_fail(EXIT_CODE_REFUSED,
                    "group %s is %s with %d member%s, which would go on from where they are: stop them first, or add "
                    "--live to have them removed and start again at the new offsets",
                    cli_escaped(group->id).text, cli_escaped(group->state).text, group->member_count,
                    group->member_count == 1 ? "" : "s");
}

/* Reads state and members anew. A group that is not there yet is made by the commit. */
static int group_look(struct reset *reset)
{
    struct admin_group *group = reset->group;
    enum exit_code code = admin_groups_describe(reset->cluster, group, 1);
    if (code != EXIT_CODE_OK)
        return reset_failed(reset, code);
    if (group->error == KAFKA_GROUP_ID_NOT_FOUND && group->type != ADMIN_OTHER) {
        group->error = KAFKA_NONE;
        group->member_count = 0;
    }
    return group->error == KAFKA_NONE ? EXIT_CODE_OK : reset_group_failed(reset);
}

/*
 * Waits until a rebalance has gathered its members, at most for the timeout. A group that was empty and has just begun
 * one (group.initial.rebalance.delay.ms) stays in it when they are sent away, and takes offsets from nobody meanwhile.
 */
static int group_settle(struct reset *reset)
{
    int64_t until_ms = cluster_deadline(reset->cluster);
    int code;
    do {
        client_pause(reset_memory(reset), AGAIN_PAUSE_MS);
        code = group_look(reset);
    } while (code == EXIT_CODE_OK && odk_str_eq(reset->group->state, ODK_STR("PreparingRebalance")) &&
             client_mono_ms(reset_memory(reset)) < until_ms);
    return code;
}

static int rows_judge(const struct reset *reset, const struct admin_commit *commit)
{
    int worst = EXIT_CODE_OK;
    for (size_t i = 0; i < reset->row_count; i++) {
        struct cli_text topic = cli_escaped(reset->rows[i].topic);
        int32_t partition = reset->rows[i].partition;
        int code = EXIT_CODE_OK;
        if (commit->errors[i] != KAFKA_NONE)
            code = cli_fail(client_exit_code(commit->errors[i]), "group %s, topic %s, partition %d: %s",
                            cli_escaped(reset->group->id).text, topic.text, partition,
                            group_error_text(commit->errors[i]));
        else if (commit->stored[i] != reset->rows[i].target)
            code = cli_fail(EXIT_CODE_FAILURE,
                            "group %s, topic %s, partition %d: stored, but reads %lld afterwards: somebody else has "
                            "committed",
                            cli_escaped(reset->group->id).text, topic.text, partition, (long long)commit->stored[i]);
        worst = MAX(worst, code);
    }
    return worst;
}

static bool any_got_in(const struct admin_commit *commit)
{
    for (size_t i = 0; i < commit->count; i++)
        if (member_got_in(commit->errors[i]))
            return true;
    return false;
}

static void told(const struct reset *reset, int32_t removed)
{
    (void)fprintf(stderr, "group %s: %zu offset%s stored and read back", cli_escaped(reset->group->id).text,
                  reset->row_count, reset->row_count == 1 ? "" : "s");
    if (removed > 0)
        (void)fprintf(stderr, "; %d member%s removed, to join again by %s", removed, removed == 1 ? "" : "s",
                      removed == 1 ? "itself" : "themselves");
    (void)fputc('\n', stderr);
}

static int plan_execute(struct reset *reset, struct admin_commit *commit)
{
    for (unsigned attempt = 1;; attempt++) {
        int32_t members = reset->group->member_count;
        if (members > 0 && !reset->live)
            return refused(reset);
        enum exit_code code = admin_commit(reset->cluster, reset->group, commit);
        if (code != EXIT_CODE_OK)
            return reset_failed(reset, code);
        if (reset->group->error != KAFKA_NONE)
            return reset_group_failed(reset);
        if (!any_got_in(commit)) {
            int judged = rows_judge(reset, commit);
            if (judged == EXIT_CODE_OK)
                told(reset, members);
            return judged;
        }
        if (attempt == ATTEMPTS_MAX)
            return cli_fail(EXIT_CODE_REFUSED,
                            "group %s: members kept joining in between, %d times; the offsets are as they were; try "
                            "again, or stop the members",
                            cli_escaped(reset->group->id).text, ATTEMPTS_MAX);
        int looked = group_settle(reset);
        if (looked != EXIT_CODE_OK)
            return looked;
    }
}

static int dry_run_told(const struct reset *reset)
{
    bool members = reset->group->member_count > 0;
    if (!reset->export)
        (void)fprintf(stderr, "nothing was changed; to do it add --execute%s\n",
                      members ? " --live (the group has members, they will be removed and join again)" : "");
    return EXIT_CODE_OK;
}

static int reset_run(struct reset *reset, char *name)
{
    size_t one = 1;
    int code = cli_cluster(&reset->common, &reset->cluster);
    if (code != EXIT_CODE_OK)
        return code;
    reset->group = admin_groups_named(reset->cluster, &name, &one);
    code = group_look(reset);
    if (code != EXIT_CODE_OK)
        return code;
    enum exit_code asked = admin_groups_committed(reset->cluster, reset->group, 1);
    if (asked != EXIT_CODE_OK)
        return reset_failed(reset, asked);
    if (reset->group->error != KAFKA_NONE)
        return reset_group_failed(reset);
    code = reset_plan(reset);
    if (code != EXIT_CODE_OK)
        return code;
    struct admin_commit commit = { .rows = reset->rows,
                                   .count = reset->row_count,
                                   .errors = client_new(reset_memory(reset), int16_t, reset->row_count),
                                   .stored = client_new(reset_memory(reset), int64_t, reset->row_count) };
    for (size_t i = 0; i < reset->row_count; i++)
        commit.stored[i] = -1;
    bool after = reset->common.json; /* which also says what was done */
    if (!after)
        reset_plan_show(reset, &commit);
    code = reset->execute ? plan_execute(reset, &commit) : dry_run_told(reset);
    if (after)
        reset_plan_show(reset, &commit);
    return code;
}

/* -- the command line -----------------------------------------------------------------------------------------------
 */

static int scenario_add(const struct args_spec *spec, struct plan_scenario *scenario, bool given, enum plan_kind kind,
                        int64_t value)
{
    if (!given)
        return ARGS_GO_ON;
    if (scenario->kind != PLAN_NONE)
        return args_mistake(spec, "only one of --to-..., --shift-by, --by-duration and --from-file");
    *scenario = (struct plan_scenario){ kind, value };
    return ARGS_GO_ON;
}

/* No record is older than 1970; numbers below that have other meanings in ListOffsets. */
static int64_t moment_before_now(int64_t duration_ms)
{
    int64_t moment_ms;
    if (__builtin_sub_overflow(client_wall_ms(), duration_ms, &moment_ms))
        moment_ms = duration_ms < 0 ? INT64_MAX : 0;
    return MAX(moment_ms, 0);
}

static int scenario_choose(struct reset *reset, const struct args_spec *spec)
{
    int64_t moment = 0, duration = 0;
    if (reset->to_datetime && !moment_parse(reset->to_datetime, &moment))
        return args_mistake(spec,
                            "--to-datetime: '%s' is not a time (example: 2026-11-22T10:00:00.000, in UTC; or with "
                            "a zone: 2026-11-22T12:00:00+02:00)",
                            reset->to_datetime);
    if (reset->by_duration && !moment_duration(reset->by_duration, &duration) &&
        !args_ms(reset->by_duration, &duration))
        return args_mistake(spec, "--by-duration: '%s' is not a duration (examples: PT1H30M, P7D, 90m)",
                            reset->by_duration);
    const struct {
        bool given;
        enum plan_kind kind;
        int64_t value;
    } choices[] = {
        { reset->to_earliest, PLAN_TO_EARLIEST, 0 },
        { reset->to_latest, PLAN_TO_LATEST, 0 },
        { reset->to_current, PLAN_TO_CURRENT, 0 },
        { reset->to_offset != UNSET, PLAN_TO_OFFSET, reset->to_offset },
        { reset->shift_by != UNSET, PLAN_SHIFT_BY, reset->shift_by },
        { reset->to_datetime != NULL, PLAN_TO_MOMENT, MAX(moment, 0) },
        { reset->by_duration != NULL, PLAN_TO_MOMENT, moment_before_now(duration) },
        { reset->from_file != NULL, PLAN_FROM_FILE, 0 },
    };
    int code = ARGS_GO_ON;
    for (size_t i = 0; i < countof(choices) && code == ARGS_GO_ON; i++)
        code = scenario_add(spec, &reset->scenario, choices[i].given, choices[i].kind, choices[i].value);
    if (code == ARGS_GO_ON && reset->scenario.kind == PLAN_NONE)
        return args_mistake(spec, "where to? --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, "
                                  "--to-datetime, --by-duration or --from-file");
    return code;
}

static int scope_check(const struct reset *reset, const struct args_spec *spec)
{
    int scopes = reset->all_topics + (reset->topics.count > 0) + (reset->from_file != NULL);
    if (scopes == 0)
        return args_mistake(spec, "of which topics? --all-topics or --topic TOPIC");
    if (scopes > 1)
        return args_mistake(spec, "only one of --all-topics, --topic and --from-file");
    for (size_t i = 0; i < reset->topics.count; i++) {
        int code = group_scope_check(spec, reset->topics.items[i]);
        if (code != ARGS_GO_ON)
            return code;
    }
    if (reset->live && !reset->execute)
        return args_mistake(spec, "--live needs --execute");
    if (reset->export && reset->common.json)
        return args_mistake(spec, "--export and --json exclude each other");
    return ARGS_GO_ON;
}

/* Before anything is asked: a file that cannot be read is a mistake of the command line. */
static int file_load(struct reset *reset)
{
    size_t len = 0;
    if (!reset->from_file)
        return ARGS_GO_ON;
    FILE *file = fopen(reset->from_file, "r");
    if (!file)
        return cli_fail(EXIT_CODE_NOT_FOUND, "cannot open %s: %m", reset->from_file);
    reset->file = xcalloc(1, FILE_BYTES_MAX + 1);
    len = fread(reset->file, 1, FILE_BYTES_MAX + 1, file);
    bool bad = ferror(file) != 0 || len > FILE_BYTES_MAX || memchr(reset->file, '\0', len) != NULL;
    (void)fclose(file);
    if (bad)
        return cli_fail(EXIT_CODE_FAILURE, "%s is not a text of at most 16 MiB", reset->from_file);
    return ARGS_GO_ON;
}

static const char details[] =
    "scope:    --all-topics is all that the group has committed; --topic may be repeated; --from-file brings its own\n"
    "scenario: exactly one. Offsets outside the log are moved to its nearer end, which the plan notes\n"
    "time:     UTC where no zone is named; durations are ISO 8601 (PT1H30M, P7D) or 90m, 7d\n"
    "file:     Kafka's CSV: topic,partition,offset or group,topic,partition,offset; --export writes the former\n\n"
    "Nothing is changed without --execute. A group that has members is refused, unless --live is given: then they are\n"
    "removed and the offsets stored in the same breath, before one of them can join again; they notice at their next\n"
    "heartbeat (seconds), join by themselves and go on from the new offsets. What was stored is read back in any "
    "case.\n\n"
    "examples:\n"
    "  odradek group reset orders --all-topics --to-current --export > before.csv\n"
    "  odradek group reset orders --topic paid:0,1 --shift-by -100\n"
    "  odradek group reset orders --all-topics --to-datetime 2026-11-22T10:00:00 --execute --live\n"
    "  odradek group reset orders --from-file before.csv --execute";

int group_reset(int argc, char **argv)
{
    struct reset reset = { .common = cli_common(), .to_offset = UNSET, .shift_by = UNSET };
    const struct args_option options[] = {
        { "all-topics", 'a', ARGS_FLAG, NULL, "all partitions the group has committed", &reset.all_topics },
        { "topic", 't', ARGS_LIST, "TOPIC[:N,N]", "a topic, or some partitions of it; may be repeated", &reset.topics },
        { "to-earliest", 0, ARGS_FLAG, NULL, "the log's start", &reset.to_earliest },
        { "to-latest", 0, ARGS_FLAG, NULL, "the log's end", &reset.to_latest },
        { "to-current", 0, ARGS_FLAG, NULL, "what is committed (to export it)", &reset.to_current },
        { "to-offset", 0, ARGS_INT, "N", "this offset", &reset.to_offset, 0, INT64_MAX },
        { "shift-by", 0, ARGS_INT, "N", "N records forward, or back if negative", &reset.shift_by, -INT64_MAX,
          INT64_MAX },
        { "to-datetime", 0, ARGS_TEXT, "TIME", "the first record at or behind this time", &reset.to_datetime },
        { "by-duration", 0, ARGS_TEXT, "DURATION", "the same, so long before now", &reset.by_duration },
        { "from-file", 'f', ARGS_TEXT, "CSV", "what a file says", &reset.from_file },
        { "execute", 0, ARGS_FLAG, NULL, "do it", &reset.execute },
        { "live", 0, ARGS_FLAG, NULL, "also to a group that has members", &reset.live },
        { "export", 0, ARGS_FLAG, NULL, "print the plan as CSV", &reset.export },
        CLI_JSON_ROW(reset.common),
        CLI_BROKERS_ROW(reset.common),
        CLI_TIMEOUT_ROW(reset.common),
    };
    struct args_spec spec = {
        "group reset", "Moves the committed offsets of a group.", "GROUP", options, countof(options), 1, 1, details
    };
    struct args_operands name;
    int code = args_parse(&spec, argc, argv, &name);
    if (code == ARGS_GO_ON)
        code = scenario_choose(&reset, &spec);
    if (code == ARGS_GO_ON)
        code = scope_check(&reset, &spec);
    if (code == ARGS_GO_ON)
        code = file_load(&reset);
    if (code == ARGS_GO_ON)
        code = reset_run(&reset, name.items[0]);
    cluster_close(reset.cluster);
    args_list_deinit(&reset.topics);
    free(reset.file);
    return code;
}
