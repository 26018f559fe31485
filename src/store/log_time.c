/* Finding a record by time: the segment by its time index, the batch by headers, the record by opening the batch. */
#include "store/log.h"

#include <stdlib.h>

#include "base/limits.h"
#include "store/format.h"
#include "store/store.h"

#define ATTEMPTS_MAX 64u /* to find pages still there that were brought in */

struct time_walk {
    struct odk_log *log;
    struct odk_find_time *find;
    int64_t wanted;
    size_t opened_bytes; /* in vain so far */
    bool may_block;
    bool turn_over; /* others have searched enough: on in the next turn */
    struct absent absent;
};

/* What find->priv holds: attempts made. */
static uint64_t *attempts_of(struct odk_find_time *find)
{
    return &find->priv[0];
}

/* The record inside one whole batch. ODK_ERR_NOT_FOUND: none there. Others: the batch cannot be opened. */
static enum odk_err batch_search(struct time_walk *walk, struct odk_bytes bytes)
{
    struct odk_record_iter it;
    struct odk_record record;
    bool found = false;
    if (walk->opened_bytes > BATCH_OPENED_BYTES_MAX)
        return ODK_ERR_TOO_LARGE;
    enum odk_err err = odk_record_iter_init(&it, bytes, BATCH_OPENED_BYTES_MAX);
    walk->log->store->searched_bytes += err == ODK_OK ? odk_record_iter_bytes(&it).len : BATCH_OPENED_BYTES_MAX;
    if (err != ODK_OK)
        return odk_record_iter_end(&it);
    walk->opened_bytes += odk_record_iter_bytes(&it).len;
    const int64_t start = walk->log->body->start_offset;
    const bool append_time = it.batch.attributes & ODK_BATCH_LOG_APPEND_TIME;
    while (!found && odk_record_next(&it, &record)) {
        int64_t timestamp = append_time ? it.batch.max_timestamp : record.timestamp;
        if (timestamp < walk->wanted || record.offset < start)
            continue;
        walk->find->ret_offset = record.offset;
        walk->find->ret_timestamp = timestamp;
        found = true;
    }
    err = odk_record_iter_end(&it);
    if (found)
        return ODK_OK;
    return err == ODK_OK ? ODK_ERR_NOT_FOUND : err;
}

/* A batch that cannot be opened, or not within the bound (headers may promise records that are not there, many times):
 * producers' records are stored as they come, and one of them must not make the rest of the partition unsearchable. Its
 * first record stands for all of it, at the time that the header tells: who reads from there misses nothing. */
static enum odk_err batch_guess(const struct time_walk *walk, const uint8_t *header, enum odk_err err)
{
    struct odk_batch batch;
    if (err != ODK_ERR_CORRUPT && err != ODK_ERR_TOO_LARGE && err != ODK_ERR_UNSUPPORTED)
        return err;
    enum odk_err head_err = odk_batch_decode(header, ODK_BATCH_HEADER_BYTES, &batch);
    ASSERT(head_err == ODK_OK); /* it was found by its header */
    walk->find->ret_offset = MAX(batch.base_offset, walk->log->body->start_offset);
    walk->find->ret_timestamp = batch.max_timestamp;
    return ODK_OK;
}

static enum odk_err batch_open(struct time_walk *walk, struct segment *segment, uint64_t pos, size_t len)
{
    walk->turn_over = walk->log->store->searched_bytes >= SEARCH_TURN_BYTES && walk->opened_bytes == 0;
    if (walk->turn_over)
        return ODK_ERR_PENDING;
    uint8_t *bytes = malloc(len);
    if (!bytes)
        return ODK_ERR_MEMORY;
    enum odk_err err = log_peek(walk->log, segment, pos, bytes, len, walk->may_block, &walk->absent);
    if (err == ODK_OK)
        err = batch_guess(walk, bytes, batch_search(walk, (struct odk_bytes){ .data = bytes, .len = len }));
    free(bytes);
    return err;
}

/* The header of the durable batch at pos. */
static enum odk_err batch_head(struct time_walk *walk, struct segment *segment, uint64_t pos, struct odk_batch *ret)
{
    uint8_t header[ODK_BATCH_HEADER_BYTES];
    if (segment->size - pos < sizeof(header))
        return ODK_ERR_CORRUPT;
    enum odk_err err = log_peek(walk->log, segment, pos, header, sizeof(header), walk->may_block, &walk->absent);
    if (err != ODK_OK)
        return err;
    bool whole = odk_batch_decode(header, sizeof(header), ret) == ODK_OK && odk_batch_bytes(ret) <= segment->size - pos;
    return whole ? ODK_OK : ODK_ERR_CORRUPT;
}

/* The first batch from pos on that has a record young enough. ODK_ERR_NOT_FOUND: none in this segment. */
static enum odk_err segment_search(struct time_walk *walk, struct segment *segment, uint64_t pos)
{
    while (pos < segment->size) {
        struct odk_batch batch;
        enum odk_err err = batch_head(walk, segment, pos, &batch);
        if (err != ODK_OK)
            return err;
        if (batch.max_timestamp >= walk->wanted && odk_batch_last_offset(&batch) >= walk->log->body->start_offset) {
            err = batch_open(walk, segment, pos, odk_batch_bytes(&batch));
            if (err != ODK_ERR_NOT_FOUND)
                return err;
        }
        pos += odk_batch_bytes(&batch);
    }
    return ODK_ERR_NOT_FOUND;
}

