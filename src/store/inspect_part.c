/* A partition's folder from outside: its segments, its small files, its end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "store/inspect_internal.h"
#include "store/offset_index.h"
#include "store/producers.h"
#include "store/time_index.h"

/* -- opening ------------------------------------------------------------------------------------------------------- */

static void part_on_entry(void *context, const char *name, bool is_directory)
{
    struct odk_part *part = context;
    int64_t base;
    if (is_directory)
        return;
    if (layout_segment_parse(name, FORMAT_LOG_SUFFIX, &base)) {
        part->segments = xrealloc(part->segments, (part->count + 1) * sizeof(*part->segments));
        part->segments[part->count++] = (struct odk_part_segment){ .base = base };
    } else if (layout_segment_parse(name, FORMAT_SNAPSHOT_SUFFIX, &base)) {
        part->snapshots = xrealloc(part->snapshots, (part->snapshot_count + 1) * sizeof(*part->snapshots));
        part->snapshots[part->snapshot_count++] = base;
    }
}

static int base_compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

static int segment_compare(const void *a, const void *b)
{
    const struct odk_part_segment *x = a, *y = b;
    return base_compare(&x->base, &y->base);
}

/* A segment that a running server has removed since the listing is left out. */
static enum odk_err segments_size(struct odk_part *part)
{
    size_t kept = 0;
    for (size_t i = 0; i < part->count; i++) {
        struct odk_part_segment segment = part->segments[i];
        char path[LAYOUT_PATH_MAX];
        if (!layout_segment(path, part->folder, segment.base, FORMAT_LOG_SUFFIX))
            return ODK_ERR_INVALID;
        enum odk_err err = look_size(part->dir->io, path, &segment.bytes);
        if (err == ODK_ERR_NOT_FOUND)
            continue;
        if (err != ODK_OK)
            return FAIL(part->dir->diag, err, "%s: %s", path, odk_err_text(err));
        part->bytes += segment.bytes;
        part->segments[kept++] = segment;
    }
    part->count = kept;
    return ODK_OK;
}

static enum odk_err small_load(const struct odk_part *part, const char *name, char **ret_text, size_t *ret_len)
{
    char path[LAYOUT_PATH_MAX];
    void *content = NULL;
    if (!layout_path(path, "%s/%s", part->folder, name))
        return ODK_ERR_INVALID;
    enum odk_err err = odk_io_load(part->dir->io, path, 1u << 20, &content, ret_len);
    *ret_text = content;
    return err;
}

static void topic_id_load(struct odk_part *part)
{
    char *text = NULL;
    size_t len = 0;
    if (small_load(part, FORMAT_PARTITION_METADATA_NAME, &text, &len) == ODK_OK &&
        !layout_metadata_parse((struct odk_str){ text, len }, &part->topic_id))
        part->topic_id = (struct odk_uuid){ 0 };
    free(text);
}

/* Kafka keeps the starts of all partitions in one file of the data directory: "topic partition offset" lines. */
static int64_t start_of_kafka(const struct odk_part *part)
{
    char path[LAYOUT_PATH_MAX], line[LAYOUT_START_MAX];
    void *content = NULL;
    size_t len = 0;
    long long start = 0;
    if (!layout_path(path, "%s/" FORMAT_START_OFFSETS_NAME, part->dir->path) ||
        odk_io_load(part->dir->io, path, 64u << 20, &content, &len) != ODK_OK)
        return 0;
    int wanted = snprintf(line, sizeof(line), "\n%.*s %d ", ODK_STR_FMT(part->name.topic), part->name.partition);
    const char *found = wanted > 0 && (size_t)wanted < sizeof(line) ? strstr(content, line) : NULL;
    if (found)
        start = strtoll(found + wanted, NULL, 10);
    free(content);
    return MAX(start, 0);
}

