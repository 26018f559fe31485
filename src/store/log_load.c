/* The first use of a log: from files to a body. Reads through mappings, so nothing of the loop runs meanwhile. */
#include "store/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "store/clean.h"
#include "store/format.h"
#include "store/store.h"

struct folder_scan {
    int64_t *bases;
    uint32_t base_count;
    int64_t *snapshots;
    uint32_t snapshot_count;
    uint32_t swap_count; /* of compaction, that began and did not end */
    int64_t swap_base;
    int64_t swap_end;
};

static void base_add(int64_t **list, uint32_t *count, int64_t base)
{
    *list = xrealloc(*list, (*count + 1) * sizeof(int64_t));
    (*list)[(*count)++] = base;
}

static void scan_on_entry(void *context, const char *name, bool is_directory)
{
    struct folder_scan *scan = context;
    int64_t base;
    if (is_directory)
        return;
    if (layout_segment_parse(name, FORMAT_LOG_SUFFIX, &base))
        base_add(&scan->bases, &scan->base_count, base);
    else if (layout_segment_parse(name, FORMAT_SNAPSHOT_SUFFIX, &base))
        base_add(&scan->snapshots, &scan->snapshot_count, base);
    else if (layout_swap_parse(name, &scan->swap_base, &scan->swap_end))
        scan->swap_count++;
}

static int base_compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return first < second ? -1 : first > second;
}

static enum odk_err failed(struct odk_log *log, enum odk_err err, const char *what, int64_t number)
{
    return FAIL(log->store->diag, err, "%s/%s: %s %lld: %s", log->store->dir, log->name, what, (long long)number,
                odk_err_text(err));
}

/* -- small files --------------------------------------------------------------------------------------------------- */

/* Maps a small file for a moment. */
static enum odk_err small_map(struct odk_log *log, const char *name, struct file_map **ret_map)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/%s/%s", log->store->dir, log->name, name))
        return ODK_ERR_INVALID;
    return files_map_whole(&log->store->files, ret_map, path);
}

static struct odk_str map_text(const struct file_map *map)
{
    return (struct odk_str){ .data = (const char *)map->map.data, .len = map->map.len };
}

enum odk_err log_check_owner(struct odk_log *log)
{
    struct file_map *map = NULL;
    struct odk_uuid id;
    enum odk_err err = small_map(log, FORMAT_PARTITION_METADATA_NAME, &map);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK; /* made before there were topic ids, or cut off while empty */
    if (err != ODK_OK)
        return err;
    bool parsed = layout_metadata_parse(map_text(map), &id);
    bool broken = map->map.broken; /* then it reads as zeros */
    files_let_go(&log->store->files, &map);
    if (broken)
        return failed(log, ODK_ERR_IO, FORMAT_PARTITION_METADATA_NAME, 0);
    if (!parsed || odk_uuid_eq(id, log->id))
        return ODK_OK;
    return FAIL(log->store->diag, ODK_ERR_EXISTS, "%s/%s: belongs to another topic id", log->store->dir, log->name);
}

static enum odk_err start_load(struct odk_log *log)
{
    struct file_map *map = NULL;
    int64_t offset;
    enum odk_err err = small_map(log, LAYOUT_START_NAME, &map);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    if (err != ODK_OK)
        return err;
    if (layout_start_parse(map_text(map), &offset))
        log->body->start_offset = MAX(log->body->start_offset, offset);
    else
        err = failed(log, ODK_ERR_CORRUPT, LAYOUT_START_NAME, 0);
    files_let_go(&log->store->files, &map);
    return err;
}

static enum odk_err epochs_load(struct odk_log *log)
{
    struct file_map *map = NULL;
    enum odk_err err = small_map(log, FORMAT_EPOCHS_NAME, &map);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    if (err == ODK_OK)
        err = epochs_parse(&log->body->epochs, (struct odk_bytes){ .data = map->map.data, .len = map->map.len });
    files_let_go(&log->store->files, &map);
    return err == ODK_OK ? ODK_OK : failed(log, err, FORMAT_EPOCHS_NAME, 0);
}

/* -- segments ------------------------------------------------------------------------------------------------------ */

