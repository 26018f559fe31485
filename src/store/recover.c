#include "store/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "store/journal_files.h"
#include "store/journal_format.h"
#include "store/layout.h"
#include "store/redo.h"

#define READ_AHEAD_BYTES (4u << 20)

struct wal {
    char *name;
    uint32_t shard;
};

/* A valid block and where it stands. */
struct place {
    uint64_t seq;
    uint64_t checkpoint_seq;
    uint64_t pos;
    uint32_t len;
    uint32_t payload_len;
    uint32_t entry_count;
    uint32_t shard;
    uint32_t wal;
    bool noted; /* holds what must be known before anything is redone */
};

struct recover {
    const struct recover_options *options;
    struct wal *wals;
    uint32_t wal_count;
    struct place *places;
    uint32_t place_count;
    uint32_t place_capacity;
    int32_t file; /* the open one, -1 */
    uint32_t file_wal;
    uint64_t file_size;
    uint8_t *window; /* what was read of it last: [window_pos, window_pos + window_len) */
    size_t window_capacity;
    uint64_t window_pos;
    uint64_t window_len;
};

/* -- files --------------------------------------------------------------------------------------------------------- */

static void wals_on_entry(void *context, const char *name, bool is_directory)
{
    struct recover *r = context;
    unsigned shard, index;
    char suffix[8] = { 0 };
    if (is_directory || sscanf(name, "%u-%8u.%7s", &shard, &index, suffix) != 3 || strcmp(suffix, "wal") != 0)
        return;
    r->wals = xrealloc(r->wals, (r->wal_count + 1) * sizeof(struct wal));
    r->wals[r->wal_count++] = (struct wal){ .name = xstrndup(name, strlen(name)), .shard = shard };
}

/* The journal files there are; none when there is no folder. */
static int32_t wals_list(struct recover *r)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" JOURNAL_FOLDER, r->options->dir))
        return -ENAMETOOLONG;
    int32_t result = r->options->io->ops->list(r->options->io, path, wals_on_entry, r);
    return result == -ENOENT ? 0 : result;
}

static void recover_deinit(struct recover *r)
{
    if (r->file >= 0)
        (void)r->options->io->ops->close(r->options->io, r->file);
    for (uint32_t i = 0; i < r->wal_count; i++)
        free(r->wals[i].name);
    free(r->wals);
    free(r->places);
    free(r->window);
}

enum odk_err recover_has_journal(struct odk_io *io, const char *dir, bool *ret_any)
{
    struct recover_options options = { .io = io, .dir = dir };
    struct recover r = { .options = &options, .file = -1 };
    int32_t result = wals_list(&r);
    *ret_any = r.wal_count > 0;
    recover_deinit(&r);
    return odk_err_from_errno(MIN(result, 0));
}

static int32_t wals_unlink(struct recover *r)
{
    struct odk_io *io = r->options->io;
    char path[LAYOUT_PATH_MAX];
    for (uint32_t i = 0; i < r->wal_count; i++) {
        if (!layout_path(path, "%s/" JOURNAL_FOLDER "/%s", r->options->dir, r->wals[i].name))
            return -ENAMETOOLONG;
        int32_t result = io->ops->unlink(io, path);
        if (result < 0 && result != -ENOENT)
            return result;
    }
    return 0;
}

