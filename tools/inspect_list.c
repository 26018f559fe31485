/* odradek inspect topics, partitions, segments, producers. */
#include <string.h>

#include "inspect.h"

/* What a list says of one partition. */
struct summary {
    int64_t start;
    int64_t end;
    uint64_t bytes;
    size_t segments;
    int64_t oldest;
    int64_t newest;
    struct odk_uuid topic_id;
};

/* The exit code of what was found out; explained. */
static int summary_make(const struct inspect *inspect, size_t idx, struct summary *ret)
{
    const struct odk_part_name *name = odk_dir_at(inspect->dir, idx);
    const struct odk_part_segment *segments;
    struct odk_part *part;
    struct odk_part_end end;
    struct odk_part_segment_info first = { .first_timestamp = -1 };
    enum odk_err err = odk_part_open(inspect->dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    *ret = (struct summary){ .start = odk_part_start(part), .bytes = odk_part_bytes(part) };
    ret->segments = odk_part_segments(part, &segments);
    ret->topic_id = odk_part_topic_id(part);
    odk_part_find_end(part, &end);
    if (ret->segments > 0)
        odk_part_look(part, 0, &first);
    ret->end = end.offset;
    ret->oldest = first.first_timestamp;
    ret->newest = end.max_timestamp;
    odk_part_close(part);
    bool running = odk_dir_info(inspect->dir)->owner == ODK_OWNER_RUNNING;
    if (end.err == ODK_OK || (end.err == ODK_ERR_TRUNCATED && (running || odk_dir_info(inspect->dir)->journal)))
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(end.err), "%s: behind offset %lld: %s; try: odradek inspect verify %s:%d", name->folder,
                    (long long)end.offset, odk_err_text(end.err), cli_escaped(name->topic).text, name->partition);
}

static bool wanted(const struct inspect *inspect, size_t idx, bool internal)
{
    struct odk_str topic = odk_dir_at(inspect->dir, idx)->topic;
    return internal || topic.len < 2 || memcmp(topic.data, "__", 2) != 0;
}

/* -- topics -------------------------------------------------------------------------------------------------------- */

static const struct rows_column topic_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },      { "PARTS", "partitions", ROWS_INT, 5 },
    { "RECORDS", "records", ROWS_INT, 11 },   { "BYTES", "bytes", ROWS_INT, 13 },
    { "SEGMENTS", "segments", ROWS_INT, 8 },  { "OLDEST", "oldest", ROWS_TIME, 24 },
    { "NEWEST", "newest", ROWS_TIME, 24 },
};

static int topic_row(const struct inspect *inspect, struct rows *rows, size_t first, size_t count)
{
    int code = EXIT_CODE_OK;
    struct summary all = { .oldest = -1, .newest = -1 };
    for (size_t i = first; i < first + count; i++) {
        struct summary one = { .oldest = -1, .newest = -1 };
        code = cli_worse(code, summary_make(inspect, i, &one));
        all.end += one.end - one.start;
        all.bytes += one.bytes;
        all.segments += one.segments;
        if (one.oldest >= 0 && (all.oldest < 0 || one.oldest < all.oldest))
            all.oldest = one.oldest;
        all.newest = MAX(all.newest, one.newest);
    }
    rows_str(rows, odk_dir_at(inspect->dir, first)->topic);
    rows_int(rows, (int64_t)count);
    rows_int(rows, all.end);
    rows_int(rows, (int64_t)all.bytes);
    rows_int(rows, (int64_t)all.segments);
    rows_int(rows, all.oldest);
    rows_int(rows, all.newest);
    return code;
}

static int topics_run(struct inspect *inspect, bool internal)
{
    struct rows rows;
    int code = inspect_open(inspect);
    if (code != EXIT_CODE_OK)
        return code;
    inspect_rows(inspect, &rows, topic_columns, countof(topic_columns));
    inspect_rows_widen(inspect, &rows, 0, odk_dir_count(inspect->dir));
    for (size_t i = 0; i < odk_dir_count(inspect->dir);) {
        size_t first, count = odk_dir_find(inspect->dir, odk_dir_at(inspect->dir, i)->topic, &first);
        if (wanted(inspect, i, internal))
            code = cli_worse(code, topic_row(inspect, &rows, i, count));
        i += count;
    }
    return code;
}

int inspect_topics(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    bool internal = false;
    const struct args_option options[] = {
        { "internal", 'i', ARGS_FLAG, NULL, "also topics that begin with __", &internal },
        INSPECT_DIR_ROW(inspect),
        INSPECT_JSON_ROW(inspect),
        INSPECT_HEADER_ROW(inspect),
    };
    struct args_spec spec = { "inspect topics",
                              "Lists the topics that have files in a data directory.",
                              "",
                              options,
                              countof(options),
                              0,
                              0,
                              "RECORDS is the number of offsets from start to end; a compacted topic has fewer records.\n"
                              "A partition gets its folder with its first records.\n\n"
                              "example:\n"
                              "  odradek inspect topics --data-dir /var/lib/odradek" };
    struct args_operands none;
    int code = args_parse(&spec, argc, argv, &none);
    if (code == ARGS_GO_ON)
        code = topics_run(&inspect, internal);
    inspect_close(&inspect);
    return code;
}

