/*
 * Redone bytes on their way into segment files.
 *
 * Neighbouring entries of a log gather in memory as a run, and go out in one write: when the run is large, when all runs
 * together are, and at the segment's end. A few hundred files are open at a time; one that has been written is synced
 * before it is closed, because only the handle that wrote is sure to hear of a failure.
 */
#include "store/redo_log.h"

#include <errno.h>
#include <stdlib.h>

#include "base/diag.h"
#include "store/format.h"

#define OPEN_FILES_LESS 64u
#define RUN_BYTES_MAX  (1u << 20)
#define RUN_BYTES_MIN  (4u << 10)

/* -- files --------------------------------------------------------------------------------------------------------- */

static void file_close(struct redo *redo, struct redo_log *log)
{
    (void)redo->io->ops->close(redo->io, log->file); /* durability was decided by a sync */
    log->file = -1;
    list_remove(&log->link);
    redo->open_count--;
}

/* Its data is durable and the handle is closed. */
static enum odk_err file_settle(struct redo *redo, struct redo_log *log)
{
    enum odk_err err = log->dirty ? odk_io_sync_now(redo->io, log->file) : ODK_OK;
    log->dirty = false;
    file_close(redo, log);
    if (err != ODK_OK)
        return FAIL(redo->diag, err, "%s/%s: segment %lld: cannot be synced: %s", redo->dir, log->name,
                    (long long)log->base, odk_err_text(err));
    return ODK_OK;
}

/* Settles up to count files, longest unwritten first. */
static enum odk_err files_settle(struct redo *redo, uint32_t count)
{
    enum odk_err err = ODK_OK;
    while (err == ODK_OK && count-- > 0 && !list_empty(&redo->open))
        err = file_settle(redo, list_entry(redo->open.next, struct redo_log, link));
    return err;
}

static enum odk_err file_open(struct redo *redo, struct redo_log *log, uint32_t flags)
{
    char folder[LAYOUT_PATH_MAX], path[LAYOUT_PATH_MAX];
    if (log->file >= 0)
        return ODK_OK;
    if (!layout_path(folder, "%s/%s", redo->dir, log->name) ||
        !layout_segment(path, folder, log->base, FORMAT_LOG_SUFFIX))
        return ODK_ERR_INVALID;
    enum odk_err err = redo->open_count >= redo->files_max ? files_settle(redo, 1) : ODK_OK;
    flags |= ODK_IO_READ | ODK_IO_WRITE;
    int32_t file = err == ODK_OK ? redo->io->ops->open(redo->io, path, flags) : 0;
    if (odk_err_from_errno(MIN(file, 0)) == ODK_ERR_LIMIT) {
        err = files_settle(redo, OPEN_FILES_LESS);
        file = redo->io->ops->open(redo->io, path, flags);
    }
    if (err != ODK_OK || file == -ENOENT)
        return err != ODK_OK ? err : ODK_ERR_NOT_FOUND;
    if (file < 0)
        return redo_failed(redo, path, "cannot be opened", file);
    log->file = file;
    list_push_back(&redo->open, &log->link);
    redo->open_count++;
    return ODK_OK;
}

/* -1 after saying why there is none. */
static int64_t file_size(struct redo *redo, const struct redo_log *log)
{
    int64_t size = redo->io->ops->size(redo->io, log->file);
    if (size >= 0)
        return size;
    diag(redo->diag, ODK_DIAG_ERROR, "%s/%s: segment %lld: has no size: %s", redo->dir, log->name,
         (long long)log->base, strerror((int)-size));
    return -1;
}

/* -- runs ---------------------------------------------------------------------------------------------------------- */

static void run_free(struct redo *redo, struct redo_log *log)
{
    list_remove(&log->filled);
    redo->run_bytes -= log->run_capacity;
    free(log->run);
    log->run = NULL;
    log->run_len = 0;
    log->run_capacity = 0;
}

static enum odk_err bytes_write(struct redo *redo, struct redo_log *log, struct odk_bytes bytes, uint64_t pos)
{
    enum odk_err err = file_open(redo, log, 0);
    log->dirty = true;
    if (err == ODK_OK)
        err = odk_io_write_all(redo->io, log->file, bytes.data, bytes.len, pos);
    if (err != ODK_OK)
        return FAIL(redo->diag, err, "%s/%s: segment %lld: cannot be written: %s", redo->dir, log->name,
                    (long long)log->base, odk_err_text(err));
    list_remove(&log->link);
    list_push_back(&redo->open, &log->link);
    return ODK_OK;
}

/* Writes the run; its memory stays for the next one. */
static enum odk_err run_write(struct redo *redo, struct redo_log *log)
{
    if (log->run_len == 0)
        return ODK_OK;
    struct odk_bytes bytes = { .data = log->run, .len = log->run_len };
    enum odk_err err = bytes_write(redo, log, bytes, log->end - log->run_len);
    log->run_len = 0;
    list_remove(&log->filled);
    list_push_back(&redo->filled, &log->filled);
    return err;
}