/* swap_end: as in struct segment. */
static enum odk_err segment_size(struct odk_log *log, int64_t base, int64_t swap_end, uint64_t *ret_size)
{
    char path[LAYOUT_PATH_MAX];
    struct odk_io *io = log->store->io;
    struct segment named = { .base = base, .swap_end = swap_end };
    if (!log_segment_path(log, &named, FORMAT_LOG_SUFFIX, path))
        return ODK_ERR_INVALID;
    int32_t file = io->ops->open(io, path, ODK_IO_READ);
    if (file < 0)
        return failed(log, odk_err_from_errno(file), "segment", base);
    int64_t size = io->ops->size(io, file);
    (void)io->ops->close(io, file);
    if (size < 0 || size > INT32_MAX)
        return failed(log, size < 0 ? odk_err_from_errno((int32_t)size) : ODK_ERR_TOO_LARGE, "segment", base);
    *ret_size = (uint64_t)size;
    return ODK_OK;
}

/* A swap of compaction was committed: its file stands for the group's segments, whose own files go. False: one stays,
 * and the swap must not be finished. */
static bool swap_take(struct odk_log *log, struct folder_scan *scan)
{
    struct odk_io *io = log->store->io;
    uint32_t kept = 0;
    bool tidy = true, found = false;
    if (scan->swap_end <= log->body->start_offset) { /* all of it was trimmed since */
        struct segment swap = { .base = scan->swap_base, .swap_end = scan->swap_end };
        char path[LAYOUT_PATH_MAX];
        scan->swap_count = 0;
        return log_segment_path(log, &swap, FORMAT_LOG_SUFFIX, path) && io->ops->unlink(io, path) == 0;
    }
    for (uint32_t i = 0; i < scan->base_count; i++) {
        struct segment old = { .base = scan->bases[i] };
        bool first = old.base == scan->swap_base;
        if (old.base < scan->swap_base || old.base >= scan->swap_end || first)
            scan->bases[kept++] = old.base;
        if (old.base >= scan->swap_base && old.base < scan->swap_end)
            tidy &= log_segment_unlink(log, &old, !first);
    }
    scan->base_count = kept;
    for (uint32_t i = 0; i < kept; i++)
        found |= scan->bases[i] == scan->swap_base;
    if (!found) /* its own old file has gone already */
        base_add(&scan->bases, &scan->base_count, scan->swap_base);
    qsort(scan->bases, scan->base_count, sizeof(int64_t), base_compare);
    return tidy;
}

static enum odk_err compaction_load(struct odk_log *log)
{
    struct file_map *map = NULL;
    enum odk_err err = small_map(log, FORMAT_CLEANER_OFFSETS_NAME, &map);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    if (err != ODK_OK)
        return err;
    log->body->compacted = true;
    if (!layout_start_parse(map_text(map), &log->body->first_dirty) || map->map.broken)
        log->body->first_dirty = 0; /* everything is looked at again */
    files_let_go(&log->store->files, &map);
    return ODK_OK;
}

static enum odk_err segments_open(struct odk_log *log, const struct folder_scan *scan)
{
    struct log_body *body = log->body;
    for (uint32_t i = 0; i < scan->base_count; i++) {
        uint64_t size = 0;
        int64_t swap_end = scan->swap_count > 0 && scan->bases[i] == scan->swap_base ? scan->swap_end : 0;
        enum odk_err err = segment_size(log, scan->bases[i], swap_end, &size);
        if (err != ODK_OK)
            return err;
        bool last = i + 1 == scan->base_count;
        if (size == 0 && !last)
            return failed(log, ODK_ERR_CORRUPT, "empty segment among others", scan->bases[i]);
        struct segment *segment = log_segment_add(body, scan->bases[i], size);
        segment->swap_end = swap_end;
        segment->on_disk = true;
        segment->sealed = !last;
    }
    if (body->count == 0) {
        (void)log_segment_add(body, body->start_offset, 0);
    }
    body->start_offset = MAX(body->start_offset, body->segments[0]->base);
    body->first_batch_offset = body->segments[0]->base;
    return ODK_OK;
}