/* -- partitions ---------------------------------------------------------------------------------------------------- */

static const struct rows_column partition_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },     { "PARTITION", "partition", ROWS_INT, 9 },
    { "START", "start", ROWS_INT, 11 },      { "END", "end", ROWS_INT, 11 },
    { "RECORDS", "records", ROWS_INT, 11 },  { "BYTES", "bytes", ROWS_INT, 13 },
    { "SEGMENTS", "segments", ROWS_INT, 8 }, { "OLDEST", "oldest", ROWS_TIME, 24 },
    { "NEWEST", "newest", ROWS_TIME, 24 },
};

static int partition_row(const struct inspect *inspect, struct rows *rows, size_t idx)
{
    struct summary one = { .oldest = -1, .newest = -1, .start = -1, .end = -1 };
    int code = summary_make(inspect, idx, &one);
    rows_str(rows, odk_dir_at(inspect->dir, idx)->topic);
    rows_int(rows, odk_dir_at(inspect->dir, idx)->partition);
    rows_int(rows, one.start);
    rows_int(rows, one.end);
    rows_int(rows, one.start < 0 ? -1 : one.end - one.start);
    rows_int(rows, (int64_t)one.bytes);
    rows_int(rows, (int64_t)one.segments);
    rows_int(rows, one.oldest);
    rows_int(rows, one.newest);
    return code;
}

/* Calls row for each partition that the operands name; of all when there are none. */
static int each_named(struct inspect *inspect, const struct args_spec *spec, const struct args_operands *operands,
                      struct rows *rows, int (*row)(const struct inspect *, struct rows *, size_t idx))
{
    int worst = EXIT_CODE_OK;
    for (size_t i = 0; i < operands->count; i++) {
        struct inspect_target target;
        size_t first = 0, count = 0;
        int code = inspect_target_parse(spec, operands->items[i], INSPECT_TOPIC, INSPECT_PARTITION, &target);
        if (code != ARGS_GO_ON)
            return code;
        code = inspect_select(inspect, &target, &first, &count);
        for (size_t p = first; p < first + count && code == EXIT_CODE_OK; p++)
            worst = cli_worse(worst, row(inspect, rows, p));
        worst = cli_worse(worst, code);
    }
    for (size_t p = 0; operands->count == 0 && p < odk_dir_count(inspect->dir); p++)
        if (wanted(inspect, p, false))
            worst = cli_worse(worst, row(inspect, rows, p));
    return worst;
}

static int list_run(int argc, char **argv, struct args_spec *spec, struct inspect *inspect,
                    const struct rows_column *columns, size_t column_count,
                    int (*row)(const struct inspect *, struct rows *, size_t idx))
{
    struct args_operands operands;
    struct rows rows;
    int code = args_parse(spec, argc, argv, &operands);
    if (code == ARGS_GO_ON) {
        code = inspect_open(inspect);
        if (code == EXIT_CODE_OK) {
            inspect_rows(inspect, &rows, columns, column_count);
            if (operands.count == 0)
                inspect_rows_widen(inspect, &rows, 0, odk_dir_count(inspect->dir));
            for (size_t i = 0; i < operands.count; i++)
                rows_widen(&rows, 0, strcspn(operands.items[i], ":"));
            code = each_named(inspect, spec, &operands, &rows, row);
        }
    }
    inspect_close(inspect);
    return code;
}

int inspect_partitions(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    const struct args_option options[] = { INSPECT_DIR_ROW(inspect), INSPECT_JSON_ROW(inspect),
                                           INSPECT_HEADER_ROW(inspect) };
    struct args_spec spec = { "inspect partitions",
                              "Lists partitions with their first and next offset.",
                              "[TOPIC[:PARTITION]...]",
                              options,
                              countof(options),
                              0,
                              SIZE_MAX,
                              "NEWEST is the largest timestamp of the newest segment that holds batches.\n\n"
                              "example:\n"
                              "  odradek inspect partitions orders --json" };
    return list_run(argc, argv, &spec, &inspect, partition_columns, countof(partition_columns), partition_row);
}

/* -- segments ------------------------------------------------------------------------------------------------------ */

static const struct rows_column segment_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },      { "PARTITION", "partition", ROWS_INT, 9 },
    { "BASE", "base", ROWS_INT, 11 },         { "NEXT", "next", ROWS_INT, 11 },
    { "RECORDS", "records", ROWS_INT, 10 },   { "BYTES", "bytes", ROWS_INT, 11 },
    { "FIRST", "first", ROWS_TIME, 24 },      { "MAX", "max", ROWS_TIME, 24 },
    { "CODEC", "codec", ROWS_TEXT, 6 },       { "INDEX", "index", ROWS_TEXT, 8 },
    { "TIMEINDEX", "timeindex", ROWS_TEXT, 9 }, { "STATE", "state", ROWS_TEXT, 6 },
};

