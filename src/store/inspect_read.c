/* Batch after batch through the segments of a partition, and the search by offset and time. */
#include <stdlib.h>

#include "base/cursor.h"
#include "base/diag.h"
#include "store/inspect_internal.h"
#include "store/offset_index.h"
#include "store/time_index.h"

struct odk_reader *odk_reader_new(struct odk_part *part)
{
    struct odk_reader *reader = xcalloc(1, sizeof(*reader));
    reader->part = part;
    reader_place(reader, 0, 0);
    return reader;
}

void odk_reader_free(struct odk_reader *reader)
{
    if (!reader)
        return;
    look_close(reader->part->dir->io, &reader->file);
    free(reader);
}

void reader_place(struct odk_reader *reader, size_t segment, uint64_t position)
{
    if (segment != reader->segment || reader->file.map.broken)
        look_close(reader->part->dir->io, &reader->file);
    reader->segment = segment;
    reader->position = position;
    reader->last_offset = segment < reader->part->count ? reader->part->segments[segment].base - 1 : -1;
    reader->err = ODK_OK;
    reader->why = NULL;
}

static enum odk_err stop(struct odk_reader *reader, enum odk_err err, const char *why)
{
    reader->err = err;
    reader->why = why;
    return err;
}

const char *odk_reader_why(const struct odk_reader *reader, int64_t *ret_segment, uint64_t *ret_position)
{
    const struct odk_part *part = reader->part;
    *ret_segment = reader->segment < part->count ? part->segments[reader->segment].base : -1;
    *ret_position = reader->position;
    return reader->why ? reader->why : odk_err_text(reader->err);
}

bool odk_reader_skip(struct odk_reader *reader)
{
    if (reader->segment + 1 >= reader->part->count)
        return false;
    reader_place(reader, reader->segment + 1, 0);
    return true;
}

/* -- one batch ----------------------------------------------------------------------------------------------------- */

static enum odk_err segment_map(struct odk_reader *reader)
{
    const struct odk_part *part = reader->part;
    const struct odk_part_segment *segment = &part->segments[reader->segment];
    char path[LAYOUT_PATH_MAX];
    if (reader->file.open)
        return ODK_OK;
    if (!layout_segment(path, part->folder, segment->base, FORMAT_LOG_SUFFIX))
        return stop(reader, ODK_ERR_INVALID, "the path is too long");
    enum odk_err err = look_open(part->dir->io, path, MAX(segment->bytes, 1), &reader->file);
    if (err == ODK_ERR_NOT_FOUND)
        return stop(reader, ODK_ERR_IO, "the segment has been removed meanwhile");
    if (err != ODK_OK)
        return stop(reader, err, odk_err_text(err));
    if (look_bytes(&reader->file).len < segment->bytes)
        return stop(reader, ODK_ERR_IO, "the segment has been cut meanwhile");
    return ODK_OK;
}

/* A message of format 0 or 1: offset, length, CRC, magic. */
static bool is_old_message(const uint8_t *data, uint64_t room)
{
    struct rd r = rd_init(data, room);
    (void)rd_take(&r, 8);
    int32_t len = rd_i32(&r);
    (void)rd_take(&r, 4);
    int8_t magic = (int8_t)rd_u8(&r);
    return !r.bad && (magic == 0 || magic == 1) && len >= 14 && (uint64_t)len <= rd_left(&r) + 5;
}

/* What is wrong with a header that does not decode. */
static enum odk_err header_judge(struct odk_reader *reader, const uint8_t *data, uint64_t room)
{
    const struct odk_part *part = reader->part;
    bool last = reader->segment + 1 == part->count;
    if (reader->file.map.broken)
        return stop(reader, ODK_ERR_IO, "the device could not read it");
    if (part->dir->info.kind != ODK_DIR_ODRADEK && is_old_message(data, room))
        return stop(reader, ODK_ERR_UNSUPPORTED, "messages of format 0 or 1, from before Kafka 0.11, are not read");
    if (room < ODK_BATCH_HEADER_BYTES)
        return stop(reader, last ? ODK_ERR_TRUNCATED : ODK_ERR_CORRUPT, "the segment ends within a batch's header");
    return stop(reader, ODK_ERR_CORRUPT, "no batch stands here: its magic or length cannot be");
}

