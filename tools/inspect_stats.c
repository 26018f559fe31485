/* odradek inspect stats: sizes, compression and keys of a topic, in one pass and bounded memory. */
#include <stdlib.h>
#include <string.h>

#include "client/sketch.h"
#include "inspect.h"

#define BUCKETS 40u /* powers of two */

/* How many values fall between powers of two. */
struct spread {
    uint64_t counts[BUCKETS];
    uint64_t total;
    uint64_t sum;
    uint64_t max;
};

struct stats {
    struct inspect inspect;
    int64_t hot;
    struct json json;
    struct sketch *sketch;
    struct spread batch_bytes;
    struct spread batch_records;
    struct spread value_bytes;
    uint64_t stored;       /* bytes of the records parts */
    uint64_t decompressed;
    uint64_t codecs[8];    /* batches */
    uint64_t without_key;
    uint64_t tombstones;
    int64_t oldest;
    int64_t newest;
};

static void spread_add(struct spread *spread, uint64_t value)
{
    unsigned bucket = value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
    spread->counts[MIN(bucket, BUCKETS - 1)]++;
    spread->total++;
    spread->sum += value;
    spread->max = MAX(spread->max, value);
}

/* The least power of two, less one, that so much of the values is not above; at most the largest value. */
static int64_t spread_at(const struct spread *spread, unsigned per_mille)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += spread->counts[i];
        if (spread->total > 0 && seen * 1000 >= spread->total * per_mille)
            return (int64_t)MIN(spread->max, i == 0 ? 0 : (UINT64_C(1) << i) - 1);
    }
    return -1;
}

static int64_t spread_mean(const struct spread *spread)
{
    return spread->total ? (int64_t)(spread->sum / spread->total) : -1;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void record_take(struct stats *stats, const struct odk_batch *batch, const struct odk_record *record)
{
    int64_t time = batch->attributes & ODK_BATCH_LOG_APPEND_TIME ? batch->max_timestamp : record->timestamp;
    spread_add(&stats->value_bytes, record->value.len);
    stats->tombstones += !record->value.data;
    stats->without_key += !record->key.data;
    if (record->key.data)
        sketch_add(stats->sketch, record->key);
    if (time >= 0 && (stats->oldest < 0 || time < stats->oldest))
        stats->oldest = time;
    stats->newest = MAX(stats->newest, time);
}

static enum odk_err batch_take(struct stats *stats, const struct odk_batch_at *batch)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err != ODK_OK || (batch->header.attributes & ODK_BATCH_CONTROL))
        return err;
    spread_add(&stats->batch_bytes, batch->bytes.len);
    spread_add(&stats->batch_records, (uint64_t)MAX(batch->header.record_count, 0));
    stats->codecs[batch->header.attributes & ODK_BATCH_CODEC_MASK]++;
    err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
    if (err == ODK_OK) {
        stats->stored += batch->bytes.len - ODK_BATCH_HEADER_BYTES;
        stats->decompressed += (uint64_t)(it.end - it.at);
        while (odk_record_next(&it, &record))
            record_take(stats, &batch->header, &record);
    }
    return odk_record_iter_end(&it);
}