enum odk_err recover_drop_journal(struct odk_io *io, const struct odk_diag *to, const char *dir)
{
    struct recover_options options = { .io = io, .dir = dir };
    struct recover r = { .options = &options, .file = -1 };
    char path[LAYOUT_PATH_MAX];
    int32_t result = wals_list(&r);
    if (result >= 0)
        result = wals_unlink(&r);
    recover_deinit(&r);
    if (result < 0 || !layout_path(path, "%s/" JOURNAL_FOLDER, dir))
        return FAIL(to, odk_err_from_errno(result), "%s/" JOURNAL_FOLDER ": cannot be emptied: %s", dir,
                    strerror(-result));
    int32_t folder = io->ops->open(io, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (folder < 0)
        return FAIL(to, odk_err_from_errno(folder), "%s: cannot be opened: %s", path, strerror(-folder));
    enum odk_err err = odk_io_sync_now(io, folder);
    (void)io->ops->close(io, folder);
    return err == ODK_OK ? ODK_OK : FAIL(to, err, "%s: cannot be synced: %s", path, odk_err_text(err));
}

static enum odk_err wal_failed(struct recover *r, enum odk_err err, const char *what, uint64_t pos)
{
    return FAIL(r->options->diag, err, "%s/" JOURNAL_FOLDER "/%s: %s at %llu: %s", r->options->dir,
                r->wals[r->file_wal].name, what, (unsigned long long)pos, odk_err_text(err));
}

static enum odk_err wal_open(struct recover *r, uint32_t wal)
{
    struct odk_io *io = r->options->io;
    char path[LAYOUT_PATH_MAX];
    if (r->file >= 0 && r->file_wal == wal)
        return ODK_OK;
    if (r->file >= 0)
        (void)io->ops->close(io, r->file);
    r->file = -1;
    r->window_len = 0;
    if (!layout_path(path, "%s/" JOURNAL_FOLDER "/%s", r->options->dir, r->wals[wal].name))
        return ODK_ERR_INVALID;
    r->file = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE | (r->options->direct ? (uint32_t)ODK_IO_DIRECT : 0u));
    r->file_wal = wal;
    if (r->file < 0)
        return FAIL(r->options->diag, odk_err_from_errno(r->file), "%s: cannot be opened: %s", path,
                    strerror(-r->file));
    int64_t size = io->ops->size(io, r->file);
    if (size < 0)
        return FAIL(r->options->diag, odk_err_from_errno((int32_t)size), "%s: has no size: %s", path,
                    strerror((int)-size));
    r->file_size = align_down((uint64_t)size, ODK_IO_BLOCK);
    return ODK_OK;
}

/* Brings [pos, pos + len) of the open file into the window, and what stands behind it, as far as ahead. */
static enum odk_err wal_read(struct recover *r, uint64_t pos, uint64_t len, uint64_t ahead, const uint8_t **ret_data)
{
    if (pos < r->window_pos || pos + len > r->window_pos + r->window_len) {
        uint64_t want = MAX(len, MIN(ahead, r->file_size - MIN(pos, r->file_size)));
        r->window_len = 0;
        if (r->window_capacity < want) {
            void *mem = NULL;
            if (posix_memalign(&mem, ODK_IO_BLOCK, want) != 0)
                return ODK_ERR_MEMORY;
            free(r->window);
            r->window = mem;
            r->window_capacity = want;
        }
        enum odk_err err = odk_io_read_all(r->options->io, r->file, r->window, want, pos);
        if (err != ODK_OK)
            return wal_failed(r, err, "cannot be read", pos);
        r->window_pos = pos;
        r->window_len = want;
    }
    *ret_data = r->window + (pos - r->window_pos);
    return ODK_OK;
}

/* -- blocks -------------------------------------------------------------------------------------------------------- */

static void place_add(struct recover *r, const struct journal_block *block, uint32_t wal, uint64_t pos)
{
    if (r->place_count == r->place_capacity) {
        r->place_capacity = r->place_capacity ? r->place_capacity * 2 : 256;
        r->places = xrealloc(r->places, r->place_capacity * sizeof(struct place));
    }
    r->places[r->place_count++] = (struct place){
        .seq = block->seq,
        .checkpoint_seq = block->checkpoint_seq,
        .pos = pos,
        .len = (uint32_t)journal_block_bytes(block->payload_len),
        .payload_len = block->payload_len,
        .entry_count = block->entry_count,
        .shard = block->shard,
        .wal = wal,
    };
}

/* True when the block holds what must be known before anything is redone; or makes no sense, which is told then. */
static bool block_is_noted(const uint8_t *data, const struct journal_block *block)
{
    struct journal_reader reader = { .at = data + JOURNAL_HEADER_BYTES,
                                     .end = data + JOURNAL_HEADER_BYTES + block->payload_len };
    struct journal_entry entry;
    while (journal_entry_next(&reader, &entry)) {
        if (entry.type == JOURNAL_TRIM || entry.type == JOURNAL_DELETE || entry.type == JOURNAL_CLEAN)
            return true;
    }
    return reader.bad;
}