static enum odk_err batch_take(struct odk_reader *reader, struct odk_batch_at *ret)
{
    const struct odk_part *part = reader->part;
    const struct odk_part_segment *segment = &part->segments[reader->segment];
    const uint8_t *data = reader->file.map.data + reader->position;
    uint64_t room = segment->bytes - reader->position;
    struct odk_batch batch;
    if (odk_batch_decode(data, room, &batch) != ODK_OK || reader->file.map.broken)
        return header_judge(reader, data, room);
    if (batch.base_offset < segment->base || batch.last_offset_delta < 0 ||
        batch.base_offset > INT64_MAX - INT32_MAX || odk_batch_last_offset(&batch) - segment->base > INT32_MAX)
        return stop(reader, ODK_ERR_CORRUPT, "the batch's offsets do not belong into this segment");
    if (batch.base_offset <= reader->last_offset)
        return stop(reader, ODK_ERR_CORRUPT, "the batch's offsets do not rise");
    if (odk_batch_bytes(&batch) > room)
        return stop(reader, reader->segment + 1 == part->count ? ODK_ERR_TRUNCATED : ODK_ERR_CORRUPT,
                    "the segment ends within a batch");
    *ret = (struct odk_batch_at){
        .header = batch,
        .bytes = { .data = data, .len = odk_batch_bytes(&batch) },
        .segment = segment->base,
        .position = reader->position,
    };
    reader->position += ret->bytes.len;
    reader->last_offset = odk_batch_last_offset(&batch);
    return ODK_OK;
}

enum odk_err odk_reader_next(struct odk_reader *reader, struct odk_batch_at *ret)
{
    const struct odk_part *part = reader->part;
    if (reader->err != ODK_OK)
        return reader->err;
    while (reader->segment < part->count && reader->position >= part->segments[reader->segment].bytes) {
        if (!odk_reader_skip(reader))
            return stop(reader, ODK_ERR_NOT_FOUND, "no more batches");
    }
    if (part->count == 0)
        return stop(reader, ODK_ERR_NOT_FOUND, "no segments");
    enum odk_err err = segment_map(reader);
    return err == ODK_OK ? batch_take(reader, ret) : err;
}

enum odk_err reader_run(struct odk_reader *reader, struct odk_batch_at *ret_last, int64_t *ret_max_timestamp)
{
    const struct odk_part_segment *segment = &reader->part->segments[reader->segment];
    enum odk_err err = ODK_OK;
    while (err == ODK_OK && reader->position < segment->bytes) {
        struct odk_batch_at batch;
        err = odk_reader_next(reader, &batch);
        if (err == ODK_OK) {
            *ret_last = batch;
            *ret_max_timestamp = MAX(*ret_max_timestamp, batch.header.max_timestamp);
        }
    }
    return err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
}

/* -- by offset ----------------------------------------------------------------------------------------------------- */

void reader_place_by_index(struct odk_reader *reader, size_t segment, struct odk_bytes offsets, int64_t offset)
{
    const struct odk_part_segment *at = &reader->part->segments[segment];
    struct offset_entry entry;
    struct odk_batch_at batch;
    uint32_t rel = (uint32_t)MIN(offset - at->base, INT32_MAX);
    reader_place(reader, segment, 0);
    if (!offset_index_floor(offsets, rel, &entry) || entry.pos >= at->bytes)
        return;
    reader_place(reader, segment, entry.pos);
    bool fits = odk_reader_next(reader, &batch) == ODK_OK &&
                odk_batch_last_offset(&batch.header) - at->base == (int64_t)entry.rel_offset;
    reader_place(reader, segment, fits ? entry.pos : 0);
}

/* The last segment that begins at or below offset; the first one when there is none. */
static size_t segment_of(const struct odk_part *part, int64_t offset)
{
    size_t found = 0;
    for (size_t low = 0, high = part->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (part->segments[middle].base > offset) {
            high = middle;
        } else {
            found = middle;
            low = middle + 1;
        }
    }
    return found;
}

