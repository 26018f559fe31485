#include "store/journal_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/journal_format.h"

#define FILL_AHEAD_BYTES MIB(8)
#define ZEROS_BYTES      (JOURNAL_FILL_BYTES / JOURNAL_FILL_VIEWS)
#define NOTE_BYTES       JOURNAL_BLOCK_ALIGN
#define RETRY_MS         250

/* -- opening ------------------------------------------------------------------------------------------------------- */

static void file_path(const struct journal_files *files, uint32_t index, char *dst, size_t len)
{
    (void)snprintf(dst, len, "%s/%u-%08u.wal", files->dir, files->shard, index);
}

static int32_t file_open(const struct journal_files *files, uint32_t index, uint32_t flags)
{
    char path[4096];
    file_path(files, index, path, sizeof(path));
    flags |= ODK_IO_READ | ODK_IO_WRITE | ODK_IO_DSYNC | ODK_IO_HOT | (files->direct ? ODK_IO_DIRECT : 0u);
    return files->io->ops->open(files->io, path, flags);
}

static struct journal_file *file_new(struct journal_files *files, uint32_t index, int32_t handle)
{
    struct journal_file *file = xcalloc(1, sizeof(*file));
    file->index = index;
    file->handle = handle;
    files->count++;
    files->next_index = MAX(files->next_index, index + 1);
    return file;
}

struct scan {
    struct journal_files *files;
    uint32_t *found;
    uint32_t count;
};

static void scan_on_entry(void *context, const char *name, bool is_directory)
{
    struct scan *scan = context;
    unsigned shard, index;
    char suffix[8] = { 0 };
    if (is_directory || sscanf(name, "%u-%8u.%7s", &shard, &index, suffix) != 3)
        return;
    if (shard != scan->files->shard || strcmp(suffix, "wal") != 0)
        return;
    scan->found = xrealloc(scan->found, (scan->count + 1) * sizeof(uint32_t));
    scan->found[scan->count++] = index;
}

static enum odk_err files_adopt(struct journal_files *files, const struct scan *scan)
{
    for (uint32_t i = 0; i < scan->count; i++) {
        int32_t handle = file_open(files, scan->found[i], 0);
        if (handle < 0)
            return FAIL(files->diag, odk_err_from_errno(handle), "%s/%u-%08u.wal: cannot be opened: %s", files->dir,
                        files->shard, scan->found[i], strerror(-handle));
        struct journal_file *file = file_new(files, scan->found[i], handle);
        list_push_back(&files->free, &file->link);
        int64_t size = files->io->ops->size(files->io, handle);
        if (size < 0)
            return odk_err_from_errno((int32_t)size);
        file->size = align_down((uint64_t)size, JOURNAL_BLOCK_ALIGN);
    }
    return ODK_OK;
}

/* Zeros for [pos, pos + len) as views of one small buffer. */
static uint32_t zero_views(struct journal_files *files, uint64_t len)
{
    uint32_t count = 0;
    for (; len > 0; count++) {
        uint64_t now = MIN(len, (uint64_t)ZEROS_BYTES);
        files->fill_iov[count] = (struct iovec){ .iov_base = files->zeros, .iov_len = now };
        len -= now;
    }
    return count;
}

