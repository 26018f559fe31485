/* A data directory from outside: what it is, who owns it, which partitions it has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "store/boot_state.h"
#include "store/verify_internal.h"

/* -- files --------------------------------------------------------------------------------------------------------- */

enum odk_err look_open(struct odk_io *io, const char *path, uint64_t len_max, struct look_file *file)
{
    *file = (struct look_file){ .map = { .slot = -1 } };
    int32_t handle = io->ops->open(io, path, ODK_IO_READ);
    if (handle < 0)
        return odk_err_from_errno(handle);
    int64_t size = io->ops->size(io, handle);
    int32_t result = (int32_t)MIN(size, 0);
    if (size > 0)
        result = io->ops->map(io, handle, MIN((uint64_t)size, len_max), &file->map);
    (void)io->ops->close(io, handle);
    file->open = result >= 0;
    return result < 0 ? odk_err_from_errno(result) : ODK_OK;
}

void look_close(struct odk_io *io, struct look_file *file)
{
    if (file->open)
        io->ops->unmap(io, &file->map);
    file->open = false;
}

enum odk_err look_size(struct odk_io *io, const char *path, uint64_t *ret_size)
{
    int32_t handle = io->ops->open(io, path, ODK_IO_READ);
    if (handle < 0)
        return odk_err_from_errno(handle);
    int64_t size = io->ops->size(io, handle);
    (void)io->ops->close(io, handle);
    if (size < 0)
        return odk_err_from_errno((int32_t)size);
    *ret_size = (uint64_t)size;
    return ODK_OK;
}

static bool exists(struct odk_dir *dir, const char *name)
{
    char path[LAYOUT_PATH_MAX];
    uint64_t size;
    return layout_path(path, "%s/%s", dir->path, name) && look_size(dir->io, path, &size) == ODK_OK;
}

/* -- partitions ---------------------------------------------------------------------------------------------------- */

bool look_part_name(const char *folder, struct odk_part_name *ret)
{
    const char *dash = strrchr(folder, '-');
    if (!dash || dash == folder || strspn(dash + 1, "0123456789") != strlen(dash + 1))
        return false;
    size_t digits = strlen(dash + 1);
    if (digits == 0 || digits > 9 || (digits > 1 && dash[1] == '0'))
        return false;
    ret->folder = folder;
    ret->topic = (struct odk_str){ .data = folder, .len = (size_t)(dash - folder) };
    ret->partition = (int32_t)strtol(dash + 1, NULL, 10);
    return true;
}

static void dir_on_entry(void *context, const char *name, bool is_directory)
{
    struct odk_dir *dir = context;
    struct odk_part_name part;
    if (!is_directory || !layout_name_ok(odk_str_from(name)) || !look_part_name(name, &part))
        return;
    if (dir->count == dir->capacity) {
        dir->capacity = dir->capacity ? dir->capacity * 2 : 64;
        dir->parts = xrealloc(dir->parts, dir->capacity * sizeof(*dir->parts));
    }
    char *copy = xstrndup(name, strlen(name));
    bool parsed = look_part_name(copy, &dir->parts[dir->count++]);
    ASSERT(parsed);
}