/* Takes what the index files hold of the active segment, as far as it can be believed. Returns where to go on. */
static uint64_t active_index_load(struct odk_log *log, struct segment *active)
{
    struct index_sum filed;
    struct offset_entry last;
    uint64_t size = active->size;
    if (size == 0 || log_index_filed(log, active, &filed) != ODK_OK ||
        !offset_index_floor_pos(filed.offsets, UINT32_MAX, &last))
        return 0;
    offset_index_load(&active->offsets, filed.offsets);
    time_index_load(&active->times, filed.times);
    if (log_map_data(log, active, size) != ODK_OK) /* which may close what filed shows */
        return 0;
    struct odk_batch batch;
    if (odk_batch_decode(active->data->map.data + last.pos, size - last.pos, &batch) != ODK_OK ||
        odk_batch_last_offset(&batch) - active->base != (int64_t)last.rel_offset)
        return 0;
    offset_index_truncate(&active->offsets, last.rel_offset); /* the walk adds it again */
    time_index_truncate(&active->times, last.rel_offset);
    active->last_indexed_pos = 0;
    struct offset_entry before;
    if (offset_index_floor(offset_index_bytes(&active->offsets, 0), UINT32_MAX, &before))
        active->last_indexed_pos = before.pos;
    active->last_offset = batch.base_offset - 1;
    return last.pos;
}

static enum odk_err active_open(struct odk_log *log)
{
    struct log_body *body = log->body;
    struct segment *active = log_active(body);
    uint64_t pos = active_index_load(log, active);
    uint64_t end = pos;
    if (pos == 0) {
        offset_index_deinit(&active->offsets);
        time_index_deinit(&active->times);
        active->last_indexed_pos = 0;
        active->last_offset = active->base - 1;
    }
    files_let_go(&log->store->files, &active->offsets_map);
    files_let_go(&log->store->files, &active->times_map);
    active->in_memory = true;
    enum odk_err err = log_index_extend(log, active, pos, &body->epochs, &end);
    if (err == ODK_OK && active->size > 0) {
        struct odk_batch first;
        if (odk_batch_decode(active->data->map.data, active->size, &first) == ODK_OK)
            active->first_timestamp = first.max_timestamp;
    }
    body->next_offset = active->last_offset + 1;
    body->end_offset = body->next_offset;
    if (err == ODK_ERR_CORRUPT) {
        /* What comes before the damage is served; the file is not touched. */
        err = FAIL(log->store->diag, ODK_ERR_CORRUPT, "%s/%s: segment %lld: no valid batch at %llu, the file has %llu",
                   log->store->dir, log->name, (long long)active->base, (unsigned long long)end,
                   (unsigned long long)active->size);
        active->size = end;
        tail_init(&active->tail, end);
    }
    body->durable_end = active->begin + active->size;
    return err;
}

/* Everything was trimmed, and the last segments removed; a power cut has brought some of them back, older ones only. The
 * log goes on at its start. */
static void trimmed_leave(struct odk_log *log)
{
    struct log_body *body = log->body;
    segment_seal(log_active(body));
    struct segment *segment = log_segment_add(body, body->start_offset, 0);
    segment->in_memory = true;
    body->next_offset = body->start_offset;
    body->end_offset = body->start_offset;
    body->durable_end = segment->begin;
}

/* -- producers ----------------------------------------------------------------------------------------------------- */

static enum odk_err segment_replay(struct odk_log *log, struct segment *segment, int64_t from_offset)
{
    struct odk_bytes offsets, times;
    struct offset_entry floor;
    if (segment->size == 0)
        return ODK_OK;
    enum odk_err err = log_index_views(log, segment, &offsets, &times);
    if (err != ODK_OK)
        return err;
    uint64_t pos = 0;
    if (from_offset > segment->base && offset_index_floor(offsets, (uint32_t)(from_offset - segment->base), &floor))
        pos = floor.pos;
    err = log_map_data(log, segment, segment->size);
    while (err == ODK_OK && pos < segment->size) {
        struct odk_bytes data = { .data = segment->data->map.data + pos, .len = segment->size - pos };
        struct odk_batch batch;
        err = odk_batch_decode(data.data, data.len, &batch);
        if (err != ODK_OK || odk_batch_bytes(&batch) > data.len)
            return segment->data->map.broken ? ODK_ERR_IO : ODK_ERR_CORRUPT;
        data.len = odk_batch_bytes(&batch);
        if (batch.producer_id >= 0 && odk_batch_last_offset(&batch) >= from_offset)
            err = producers_replay(&log->body->producers, data);
        pos += data.len;
    }
    return err;
}