static enum odk_err start_load(struct odk_part *part)
{
    char *text = NULL;
    size_t len = 0;
    int64_t start = 0;
    enum odk_err err = small_load(part, LAYOUT_START_NAME, &text, &len);
    if (err == ODK_OK && !layout_start_parse((struct odk_str){ text, len }, &start))
        err = FAIL(part->dir->diag, ODK_ERR_CORRUPT, "%s/" LAYOUT_START_NAME ": damaged", part->folder);
    free(text);
    if (err == ODK_ERR_NOT_FOUND && part->dir->info.kind != ODK_DIR_ODRADEK)
        start = start_of_kafka(part);
    if (err != ODK_OK && err != ODK_ERR_NOT_FOUND)
        return err;
    part->start = MAX(start, part->count > 0 ? part->segments[0].base : 0);
    return ODK_OK;
}

static enum odk_err part_look(struct odk_part *part)
{
    int32_t listed = part->dir->io->ops->list(part->dir->io, part->folder, part_on_entry, part);
    if (listed < 0)
        return FAIL(part->dir->diag, odk_err_from_errno(listed), "%s: %s", part->folder, strerror(-listed));
    if (part->count > 1)
        qsort(part->segments, part->count, sizeof(*part->segments), segment_compare);
    if (part->snapshot_count > 1)
        qsort(part->snapshots, part->snapshot_count, sizeof(*part->snapshots), base_compare);
    enum odk_err err = segments_size(part);
    topic_id_load(part);
    return err == ODK_OK ? start_load(part) : err;
}

enum odk_err odk_part_open(struct odk_dir *dir, const char *folder, struct odk_part **ret_part)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_name_ok(odk_str_from(folder)) || !layout_path(path, "%s/%s", dir->path, folder))
        return FAIL(dir->diag, ODK_ERR_NOT_FOUND, "%s: no folder of that name", folder);
    struct odk_part *part = xcalloc(1, sizeof(*part));
    part->dir = dir;
    part->folder = xstrndup(path, strlen(path));
    enum odk_err err = look_part_name(part->folder + strlen(dir->path) + 1, &part->name) ? part_look(part)
                                                                                         : ODK_ERR_NOT_FOUND;
    if (err != ODK_OK) {
        odk_part_close(part);
        return err;
    }
    *ret_part = part;
    return ODK_OK;
}

void odk_part_close(struct odk_part *part)
{
    if (!part)
        return;
    free(part->segments);
    free(part->snapshots);
    free(part->folder);
    free(part);
}

struct odk_uuid odk_part_topic_id(const struct odk_part *part)
{
    return part->topic_id;
}

int64_t odk_part_start(const struct odk_part *part)
{
    return part->start;
}

uint64_t odk_part_bytes(const struct odk_part *part)
{
    return part->bytes;
}

size_t odk_part_segments(const struct odk_part *part, const struct odk_part_segment **ret_segments)
{
    *ret_segments = part->segments;
    return part->count;
}

/* -- indexes ------------------------------------------------------------------------------------------------------- */

static enum odk_index_state index_open(const struct odk_part *part, int64_t base, const char *suffix,
                                       struct look_file *file)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_segment(path, part->folder, base, suffix) ||
        look_open(part->dir->io, path, INT32_MAX, file) != ODK_OK)
        return ODK_INDEX_NONE;
    return ODK_INDEX_UNPROVEN;
}

static bool sum_load(const struct odk_part *part, int64_t base, const struct look_index *index, struct index_sum *ret)
{
    char path[LAYOUT_PATH_MAX];
    struct look_file file;
    if (!layout_segment(path, part->folder, base, FORMAT_INDEX_SUM_SUFFIX) ||
        look_open(part->dir->io, path, INDEX_SUM_BYTES, &file) != ODK_OK)
        return false;
    bool good = index_sum_check(look_bytes(&file), look_bytes(&index->offsets_file), look_bytes(&index->times_file),
                                ret) == ODK_OK;
    look_close(part->dir->io, &file);
    return good;
}

/* Kafka preallocates the indexes of its active segment: what follows the last entry is zero. */
static struct odk_bytes zeros_cut(struct odk_bytes bytes, size_t entry)
{
    static const uint8_t zeros[FORMAT_TIME_ENTRY_BYTES];
    while (bytes.len >= entry && bytes.len % entry == 0 && memcmp(bytes.data + bytes.len - entry, zeros, entry) == 0)
        bytes.len -= entry;
    return bytes;
}

