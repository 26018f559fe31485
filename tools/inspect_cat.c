/* odradek inspect cat, at, when: records by offset and time. */
#include <stdlib.h>
#include <string.h>

#include "client/grep.h"
#include "client/moment.h"
#include "client/range.h"
#include "inspect.h"
#include "record_json.h"

/* -- cat ----------------------------------------------------------------------------------------------------------- */

struct cat {
    struct inspect inspect;
    const char *offset;
    const char *format;
    int64_t count; /* records still to print */
    const char *value_pattern;
    const char *key_pattern;
    bool csv;
    struct range range;
    struct json json;
    struct grep *value_grep; /* NULL: every value will do */
    struct grep *key_grep;
};

/* A field of RFC 4180; none is empty, an empty one is quoted. */
static void csv_bytes(struct odk_bytes bytes)
{
    if (!bytes.data)
        return;
    (void)putchar('"');
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] == '"')
            (void)putchar('"');
        (void)putchar(bytes.data[i]);
    }
    (void)putchar('"');
}

static void csv_print(const struct format_record *record)
{
    (void)printf("%.*s,%d,%lld,%lld,", ODK_STR_FMT(record->topic), record->partition, (long long)record->offset,
                 (long long)record->timestamp_ms);
    csv_bytes(record->key);
    (void)putchar(',');
    csv_bytes(record->value);
    (void)fputs("\r\n", stdout);
}

/* ODK_OK: wanted; ODK_ERR_NOT_FOUND: not; ODK_ERR_LIMIT: it would take too long to know. */
static enum odk_err record_wanted(const struct cat *cat, const struct odk_record *record)
{
    enum grep_verdict value = cat->value_grep ? grep_match(cat->value_grep, record->value) : GREP_YES;
    enum grep_verdict key = value == GREP_YES && cat->key_grep ? grep_match(cat->key_grep, record->key) : value;
    return key == GREP_YES ? ODK_OK : key == GREP_NO ? ODK_ERR_NOT_FOUND : ODK_ERR_LIMIT;
}

static void record_print(struct cat *cat, const struct format_record *shown)
{
    if (cat->csv)
        csv_print(shown);
    else if (cat->inspect.json)
        record_json(&cat->json, shown);
    else
        format_write(stdout, cat->format, shown);
    cat->count--;
}

static int edge_find(const struct cat *cat, struct odk_part *part, const struct range_edge *edge, int64_t end,
                     int64_t *ret)
{
    int64_t found = -1, timestamp;
    enum odk_err err = ODK_OK;
    if (edge->kind == RANGE_TIME)
        err = odk_part_find_time(part, edge->value, &found, &timestamp);
    (void)cat;
    if (err != ODK_OK && err != ODK_ERR_NOT_FOUND && err != ODK_ERR_TRUNCATED)
        return cli_fail(inspect_code(err), "looking for the time: %s", odk_err_text(err));
    *ret = range_resolve(edge, odk_part_start(part), end, found);
    return EXIT_CODE_OK;
}

static int batch_print(struct cat *cat, const struct odk_part_name *name, const struct odk_batch_at *batch,
                       int64_t from, int64_t to)
{
    struct odk_record_iter it;
    struct odk_record record;
    struct format_header headers[INSPECT_HEADERS_MAX];
    int64_t costly = -1; /* a record that the pattern cannot be matched with */
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err == ODK_OK && !(batch->header.attributes & ODK_BATCH_CONTROL)) {
        err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
        while (err == ODK_OK && cat->count > 0 && !ferror(stdout) && odk_record_next(&it, &record)) {
            enum odk_err wanted = record.offset < from || record.offset >= to ? ODK_ERR_NOT_FOUND
                                                                              : record_wanted(cat, &record);
            struct format_record shown = inspect_record(name, &batch->header, &record, headers);
            if (wanted == ODK_OK)
                record_print(cat, &shown);
            else if (wanted == ODK_ERR_LIMIT)
                costly = record.offset;
            if (costly >= 0)
                break;
        }
        bool whole = cat->count > 0 && !ferror(stdout) && costly < 0;
        enum odk_err ended = odk_record_iter_end(&it);
        err = whole || err != ODK_OK ? ended : ODK_OK;
    }
    if (costly >= 0)
        return cli_fail(EXIT_CODE_FAILURE, "%s: offset %lld: the pattern takes too many steps; a simpler one may do",
                        name->folder, (long long)costly);
    if (err == ODK_OK)
        return EXIT_CODE_OK;
    return cli_fail(inspect_code(err), "%s: segment %020lld, position %llu, offset %lld: %s; try: odradek inspect hex %s:%d:%lld",
                    name->folder, (long long)batch->segment, (unsigned long long)batch->position,
                    (long long)batch->header.base_offset, odk_err_text(err), cli_escaped(name->topic).text,
                    name->partition, (long long)batch->header.base_offset);
}

