#include "store/redo_log.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include <odradek/batch.h>

#include "base/diag.h"
#include "base/uuid.h"
#include "store/format.h"

void redo_init(struct redo *redo, const struct recover_options *options)
{
    *redo = (struct redo){
        .io = options->io,
        .diag = options->diag,
        .dir = options->dir,
        .run_bytes_max = options->run_bytes_max,
        .files_max = options->files_max,
    };
    list_init(&redo->open);
    list_init(&redo->filled);
}

void redo_deinit(struct redo *redo)
{
    for (uint32_t i = 0; i < redo->capacity; i++) {
        struct redo_log *log = redo->table[i];
        if (!log)
            continue;
        redo_segment_drop(redo, log);
        epochs_deinit(&log->epochs);
        free(log->name);
        free(log);
    }
    free(redo->table);
    free(redo->numbers);
}

/* -- the logs met -------------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct redo *redo, struct odk_uuid id, struct odk_str name)
{
    uint64_t hash = XXH3_64bits_withSeed(name.data, name.len, XXH3_64bits(id.b, sizeof(id.b)));
    uint32_t slot = (uint32_t)hash & (redo->capacity - 1);
    for (; redo->table[slot]; slot = (slot + 1) & (redo->capacity - 1)) {
        const struct redo_log *log = redo->table[slot];
        if (odk_uuid_eq(log->id, id) && odk_str_eq(odk_str_from(log->name), name))
            break;
    }
    return slot;
}

static void table_grow(struct redo *redo)
{
    struct redo_log **old = redo->table;
    uint32_t old_capacity = redo->capacity;
    redo->capacity = old_capacity ? old_capacity * 2 : 64;
    redo->table = xcalloc(redo->capacity, sizeof(struct redo_log *));
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i])
            redo->table[slot_of(redo, old[i]->id, odk_str_from(old[i]->name))] = old[i];
    }
    free(old);
}

static struct redo_log *log_of(struct redo *redo, struct odk_uuid id, struct odk_str name)
{
    if (redo->count * 2 >= redo->capacity)
        table_grow(redo);
    uint32_t slot = slot_of(redo, id, name);
    if (redo->table[slot])
        return redo->table[slot];
    struct redo_log *log = xcalloc(1, sizeof(*log));
    log->id = id;
    log->name = xstrndup(name.data, name.len);
    log->start_offset = -1;
    log->file = -1;
    redo->table[slot] = log;
    redo->count++;
    return log;
}

void redo_block(struct redo *redo)
{
    redo->number_count = 0;
}

static enum odk_err entry_malformed(struct redo *redo, uint64_t seq)
{
    return FAIL(redo->diag, ODK_ERR_CORRUPT, "journal block %llu: an entry makes no sense", (unsigned long long)seq);
}

static enum odk_err name_take(struct redo *redo, uint64_t seq, const struct journal_entry *entry)
{
    struct odk_uuid id;
    if (entry->bytes.len <= sizeof(id.b) || entry->log != redo->number_count)
        return entry_malformed(redo, seq);
    memcpy(id.b, entry->bytes.data, sizeof(id.b));
    struct odk_str name = { .data = (const char *)entry->bytes.data + sizeof(id.b),
                            .len = entry->bytes.len - sizeof(id.b) };
    if (!layout_name_ok(name))
        return entry_malformed(redo, seq);
    if (redo->number_count == redo->number_capacity) {
        redo->number_capacity = redo->number_capacity ? redo->number_capacity * 2 : 64;
        redo->numbers = xrealloc(redo->numbers, redo->number_capacity * sizeof(struct redo_log *));
    }
    redo->numbers[redo->number_count++] = log_of(redo, id, name);
    return ODK_OK;
}

enum odk_err redo_note(struct redo *redo, uint64_t seq, const struct journal_entry *entry)
{
    if (entry->type == JOURNAL_NAME)
        return name_take(redo, seq, entry);
    if (entry->log >= redo->number_count)
        return entry_malformed(redo, seq);
    struct redo_log *log = redo->numbers[entry->log];
    if (entry->type == JOURNAL_DELETE)
        log->deleted_seq = seq;
    if (entry->type == JOURNAL_TRIM)
        log->start_offset = MAX(log->start_offset, entry->offset);
    if (entry->type == JOURNAL_CLEAN)
        log->clean_offset = MAX(log->clean_offset, entry->offset);
    return ODK_OK;
}

/* -- folders ------------------------------------------------------------------------------------------------------- */