static enum odk_err folder_sync_now(struct journal_files *files)
{
    int32_t folder = files->io->ops->open(files->io, files->dir, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (folder < 0)
        return odk_err_from_errno(folder);
    enum odk_err err = odk_io_sync_now(files->io, folder);
    (void)files->io->ops->close(files->io, folder);
    return err;
}

static enum odk_err first_file(struct journal_files *files)
{
    int32_t handle = file_open(files, files->next_index, ODK_IO_CREATE);
    if (handle < 0)
        return FAIL(files->diag, odk_err_from_errno(handle), "%s: cannot make a journal file: %s", files->dir,
                    strerror(-handle));
    struct journal_file *file = file_new(files, files->next_index, handle);
    list_push_back(&files->free, &file->link);
    uint64_t want = MIN(files->file_bytes, (uint64_t)JOURNAL_FILL_BYTES);
    while (file->size < want) {
        uint64_t len = MIN(want - file->size, (uint64_t)ZEROS_BYTES);
        enum odk_err err = odk_io_write_all(files->io, handle, files->zeros, len, file->size);
        if (err != ODK_OK)
            return FAIL(files->diag, err, "%s: cannot fill the first journal file: %s", files->dir, odk_err_text(err));
        file->size += len;
    }
    return folder_sync_now(files);
}

static void fill_on_done(struct odk_io_write *write, int64_t result);
static void folder_sync_on_done(struct odk_io_op *op, int32_t result);

enum odk_err journal_files_open(struct journal_files *files, const struct journal_files_options *options)
{
    *files = (struct journal_files){
        .io = options->io,
        .diag = options->diag,
        .shard = options->shard,
        .file_bytes = MAX(align_down(options->file_bytes, JOURNAL_BLOCK_ALIGN), (uint64_t)4 * NOTE_BYTES),
        .direct = options->direct,
        .folder = -1,
        .fill.done = fill_on_done,
        .folder_sync.done = folder_sync_on_done,
        .ready = options->ready,
        .failed = options->failed,
        .context = options->context,
    };
    files->files_max = (uint32_t)MAX(options->bytes_max / files->file_bytes, 2u);
    list_init(&files->free);
    list_init(&files->used);
    size_t dir_len = strlen(options->dir) + sizeof("/" JOURNAL_FOLDER);
    files->dir = xcalloc(1, dir_len);
    (void)snprintf(files->dir, dir_len, "%s/" JOURNAL_FOLDER, options->dir);
    files->zeros = files->io->ops->mem_new(files->io, ZEROS_BYTES);
    if (!files->zeros)
        return ODK_ERR_MEMORY;
    struct scan scan = { .files = files };
    int32_t listed = files->io->ops->list(files->io, files->dir, scan_on_entry, &scan);
    enum odk_err err = listed < 0 ? odk_err_from_errno(listed) : files_adopt(files, &scan);
    free(scan.found);
    if (err == ODK_OK && list_empty(&files->free))
        err = first_file(files);
    if (err != ODK_OK)
        return err;
    files->active = list_entry(list_pop_front(&files->free), struct journal_file, link);
    return ODK_OK;
}

static void file_free(struct journal_files *files, struct journal_file *file)
{
    if (!file)
        return;
    list_remove(&file->link);
    (void)files->io->ops->close(files->io, file->handle);
    free(file);
}

void journal_files_close(struct journal_files *files)
{
    if (!files->dir)
        return;
    list_each(node, &files->free) {
        file_free(files, list_entry(node, struct journal_file, link));
    }
    list_each(used_node, &files->used) {
        file_free(files, list_entry(used_node, struct journal_file, link));
    }
    file_free(files, files->active);
    file_free(files, files->making);
    if (files->folder >= 0)
        (void)files->io->ops->close(files->io, files->folder);
    if (files->zeros)
        files->io->ops->mem_free(files->io, files->zeros, ZEROS_BYTES);
    free(files->dir);
    files->dir = NULL;
}

/* -- filling ------------------------------------------------------------------------------------------------------- */

static void fill_start(struct journal_files *files, struct journal_file *file)
{
    ASSERT(!files->busy);
    uint64_t room = files->file_bytes - file->size;
    files->fill_len = MIN(room, (uint64_t)JOURNAL_FILL_BYTES);
    files->filling = file;
    files->busy = true;
    uint32_t count = zero_views(files, files->fill_len);
    odk_io_write(files->io, &files->fill, file->handle, files->fill_iov, count, file->size);
}

/* The file being made cannot be finished: it is dropped, and made again later when the reason was space. */
static void make_failed(struct journal_files *files, int32_t error)
{
    struct journal_file *file = files->making;
    files->making = NULL;
    if (file) {
        char path[4096];
        file_path(files, file->index, path, sizeof(path));
        (void)files->io->ops->unlink(files->io, path); /* space for others; the name is used again */
        files->next_index = file->index;
        file_free(files, file);
        files->count--;
    }
    enum odk_err err = odk_err_from_errno(error);
    if (err == ODK_ERR_FULL || err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY) {
        files->full = true;
        files->retry_ns = deadline_after_ms(files->io->ops->mono_ns(files->io), RETRY_MS);
        return;
    }
    files->failed(files->context,
                  FAIL(files->diag, err, "%s: cannot make a journal file: %s", files->dir, strerror(-error)));
}

static void folder_sync_start(struct journal_files *files)
{
    files->folder = files->io->ops->open(files->io, files->dir, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (files->folder < 0) {
        make_failed(files, files->folder);
        return;
    }
    files->busy = true;
    files->io->ops->sync(files->io, &files->folder_sync, files->folder);
}

static void fill_on_done(struct odk_io_write *write, int64_t result)
{
    struct journal_files *files = container_of(write, struct journal_files, fill);
    struct journal_file *file = files->filling;
    files->filling = NULL;
    files->busy = false;
    if (result < 0 && file == files->making) {
        make_failed(files, (int32_t)result);
    } else if (result < 0) {
        files->fill_failed = true; /* the head finds out itself */
    } else {
        file->size = MAX(file->size, write->pos + files->fill_len);
        if (file == files->making)
            folder_sync_start(files);
    }
    files->ready(files->context);
}

static void folder_sync_on_done(struct odk_io_op *op, int32_t result)
{
    struct journal_files *files = container_of(op, struct journal_files, folder_sync);
    (void)files->io->ops->close(files->io, files->folder);
    files->folder = -1;
    files->busy = false;
    if (result < 0) {
        make_failed(files, result);
    } else {
        list_push_back(&files->free, &files->making->link);
        files->making = NULL;
    }
    files->ready(files->context);
}

static void make_start(struct journal_files *files, uint64_t now_ns)
{
    if (files->busy || files->making || files->count >= files->files_max)
        return;
    if (files->full && now_ns < files->retry_ns)
        return;
    files->full = false;
    int32_t handle = file_open(files, files->next_index, ODK_IO_CREATE);
    if (handle < 0) {
        make_failed(files, handle);
        return;
    }
    files->making = file_new(files, files->next_index, handle);
    int64_t size = files->io->ops->size(files->io, handle);
    files->making->size = size > 0 ? align_down((uint64_t)size, JOURNAL_BLOCK_ALIGN) : 0;
    if (files->making->size >= files->file_bytes)
        folder_sync_start(files);
    else
        fill_start(files, files->making);
}

static struct journal_file *oldest_used(const struct journal_files *files)
{
    return list_empty(&files->used) ? NULL : list_entry(files->used.next, struct journal_file, link);
}

void journal_files_fill(struct journal_files *files, uint64_t noted_seq, uint64_t now_ns)
{
    struct journal_file *active = files->active;
    if (files->busy)
        return;
    if (!files->fill_failed && active->size < files->file_bytes && active->size < files->pos + FILL_AHEAD_BYTES) {
        if (active->size >= files->pos)
            fill_start(files, active);
        return;
    }
    const struct journal_file *oldest = oldest_used(files);
    bool spare = !list_empty(&files->free) || (oldest && oldest->last_seq <= noted_seq);
    if (!spare && files->pos + FILL_AHEAD_BYTES > files->file_bytes && files->pos > files->file_bytes / 2)
        make_start(files, now_ns);
}

/* -- places -------------------------------------------------------------------------------------------------------- */

/* Leaves the active file for a free one, or for one whose blocks are all noted as no longer needed. */
static bool files_switch(struct journal_files *files, uint64_t noted_seq)
{
    struct journal_file *next = NULL;
    struct journal_file *oldest = oldest_used(files);
    if (oldest && oldest->last_seq <= noted_seq)
        next = oldest;
    else if (!list_empty(&files->free))
        next = list_entry(files->free.next, struct journal_file, link);
    if (!next)
        return false;
    list_remove(&next->link);
    list_push_back(&files->used, &files->active->link);
    files->active = next;
    files->pos = 0;
    files->fill_failed = false;
    return true;
}

enum journal_place journal_files_place(struct journal_files *files, uint64_t len, uint64_t noted_seq,
                                       uint64_t checkpoint_seq, uint64_t now_ns)
{
    bool fits = files->pos == 0 || files->pos + len + NOTE_BYTES <= files->file_bytes;
    if (!fits && !files_switch(files, noted_seq)) {
        const struct journal_file *oldest = oldest_used(files);
        if (oldest && oldest->last_seq <= checkpoint_seq)
            return JOURNAL_NEEDS_NOTE; /* behind a block larger than a file it stands outside the reserve */
        make_start(files, now_ns);
        return JOURNAL_WAITS;
    }
    if (files->pos + len > files->active->size && files->filling == files->active)
        return JOURNAL_WAITS; /* F4 */
    return JOURNAL_PLACED;
}

bool journal_files_capped(const struct journal_files *files)
{
    return list_empty(&files->free) && !files->making && (files->count >= files->files_max || files->full);
}

void journal_files_wrote(struct journal_files *files, uint64_t len, uint64_t seq)
{
    files->pos += len;
    files->active->size = MAX(files->active->size, files->pos);
    files->active->last_seq = seq;
}

uint64_t journal_files_held(const struct journal_files *files, uint64_t checkpoint_seq)
{
    uint64_t held = files->active && files->active->last_seq > checkpoint_seq ? files->pos : 0;
    list_each(node, &files->used) {
        const struct journal_file *file = list_entry(node, struct journal_file, link);
        held += file->last_seq > checkpoint_seq ? file->size : 0;
    }
    return held;
}

uint64_t journal_files_oldest_seq(const struct journal_files *files, uint64_t checkpoint_seq)
{
    list_each(node, &files->used) {
        const struct journal_file *file = list_entry(node, struct journal_file, link);
        if (file->last_seq > checkpoint_seq)
            return file->last_seq;
    }
    return 0;
}