/* Nothing is passed over: what is damaged ends its partition. */
static int part_print(struct cat *cat, const struct odk_part_name *name, struct odk_part *part)
{
    struct odk_part_end end;
    int64_t from, to = INT64_MAX;
    odk_part_find_end(part, &end);
    int code = edge_find(cat, part, &cat->range.from, end.offset, &from);
    if (code == EXIT_CODE_OK && cat->range.bounded)
        code = edge_find(cat, part, &cat->range.to, end.offset, &to);
    if (code != EXIT_CODE_OK)
        return code;
    struct odk_reader *reader = odk_reader_new(part);
    struct odk_batch_at batch;
    enum odk_err err = ODK_OK;
    odk_reader_seek(reader, from);
    while (code == EXIT_CODE_OK && err == ODK_OK && cat->count > 0 && !ferror(stdout)) {
        err = odk_reader_next(reader, &batch);
        if (err == ODK_OK && batch.header.base_offset >= to)
            break;
        if (err == ODK_OK)
            code = batch_print(cat, name, &batch, from, to);
    }
    if (err != ODK_OK)
        code = cli_worse(code, inspect_reader_fail(&cat->inspect, name, reader, err));
    odk_reader_free(reader);
    return code;
}

static int cat_run(struct cat *cat, const struct inspect_target *target)
{
    size_t first, count;
    int code = inspect_open(&cat->inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_select(&cat->inspect, target, &first, &count);
    if (code != EXIT_CODE_OK)
        return code;
    json_init(&cat->json, stdout);
    if (cat->csv)
        (void)fputs("topic,partition,offset,timestamp,key,value\r\n", stdout);
    for (size_t i = first; i < first + count && cat->count > 0 && !ferror(stdout); i++) {
        const struct odk_part_name *name = odk_dir_at(cat->inspect.dir, i);
        struct odk_part *part;
        enum odk_err err = odk_part_open(cat->inspect.dir, name->folder, &part);
        code = cli_worse(code, err == ODK_OK ? part_print(cat, name, part) : (int)inspect_code(err));
        if (err == ODK_OK)
            odk_part_close(part);
    }
    return code;
}

static int patterns_compile(struct cat *cat, const struct args_spec *spec)
{
    char why[GREP_WHY_BYTES] = "";
    if (cat->value_pattern && !(cat->value_grep = grep_new(cat->value_pattern, why)))
        return args_mistake(spec, "--grep: %s", why);
    if (cat->key_pattern && !(cat->key_grep = grep_new(cat->key_pattern, why)))
        return args_mistake(spec, "--key: %s", why);
    return cat->csv && cat->inspect.json ? args_mistake(spec, "--csv and --json exclude each other") : ARGS_GO_ON;
}

int inspect_cat(int argc, char **argv)
{
    struct cat cat = { .inspect = inspect_defaults(), .offset = "start", .format = "%s\\n", .count = INT64_MAX };
    const struct args_option options[] = {
        { "offset", 'o', ARGS_TEXT, "RANGE", "where to start and stop (default: start)", &cat.offset },
        { "num", 'n', ARGS_INT, "N", "stop after so many records", &cat.count, 1, INT64_MAX },
        { "grep", 'g', ARGS_TEXT, "REGEX", "only records with this in their value", &cat.value_pattern },
        { "key", 'k', ARGS_TEXT, "REGEX", "only records with this in their key", &cat.key_pattern },
        { "format", 'f', ARGS_TEXT, "FORMAT", "how to print a record (default: %s\\n)", &cat.format },
        { "csv", 0, ARGS_FLAG, NULL, "as CSV (RFC 4180), with a line of titles", &cat.csv },
        INSPECT_DIR_ROW(cat.inspect),
        INSPECT_JSON_ROW(cat.inspect),
    };
    struct args_spec spec = {
        "inspect cat",
        "Prints records, partition after partition.",
        "TOPIC[:PARTITION]",
        options,
        countof(options),
        1,
        1,
        "Ranges and formats are those of odradek consume; its --json, too. Transaction markers are left out; records of\n"
        "aborted transactions are not. --json and --csv are for handing a topic over to other programs. A pattern that\n"
        "takes too many steps on a record ends the partition, exit code 1.\n\n"
        "examples:\n"
        "  odradek inspect cat orders:0 -o -10\n"
        "  odradek inspect cat orders -o @2026-11-22T10:00:00Z:5m -f '%p %o %k %s\\n'",
    };
    struct args_operands operands;
    struct inspect_target target;
    const char *why = NULL;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_TOPIC, INSPECT_PARTITION, &target);
    if (code == ARGS_GO_ON && (why = format_check(cat.format)))
        code = args_mistake(&spec, "--format: %s", why);
    if (code == ARGS_GO_ON && !range_parse(cat.offset, client_wall_ms(), &cat.range, &why))
        code = args_mistake(&spec, "--offset %s: %s", cat.offset, why);
    if (code == ARGS_GO_ON)
        code = patterns_compile(&cat, &spec);
    if (code == ARGS_GO_ON)
        code = cat_run(&cat, &target);
    grep_free(cat.value_grep);
    grep_free(cat.key_grep);
    inspect_close(&cat.inspect);
    return code;
}