void look_index_open(const struct odk_part *part, int64_t base, uint64_t log_bytes, struct look_index *ret)
{
    *ret = (struct look_index){ 0 };
    struct index_sum sum;
    ret->offsets_state = index_open(part, base, FORMAT_OFFSET_INDEX_SUFFIX, &ret->offsets_file);
    ret->times_state = index_open(part, base, FORMAT_TIME_INDEX_SUFFIX, &ret->times_file);
    bool proven = sum_load(part, base, ret, &sum);
    bool foreign = part->dir->info.kind != ODK_DIR_ODRADEK;
    ret->offsets = proven ? sum.offsets : zeros_cut(look_bytes(&ret->offsets_file), FORMAT_OFFSET_ENTRY_BYTES);
    ret->times = proven ? sum.times : zeros_cut(look_bytes(&ret->times_file), FORMAT_TIME_ENTRY_BYTES);
    if (proven) {
        ret->offsets_state = ret->times_state = ODK_INDEX_PROVEN;
        ret->whole = sum.whole && sum.log_bytes == log_bytes;
    }
    if (ret->offsets_state != ODK_INDEX_NONE && offset_index_check(ret->offsets, log_bytes) != ODK_OK) {
        ret->offsets_state = ODK_INDEX_BROKEN;
        ret->offsets.len = 0;
    }
    if (ret->times_state != ODK_INDEX_NONE && time_index_check(ret->times, INT32_MAX) != ODK_OK) {
        ret->times_state = ODK_INDEX_BROKEN;
        ret->times.len = 0;
    }
    if (!proven && !foreign) /* one that ends early looks like any other: a search by time would skip what it lacks */
        ret->times.len = 0;
}