/* Takes memory from the logs that have had it longest. */
static enum odk_err runs_relieve(struct redo *redo, uint32_t len)
{
    enum odk_err err = ODK_OK;
    while (err == ODK_OK && redo->run_bytes + len > redo->run_bytes_max && !list_empty(&redo->filled)) {
        struct redo_log *log = list_entry(redo->filled.next, struct redo_log, filled);
        err = run_write(redo, log);
        run_free(redo, log);
    }
    return err;
}

/* Room for len more bytes in the log's run; what must go first is written. */
static enum odk_err run_reserve(struct redo *redo, struct redo_log *log, size_t len)
{
    enum odk_err err = log->run_len + len > RUN_BYTES_MAX ? run_write(redo, log) : ODK_OK;
    if (log->run_len + len <= log->run_capacity || err != ODK_OK)
        return err;
    uint32_t capacity = MAX(log->run_capacity * 2, RUN_BYTES_MIN);
    while (capacity < log->run_len + len)
        capacity *= 2;
    err = runs_relieve(redo, capacity - log->run_capacity);
    redo->run_bytes += capacity - log->run_capacity;
    log->run_capacity = capacity;
    log->run = xrealloc(log->run, capacity);
    if (!list_linked(&log->filled))
        list_push_back(&redo->filled, &log->filled);
    return err;
}

static enum odk_err run_add(struct redo *redo, struct redo_log *log, struct odk_bytes bytes)
{
    enum odk_err err;
    if (bytes.len >= RUN_BYTES_MAX) {
        err = run_write(redo, log);
        if (err == ODK_OK)
            err = bytes_write(redo, log, bytes, log->end);
    } else {
        err = run_reserve(redo, log, bytes.len);
        if (err == ODK_OK) {
            memcpy(log->run + log->run_len, bytes.data, bytes.len);
            log->run_len += (uint32_t)bytes.len;
        }
    }
    log->end += bytes.len;
    return err;
}

/* -- segments ------------------------------------------------------------------------------------------------------ */

static enum odk_err segment_short(struct redo *redo, const struct redo_log *log, const struct journal_entry *entry)
{
    return FAIL(redo->diag, ODK_ERR_CORRUPT,
                "%s/%s: segment %lld ends at %llu, but the journal goes on at %u: something checkpointed is missing",
                redo->dir, log->name, (long long)log->base, (unsigned long long)log->size, entry->position);
}

/* Makes the entry's segment the current one. */
static enum odk_err segment_enter(struct redo *redo, struct redo_log *log, const struct journal_entry *entry)
{
    enum odk_err err = redo_segment_finish(redo, log);
    if (err == ODK_OK && log->file >= 0)
        err = file_settle(redo, log);
    if (err != ODK_OK)
        return err;
    log->base = entry->segment_base;
    log->written = false;
    log->size = 0;
    err = file_open(redo, log, entry->position == 0 ? ODK_IO_CREATE : 0);
    if (err == ODK_ERR_NOT_FOUND)
        return entry->offset < log->start_offset ? ODK_ERR_RANGE : segment_short(redo, log, entry);
    if (err != ODK_OK)
        return err;
    int64_t size = file_size(redo, log);
    if (size < 0)
        return ODK_ERR_IO;
    log->size = (uint64_t)size;
    if (log->size < entry->position)
        return segment_short(redo, log, entry);
    log->written = true;
    log->end = entry->position;
    return ODK_OK;
}

enum odk_err redo_segment_take(struct redo *redo, struct redo_log *log, const struct journal_entry *entry)
{
    bool same = log->written && log->base == entry->segment_base;
    if (same && entry->position != log->end)
        return segment_short(redo, log, entry);
    enum odk_err err = same ? ODK_OK : segment_enter(redo, log, entry);
    return err == ODK_OK ? run_add(redo, log, entry->bytes) : err;
}

enum odk_err redo_segment_finish(struct redo *redo, struct redo_log *log)
{
    if (!log->written)
        return ODK_OK;
    enum odk_err err = run_write(redo, log);
    if (err == ODK_OK)
        err = file_open(redo, log, 0);
    if (err != ODK_OK)
        return err;
    int64_t size = file_size(redo, log);
    if (size <= (int64_t)log->end)
        return size < 0 ? ODK_ERR_IO : ODK_OK;
    log->dirty = true;
    int32_t result = redo->io->ops->truncate(redo->io, log->file, log->end);
    if (result < 0)
        return FAIL(redo->diag, odk_err_from_errno(result), "%s/%s: segment %lld: cannot be cut: %s", redo->dir,
                    log->name, (long long)log->base, strerror(-result));
    return ODK_OK;
}

enum odk_err redo_segments_settle(struct redo *redo)
{
    return files_settle(redo, UINT32_MAX);
}

void redo_segment_drop(struct redo *redo, struct redo_log *log)
{
    run_free(redo, log);
    if (log->file >= 0)
        file_close(redo, log);
}