/* All valid blocks of a file, wherever they stand: behind the last one may be those of an earlier use of the file. */
static enum odk_err wal_scan(struct recover *r, uint32_t wal)
{
    enum odk_err err = wal_open(r, wal);
    const uint64_t end = r->file_size;
    const uint8_t *data = NULL;
    if (err == ODK_OK && end > 0)
        err = wal_read(r, 0, end, end, &data);
    if (err != ODK_OK)
        return err;
    for (uint64_t pos = 0; pos < end;) {
        struct journal_block block;
        uint64_t len = ODK_IO_BLOCK;
        if (journal_block_peek(data + pos, &block) && block.incarnation == r->options->incarnation &&
            block.shard == r->wals[wal].shard && journal_block_bytes(block.payload_len) <= end - pos &&
            journal_block_valid(data + pos, end - pos)) {
            place_add(r, &block, wal, pos);
            r->places[r->place_count - 1].noted = block_is_noted(data + pos, &block);
            len = journal_block_bytes(block.payload_len);
        }
        pos += len;
    }
    return ODK_OK;
}

static int place_compare(const void *a, const void *b)
{
    const struct place *first = a, *second = b;
    if (first->shard != second->shard)
        return first->shard < second->shard ? -1 : 1;
    if (first->seq != second->seq)
        return first->seq < second->seq ? -1 : 1;
    return 0;
}

static enum odk_err row_broken(struct recover *r, uint64_t wanted, const struct place *found)
{
    return FAIL(r->options->diag, ODK_ERR_CORRUPT,
                "%s/" JOURNAL_FOLDER ": block %llu of shard %u is missing or damaged, but block %llu stands in %s at %llu",
                r->options->dir, (unsigned long long)wanted, found->shard, (unsigned long long)found->seq,
                r->wals[found->wal].name, (unsigned long long)found->pos);
}

/* Keeps the blocks of one shard, [begin, end) in places, that must be redone: moves them to kept. */
static enum odk_err row_keep(struct recover *r, uint32_t begin, uint32_t end, uint32_t *kept)
{
    uint64_t checkpoint_seq = 0;
    for (uint32_t i = begin; i < end; i++)
        checkpoint_seq = MAX(checkpoint_seq, r->places[i].checkpoint_seq);
    uint64_t next_seq = checkpoint_seq + 1;
    for (uint32_t i = begin; i < end; i++) {
        const struct place place = r->places[i];
        if (place.seq < next_seq || place.entry_count == 0)
            continue;
        if (place.seq > next_seq)
            return row_broken(r, next_seq, &place);
        r->places[(*kept)++] = place;
        next_seq++;
    }
    return ODK_OK;
}

/* Reads a block that was valid when its file was scanned. */
static enum odk_err place_read(struct recover *r, const struct place *place, const uint8_t **ret_data)
{
    struct journal_block block;
    enum odk_err err = wal_open(r, place->wal);
    if (err == ODK_OK)
        err = wal_read(r, place->pos, place->len, READ_AHEAD_BYTES, ret_data);
    if (err != ODK_OK)
        return err;
    if (!journal_block_peek(*ret_data, &block) || block.incarnation != r->options->incarnation ||
        block.seq != place->seq || block.payload_len != place->payload_len ||
        !journal_block_valid(*ret_data, place->len))
        return wal_failed(r, ODK_ERR_IO, "a block that was whole reads otherwise the second time", place->pos);
    return ODK_OK;
}

/* The same bytes again, durably. */
static enum odk_err place_settle(struct recover *r, const struct place *place)
{
    const uint8_t *data;
    enum odk_err err = place_read(r, place, &data);
    if (err != ODK_OK)
        return err;
    err = odk_io_write_all(r->options->io, r->file, data, place->len, place->pos);
    if (err == ODK_OK)
        err = odk_io_sync_now(r->options->io, r->file);
    return err == ODK_OK ? ODK_OK : wal_failed(r, err, "the last block cannot be made durable", place->pos);
}