void look_index_close(struct odk_io *io, struct look_index *index)
{
    look_close(io, &index->offsets_file);
    look_close(io, &index->times_file);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* The largest timestamp that the index knows; -1. */
static int64_t times_max(struct odk_bytes times)
{
    struct time_entry last;
    return time_index_last(times, &last) ? last.timestamp : -1;
}

/* Runs from the last index entry to the end of a segment. */
static enum odk_err segment_run(struct odk_reader *reader, size_t idx, const struct look_index *index,
                                struct odk_batch_at *last, int64_t *max_timestamp)
{
    bool timed = index->times.len > 0;
    reader_place_by_index(reader, idx, timed || index->offsets_state == ODK_INDEX_PROVEN ? index->offsets
                                                                                        : (struct odk_bytes){ 0 },
                          INT64_MAX);
    *max_timestamp = times_max(index->times);
    return reader_run(reader, last, max_timestamp);
}

/* Errors of a walk as they concern an end. */
static enum odk_err end_err(enum odk_err err)
{
    return err == ODK_ERR_NOT_FOUND ? ODK_OK : err;
}

static void segment_end(struct odk_part *part, size_t idx, struct odk_part_end *ret)
{
    const struct odk_part_segment *segment = &part->segments[idx];
    struct odk_reader *reader = odk_reader_new(part);
    struct look_index index;
    struct odk_batch_at last = { .header = { .base_offset = segment->base, .last_offset_delta = -1 } };
    look_index_open(part, segment->base, segment->bytes, &index);
    ret->err = end_err(segment_run(reader, idx, &index, &last, &ret->max_timestamp));
    ret->offset = odk_batch_next_offset(&last.header);
    ret->left_bytes = segment->bytes - MIN(segment->bytes, last.position + last.bytes.len);
    look_index_close(part->dir->io, &index);
    odk_reader_free(reader);
}

void odk_part_find_end(struct odk_part *part, struct odk_part_end *ret)
{
    *ret = (struct odk_part_end){ .offset = part->start, .max_timestamp = -1 };
    if (part->count == 0)
        return;
    segment_end(part, part->count - 1, ret);
    for (size_t i = part->count - 1; i-- > 0 && ret->max_timestamp < 0 && ret->err == ODK_OK;) {
        struct odk_part_end earlier;
        segment_end(part, i, &earlier);
        ret->max_timestamp = earlier.max_timestamp;
    }
    ret->offset = MAX(ret->offset, part->start);
}

void odk_part_look(struct odk_part *part, size_t idx, struct odk_part_segment_info *ret)
{
    ASSERT(idx < part->count);
    const struct odk_part_segment *segment = &part->segments[idx];
    struct odk_reader *reader = odk_reader_new(part);
    struct look_index index;
    struct odk_batch_at batch;
    *ret = (struct odk_part_segment_info){ .base = segment->base,
                                      .next = segment->base,
                                      .bytes = segment->bytes,
                                      .first_timestamp = -1,
                                      .max_timestamp = -1,
                                      .active = idx + 1 == part->count };
    look_index_open(part, segment->base, segment->bytes, &index);
    ret->offset_index = index.offsets_state;
    ret->time_index = index.times_state;
    reader_place(reader, idx, 0);
    ret->err = segment->bytes > 0 ? odk_reader_next(reader, &batch) : ODK_OK;
    if (segment->bytes > 0 && ret->err == ODK_OK) {
        struct odk_part_end end;
        ret->first_timestamp = batch.header.base_timestamp;
        ret->attributes = batch.header.attributes;
        segment_end(part, idx, &end);
        ret->err = end.err;
        ret->next = end.offset;
        ret->max_timestamp = end.max_timestamp;
    }
    look_index_close(part->dir->io, &index);
    odk_reader_free(reader);
}

/* -- producers ----------------------------------------------------------------------------------------------------- */

/* Loads the newest snapshot that is good; returns where to go on. */
static int64_t snapshot_load(const struct odk_part *part, struct producers *producers)
{
    for (size_t i = part->snapshot_count; i-- > 0;) {
        char path[LAYOUT_PATH_MAX];
        struct look_file file;
        if (!layout_segment(path, part->folder, part->snapshots[i], FORMAT_SNAPSHOT_SUFFIX) ||
            look_open(part->dir->io, path, INT32_MAX, &file) != ODK_OK)
            continue;
        enum odk_err err = producers_load(producers, look_bytes(&file));
        look_close(part->dir->io, &file);
        if (err == ODK_OK)
            return part->snapshots[i];
    }
    return part->start;
}

static void producers_tell(const struct producers *producers,
                           void (*each)(void *context, const struct odk_part_producer *producer), void *context)
{
    for (uint32_t i = 0; i < producers_count(producers); i++) {
        const struct producer *p = producers_at(producers, i);
        struct odk_part_producer told = {
            .id = p->id,
            .epoch = p->epoch,
            .last_sequence = producer_last_sequence(p),
            .last_offset = p->batch_count > 0 ? p->batches[p->batch_count - 1].last_offset : -1,
            .last_timestamp = p->last_timestamp,
            .txn_first_offset = p->txn_first_offset,
            .coordinator_epoch = p->coordinator_epoch,
        };
        each(context, &told);
    }
}

enum odk_err odk_part_producers(struct odk_part *part,
                                void (*each)(void *context, const struct odk_part_producer *producer), void *context)
{
    struct producers producers = { 0 };
    struct odk_reader *reader = odk_reader_new(part);
    struct odk_batch_at batch;
    int64_t from = snapshot_load(part, &producers);
    odk_reader_seek(reader, from);
    enum odk_err err = ODK_OK;
    while (err == ODK_OK) {
        err = odk_reader_next(reader, &batch);
        if (err == ODK_OK && batch.header.producer_id >= 0 && odk_batch_last_offset(&batch.header) >= from) {
            err = odk_batch_check_crc(batch.bytes);
            if (err == ODK_OK)
                err = producers_replay(&producers, batch.bytes);
        }
    }
    odk_reader_free(reader);
    producers_tell(&producers, each, context);
    producers_deinit(&producers);
    return err == ODK_ERR_NOT_FOUND || err == ODK_ERR_TRUNCATED ? ODK_OK : err;
}