static bool snapshot_load(struct odk_log *log, int64_t offset)
{
    char name[64];
    struct file_map *map = NULL;
    (void)snprintf(name, sizeof(name), FORMAT_SEGMENT_NAME FORMAT_SNAPSHOT_SUFFIX, (long long)offset);
    if (small_map(log, name, &map) != ODK_OK)
        return false;
    enum odk_err err =
        producers_load(&log->body->producers, (struct odk_bytes){ .data = map->map.data, .len = map->map.len });
    files_let_go(&log->store->files, &map);
    return err == ODK_OK;
}

/* The newest valid snapshot, then the batches behind it. */
static enum odk_err producers_open(struct odk_log *log, const struct folder_scan *scan)
{
    struct log_body *body = log->body;
    int64_t from = body->segments[0]->base;
    body->snapshot_offset = -1;
    body->older_snapshot_offset = -1;
    for (uint32_t i = scan->snapshot_count; i-- > 0;) {
        if (scan->snapshots[i] > body->end_offset || !snapshot_load(log, scan->snapshots[i]))
            continue;
        body->snapshot_offset = scan->snapshots[i];
        body->older_snapshot_offset = i > 0 ? scan->snapshots[i - 1] : -1;
        from = MAX(from, scan->snapshots[i]);
        break;
    }
    if (log->known->has_state && !(log->known->flags & KNOWN_PRODUCERS))
        return ODK_OK;
    for (uint32_t i = log_segment_of(body, from); i < body->count; i++) {
        enum odk_err err = segment_replay(log, body->segments[i], from);
        if (err != ODK_OK)
            return failed(log, err, "producers of segment", body->segments[i]->base);
    }
    return ODK_OK;
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static struct log_body *body_new(struct odk_log *log)
{
    struct log_body *body = xcalloc(1, sizeof(*body));
    body->snapshot_offset = -1;
    body->older_snapshot_offset = -1;
    body->last_append_time_ms = -1;
    log->body = body;
    log->store->open_count++;
    return body;
}

static uint64_t body_bytes(const struct log_body *body)
{
    const struct segment *active = log_active(body);
    return active->begin + active->size - body->segments[0]->begin;
}

/* The marker's word against the files'. */
static enum odk_err proof_check(struct odk_log *log)
{
    const struct known_log *known = log->known;
    const struct log_body *body = log->body;
    const struct segment *active = log_active(body);
    if (!known->has_state || known->total_size == 0)
        return ODK_OK;
    bool enough = body->compacted || body_bytes(body) >= known->total_size; /* what was trimmed may have come back */
    bool same = active->base == known->active_base && active->size == known->active_size;
    bool had_none = known->active_size == 0 && active->base < known->active_base; /* the one before goes on */
    if ((same || had_none) && enough)
        return ODK_OK;
    return FAIL(log->store->diag, ODK_ERR_CORRUPT,
                "%s/%s: stopped cleanly with %llu bytes in segment %lld, but now has %llu in segment %lld",
                log->store->dir, log->name, (unsigned long long)known->active_size, (long long)known->active_base,
                (unsigned long long)active->size, (long long)active->base);
}

/* Whether a clean stop's word on this log still binds it. */
static bool floor_holds(const struct odk_log *log)
{
    const struct known_log *known = log->known;
    return known && (known->has_floor || known->has_state) && odk_uuid_eq(known->id, log->id);
}

/* The log holds no less than at a clean stop, be it some lives ago. start: as the log's own file says. */
static enum odk_err floor_check(struct odk_log *log, int64_t start)
{
    const struct known_log *floor = log->known;
    struct log_body *body = log->body;
    uint64_t size = body_bytes(body);
    if (!floor_holds(log))
        return ODK_OK;
    bool lessened = start > floor->start_offset || body->compacted;
    if (body->end_offset >= floor->end_offset && (lessened || size >= floor->total_size))
        return ODK_OK;
    enum odk_err err =
        FAIL(log->store->diag, ODK_ERR_CORRUPT,
             "%s/%s: held %llu bytes up to offset %lld at a clean stop, but now has %llu up to %lld; it stays offline",
             log->store->dir, log->name, (unsigned long long)floor->total_size, (long long)floor->end_offset,
             (unsigned long long)size, (long long)body->end_offset);
    body->end_offset = 0; /* nothing of it is served: an end below the true one would be taken for a truncation */
    return err;
}

static enum odk_err folder_load(struct odk_log *log, struct folder_scan *scan)
{
    char folder[LAYOUT_PATH_MAX];
    if (!log_folder(log, folder))
        return ODK_ERR_INVALID;
    int32_t listed = log->store->io->ops->list(log->store->io, folder, scan_on_entry, scan);
    if (listed < 0)
        return failed(log, odk_err_from_errno(listed), "folder", listed);
    if (scan->base_count > 1)
        qsort(scan->bases, scan->base_count, sizeof(int64_t), base_compare);
    if (scan->snapshot_count > 1)
        qsort(scan->snapshots, scan->snapshot_count, sizeof(int64_t), base_compare);
    enum odk_err err = log_check_owner(log);
    if (err == ODK_OK)
        err = start_load(log);
    if (err == ODK_OK)
        err = epochs_load(log);
    if (err == ODK_OK)
        err = compaction_load(log);
    int64_t start = log->body->start_offset;
    if (err == ODK_OK && scan->swap_count > 1)
        err = failed(log, ODK_ERR_CORRUPT, "two swaps of compaction; the last one's base", scan->swap_base);
    if (err == ODK_OK && scan->swap_count > 0)
        log->body->uncleanable = !swap_take(log, scan);
    if (err == ODK_OK && scan->swap_count > 0 && scan->bases[scan->base_count - 1] == scan->swap_base)
        err = failed(log, ODK_ERR_CORRUPT, "nothing follows a swap of compaction; its base", scan->swap_base);
    if (err == ODK_OK)
        err = segments_open(log, scan);
    if (err == ODK_OK)
        err = proof_check(log);
    if (err != ODK_OK)
        return err;
    err = active_open(log);
    if (err == ODK_OK && log->body->end_offset < log->body->start_offset)
        trimmed_leave(log);
    if (err == ODK_OK || err == ODK_ERR_CORRUPT) {
        enum odk_err held = floor_check(log, start);
        err = held == ODK_OK ? err : held;
    }
    if (err == ODK_OK)
        err = producers_open(log, scan);
    return err;
}

/* A log without a folder is empty. */
static enum odk_err empty_load(struct odk_log *log)
{
    const struct known_log *known = log->known;
    if (floor_holds(log) && known->total_size > 0)
        return FAIL(log->store->diag, ODK_ERR_CORRUPT, "%s/%s: missing, although it held %llu bytes at a clean stop",
                    log->store->dir, log->name, (unsigned long long)known->total_size);
    struct log_body *body = body_new(log);
    struct segment *segment = log_segment_add(body, floor_holds(log) ? known->start_offset : 0, 0);
    segment->in_memory = true;
    body->start_offset = segment->base;
    body->end_offset = segment->base;
    body->next_offset = segment->base;
    body->durable_end = segment->begin;
    log->known = NULL;
    return ODK_OK;
}

static void swap_resume(struct odk_log *log, int64_t base)
{
    struct log_body *body = log->body;
    struct segment *segment = body->segments[log_segment_of(body, base)];
    if (segment->base == base && segment->swap_end != 0 && !body->uncleanable)
        clean_resume(log, segment);
}

enum odk_err log_load(struct odk_log *log)
{
    if (!log->known || !log->known->has_folder)
        return empty_load(log);
    struct log_body *body = body_new(log);
    struct folder_scan scan = { 0 };
    enum odk_err err = folder_load(log, &scan);
    free(scan.bases);
    free(scan.snapshots);
    body->folder_made = true;
    if (err != ODK_OK && (err != ODK_ERR_CORRUPT || body->count == 0 || body->end_offset == 0)) {
        log_body_free(log);
        return err;
    }
    if (err == ODK_OK) {
        log->known = NULL;
        if (scan.swap_count > 0)
            swap_resume(log, scan.swap_base);
        log_trim_resume(log);
    }
    return err;
}