static int part_take(struct stats *stats, const struct odk_part_name *name)
{
    struct odk_part *part;
    struct odk_batch_at batch;
    enum odk_err err = odk_part_open(stats->inspect.dir, name->folder, &part);
    if (err != ODK_OK)
        return (int)inspect_code(err);
    struct odk_reader *reader = odk_reader_new(part);
    int code = EXIT_CODE_OK;
    odk_reader_seek(reader, odk_part_start(part));
    while (code == EXIT_CODE_OK && (err = odk_reader_next(reader, &batch)) == ODK_OK) {
        enum odk_err taken = batch_take(stats, &batch);
        if (taken != ODK_OK)
            code = cli_fail(inspect_code(taken), "%s: offset %lld: %s; what is behind it is left out", name->folder,
                            (long long)batch.header.base_offset, odk_err_text(taken));
    }
    if (code == EXIT_CODE_OK)
        code = inspect_reader_fail(&stats->inspect, name, reader, err);
    odk_reader_free(reader);
    odk_part_close(part);
    return code;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

static void spread_print(const char *what, const struct spread *spread)
{
    (void)printf("%-18s mean %lld, half up to %lld, 95 %% up to %lld, 99 %% up to %lld, largest %llu\n", what,
                 (long long)spread_mean(spread), (long long)spread_at(spread, 500), (long long)spread_at(spread, 950),
                 (long long)spread_at(spread, 990), (unsigned long long)spread->max);
}

static void spread_json(struct json *json, const char *key, const struct spread *spread)
{
    json_object(json, key);
    json_int(json, "mean", spread_mean(spread));
    json_int(json, "p50", spread_at(spread, 500));
    json_int(json, "p95", spread_at(spread, 950));
    json_int(json, "p99", spread_at(spread, 990));
    json_int(json, "max", (int64_t)spread->max);
    json_end(json);
}

static double ratio(const struct stats *stats)
{
    return stats->stored ? (double)stats->decompressed / (double)stats->stored : 1;
}

static int64_t per_second(const struct stats *stats)
{
    int64_t ms = stats->newest - stats->oldest;
    return ms > 0 ? (int64_t)((double)stats->value_bytes.total * 1000 / (double)ms) : -1;
}

static void stats_text(const struct stats *stats)
{
    const struct sketch *sketch = stats->sketch;
    char oldest[ROWS_TIME_BYTES], newest[ROWS_TIME_BYTES];
    rows_time_print(stats->oldest, oldest);
    rows_time_print(stats->newest, newest);
    (void)printf("%-18s %llu in %llu batches, %s to %s", "records", (unsigned long long)stats->value_bytes.total,
                 (unsigned long long)stats->batch_bytes.total, oldest, newest);
    (void)printf(per_second(stats) < 0 ? "\n" : ", %lld per second\n", (long long)per_second(stats));
    spread_print("bytes of a batch", &stats->batch_bytes);
    spread_print("records of a batch", &stats->batch_records);
    spread_print("bytes of a value", &stats->value_bytes);
    (void)printf("%-18s %.2f (%llu bytes for %llu)\n%-18s", "compression", ratio(stats), (unsigned long long)stats->stored,
                 (unsigned long long)stats->decompressed, "codecs");
    for (int16_t i = 0; i < 8; i++)
        if (stats->codecs[i])
            (void)printf(" %s %llu", inspect_codec(i), (unsigned long long)stats->codecs[i]);
    (void)printf("\n%-18s about %llu different, %llu records without, %llu tombstones\n", "keys",
                 (unsigned long long)sketch_distinct(sketch), (unsigned long long)stats->without_key,
                 (unsigned long long)stats->tombstones);
    for (size_t i = 0; i < sketch->key_count && (int64_t)i < stats->hot; i++) {
        const struct sketch_key *key = &sketch->keys[i];
        struct odk_str text = { (const char *)key->bytes, MIN(key->len, SKETCH_KEY_BYTES) };
        (void)printf("  %5.1f %%  %llu%s  %s\n", 100 * (double)key->count / (double)MAX(stats->value_bytes.total, 1),
                     (unsigned long long)(key->count - key->over), key->over ? " or more" : "", cli_escaped(text).text);
    }
}

static void keys_json(struct json *json, const struct stats *stats)
{
    const struct sketch *sketch = stats->sketch;
    json_array(json, "hot_keys");
    for (size_t i = 0; i < sketch->key_count && (int64_t)i < stats->hot; i++) {
        const struct sketch_key *key = &sketch->keys[i];
        struct odk_bytes bytes = { key->bytes, MIN(key->len, SKETCH_KEY_BYTES) };
        json_object(json, NULL);
        if (json_is_utf8(bytes))
            json_str(json, "key", (struct odk_str){ (const char *)bytes.data, bytes.len });
        else
            json_base64(json, "key_base64", bytes);
        json_int(json, "at_least", (int64_t)(key->count - key->over));
        json_int(json, "at_most", (int64_t)key->count);
        json_end(json);
    }
    json_end(json);
}

static void stats_json(struct stats *stats, struct odk_str topic)
{
    struct json *json = &stats->json;
    json_init(json, stdout);
    json_object(json, NULL);
    json_str(json, "topic", topic);
    json_int(json, "records", (int64_t)stats->value_bytes.total);
    json_int(json, "batches", (int64_t)stats->batch_bytes.total);
    stats->oldest < 0 ? json_null(json, "oldest_ms") : json_int(json, "oldest_ms", stats->oldest);
    stats->newest < 0 ? json_null(json, "newest_ms") : json_int(json, "newest_ms", stats->newest);
    spread_json(json, "batch_bytes", &stats->batch_bytes);
    spread_json(json, "batch_records", &stats->batch_records);
    spread_json(json, "value_bytes", &stats->value_bytes);
    json_int(json, "stored_bytes", (int64_t)stats->stored);
    json_int(json, "decompressed_bytes", (int64_t)stats->decompressed);
    json_int(json, "distinct_keys", (int64_t)sketch_distinct(stats->sketch));
    json_int(json, "without_key", (int64_t)stats->without_key);
    json_int(json, "tombstones", (int64_t)stats->tombstones);
    keys_json(json, stats);
    json_end(json);
    json_line(json);
}

static int stats_run(struct stats *stats, const struct inspect_target *target)
{
    size_t first, count;
    int code = inspect_open(&stats->inspect);
    if (code == EXIT_CODE_OK)
        code = inspect_select(&stats->inspect, target, &first, &count);
    if (code != EXIT_CODE_OK)
        return code;
    for (size_t i = first; i < first + count; i++)
        code = cli_worse(code, part_take(stats, odk_dir_at(stats->inspect.dir, i)));
    sketch_sort(stats->sketch);
    if (stats->inspect.json)
        stats_json(stats, target->topic);
    else
        stats_text(stats);
    return code;
}

int inspect_stats(int argc, char **argv)
{
    struct stats stats = { .inspect = inspect_defaults(), .hot = 10, .oldest = -1, .newest = -1 };
    const struct args_option options[] = {
        { "hot", 0, ARGS_INT, "N", "show so many of the most frequent keys (default 10)", &stats.hot, 0, SKETCH_KEYS },
        INSPECT_DIR_ROW(stats.inspect),
        INSPECT_JSON_ROW(stats.inspect),
    };
    struct args_spec spec = {
        "inspect stats",
        "Tells sizes, compression and keys of a topic; reads all of it.",
        "TOPIC[:PARTITION]",
        options,
        countof(options),
        1,
        1,
        "Percentiles are powers of two less one, as upper bounds. Different keys are counted with an error of about 1 %,\n"
        "frequent ones with their bounds.\n\n"
        "example:\n"
        "  odradek inspect stats orders --hot 20",
    };
    struct args_operands operands;
    struct inspect_target target;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = inspect_target_parse(&spec, operands.items[0], INSPECT_TOPIC, INSPECT_PARTITION, &target);
    if (code == ARGS_GO_ON) {
        stats.sketch = sketch_new();
        code = stats_run(&stats, &target);
    }
    free(stats.sketch);
    inspect_close(&stats.inspect);
    return code;
}
