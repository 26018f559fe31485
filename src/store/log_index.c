#include "store/log.h"

#include <string.h>

#include "base/diag.h"
#include "store/format.h"
#include "store/store.h"

/* -- walking ------------------------------------------------------------------------------------------------------- */

static bool batch_continues(const struct odk_batch *batch, uint64_t room, int64_t last_offset, int64_t base)
{
    return odk_batch_bytes(batch) <= room && batch->base_offset > last_offset && batch->last_offset_delta >= 0 &&
           batch->base_offset <= INT64_MAX - INT32_MAX && odk_batch_last_offset(batch) - base <= INT32_MAX;
}

enum odk_err log_index_extend(struct odk_log *log, struct segment *segment, uint64_t pos, struct epochs *epochs,
                              uint64_t *ret_pos)
{
    enum odk_err err = pos < segment->size ? log_map_data(log, segment, segment->size) : ODK_OK;
    *ret_pos = pos;
    if (err != ODK_OK)
        return err;
    const uint32_t interval = (uint32_t)log->config.index_interval_bytes;
    while (*ret_pos < segment->size) {
        const uint8_t *data = segment->data->map.data + *ret_pos;
        uint64_t room = segment->size - *ret_pos;
        struct odk_batch batch;
        err = odk_batch_decode(data, room, &batch);
        if (err == ODK_OK && !batch_continues(&batch, room, segment->last_offset, segment->base))
            err = ODK_ERR_CORRUPT;
        if (err == ODK_OK && epochs)
            err = odk_batch_check_crc((struct odk_bytes){ .data = data, .len = odk_batch_bytes(&batch) });
        if (segment->data->map.broken)
            return ODK_ERR_IO;
        if (err != ODK_OK)
            return ODK_ERR_CORRUPT;
        segment_index(segment, &batch, (uint32_t)*ret_pos, interval);
        if (epochs && batch.leader_epoch > epochs_latest(epochs))
            (void)epochs_assign(epochs, batch.leader_epoch, batch.base_offset);
        *ret_pos += odk_batch_bytes(&batch);
    }
    return ODK_OK;
}

/* -- views --------------------------------------------------------------------------------------------------------- */

static struct odk_bytes map_bytes(const struct file_map *map)
{
    return (struct odk_bytes){ .data = map->map.data, .len = map->map.len };
}

/* Maps both index files. */
static enum odk_err index_files_map(struct odk_log *log, struct segment *segment)
{
    char path[LAYOUT_PATH_MAX];
    struct files *files = &log->store->files;
    if (!log_segment_path(log, segment, FORMAT_OFFSET_INDEX_SUFFIX, path))
        return ODK_ERR_INVALID;
    enum odk_err err = files_map_whole(files, &segment->offsets_map, path);
    if (err == ODK_OK && !log_segment_path(log, segment, FORMAT_TIME_INDEX_SUFFIX, path))
        return ODK_ERR_INVALID;
    if (err == ODK_OK) {
        file_map_pin(files, segment->offsets_map); /* mapping the other one must not close it */
        err = files_map_whole(files, &segment->times_map, path);
        file_map_unpin(files, segment->offsets_map);
    }
    return err == ODK_ERR_NOT_FOUND ? ODK_ERR_CORRUPT : err;
}

static enum odk_err sum_read(struct odk_log *log, const struct segment *segment, uint8_t dst[INDEX_SUM_BYTES])
{
    char path[LAYOUT_PATH_MAX];
    struct file_map *map = NULL;
    if (!log_segment_path(log, segment, FORMAT_INDEX_SUM_SUFFIX, path))
        return ODK_ERR_INVALID;
    enum odk_err err = files_map_whole(&log->store->files, &map, path);
    if (err != ODK_OK)
        return err == ODK_ERR_NOT_FOUND ? ODK_ERR_CORRUPT : err;
    if (map->map.len == INDEX_SUM_BYTES)
        memcpy(dst, map->map.data, INDEX_SUM_BYTES);
    else
        err = ODK_ERR_CORRUPT;
    files_let_go(&log->store->files, &map);
    return err;
}

enum odk_err log_index_filed(struct odk_log *log, struct segment *segment, struct index_sum *ret)
{
    uint8_t sum[INDEX_SUM_BYTES];
    enum odk_err err = sum_read(log, segment, sum);
    if (err == ODK_OK)
        err = index_files_map(log, segment);
    if (err == ODK_OK)
        err = index_sum_check((struct odk_bytes){ .data = sum, .len = sizeof(sum) }, map_bytes(segment->offsets_map),
                              map_bytes(segment->times_map), ret);
    if (err == ODK_OK)
        err = offset_index_check(ret->offsets, segment->size);
    if (err == ODK_OK)
        err = time_index_check(ret->times, INT32_MAX);
    return err;
}

/* Maps both index files of a sealed segment. ODK_ERR_CORRUPT: they cannot be used as they are. */
static enum odk_err sealed_files_map(struct odk_log *log, struct segment *segment)
{
    struct index_sum sum;
    if (segment->checked)
        return index_files_map(log, segment);
    enum odk_err err = log_index_filed(log, segment, &sum);
    if (err == ODK_OK && (!sum.whole || sum.log_bytes != segment->size ||
                          sum.offsets.len != segment->offsets_map->map.len ||
                          sum.times.len != segment->times_map->map.len))
        err = ODK_ERR_CORRUPT;
    segment->checked = err == ODK_OK;
    return err;
}

enum odk_err log_index_rebuild(struct odk_log *log, struct segment *segment)
{
    uint64_t pos;
    DIAG_INFO(log->store->diag, "%s: segment %lld: indexes are rebuilt", log->name, (long long)segment->base);
    files_let_go(&log->store->files, &segment->offsets_map);
    files_let_go(&log->store->files, &segment->times_map);
    offset_index_deinit(&segment->offsets);
    time_index_deinit(&segment->times);
    segment->last_indexed_pos = 0;
    segment->last_offset = segment->base - 1;
    enum odk_err err = log_index_extend(log, segment, 0, NULL, &pos);
    time_index_append_max(&segment->times);
    segment->in_memory = err != ODK_ERR_IO;
    segment->index_dirty = true;
    segment->checked = false;
    if (segment->sealed && !list_linked(&log->unindexed))
        list_push_back(&log->store->unindexed, &log->unindexed);
    return err == ODK_ERR_CORRUPT ? ODK_OK : err; /* what comes before the damage can be read */
}

enum odk_err log_index_views(struct odk_log *log, struct segment *segment, struct odk_bytes *ret_offsets,
                             struct odk_bytes *ret_times)
{
    enum odk_err err = ODK_OK;
    if (!segment->in_memory) {
        err = sealed_files_map(log, segment);
        if (err == ODK_ERR_CORRUPT)
            err = log_index_rebuild(log, segment);
    }
    if (err != ODK_OK)
        return err;
    if (segment->in_memory) {
        *ret_offsets = offset_index_bytes(&segment->offsets, 0);
        *ret_times = time_index_bytes(&segment->times, 0);
    } else {
        *ret_offsets = map_bytes(segment->offsets_map);
        *ret_times = map_bytes(segment->times_map);
    }
    return ODK_OK;
}