/* -- at ------------------------------------------------------------------------------------------------------------ */

static const struct rows_column at_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },
    { "PARTITION", "partition", ROWS_INT, 9 },
    { "OFFSET", "offset", ROWS_INT, 11 },
    { "TIME", "time", ROWS_TIME, 24 },
};

static int at_row(const struct inspect *inspect, struct rows *rows, size_t idx, int64_t time_ms)
{
    const struct odk_part_name *name = odk_dir_at(inspect->dir, idx);
    struct odk_part *part;
    int64_t offset = -1, timestamp = -1;
    enum odk_err err = odk_part_open(inspect->dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    err = odk_part_find_time(part, time_ms, &offset, &timestamp);
    odk_part_close(part);
    if (err != ODK_OK && err != ODK_ERR_NOT_FOUND && err != ODK_ERR_TRUNCATED)
        return cli_fail(inspect_code(err), "%s: %s; try: odradek inspect verify %s:%d", name->folder, odk_err_text(err),
                        cli_escaped(name->topic).text, name->partition);
    rows_str(rows, name->topic);
    rows_int(rows, name->partition);
    rows_int(rows, offset);
    rows_int(rows, timestamp);
    return EXIT_CODE_OK;
}

/* A moment, or what a range of times begins with. */
static bool time_parse(const char *text, int64_t *ret_ms)
{
    char at[64];
    struct range range;
    const char *why;
    if (*text == '@')
        text++;
    if (moment_parse(text, ret_ms))
        return true;
    int len = snprintf(at, sizeof(at), "@%s", text);
    if (len < 0 || (size_t)len >= sizeof(at) || !range_parse(at, client_wall_ms(), &range, &why) || range.bounded)
        return false;
    *ret_ms = range.from.value;
    return true;
}

static int at_run(struct inspect *inspect, const struct inspect_target *target, int64_t time_ms)
{
    size_t first, count;
    struct rows rows;
    int code = inspect_open(inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_select(inspect, target, &first, &count);
    if (code != EXIT_CODE_OK)
        return code;
    inspect_rows(inspect, &rows, at_columns, countof(at_columns));
    rows_widen(&rows, 0, target->topic.len);
    for (size_t i = first; i < first + count; i++)
        code = cli_worse(code, at_row(inspect, &rows, i, time_ms));
    return code;
}

int inspect_at(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    const struct args_option options[] = { INSPECT_DIR_ROW(inspect), INSPECT_JSON_ROW(inspect),
                                           INSPECT_HEADER_ROW(inspect) };
    struct args_spec spec = { "inspect at",
                              "Finds the first record at or behind a time, in every partition.",
                              "TOPIC[:PARTITION] TIME",
                              options,
                              countof(options),
                              2,
                              2,
                              "TIME: 2026-11-22T10:00, 2026-11-22T10:00:00+01:00, @1700000000000 (ms), @1700000000 (s), @-2h\n"
                              "A partition without such a record has a dash.\n\n"
                              "example:\n"
                              "  odradek inspect at orders 2026-11-22T10:00" };
    struct args_operands operands;
    struct inspect_target target;
    int64_t time_ms = 0;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_TOPIC, INSPECT_PARTITION, &target);
    if (code == ARGS_GO_ON && !time_parse(operands.items[1], &time_ms))
        code = args_mistake(&spec, "'%s' is not a time", cli_escaped(odk_str_from(operands.items[1])).text);
    if (code == ARGS_GO_ON)
        code = at_run(&inspect, &target, time_ms);
    inspect_close(&inspect);
    return code;
}

/* -- when ---------------------------------------------------------------------------------------------------------- */

static const struct rows_column when_columns[] = {
    { "TOPIC", "topic", ROWS_TEXT, 12 },     { "PARTITION", "partition", ROWS_INT, 9 },
    { "OFFSET", "offset", ROWS_INT, 11 },    { "TIME", "time", ROWS_TIME, 24 },
    { "AGE", "age_ms", ROWS_DURATION, 8 },   { "BATCH", "batch", ROWS_INT, 11 },
    { "SEGMENT", "segment", ROWS_INT, 11 },  { "POSITION", "position", ROWS_INT, 10 },
};

/* The first record at or behind offset in the batch. ODK_ERR_NOT_FOUND. */
static enum odk_err record_find(const struct odk_batch_at *batch, int64_t offset, int64_t *ret_offset,
                                int64_t *ret_timestamp)
{
    struct odk_record_iter it;
    struct odk_record record;
    bool found = false;
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err != ODK_OK)
        return err;
    err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
    while (err == ODK_OK && !found && odk_record_next(&it, &record)) {
        found = record.offset >= offset;
        *ret_offset = record.offset;
        *ret_timestamp = batch->header.attributes & ODK_BATCH_LOG_APPEND_TIME ? batch->header.max_timestamp
                                                                              : record.timestamp;
    }
    err = odk_record_iter_end(&it);
    return found ? ODK_OK : err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
}