static const char *index_text(enum odk_index_state state)
{
    static const char *const texts[] = { "none", "broken", "unproven", "proven" };
    return texts[state];
}

static int segment_row(const struct inspect *inspect, struct rows *rows, const struct odk_part_name *name,
                       struct odk_part *part, size_t idx)
{
    struct odk_part_segment_info info;
    odk_part_look(part, idx, &info);
    rows_str(rows, name->topic);
    rows_int(rows, name->partition);
    rows_int(rows, info.base);
    rows_int(rows, info.next);
    rows_int(rows, info.next - info.base);
    rows_int(rows, (int64_t)info.bytes);
    rows_int(rows, info.first_timestamp);
    rows_int(rows, info.max_timestamp);
    rows_text(rows, info.next > info.base ? inspect_codec(info.attributes) : NULL);
    rows_text(rows, index_text(info.offset_index));
    rows_text(rows, index_text(info.time_index));
    rows_text(rows, info.active ? "active" : "closed");
    const struct odk_dir_info *dir = odk_dir_info(inspect->dir);
    bool unfinished = info.err == ODK_ERR_TRUNCATED && (dir->owner == ODK_OWNER_RUNNING || dir->journal);
    if (info.err == ODK_OK || unfinished)
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(info.err), "%s: segment %020lld: behind offset %lld: %s", name->folder,
                    (long long)info.base, (long long)info.next, odk_err_text(info.err));
}

static int segment_rows(const struct inspect *inspect, struct rows *rows, size_t idx)
{
    const struct odk_part_name *name = odk_dir_at(inspect->dir, idx);
    const struct odk_part_segment *segments;
    struct odk_part *part;
    enum odk_err err = odk_part_open(inspect->dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    size_t count = odk_part_segments(part, &segments);
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < count; i++)
        code = cli_worse(code, segment_row(inspect, rows, name, part, i));
    odk_part_close(part);
    return code;
}

int inspect_segments(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    const struct args_option options[] = { INSPECT_DIR_ROW(inspect), INSPECT_JSON_ROW(inspect),
                                           INSPECT_HEADER_ROW(inspect) };
    struct args_spec spec = { "inspect segments",
                              "Lists segment files and what can be said of them without reading them.",
                              "[TOPIC[:PARTITION]...]",
                              options,
                              countof(options),
                              0,
                              SIZE_MAX,
                              "CODEC is the first batch's. INDEX and TIMEINDEX: proven (a checksum says that they are whole),\n"
                              "unproven (look right; Kafka's are always so), broken, none.\n\n"
                              "example:\n"
                              "  odradek inspect segments orders:3" };
    return list_run(argc, argv, &spec, &inspect, segment_columns, countof(segment_columns), segment_rows);
}

/* -- producers ----------------------------------------------------------------------------------------------------- */

static const struct rows_column producer_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },
    { "PARTITION", "partition", ROWS_INT, 9 },
    { "PRODUCER", "producer_id", ROWS_INT, 10 },
    { "EPOCH", "epoch", ROWS_INT, 5 },
    { "LAST-SEQUENCE", "last_sequence", ROWS_INT, 13 },
    { "LAST-OFFSET", "last_offset", ROWS_INT, 11 },
    { "LAST-TIME", "last_time", ROWS_TIME, 24 },
    { "TXN-START", "transaction_start", ROWS_INT, 9 },
};

struct producer_list {
    struct rows *rows;
    const struct odk_part_name *name;
};

static void on_producer(void *context, const struct odk_part_producer *producer)
{
    struct producer_list *list = context;
    rows_str(list->rows, list->name->topic);
    rows_int(list->rows, list->name->partition);
    rows_int(list->rows, producer->id);
    rows_int(list->rows, producer->epoch);
    rows_int(list->rows, producer->last_sequence);
    rows_int(list->rows, producer->last_offset);
    rows_int(list->rows, producer->last_timestamp);
    rows_int(list->rows, producer->txn_first_offset);
}

static int producer_rows(const struct inspect *inspect, struct rows *rows, size_t idx)
{
    struct producer_list list = { .rows = rows, .name = odk_dir_at(inspect->dir, idx) };
    struct odk_part *part;
    enum odk_err err = odk_part_open(inspect->dir, list.name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    err = odk_part_producers(part, on_producer, &list);
    odk_part_close(part);
    if (err == ODK_OK)
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(err), "%s: %s; try: odradek inspect verify", list.name->folder, odk_err_text(err));
}

int inspect_producers(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    const struct args_option options[] = { INSPECT_DIR_ROW(inspect), INSPECT_JSON_ROW(inspect),
                                           INSPECT_HEADER_ROW(inspect) };
    struct args_spec spec = { "inspect producers",
                              "Lists the producers with an id that partitions remember, and open transactions.",
                              "[TOPIC[:PARTITION]...]",
                              options,
                              countof(options),
                              0,
                              SIZE_MAX,
                              "From the newest snapshot and the batches behind it.\n\n"
                              "example:\n"
                              "  odradek inspect producers orders:0" };
    return list_run(argc, argv, &spec, &inspect, producer_columns, countof(producer_columns), producer_rows);
}