void odk_reader_seek(struct odk_reader *reader, int64_t offset)
{
    struct odk_part *part = reader->part;
    struct odk_batch_at batch;
    struct look_index index;
    if (part->count == 0)
        return;
    size_t segment = segment_of(part, offset);
    if (offset <= part->segments[segment].base) {
        reader_place(reader, segment, 0);
        return;
    }
    look_index_open(part, part->segments[segment].base, part->segments[segment].bytes, &index);
    reader_place_by_index(reader, segment, index.offsets, offset);
    look_index_close(part->dir->io, &index);
    while (odk_reader_next(reader, &batch) == ODK_OK) {
        if (odk_batch_last_offset(&batch.header) < offset)
            continue;
        reader->position -= batch.bytes.len;
        reader->last_offset = batch.header.base_offset - 1;
        return;
    }
}

/* -- by time ------------------------------------------------------------------------------------------------------- */

/* The record inside one batch. ODK_ERR_NOT_FOUND: none there. */
static enum odk_err batch_search(const struct odk_part *part, const struct odk_batch_at *batch, int64_t time_ms,
                                 int64_t *ret_offset, int64_t *ret_timestamp)
{
    struct odk_record_iter it;
    struct odk_record record;
    bool found = false;
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err != ODK_OK)
        return ODK_ERR_CORRUPT;
    err = odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX);
    const bool append_time = batch->header.attributes & ODK_BATCH_LOG_APPEND_TIME;
    while (err == ODK_OK && !found && odk_record_next(&it, &record)) {
        int64_t timestamp = append_time ? batch->header.max_timestamp : record.timestamp;
        if (timestamp < time_ms || record.offset < part->start)
            continue;
        *ret_offset = record.offset;
        *ret_timestamp = timestamp;
        found = true;
    }
    err = odk_record_iter_end(&it);
    if (found)
        return ODK_OK;
    return err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
}

/* Where to begin in a segment. */
static void place_by_time(struct odk_reader *reader, size_t segment, const struct look_index *index, int64_t time_ms)
{
    struct time_entry time;
    if (time_ms > INT64_MIN && time_index_floor(index->times, time_ms - 1, &time))
        reader_place_by_index(reader, segment, index->offsets,
                              reader->part->segments[segment].base + (int64_t)time.rel_offset);
    else
        reader_place(reader, segment, 0);
}

static enum odk_err segment_search(struct odk_reader *reader, size_t segment, int64_t time_ms, int64_t *ret_offset,
                                   int64_t *ret_timestamp)
{
    struct odk_part *part = reader->part;
    const struct odk_part_segment *at = &part->segments[segment];
    struct look_index index;
    struct time_entry last;
    look_index_open(part, at->base, at->bytes, &index);
    bool whole = index.whole || (part->dir->info.kind != ODK_DIR_ODRADEK && segment + 1 < part->count);
    bool none = whole && time_index_last(index.times, &last) && last.timestamp < time_ms;
    if (!none)
        place_by_time(reader, segment, &index, time_ms);
    look_index_close(part->dir->io, &index);
    enum odk_err err = none ? ODK_ERR_NOT_FOUND : ODK_OK;
    while (err == ODK_OK && reader->position < at->bytes) {
        struct odk_batch_at batch;
        err = odk_reader_next(reader, &batch);
        if (err != ODK_OK || batch.header.max_timestamp < time_ms || odk_batch_last_offset(&batch.header) < part->start)
            continue;
        err = batch_search(part, &batch, time_ms, ret_offset, ret_timestamp);
        if (err != ODK_ERR_NOT_FOUND)
            return err;
        err = ODK_OK;
    }
    return err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
}

enum odk_err odk_part_find_time(struct odk_part *part, int64_t time_ms, int64_t *ret_offset, int64_t *ret_timestamp)
{
    enum odk_err err = ODK_ERR_NOT_FOUND;
    struct odk_reader *reader = odk_reader_new(part);
    for (size_t i = segment_of(part, part->start); i < part->count && err == ODK_ERR_NOT_FOUND; i++)
        err = segment_search(reader, i, time_ms, ret_offset, ret_timestamp);
    odk_reader_free(reader);
    return err;
}