/* The write of a shard's last block may have failed, or have been cut off, and the block be seen all the same, out of a
 * cache. What it says goes into segments, so it must outlast the next power cut as well. All others are durable: the one
 * behind them was begun only when they were. */
static enum odk_err row_settle(struct recover *r, uint32_t begin, uint32_t end)
{
    enum odk_err err = ODK_OK;
    for (uint32_t i = begin; i < end && err == ODK_OK; i++) {
        if (r->places[i].seq == r->places[end - 1].seq) /* a note repeats the seq before it */
            err = place_settle(r, &r->places[i]);
    }
    return err;
}

static enum odk_err places_order(struct recover *r)
{
    if (r->place_count > 1)
        qsort(r->places, r->place_count, sizeof(struct place), place_compare);
    uint32_t kept = 0;
    for (uint32_t begin = 0; begin < r->place_count;) {
        uint32_t end = begin;
        while (end < r->place_count && r->places[end].shard == r->places[begin].shard)
            end++;
        enum odk_err err = row_settle(r, begin, end);
        if (err == ODK_OK)
            err = row_keep(r, begin, end, &kept);
        if (err != ODK_OK)
            return err;
        begin = end;
    }
    r->place_count = kept;
    return ODK_OK;
}

/* -- redoing ------------------------------------------------------------------------------------------------------- */

typedef enum odk_err redo_step(struct redo *redo, uint64_t seq, const struct journal_entry *entry);

static enum odk_err place_walk(struct recover *r, struct redo *redo, const struct place *place, redo_step *step)
{
    const uint8_t *data;
    enum odk_err err = place_read(r, place, &data);
    if (err != ODK_OK)
        return err;
    struct journal_reader reader = { .at = data + JOURNAL_HEADER_BYTES,
                                     .end = data + JOURNAL_HEADER_BYTES + place->payload_len };
    struct journal_entry entry;
    redo_block(redo);
    while (err == ODK_OK && journal_entry_next(&reader, &entry))
        err = step(redo, place->seq, &entry);
    if (err == ODK_OK && reader.bad)
        err = FAIL(r->options->diag, ODK_ERR_CORRUPT, "%s/" JOURNAL_FOLDER "/%s: block at %llu holds a malformed entry",
                   r->options->dir, r->wals[place->wal].name, (unsigned long long)place->pos);
    return err;
}

static enum odk_err places_redo(struct recover *r, uint64_t *ret_redone_bytes)
{
    struct redo redo;
    redo_init(&redo, r->options);
    enum odk_err err = ODK_OK;
    for (uint32_t i = 0; i < r->place_count && err == ODK_OK; i++)
        err = r->places[i].noted ? place_walk(r, &redo, &r->places[i], redo_note) : ODK_OK;
    for (uint32_t i = 0; i < r->place_count && err == ODK_OK; i++)
        err = place_walk(r, &redo, &r->places[i], redo_apply);
    if (err == ODK_OK)
        err = redo_finish(&redo);
    *ret_redone_bytes = redo.bytes;
    redo_deinit(&redo);
    return err;
}

enum odk_err recover_run(const struct recover_options *options, uint64_t *ret_redone_bytes)
{
    struct recover r = { .options = options, .file = -1 };
    int32_t listed = wals_list(&r);
    enum odk_err err = listed < 0 ? FAIL(options->diag, odk_err_from_errno(listed),
                                         "%s/" JOURNAL_FOLDER ": cannot be listed: %s", options->dir, strerror(-listed))
                                  : ODK_OK;
    for (uint32_t i = 0; i < r.wal_count && err == ODK_OK; i++)
        err = wal_scan(&r, i);
    if (err == ODK_OK)
        err = places_order(&r);
    if (err == ODK_OK)
        err = places_redo(&r, ret_redone_bytes);
    recover_deinit(&r);
    return err;
}