static int part_compare(const void *a, const void *b)
{
    const struct odk_part_name *x = a, *y = b;
    int order = odk_str_order(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* -- what it is ---------------------------------------------------------------------------------------------------- */

/* The lock is taken for an instant and given back; a server that starts in it tries again. */
static enum odk_dir_owner owner_look(struct odk_dir *dir)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" FORMAT_LOCK_NAME, dir->path))
        return ODK_OWNER_UNKNOWN;
    int32_t handle = dir->io->ops->open(dir->io, path, ODK_IO_READ);
    if (handle == -ENOENT)
        return ODK_OWNER_NONE;
    if (handle < 0)
        return ODK_OWNER_UNKNOWN;
    int32_t result = dir->io->ops->lock(dir->io, handle);
    (void)dir->io->ops->close(dir->io, handle);
    if (result == -EWOULDBLOCK || result == -EAGAIN)
        return ODK_OWNER_RUNNING;
    return result == 0 ? ODK_OWNER_NONE : ODK_OWNER_UNKNOWN;
}

static enum odk_err kind_look(struct odk_dir *dir)
{
    struct boot_state state;
    enum odk_err err = boot_state_load(dir->io, dir->diag, dir->path, &state);
    dir->info.leader_epoch = -1;
    if (err == ODK_OK) {
        dir->info.kind = ODK_DIR_ODRADEK;
        dir->info.leader_epoch = state.leader_epoch;
        dir->info.cluster_id = state.cluster_id;
        dir->incarnation = state.incarnation;
        dir->info.clean = exists(dir, LAYOUT_MARKER_NAME);
        dir->info.journal = !dir->info.clean;
        return ODK_OK;
    }
    if (err != ODK_ERR_NOT_FOUND)
        return err;
    dir->info.kind = exists(dir, FORMAT_META_PROPERTIES_NAME) ? ODK_DIR_KAFKA : ODK_DIR_PLAIN;
    dir->info.clean = exists(dir, FORMAT_CLEAN_SHUTDOWN_NAME);
    return ODK_OK;
}

static enum odk_err dir_look(struct odk_dir *dir)
{
    int32_t listed = dir->io->ops->list(dir->io, dir->path, dir_on_entry, dir);
    if (listed < 0)
        return FAIL(dir->diag, odk_err_from_errno(listed), "%s: %s", dir->path, strerror(-listed));
    enum odk_err err = kind_look(dir);
    if (err != ODK_OK)
        return err;
    if (dir->count == 0 && dir->info.kind == ODK_DIR_PLAIN)
        return FAIL(dir->diag, ODK_ERR_NOT_FOUND,
                    "%s: no data directory: neither odradek.state nor meta.properties nor a folder TOPIC-PARTITION in it",
                    dir->path);
    if (dir->count > 1)
        qsort(dir->parts, dir->count, sizeof(*dir->parts), part_compare);
    if (dir->info.kind == ODK_DIR_KAFKA) /* its lock is of another kind; a start removes the file of a clean stop */
        dir->info.owner = dir->info.clean ? ODK_OWNER_NONE : ODK_OWNER_UNKNOWN;
    else
        dir->info.owner = owner_look(dir);
    return ODK_OK;
}

enum odk_err odk_dir_open(struct odk_io *io, const struct odk_diag *diag, const char *path, struct odk_dir **ret_dir)
{
    struct odk_dir *dir = xcalloc(1, sizeof(*dir));
    dir->io = io;
    dir->diag = diag;
    dir->path = xstrndup(path, strlen(path));
    enum odk_err err = dir_look(dir);
    if (err != ODK_OK) {
        odk_dir_close(dir);
        return err;
    }
    *ret_dir = dir;
    return ODK_OK;
}

void odk_dir_close(struct odk_dir *dir)
{
    if (!dir)
        return;
    for (size_t i = 0; i < dir->count; i++)
        free((void *)(uintptr_t)dir->parts[i].folder);
    dir_proof_free(dir->proof);
    free(dir->parts);
    free(dir->path);
    free(dir);
}

const struct odk_dir_info *odk_dir_info(const struct odk_dir *dir)
{
    return &dir->info;
}

size_t odk_dir_count(const struct odk_dir *dir)
{
    return dir->count;
}

const struct odk_part_name *odk_dir_at(const struct odk_dir *dir, size_t idx)
{
    ASSERT(idx < dir->count);
    return &dir->parts[idx];
}

size_t odk_dir_find(const struct odk_dir *dir, struct odk_str topic, size_t *ret_first)
{
    size_t low = 0, high = dir->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (odk_str_order(dir->parts[middle].topic, topic) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    size_t found = 0;
    while (low + found < dir->count && odk_str_eq(dir->parts[low + found].topic, topic))
        found++;
    return found;
}
