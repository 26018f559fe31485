/* What is known of each segment: for whoever decides how long records are kept. */
#include "store/store.h"

#include "base/diag.h"
#include "store/format.h"
#include "store/log.h"

/* The timestamps of a segment's records as its index has them; -1 where there is none. */
static enum odk_err timestamps(struct odk_log *log, struct segment *segment, struct odk_segment_info *ret)
{
    struct odk_bytes offsets, times;
    struct time_entry entry;
    ret->max_timestamp = ret->first_timestamp = -1;
    if (segment->size == 0)
        return ODK_OK;
    enum odk_err err = log_index_views(log, segment, &offsets, &times);
    if (err != ODK_OK)
        return err;
    if (time_index_last(times, &entry))
        ret->max_timestamp = entry.timestamp;
    if (segment->in_memory && segment->times.has_max)
        ret->max_timestamp = segment->times.max.timestamp;
    times.len = MIN(times.len, (size_t)FORMAT_TIME_ENTRY_BYTES);
    if (time_index_last(times, &entry))
        ret->first_timestamp = entry.timestamp;
    return ODK_OK;
}

/* The segment that holds offset; NULL when the log cannot be used or offset is outside: ret_err says why. */
static struct segment *segment_at(struct odk_log *log, int64_t offset, uint32_t *ret_idx, enum odk_err *ret_err)
{
    *ret_err = log->deleted ? ODK_ERR_CLOSED : ODK_OK;
    if (*ret_err == ODK_OK && !log_use(log))
        *ret_err = log->err;
    if (*ret_err == ODK_OK && (offset < log->body->start_offset || offset > log->body->end_offset))
        *ret_err = ODK_ERR_RANGE;
    if (*ret_err != ODK_OK)
        return NULL;
    *ret_idx = log_segment_of(log->body, offset);
    return log->body->segments[*ret_idx];
}

enum odk_err odk_log_segment(struct odk_log *log, int64_t offset, struct odk_segment_info *ret)
{
    uint32_t idx;
    enum odk_err err;
    struct segment *segment = segment_at(log, offset, &idx, &err);
    if (!segment)
        return err;
    const struct segment *active = log_active(log->body);
    *ret = (struct odk_segment_info){
        .base_offset = segment->base,
        .end_offset = log_segment_end(log->body, idx),
        .bytes = segment->size,
        .bytes_behind = active->begin + active->size - segment->begin - segment->size,
        .active = segment == active,
    };
    return timestamps(log, segment, ret);
}

int64_t odk_log_segment_written_ms(struct odk_log *log, int64_t offset)
{
    uint32_t idx;
    enum odk_err err;
    char path[LAYOUT_PATH_MAX];
    struct odk_io *io = log->store->io;
    const struct segment *segment = segment_at(log, offset, &idx, &err);
    if (!segment)
        return -1;
    if (!segment->on_disk)
        return io->ops->wall_ms(io);
    return log_segment_path(log, segment, FORMAT_LOG_SUFFIX, path) ? MAX(io->ops->modified_ms(io, path), -1) : -1;
}

enum odk_err odk_log_roll(struct odk_log *log)
{
    enum odk_err err = log->deleted || log->store->closing ? ODK_ERR_CLOSED : ODK_OK;
    if (err == ODK_OK && !log_use(log))
        err = log->err;
    if (err == ODK_OK && (log->err != ODK_OK || log->store->err != ODK_OK))
        err = ODK_ERR_OFFLINE;
    if (err != ODK_OK)
        return err;
    const struct segment *active = log_active(log->body);
    if (active->tail.end == 0 || active->size != active->tail.end || log->body->next_offset != log->body->end_offset)
        return ODK_ERR_BUSY;
    log_roll(log);
    spill_request(log, true);
    return ODK_OK;
}

bool odk_log_is_loaded(const struct odk_log *log)
{
    return log->body != NULL;
}
