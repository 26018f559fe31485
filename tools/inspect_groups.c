/* odradek inspect groups: committed offsets with their lag, from the files of __consumer_offsets and of the topics. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "client/plan.h"
#include "inspect.h"
#include "inspect_committed.h"

#define OFFSETS_TOPIC "__consumer_offsets"
#define SINCE_BYTES_MAX (64u << 20)

struct groups {
    struct inspect inspect;
    bool lagging;
    bool export;
    const char *since;
    int64_t fail_above;
    int64_t fail_above_ms;
    struct args_operands names; /* none: all groups */
    int64_t now_ms;
    struct rows rows;
    size_t seen; /* of names: bit by place */
    bool exceeded;
    /* --since */
    void *since_text;
    size_t since_len;
    struct arena arena;
    struct odk_str since_group; /* whose rows these are */
    struct plan_row *since_rows;
    size_t since_count;
};

/* Where a partition stands beside a committed offset. */
struct standing {
    int64_t start; /* -1: the partition has no files */
    int64_t end;
    int64_t lag;
    int64_t lag_ms; /* how long the first record that was not read has been there; 0: none is */
    int64_t next_ms;
};

static const struct rows_column columns[] = {
    { "GROUP", "group", ROWS_TEXT, 16 },
    { "TOPIC", "topic", ROWS_TEXT, 16 },
    { "PARTITION", "partition", ROWS_INT, 9 },
    { "COMMITTED", "committed_offset", ROWS_INT, 11 },
    { "START", "start", ROWS_INT, 11 },
    { "END", "end", ROWS_INT, 11 },
    { "LAG", "lag", ROWS_INT, 9 },
    { "LAG-TIME", "lag_ms", ROWS_DURATION, 8 },
    { "COMMITTED-AGO", "committed_ago_ms", ROWS_DURATION, 13 },
    { "COMMITTED-AT", "committed_at", ROWS_TIME, 24 },
    { "BEFORE", "before", ROWS_INT, 9 },
};

/* -- lag ----------------------------------------------------------------------------------------------------------- */

static int64_t record_time(struct odk_part *part, int64_t offset)
{
    struct odk_reader *reader = odk_reader_new(part);
    struct odk_record_iter it;
    struct odk_record record;
    struct odk_batch_at batch;
    int64_t time = -1;
    odk_reader_seek(reader, offset);
    if (odk_reader_next(reader, &batch) == ODK_OK && odk_batch_check_crc(batch.bytes) == ODK_OK) {
        enum odk_err err = odk_record_iter_init(&it, batch.bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
        while (err == ODK_OK && time < 0 && odk_record_next(&it, &record))
            if (record.offset >= offset)
                time = batch.header.attributes & ODK_BATCH_LOG_APPEND_TIME ? batch.header.max_timestamp
                                                                           : record.timestamp;
        err = odk_record_iter_end(&it);
        time = err == ODK_OK || time >= 0 ? time : -1;
    }
    odk_reader_free(reader);
    return time;
}

/* The exit code; explained. */
static int standing_find(const struct groups *groups, const struct committed *commit, struct standing *ret)
{
    struct inspect_target target = { .topic = commit->topic, .partition = commit->partition };
    struct odk_part *part;
    struct odk_part_end end;
    size_t first, count = odk_dir_find(groups->inspect.dir, target.topic, &first);
    const struct odk_part_name *name = NULL;
    *ret = (struct standing){ .start = -1, .end = -1, .lag = -1, .lag_ms = -1, .next_ms = -1 };
    for (size_t i = first; i < first + count; i++)
        if (odk_dir_at(groups->inspect.dir, i)->partition == commit->partition)
            name = odk_dir_at(groups->inspect.dir, i);
    if (!name)
        return EXIT_CODE_OK;
    enum odk_err err = odk_part_open(groups->inspect.dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    odk_part_find_end(part, &end);
    ret->start = odk_part_start(part);
    ret->end = end.offset;
    ret->lag = MAX(0, end.offset - commit->offset);
    if (ret->lag > 0)
        ret->next_ms = record_time(part, MAX(commit->offset, ret->start));
    ret->lag_ms = ret->lag == 0 ? 0 : ret->next_ms < 0 ? -1 : MAX(0, groups->now_ms - ret->next_ms);
    odk_part_close(part);
    if (end.err == ODK_OK || end.err == ODK_ERR_TRUNCATED)
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(end.err), "%s: behind offset %lld: %s", name->folder, (long long)end.offset,
                    odk_err_text(end.err));
}

/* -- a snapshot to compare with ------------------------------------------------------------------------------------- */

static int since_load(struct groups *groups)
{
    if (!groups->since)
        return EXIT_CODE_OK;
    enum odk_err err =
        odk_io_load(groups->inspect.io, groups->since, SINCE_BYTES_MAX, &groups->since_text, &groups->since_len);
    return err == ODK_OK ? EXIT_CODE_OK : cli_fail(inspect_code(err), "%s: %s", groups->since, odk_err_text(err));
}

/* Offset in the snapshot; -1: not in it. */
static int since_find(struct groups *groups, const struct committed *commit, int64_t *ret)
{
    char why[256];
    *ret = -1;
    if (!groups->since)
        return EXIT_CODE_OK;
    if (!odk_str_eq(groups->since_group, commit->group)) {
        struct odk_str text = { groups->since_text, groups->since_len };
        arena_reset(&groups->arena);
        groups->since_group = commit->group;
        if (!plan_csv_read(text, commit->group, &groups->arena, &groups->since_rows, &groups->since_count, why,
                           sizeof(why)))
            return cli_fail(EXIT_CODE_FAILURE, "%s: %s", groups->since, why);
    }
    for (size_t i = 0; i < groups->since_count; i++)
        if (groups->since_rows[i].partition == commit->partition &&
            odk_str_eq(groups->since_rows[i].topic, commit->topic))
            *ret = groups->since_rows[i].asked;
    return EXIT_CODE_OK;
}

/* -- rows ---------------------------------------------------------------------------------------------------------- */

static bool group_wanted(struct groups *groups, struct odk_str group)
{
    bool found = groups->names.count == 0;
    for (size_t i = 0; i < groups->names.count; i++) {
        if (!odk_str_eq(odk_str_from(groups->names.items[i]), group))
            continue;
        found = true;
        if (i < 64)
            groups->seen |= (size_t)1 << i;
    }
    return found;
}

/* A field of Kafka's CSV. */
static void csv_field(struct odk_str text)
{
    bool quoted = text.len == 0;
    for (size_t i = 0; i < text.len; i++)
        quoted |= strchr(",\"\r\n", text.data[i]) != NULL;
    if (quoted)
        (void)putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            (void)putchar('"');
        (void)putchar(text.data[i]);
    }
    if (quoted)
        (void)putchar('"');
}