static void when_row(const struct inspect *inspect, const struct inspect_target *target,
                     const struct odk_batch_at *batch, int64_t offset, int64_t timestamp)
{
    struct rows rows;
    inspect_rows(inspect, &rows, when_columns, countof(when_columns));
    rows_widen(&rows, 0, target->topic.len);
    rows_str(&rows, target->topic);
    rows_int(&rows, target->partition);
    rows_int(&rows, offset);
    rows_int(&rows, timestamp);
    rows_int(&rows, timestamp < 0 ? -1 : MAX(0, client_wall_ms() - timestamp));
    rows_int(&rows, batch->header.base_offset);
    rows_int(&rows, batch->segment);
    rows_int(&rows, (int64_t)batch->position);
}

static int when_run(struct inspect *inspect, const struct inspect_target *target)
{
    struct odk_part *part = NULL;
    struct odk_batch_at batch;
    int64_t offset, timestamp;
    int code = inspect_open(inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_part(inspect, target, &part);
    if (code != EXIT_CODE_OK)
        return code;
    struct odk_reader *reader = odk_reader_new(part);
    odk_reader_seek(reader, MAX(target->offset, odk_part_start(part)));
    enum odk_err err = odk_reader_next(reader, &batch);
    enum odk_err found = err == ODK_OK ? record_find(&batch, target->offset, &offset, &timestamp) : err;
    if (err == ODK_OK && found == ODK_ERR_NOT_FOUND) { /* a compacted batch: the record is in the next one */
        err = odk_reader_next(reader, &batch);
        found = err == ODK_OK ? record_find(&batch, target->offset, &offset, &timestamp) : err;
    }
    if (found == ODK_OK)
        when_row(inspect, target, &batch, offset, timestamp);
    else if (found == ODK_ERR_NOT_FOUND || found == ODK_ERR_TRUNCATED)
        code = cli_fail(EXIT_CODE_NOT_FOUND, "%s:%d: no record at or behind offset %lld", cli_escaped(target->topic).text,
                        target->partition, (long long)target->offset);
    else
        code = cli_fail(inspect_code(found), "%s:%d: %s; try: odradek inspect verify %s:%d",
                        cli_escaped(target->topic).text, target->partition, odk_err_text(found),
                        cli_escaped(target->topic).text, target->partition);
    odk_reader_free(reader);
    odk_part_close(part);
    return code;
}

int inspect_when(int argc, char **argv)
{
    struct inspect inspect = inspect_defaults();
    const struct args_option options[] = { INSPECT_DIR_ROW(inspect), INSPECT_JSON_ROW(inspect),
                                           INSPECT_HEADER_ROW(inspect) };
    struct args_spec spec = { "inspect when",
                              "Tells the time of the first record at or behind an offset, and where it lies.",
                              "TOPIC:PARTITION:OFFSET",
                              options,
                              countof(options),
                              1,
                              1,
                              "example:\n"
                              "  odradek inspect when orders:0:123" };
    struct args_operands operands;
    struct inspect_target target;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_OFFSET, INSPECT_OFFSET, &target);
    if (code == ARGS_GO_ON)
        code = when_run(&inspect, &target);
    inspect_close(&inspect);
    return code;
}