/* The largest timestamp in a segment's index, -1 when it has none. */
static int64_t segment_max(const struct segment *segment, struct odk_bytes times)
{
    struct time_entry last;
    int64_t max = time_index_last(times, &last) ? last.timestamp : -1;
    if (segment->in_memory && segment->times.has_max)
        max = MAX(max, segment->times.max.timestamp);
    return max;
}

/* Where a search for a timestamp starts in a segment. */
static uint64_t segment_from(const struct segment *segment, struct odk_bytes offsets, struct odk_bytes times,
                             int64_t wanted)
{
    struct time_entry time;
    struct offset_entry entry;
    if (wanted <= INT64_MIN + 1 || !time_index_floor(times, wanted - 1, &time) ||
        !offset_index_floor(offsets, time.rel_offset, &entry))
        return 0;
    return MIN((uint64_t)entry.pos, segment->size);
}

static enum odk_err find_first(struct time_walk *walk)
{
    struct log_body *body = walk->log->body;
    for (uint32_t i = log_segment_of(body, body->start_offset); i < body->count; i++) {
        struct segment *segment = body->segments[i];
        struct odk_bytes offsets, times;
        if (segment->size == 0)
            continue;
        enum odk_err err = log_index_views(walk->log, segment, &offsets, &times);
        if (err != ODK_OK)
            return err;
        if (segment_max(segment, times) < walk->wanted)
            continue;
        err = segment_search(walk, segment, segment_from(segment, offsets, times, walk->wanted));
        if (err != ODK_ERR_NOT_FOUND)
            return err;
    }
    return ODK_OK;
}

/* The last index entry that speaks of durable, visible records: its timestamp is the largest up to its record. False:
 * there is none. Entries behind it, if any, are of batches on their way to the journal. */
static bool time_entry_durable(const struct log_body *body, const struct segment *segment, struct odk_bytes times,
                               struct time_entry *ret)
{
    for (size_t len = times.len; len >= FORMAT_TIME_ENTRY_BYTES; len -= FORMAT_TIME_ENTRY_BYTES) {
        struct odk_bytes part = { .data = times.data, .len = len };
        if (!time_index_last(part, ret))
            return false;
        int64_t offset = segment->base + ret->rel_offset;
        if (offset < body->end_offset)
            return offset >= body->start_offset;
    }
    return false;
}

/* Raises max to the largest timestamp of the segment's durable batches: what the index proves, and the headers behind. */
static enum odk_err segment_max_raise(struct time_walk *walk, struct segment *segment, int64_t *max)
{
    struct odk_bytes offsets, times;
    struct time_entry time;
    struct offset_entry entry;
    uint64_t pos = 0;
    enum odk_err err = log_index_views(walk->log, segment, &offsets, &times);
    if (err != ODK_OK)
        return err;
    if (time_entry_durable(walk->log->body, segment, times, &time)) {
        *max = MAX(*max, time.timestamp);
        if (offset_index_floor(offsets, time.rel_offset, &entry))
            pos = MIN((uint64_t)entry.pos, segment->size);
    }
    while (pos < segment->size) {
        struct odk_batch batch;
        err = batch_head(walk, segment, pos, &batch);
        if (err != ODK_OK)
            return err;
        if (batch.base_offset >= walk->log->body->start_offset)
            *max = MAX(*max, batch.max_timestamp);
        pos += odk_batch_bytes(&batch);
    }
    return ODK_OK;
}

/* The record with the largest timestamp of the durable batches (of a batch that the start offset cuts through: of none). */
static enum odk_err find_max(struct time_walk *walk)
{
    struct log_body *body = walk->log->body;
    int64_t max = -1;
    for (uint32_t i = log_segment_of(body, body->start_offset); i < body->count; i++) {
        struct segment *segment = body->segments[i];
        enum odk_err err = segment->size > 0 ? segment_max_raise(walk, segment, &max) : ODK_OK;
        if (err != ODK_OK)
            return err;
    }
    walk->wanted = max;
    return max < 0 ? ODK_OK : find_first(walk);
}

static void find_on_waited(struct odk_log *log, void *object, enum odk_err err);

/* One attempt, from the start; ODK_ERR_PENDING: another one follows by itself. */
static enum odk_err find_attempt(struct odk_log *log, struct odk_find_time *find)
{
    struct time_walk walk = {
        .log = log,
        .find = find,
        .wanted = find->timestamp,
        .may_block = *attempts_of(find) >= ATTEMPTS_MAX,
    };
    find->ret_offset = -1;
    find->ret_timestamp = -1;
    enum odk_err err = find->max ? find_max(&walk) : find_first(&walk);
    if (walk.turn_over) {
        log_wait_turn(log, find_on_waited, find);
        return ODK_ERR_PENDING;
    }
    *attempts_of(find) += 1;
    if (err == ODK_ERR_PENDING)
        log_wait(log, &walk.absent, find_on_waited, find);
    return err;
}

static void find_on_waited(struct odk_log *log, void *object, enum odk_err err)
{
    struct odk_find_time *find = object;
    if (err == ODK_OK)
        err = find_attempt(log, find);
    if (err != ODK_ERR_PENDING)
        find->done(find, err);
}

enum odk_err odk_log_find_time(struct odk_log *log, struct odk_find_time *find)
{
    find->ret_offset = -1;
    find->ret_timestamp = -1;
    if (log->deleted)
        return ODK_ERR_CLOSED;
    if (!log_use(log))
        return log->err;
    *attempts_of(find) = 0;
    return find_attempt(log, find);
}