static int commit_print(struct groups *groups, const struct committed *commit)
{
    struct standing at;
    int64_t before;
    if (groups->export) {
        csv_field(commit->group);
        (void)putchar(',');
        csv_field(commit->topic);
        (void)printf(",%d,%lld\n", commit->partition, (long long)commit->offset);
        return EXIT_CODE_OK;
    }
    int code = standing_find(groups, commit, &at);
    code = cli_worse(code, since_find(groups, commit, &before));
    groups->exceeded |= at.lag > groups->fail_above || at.lag_ms > groups->fail_above_ms;
    if (groups->lagging && at.lag <= 0)
        return code;
    rows_str(&groups->rows, commit->group);
    rows_str(&groups->rows, commit->topic);
    rows_int(&groups->rows, commit->partition);
    rows_int(&groups->rows, commit->offset);
    rows_int(&groups->rows, at.start);
    rows_int(&groups->rows, at.end);
    rows_int(&groups->rows, at.lag);
    rows_int(&groups->rows, at.lag_ms);
    rows_int(&groups->rows, MAX(0, groups->now_ms - commit->committed_ms));
    rows_int(&groups->rows, commit->committed_ms);
    if (groups->since)
        rows_int(&groups->rows, before);
    return code;
}

static int batch_apply(struct committed_state *state, const struct odk_part_name *name, const struct odk_batch_at *batch)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err == ODK_OK) {
        err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
        while (err == ODK_OK && odk_record_next(&it, &record))
            committed_apply(state, &batch->header, &record);
        err = odk_record_iter_end(&it);
    }
    if (err == ODK_OK)
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(err), "%s: segment %020lld, position %llu: %s", name->folder, (long long)batch->segment,
                    (unsigned long long)batch->position, odk_err_text(err));
}