static bool folder_path(const struct redo *redo, const struct redo_log *log, char dst[LAYOUT_PATH_MAX])
{
    return layout_path(dst, "%s/%s", redo->dir, log->name);
}

enum odk_err redo_failed(struct redo *redo, const char *path, const char *what, int32_t result)
{
    return FAIL(redo->diag, odk_err_from_errno(result), "%s: %s: %s", path, what, strerror(-result));
}

static enum odk_err folder_sync(struct redo *redo, const char *path)
{
    int32_t folder = redo->io->ops->open(redo->io, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (folder < 0)
        return redo_failed(redo, path, "cannot be opened", folder);
    enum odk_err err = odk_io_sync_now(redo->io, folder);
    (void)redo->io->ops->close(redo->io, folder);
    return err == ODK_OK ? ODK_OK : FAIL(redo->diag, err, "%s: cannot be synced: %s", path, odk_err_text(err));
}

/* Whose folder stands under that name. ODK_ERR_NOT_FOUND: there is none; zero id: it does not say. */
static enum odk_err folder_owner(struct redo *redo, const char *folder, struct odk_uuid *ret_id)
{
    char path[LAYOUT_PATH_MAX];
    void *text;
    size_t len;
    *ret_id = (struct odk_uuid){ 0 };
    int32_t handle = redo->io->ops->open(redo->io, folder, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (handle == -ENOENT)
        return ODK_ERR_NOT_FOUND;
    if (handle < 0)
        return redo_failed(redo, folder, "cannot be opened", handle);
    (void)redo->io->ops->close(redo->io, handle);
    if (!layout_path(path, "%s/" FORMAT_PARTITION_METADATA_NAME, folder))
        return ODK_ERR_INVALID;
    enum odk_err err = odk_io_load(redo->io, path, LAYOUT_METADATA_MAX, &text, &len);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    if (err != ODK_OK)
        return FAIL(redo->diag, err, "%s: cannot be read: %s", path, odk_err_text(err));
    if (!layout_metadata_parse((struct odk_str){ .data = text, .len = len }, ret_id))
        *ret_id = (struct odk_uuid){ 0 }; /* cut off while it was being made */
    free(text);
    return ODK_OK;
}

static enum odk_err folder_doom(struct redo *redo, const char *folder, struct odk_uuid id)
{
    char to[LAYOUT_PATH_MAX], name[LAYOUT_NAME_MAX + 1];
    const char *slash = strrchr(folder, '/');
    layout_doomed_print(odk_str_from(slash + 1), id, name);
    if (!layout_path(to, "%.*s/%s", (int)(slash - folder), folder, name))
        return ODK_ERR_INVALID;
    int32_t result = redo->io->ops->rename(redo->io, folder, to);
    return result < 0 ? redo_failed(redo, folder, "cannot be renamed", result) : ODK_OK;
}

static enum odk_err folder_fill(struct redo *redo, const struct redo_log *log, const char *folder)
{
    char text[LAYOUT_METADATA_MAX];
    size_t len = layout_metadata_print(log->id, text);
    enum odk_err err = odk_io_replace(redo->io, folder, FORMAT_PARTITION_METADATA_NAME, text, len);
    return err == ODK_OK ? ODK_OK
                         : FAIL(redo->diag, err, "%s/" FORMAT_PARTITION_METADATA_NAME ": cannot be written: %s",
                                folder, odk_err_text(err));
}

static enum odk_err folder_prepare(struct redo *redo, struct redo_log *log)
{
    char folder[LAYOUT_PATH_MAX];
    if (log->prepared)
        return ODK_OK;
    if (!folder_path(redo, log, folder))
        return ODK_ERR_INVALID;
    struct odk_uuid owner;
    enum odk_err err = folder_owner(redo, folder, &owner);
    if (err == ODK_OK && !odk_uuid_is_zero(owner) && !odk_uuid_eq(owner, log->id)) {
        uint32_t slot = slot_of(redo, owner, odk_str_from(log->name));
        if (!redo->table[slot] || redo->table[slot]->deleted_seq == 0)
            return FAIL(redo->diag, ODK_ERR_CORRUPT, "%s: belongs to another topic id than the journal says", folder);
        err = folder_doom(redo, folder, owner);
        if (err == ODK_OK)
            err = ODK_ERR_NOT_FOUND;
    }
    log->prepared = true;
    if (err == ODK_OK)
        return odk_uuid_is_zero(owner) ? folder_fill(redo, log, folder) : ODK_OK;
    if (err != ODK_ERR_NOT_FOUND)
        return err;
    int32_t made = redo->io->ops->mkdir(redo->io, folder);
    return made < 0 ? redo_failed(redo, folder, "cannot be made", made) : folder_fill(redo, log, folder);
}

static enum odk_err epochs_take(struct redo *redo, struct redo_log *log, const struct journal_entry *entry)
{
    struct odk_batch batch;
    enum odk_err err = odk_batch_decode(entry->bytes.data, entry->bytes.len, &batch);
    if (err != ODK_OK)
        return FAIL(redo->diag, ODK_ERR_CORRUPT, "%s/%s: the journal holds no batch for segment %lld at %u", redo->dir,
                    log->name, (long long)log->base, entry->position);
    if (!log->epochs_loaded) {
        char path[LAYOUT_PATH_MAX];
        void *text;
        size_t len;
        log->epochs_loaded = true;
        if (!layout_path(path, "%s/%s/" FORMAT_EPOCHS_NAME, redo->dir, log->name))
            return ODK_ERR_INVALID;
        err = odk_io_load(redo->io, path, 1u << 24, &text, &len);
        if (err == ODK_OK) {
            err = epochs_parse(&log->epochs, (struct odk_bytes){ .data = text, .len = len });
            free(text);
        }
        if (err != ODK_OK && err != ODK_ERR_NOT_FOUND)
            return FAIL(redo->diag, err, "%s: cannot be used: %s", path, odk_err_text(err));
    }
    if (batch.leader_epoch > epochs_latest(&log->epochs))
        log->epochs_changed |= epochs_assign(&log->epochs, batch.leader_epoch, batch.base_offset);
    return ODK_OK;
}

static enum odk_err data_take(struct redo *redo, struct redo_log *log, const struct journal_entry *entry)
{
    enum odk_err err = folder_prepare(redo, log);
    if (err == ODK_OK)
        err = redo_segment_take(redo, log, entry);
    if (err != ODK_OK)
        return err == ODK_ERR_RANGE ? ODK_OK : err;
    redo->bytes += entry->bytes.len;
    return epochs_take(redo, log, entry);
}

enum odk_err redo_apply(struct redo *redo, uint64_t seq, const struct journal_entry *entry)
{
    if (entry->type == JOURNAL_NAME)
        return name_take(redo, seq, entry);
    if (entry->log >= redo->number_count)
        return entry_malformed(redo, seq);
    struct redo_log *log = redo->numbers[entry->log];
    if (entry->type != JOURNAL_DATA || log->deleted_seq != 0 || entry->offset < log->clean_offset)
        return ODK_OK;
    return data_take(redo, log, entry);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

struct behind {
    const struct redo_log *log;
    int64_t *bases;
    uint32_t count;
};

static void behind_on_entry(void *context, const char *name, bool is_directory)
{
    struct behind *behind = context;
    int64_t base;
    if (is_directory || !layout_segment_parse(name, FORMAT_LOG_SUFFIX, &base) || base <= behind->log->base)
        return;
    behind->bases = xrealloc(behind->bases, (behind->count + 1) * sizeof(int64_t));
    behind->bases[behind->count++] = base;
}

/* Segments that were made ahead, or for batches that never became durable. */
static enum odk_err segments_behind_remove(struct redo *redo, struct redo_log *log, const char *folder)
{
    static const char *const suffixes[] = { FORMAT_INDEX_SUM_SUFFIX, FORMAT_OFFSET_INDEX_SUFFIX,
                                            FORMAT_TIME_INDEX_SUFFIX, FORMAT_SNAPSHOT_SUFFIX, FORMAT_LOG_SUFFIX };
    struct behind behind = { .log = log };
    int32_t result = redo->io->ops->list(redo->io, folder, behind_on_entry, &behind);
    for (uint32_t i = 0; i < behind.count && result >= 0; i++) {
        for (size_t j = 0; j < countof(suffixes) && result >= 0; j++) {
            char path[LAYOUT_PATH_MAX];
            if (!layout_segment(path, folder, behind.bases[i], suffixes[j]))
                result = -ENAMETOOLONG;
            else
                result = redo->io->ops->unlink(redo->io, path);
            result = result == -ENOENT ? 0 : result;
        }
    }
    free(behind.bases);
    return result < 0 ? redo_failed(redo, folder, "cannot be tidied", result) : ODK_OK;
}

static enum odk_err small_files_write(struct redo *redo, struct redo_log *log, const char *folder)
{
    enum odk_err err = ODK_OK;
    if (log->epochs_changed) {
        char *text;
        size_t len;
        epochs_print(&log->epochs, &text, &len);
        err = odk_io_replace(redo->io, folder, FORMAT_EPOCHS_NAME, text, len);
        free(text);
    }
    if (err == ODK_OK && log->start_offset >= 0) {
        char text[LAYOUT_START_MAX];
        size_t len = layout_start_print(odk_str_from(log->name), log->start_offset, text);
        err = odk_io_replace(redo->io, folder, LAYOUT_START_NAME, text, len);
    }
    return err == ODK_OK ? ODK_OK : FAIL(redo->diag, err, "%s: cannot be written: %s", folder, odk_err_text(err));
}

static enum odk_err deleted_finish(struct redo *redo, struct redo_log *log, const char *folder)
{
    struct odk_uuid owner;
    enum odk_err err = folder_owner(redo, folder, &owner);
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    if (err != ODK_OK || !odk_uuid_eq(owner, log->id))
        return err;
    return folder_doom(redo, folder, owner);
}

static enum odk_err log_finish(struct redo *redo, struct redo_log *log)
{
    char folder[LAYOUT_PATH_MAX];
    if (!folder_path(redo, log, folder))
        return ODK_ERR_INVALID;
    if (log->deleted_seq != 0)
        return deleted_finish(redo, log, folder);
    enum odk_err err = log->start_offset >= 0 ? folder_prepare(redo, log) : ODK_OK;
    if (err == ODK_OK && log->written)
        err = segments_behind_remove(redo, log, folder);
    if (err == ODK_OK)
        err = small_files_write(redo, log, folder);
    return err == ODK_OK && log->prepared ? folder_sync(redo, folder) : err;
}

enum odk_err redo_finish(struct redo *redo)
{
    enum odk_err err = ODK_OK;
    for (uint32_t i = 0; i < redo->capacity && err == ODK_OK; i++)
        err = redo->table[i] && redo->table[i]->deleted_seq == 0 ? redo_segment_finish(redo, redo->table[i]) : ODK_OK;
    if (err == ODK_OK)
        err = redo_segments_settle(redo);
    for (uint32_t i = 0; i < redo->capacity && err == ODK_OK; i++)
        err = redo->table[i] ? log_finish(redo, redo->table[i]) : ODK_OK;
    if (err != ODK_OK)
        return err;
    return redo->count > 0 ? folder_sync(redo, redo->dir) : ODK_OK;
}