/* Behind damage later commits may stand: what is known up to there is shown, and the exit code says so. */
static int state_read(struct groups *groups, const struct odk_part_name *name, struct committed_state *state)
{
    struct odk_part *part;
    struct odk_batch_at batch;
    enum odk_err err = odk_part_open(groups->inspect.dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    struct odk_reader *reader = odk_reader_new(part);
    int code = EXIT_CODE_OK;
    odk_reader_seek(reader, odk_part_start(part));
    while (code == EXIT_CODE_OK && (err = odk_reader_next(reader, &batch)) == ODK_OK)
        code = batch_apply(state, name, &batch);
    if (code == EXIT_CODE_OK)
        code = inspect_reader_fail(&groups->inspect, name, reader, err);
    odk_reader_free(reader);
    odk_part_close(part);
    if (state->bad_records > 0)
        code = cli_worse(code, cli_fail(EXIT_CODE_CORRUPT, "%s: %llu records cannot be understood", name->folder,
                                        (unsigned long long)state->bad_records));
    return code;
}

/* A group is in one partition of the topic: it can be told when that one has been read. */
static int offsets_run(struct groups *groups, const struct odk_part_name *name)
{
    struct committed_state state = { 0 };
    size_t count;
    int code = state_read(groups, name, &state);
    struct committed **sorted = committed_sorted(&state, &count);
    for (size_t i = 0; i < count && !ferror(stdout); i++)
        if (group_wanted(groups, sorted[i]->group))
            code = cli_worse(code, commit_print(groups, sorted[i]));
    groups->since_group = (struct odk_str){ 0 };
    free(sorted);
    committed_deinit(&state);
    return code;
}

static int groups_run(struct groups *groups)
{
    size_t first, count;
    int code = inspect_open(&groups->inspect);
    if (code == EXIT_CODE_OK)
        code = since_load(groups);
    if (code != EXIT_CODE_OK)
        return code;
    count = odk_dir_find(groups->inspect.dir, ODK_STR(OFFSETS_TOPIC), &first);
    inspect_rows(&groups->inspect, &groups->rows, columns, countof(columns) - !groups->since);
    for (size_t i = first; i < first + count; i++)
        code = cli_worse(code, offsets_run(groups, odk_dir_at(groups->inspect.dir, i)));
    for (size_t i = 0; i < groups->names.count && i < 64; i++)
        if (!(groups->seen >> i & 1))
            code = cli_worse(code, cli_fail(EXIT_CODE_NOT_FOUND, "group %s: no committed offsets in %s",
                                            cli_escaped(odk_str_from(groups->names.items[i])).text,
                                            groups->inspect.data_dir));
    return code == EXIT_CODE_OK && groups->exceeded ? EXIT_CODE_THRESHOLD : code;
}

int inspect_groups(int argc, char **argv)
{
    struct groups groups = { .inspect = inspect_defaults(), .fail_above = INT64_MAX, .fail_above_ms = INT64_MAX };
    const struct args_option options[] = {
        { "lagging", 'l', ARGS_FLAG, NULL, "only partitions with a lag", &groups.lagging },
        { "export", 0, ARGS_FLAG, NULL, "as Kafka's CSV, for: odradek group reset --from-file", &groups.export },
        { "since", 0, ARGS_TEXT, "FILE", "also what an earlier --export says", &groups.since },
        { "fail-above", 0, ARGS_INT, "N", "exit code 7 when a lag is larger", &groups.fail_above, 0, INT64_MAX },
        { "fail-above-time", 0, ARGS_MS, "TIME", "exit code 7 when a lag is older", &groups.fail_above_ms },
        INSPECT_DIR_ROW(groups.inspect),
        INSPECT_JSON_ROW(groups.inspect),
        INSPECT_HEADER_ROW(groups.inspect),
    };
    struct args_spec spec = {
        "inspect groups",
        "Lists committed offsets with their lag.",
        "[GROUP...]",
        options,
        countof(options),
        0,
        64,
        "LAG-TIME: how long the first record that was not read has been there, by its own timestamp. COMMITTED-AGO: since\n"
        "the commit. Both are exact; no request of the protocol gives them.\n\n"
        "examples:\n"
        "  odradek inspect groups billing --fail-above-time 5m\n"
        "  odradek inspect groups billing --export > before.csv\n"
        "  odradek group reset billing --from-file before.csv --execute",
    };
    int code = args_parse(&spec, argc, argv, &groups.names);
    groups.now_ms = client_wall_ms();
    if (code == ARGS_GO_ON && groups.export && (groups.inspect.json || groups.since))
        code = args_mistake(&spec, "--export excludes --json and --since");
    if (code == ARGS_GO_ON)
        code = groups_run(&groups);
    free(groups.since_text);
    arena_deinit(&groups.arena);
    inspect_close(&groups.inspect);
    return code;
}
